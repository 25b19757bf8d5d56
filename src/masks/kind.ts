/**
 * What a file is, by its content: everything that people hand to a compiler of ONNX models, by first bytes, by the names in
 * a zip archive, or by what a text says.
 */
import * as E from 'fp-ts/lib/Either.js'
import { looksLegacy, looksLikePickle, prefixOf } from './checkpoint/index.ts'
import { looksLikeNpy } from './npy.ts'
import { looksLikeSafetensors } from './safetensors.ts'
import { looksLikeZip, readZip, type ZipEntry } from './zip.ts'

export type FileKind =
  | 'empty'
  | 'safetensors'
  | 'shard index'
  | 'npy'
  | 'npz'
  | 'PyTorch checkpoint'
  | 'TorchScript'
  | 'PyTorch export'
  | 'pickle'
  | 'tar'
  | 'zip'
  | 'damaged zip'
  | 'Keras'
  | 'HDF5'
  | 'TFLite'
  | 'ONNX Runtime'
  | 'TensorFlow'
  | 'TensorFlow.js'
  | 'GGUF'
  | 'compressed'
  | 'Git LFS pointer'
  | 'HTML'
  | 'ONNX text'
  | 'JSON'
  | 'text'

/** First bytes, and where they are. */
const magics: ReadonlyArray<readonly [FileKind, number, ReadonlyArray<number>]> = [
  ['HDF5', 0, [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]],
  // FlatBuffers have their identifier behind the offset of the root.
  ['TFLite', 4, [0x54, 0x46, 0x4c, 0x33]],
  ['ONNX Runtime', 4, [0x4f, 0x52, 0x54, 0x4d]],
  ['GGUF', 0, [0x47, 0x47, 0x55, 0x46]],
  ['compressed', 0, [0x1f, 0x8b]],
  ['compressed', 0, [0x28, 0xb5, 0x2f, 0xfd]],
  ['compressed', 0, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]],
  ['compressed', 0, [0x42, 0x5a, 0x68]],
  ['tar', 257, [0x75, 0x73, 0x74, 0x61, 0x72]],
]

/** What `bytes` are, or undefined where they are nothing that is known. */
export const kindOf = (bytes: Uint8Array): FileKind | undefined => {
  if (bytes.length === 0) return 'empty'
  if (looksLikeZip(bytes)) {
    const files = readZip(bytes)
    return E.isLeft(files) ? 'damaged zip' : zipKindOf(files.right)
  }
  if (looksLegacy(bytes)) return 'PyTorch checkpoint'
  if (looksLikeNpy(bytes)) return 'npy'
  const magic = magics.find(([, at, wanted]) => wanted.every((byte, i) => bytes[at + i] === byte))
  if (magic !== undefined) return magic[0]
  // The length of the header in eight bytes, and the header: JSON.
  if (looksLikeSafetensors(bytes) && bytes[7] === 0) return 'safetensors'
  if (looksLikePickle(bytes)) return 'pickle'
  return textKindOf(bytes) ?? (isTensorFlow(bytes) ? 'TensorFlow' : undefined)
}

/** What an archive is, by the names in it. */
export const zipKindOf = (files: ReadonlyArray<ZipEntry>): FileKind => {
  const names = new Set(files.map(({ name }) => name))
  const prefix = prefixOf(files)
  if (prefix !== undefined) {
    const script = names.has(`${prefix}constants.pkl`) || files.some(({ name }) => name.startsWith(`${prefix}code/`))
    return script ? 'TorchScript' : 'PyTorch checkpoint'
  }
  if (names.has('config.json') && names.has('model.weights.h5')) return 'Keras'
  const exported = /(^|\/)(archive_format|serialized_exported_program\.json|models\/model\.json)$/
  if (files.some(({ name }) => exported.test(name))) return 'PyTorch export'
  return files.every(({ name }) => name.endsWith('.npy')) ? 'npz' : 'zip'
}

/** A text is looked at this far. */
const sample = 4096

const textKindOf = (bytes: Uint8Array): FileKind | undefined => {
  const start = bytes.subarray(0, sample)
  // Control characters other than white space are in no text.
  if (start.some((byte) => byte < 9 || (byte > 13 && byte < 32) || byte === 127)) return undefined
  const decoded = E.tryCatch(
    () => new TextDecoder('utf-8', { fatal: true }).decode(start, { stream: true }),
    () => undefined,
  )
  if (E.isLeft(decoded)) return undefined
  const text = decoded.right.trimStart()
  if (text.startsWith('version https://git-lfs')) return 'Git LFS pointer'
  if (/^<(?:!doctype html|html|head|\?xml)/i.test(text)) return 'HTML'
  if (/^<[^>]*\bir_version\s*:/.test(text) || /^ir_version\s*:/.test(text)) return 'ONNX text'
  if (/^[[{]/.test(text)) return jsonKindOf(bytes)
  return 'text'
}

/** What a JSON text is, by what it has near its start: an index of shards, or a model of TensorFlow.js. */
const jsonKindOf = (bytes: Uint8Array): FileKind => {
  const start = new TextDecoder().decode(bytes.subarray(0, 16 * sample))
  if (/"weight_map"\s*:/.test(start)) return 'shard index'
  return /"(modelTopology|weightsManifest)"\s*:/.test(start) ? 'TensorFlow.js' : 'JSON'
}

/** Words that every SavedModel or frozen graph of TensorFlow has. */
const words = ['tensorflow', 'Placeholder', 'StatefulPartitionedCall', 'saved_model']

const isTensorFlow = (bytes: Uint8Array): boolean => {
  // SavedModel: schema version 1, then a graph, which begins with its description. An ONNX model has its producer there.
  const saved = bytes[0] === 0x08 && bytes[1] === 1 && bytes[2] === 0x12
  const inner = bytes.subarray(3, 14).findIndex((byte) => byte < 0x80)
  if (saved ? bytes[inner + 4] !== 0x0a : bytes[0] !== 0x0a) return false
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, 2 ** 16))
  return words.some((word) => text.includes(word))
}
