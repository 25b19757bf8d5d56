/** Mask files: safetensors and npz in, safetensors out. */
import * as E from 'fp-ts/lib/Either.js'
import type { Graph } from '../ir/graph.ts'
import { dense, type Tensor } from '../ir/tensor.ts'
import { bindMasks, type MaskFileError } from './bind.ts'
import { type FileContents, tensorFileError, type TensorFileError } from './file-entry.ts'
import { expandMask, type Masks } from './mask.ts'
import { looksLikeNpy } from './npy.ts'
import { readNpz } from './npz.ts'
import { decodeSafetensors, encodeSafetensors, looksLikeSafetensors } from './safetensors.ts'
import { looksLikeZip } from './zip.ts'

/** The masks for `graph` in a safetensors or npz file, told apart by their content. See {@link bindMasks}. */
export const decodeMasks = (bytes: Uint8Array, graph: Graph): E.Either<MaskFileError, Masks> => {
  const file = decodeFile(bytes)
  return E.isLeft(file) ? file : bindMasks(file.right.entries, graph)
}

/** The tensors of a safetensors or npz file, told apart by its content. */
export const decodeFile = (bytes: Uint8Array): E.Either<TensorFileError, FileContents> => {
  if (looksLikeZip(bytes)) return E.map((entries: FileContents['entries']) => ({ entries, notes: [] }))(readNpz(bytes))
  if (looksLikeSafetensors(bytes)) {
    const file = decodeSafetensors(bytes)
    if (E.isLeft(file)) return file
    const entries = Array.from(file.right.tensors, ([name, tensor]) => ({
      name,
      size: tensor.bytes.length,
      shape: tensor.shape,
      dtype: tensor.dtype,
      decode: () => E.right(tensor),
    }))
    return E.right({ entries, notes: [] })
  }
  return E.left(
    tensorFileError(
      'mask file',
      'a safetensors or npz file',
      looksLikeNpy(bytes) ? 'a single numpy array' : `${bytes.length} bytes of another kind`,
      looksLikeNpy(bytes)
        ? 'Save arrays with their names: numpy.savez(file, **masks).'
        : 'Save the masks with safetensors.numpy.save_file or numpy.savez.',
    ),
  )
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
