/** Files of tensors: safetensors, npz and checkpoints in, safetensors out. */
import * as E from 'fp-ts/lib/Either.js'
import { failure } from '../ir/failure.ts'
import type { Graph } from '../ir/graph.ts'
import { dense, type Tensor } from '../ir/tensor.ts'
import { looksLikePickle, prefixOf, readArchive, readPickled } from './checkpoint/index.ts'
import { type FileContents, tensorFileError, type TensorFileError } from './file-entry.ts'
import { type FileKind, kindOf, zipKindOf } from './kind.ts'
import { expandMask, type Masks } from './mask.ts'
import { type MaskFileError, type Matching, matchMasks, type MatchOptions } from './match/index.ts'
import { arraysIn } from './npz.ts'
import { packedKey, unpackEntries } from './packed/index.ts'
import { decodeSafetensors, encodeSafetensors, holdsHeader, looksLikeSafetensors } from './safetensors.ts'
import { looksLikeZip, readZip, type ZipEntry } from './zip.ts'

/**
 * The masks for `graph` in a file of tensors. See {@link matchMasks} for how they find their weights; a graph that would have to
 * be changed for them is refused here.
 */
export const decodeMasks = (
  bytes: Uint8Array,
  graph: Graph,
  options?: MatchOptions,
): E.Either<MaskFileError, Masks> => {
  const file = decodeFile(bytes)
  if (E.isLeft(file)) return file
  const matching = matchMasks(file.right.entries, graph, options)
  return E.isLeft(matching) ? matching : masksAlone(matching.right, graph)
}

/** The masks of a matching that left its graph as it was. */
export const masksAlone = (matching: Matching, graph: Graph): E.Either<MaskFileError, Masks> =>
  matching.graph === graph
    ? E.right(matching.masks)
    : E.left(
        failure(
          'MaskError',
          'masks',
          'one constant for each weight',
          'equal weights in one constant, with masks that differ',
          'Match them with matchMasks, which gives the graph that they are for.',
        ),
      )

/**
 * The tensors of a file, which is told by its content: safetensors, npz, a checkpoint of PyTorch (zip, legacy or
 * TorchScript), or a pickle of arrays or tensors. Nothing that a file names is called. See `checkpoint/index.ts`.
 */
export const decodeFile = (bytes: Uint8Array): E.Either<TensorFileError, FileContents> =>
  E.chain(({ isOurs, ...contents }: FileTensors): E.Either<TensorFileError, FileContents> =>
    E.map((entries: FileContents['entries']) => ({ ...contents, entries }))(
      unpackEntries(contents.entries, isOurs ?? false),
    ),
  )(decodeTensors(bytes))

interface FileTensors extends FileContents {
  /** Whether what packed masks are called is all of the names of their weights. */
  readonly isOurs?: boolean
}

/** The same, but for packed masks, whose parts are tensors here: they may be in several files. */
export const decodeTensors = (bytes: Uint8Array): E.Either<TensorFileError, FileTensors> => {
  if (looksLikeZip(bytes)) return E.chain(decodeZip)(readZip(bytes))
  if (!holdsHeader(bytes) && looksLikePickle(bytes)) return readPickled(bytes)
  if (!looksLikeSafetensors(bytes)) return E.left(notTensors(kindOf(bytes), bytes.length))
  const file = decodeSafetensors(bytes)
  if (E.isLeft(file)) {
    // Any file may have a brace as its ninth byte.
    const kind = kindOf(bytes)
    return kind === undefined || kind === 'safetensors' ? file : E.left(notTensors(kind, bytes.length))
  }
  const entries = Array.from(file.right.tensors, ([name, tensor]) => ({
    name,
    size: tensor.bytes.length,
    shape: tensor.shape,
    dtype: tensor.dtype,
    decode: () => E.right(tensor),
  }))
  return E.right({ entries, notes: [], isOurs: file.right.metadata.has(packedKey) })
}

const decodeZip = (files: ReadonlyArray<ZipEntry>): E.Either<TensorFileError, FileContents> => {
  const prefix = prefixOf(files)
  if (prefix !== undefined) return readArchive(files, prefix)
  const kind = zipKindOf(files)
  if (kind === 'PyTorch export' || kind === 'Keras') return E.left(notTensors(kind, 0))
  return E.map((entries: FileContents['entries']) => ({ entries, notes: [] }))(arraysIn(files))
}

const save = 'Save the tensors with safetensors, torch.save or numpy.savez.'

/** What a file is that holds no tensors which can be read, and what to do about it. */
const unreadable: ReadonlyMap<FileKind, readonly [found: string, help: string]> = new Map<
  FileKind,
  readonly [string, string]
>([
  ['empty', ['0 bytes', 'Copy or download the file again.']],
  ['npy', ['a single numpy array', 'Save arrays with their names: numpy.savez(file, **masks).']],
  ['shard index', ['the index of a sharded checkpoint', 'Give its path, so that the files beside it can be read.']],
  ['PyTorch export', ['a program that torch.export wrote', 'Save its weights: torch.save(program.state_dict, file).']],
  ['Keras', ['a Keras model', 'Save its weights by name with numpy.savez or safetensors.']],
  ['HDF5', ['an HDF5 file', 'Save its weights by name with numpy.savez or safetensors.']],
  ['TensorFlow.js', ['a TensorFlow.js model', 'Give it as the model; masks are in a file of their own.']],
  ['TFLite', ['a TensorFlow Lite model', 'Export the model to ONNX: python -m tf2onnx.convert --tflite FILE.']],
  ['tar', ['a tar archive', 'Unpack it first, or load and save it again with a newer PyTorch.']],
  ['GGUF', ['a GGUF file', 'Take the weights that it was made from: a safetensors file.']],
  ['compressed', ['a compressed file', 'Unpack it first.']],
  ['Git LFS pointer', ['a pointer of Git LFS in place of the file', 'Run git lfs pull in its repository.']],
  ['HTML', ['an HTML page', 'The download failed: fetch the file itself, not the page that shows it.']],
  ['JSON', ['a JSON file', save]],
  ['text', ['a text', save]],
])

const notTensors = (kind: FileKind | undefined, length: number): TensorFileError => {
  const [found, help] = (kind && unreadable.get(kind)) ?? [`${length} bytes of another kind`, save]
  return tensorFileError('file of tensors', 'safetensors, npz or a PyTorch checkpoint', found, help)
}

/**
 * Masks as a safetensors file: one boolean tensor in the full shape of each weight. Pieces to be written one after the
 * other; the same masks give the same bytes, in whatever order they were made.
 */
export const encodeMasks = (masks: Masks): ReadonlyArray<Uint8Array> => {
  const tensors = new Map<string, Tensor>()
  for (const [name, mask] of masks) tensors.set(name, dense('bool', mask.shape, expandMask(mask)))
  return encodeSafetensors(tensors)
}
