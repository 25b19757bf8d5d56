/** Mask files: safetensors and npz in, safetensors out. */
import * as E from 'fp-ts/lib/Either.js'
import { failure } from '../ir/failure.ts'
import type { Graph } from '../ir/graph.ts'
import { dense, type Tensor } from '../ir/tensor.ts'
import { type MaskFileError, type Matching, matchMasks, type MatchOptions } from './match/index.ts'
import { type FileContents, tensorFileError, type TensorFileError } from './file-entry.ts'
import { expandMask, type Masks } from './mask.ts'
import { looksLikeNpy } from './npy.ts'
import { readNpz } from './npz.ts'
import { decodeSafetensors, encodeSafetensors, looksLikeSafetensors } from './safetensors.ts'
import { looksLikeZip } from './zip.ts'

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
