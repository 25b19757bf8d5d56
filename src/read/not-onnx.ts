/** What to do with a file that is no ONNX model but something else that models and weights are kept in. Pure. */
import { type FileKind, kindOf } from '../masks/kind.ts'
import { type ReadError, readError } from './error.ts'

const exportTorch =
  'Export the module with torch.onnx.export, or give it to chasec.compile in Python; weights alone go with --weights.'
const exportKeras = 'Convert it: python -m tf2onnx.convert --keras FILE --output model.onnx.'
const exportTensorFlow = 'Convert its folder: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx.'
const weightsOnly = 'It holds weights only: export the model to ONNX, and give this file with --weights.'
const again = 'Copy or download the file again.'

const answers: Readonly<Record<FileKind, readonly [found: string, help: string]>> = {
  empty: ['an empty file', again],
  safetensors: ['a safetensors file', weightsOnly],
  'shard index': ['the index of a sharded checkpoint', weightsOnly],
  npy: ['a numpy array', weightsOnly],
  npz: ['an archive of numpy arrays', weightsOnly],
  'PyTorch checkpoint': ['a PyTorch checkpoint', exportTorch],
  TorchScript: ['a TorchScript model', 'Export the module that it was made of with torch.onnx.export.'],
  'PyTorch export': ['a program that torch.export wrote', 'Load it and write it with torch.onnx.export.'],
  pickle: ['a Python pickle', exportTorch],
  tar: ['a tar archive', 'Unpack it, and give the ONNX file in it.'],
  zip: ['a zip archive', 'Unpack it, and give the ONNX file in it.'],
  'damaged zip': ['a damaged zip archive, perhaps of a PyTorch or Keras model', again],
  Keras: ['a Keras model', exportKeras],
  HDF5: ['an HDF5 file, as Keras writes them', exportKeras],
  TFLite: ['a TensorFlow Lite model', 'Convert it: python -m tf2onnx.convert --tflite FILE --output model.onnx.'],
  'ONNX Runtime': ['a model in the format of ONNX Runtime (.ort)', 'Give the ONNX file that it was made from.'],
  TensorFlow: ['a TensorFlow graph', exportTensorFlow],
  'TensorFlow.js': ['a TensorFlow.js model', 'Give the path of its model.json, its weights beside it.'],
  GGUF: ['a GGUF file', 'It holds weights only: export the model that it was made from to ONNX.'],
  compressed: ['a compressed file', 'Unpack it, and give the ONNX file in it.'],
  'Git LFS pointer': ['a pointer of Git LFS in place of the file', 'Run git lfs pull in its repository.'],
  HTML: ['an HTML page', 'The download failed: fetch the file itself, not the page that shows it.'],
  'ONNX text': [
    'an ONNX model in its textual form',
    'Convert it: onnx.save(onnx.parser.parse_model(open(FILE).read()), "model.onnx").',
  ],
  JSON: ['a JSON file', 'Give the ONNX file, which is binary.'],
  text: ['a text', 'Give the ONNX file, which is binary.'],
}

const answer = (kind: FileKind): ReadError =>
  readError('not-onnx', 'the model', 'a serialised ONNX ModelProto', ...answers[kind])

/** Whether `bytes` are the `model.json` of a TensorFlow.js model. */
export const isTensorFlowJs = (bytes: Uint8Array): boolean => kindOf(bytes) === 'TensorFlow.js'

/** What `bytes` are that did not decode as a model; undefined where nothing better is known. */
export const notOnnx = (bytes: Uint8Array): ReadError | undefined => {
  const kind = kindOf(bytes)
  return kind === undefined ? undefined : answer(kind)
}

/** What names of files say, where content says nothing. */
const kindOfName: ReadonlyMap<string, FileKind> = new Map<string, FileKind>([
  ['pt', 'PyTorch checkpoint'],
  ['pth', 'PyTorch checkpoint'],
  ['ckpt', 'PyTorch checkpoint'],
  ['h5', 'HDF5'],
  ['hdf5', 'HDF5'],
  ['keras', 'Keras'],
  ['tflite', 'TFLite'],
  ['pb', 'TensorFlow'],
  ['ort', 'ONNX Runtime'],
  ['safetensors', 'safetensors'],
])

/** The error with advice by the name of the file, where its content was of no known kind. */
export const hinted = (error: ReadError, path: string): ReadError => {
  if (error.code !== 'malformed-protobuf' && error.code !== 'required-field-missing') return error
  const kind = kindOfName.get(path.toLowerCase().split('.').at(-1) ?? '')
  if (kind === undefined) return error
  const [found, help] = answers[kind]
  return { ...error, help: `By its name it is ${found}. ${help}` }
}

/** The file in a folder that is read for it: a model of TensorFlow.js, where there is no other. */
export const fileOfFolder = (names: ReadonlyArray<string>): string | undefined =>
  names.includes('model.json') && !names.some((name) => name.endsWith('.onnx')) ? 'model.json' : undefined

/** What a folder with these files is, which was given as a model. */
export const folderNotOnnx = (path: string, names: ReadonlyArray<string>): ReadError => {
  const models = names.filter((name) => name.endsWith('.onnx')).toSorted()
  const refused = (found: string, help: string): ReadError => readError('not-onnx', path, 'an ONNX file', found, help)
  if (models.length > 0) return refused('a folder', `Give a file in it: ${models.slice(0, 5).join(', ')}.`)
  if (names.includes('saved_model.pb')) return refused('the folder of a TensorFlow SavedModel', exportTensorFlow)
  if (names.includes('config.json')) {
    return refused('the folder of a HuggingFace model', `Export it: optimum-cli export onnx --model FOLDER OUTPUT.`)
  }
  return refused('a folder', 'Give the path of the ONNX file.')
}
