/** Masks packed, each in the layout that takes fewest bytes. A file of its own: who only reads masks does not load it. */
import { byteLength } from '../../ir/dtype.ts'
import { int64s, type Tensor } from '../../ir/tensor.ts'
import { sizeOf } from '../../ir/type.ts'
import { expandMask, type Masks, onesIn } from '../mask.ts'
import { encodeSafetensors } from '../safetensors.ts'
import { packBitmask } from './bitmask.ts'
import { packBlocks } from './blocks.ts'
import { packDiagonals } from './diagonals.ts'
import { packFanIn } from './fan-in.ts'
import { packGroups } from './groups.ts'
import { packedKey } from './index.ts'
import type { Pack, Parts } from './layout.ts'

/** Of layouts that take as many bytes the first is written. */
const packers: ReadonlyArray<Pack> = [packBitmask, packDiagonals, packBlocks]

/** Those with an index for each element that is kept, so that a bitmask is smaller where more than one of eight is. */
const indexed: ReadonlyArray<Pack> = [packFanIn, packGroups]

/**
 * Masks as a safetensors file in which each has the layout that takes fewest bytes: an eighth of those of the weights at most, and far
 * less of few diagonals, blocks or inputs. Pieces to be written one after the other; the same masks give the same bytes, in
 * whatever order they were made.
 */
export const encodePackedMasks = (masks: Masks): ReadonlyArray<Uint8Array> => {
  const tensors = new Map<string, Tensor>()
  for (const [name, mask] of masks) {
    const kept = expandMask(mask)
    const isDense = 8 * onesIn(kept) > kept.length
    const packed = [...packers, ...(isDense ? [] : indexed)].flatMap((pack) => pack(kept, mask.shape) ?? [])
    const best = packed.reduce((least, parts) => (bytesOf(parts) < bytesOf(least) ? parts : least))
    tensors.set(`${name}.shape`, int64s(mask.shape))
    for (const [part, tensor] of best) tensors.set(`${name}.${part}`, tensor)
  }
  return encodeSafetensors(tensors, new Map([[packedKey, 'packed']]))
}

const bytesOf = (parts: Parts): number =>
  [...parts.values()].reduce((sum, { dtype, shape }) => sum + byteLength(dtype, sizeOf(shape)), 0)
