/** What the attention operators of ONNX Runtime have in common. */
import type { InferContext } from '../op.ts'
import { type Dim, type Shape, unknownDim, type ValueType } from '../type.ts'

/** Whether two sizes are known to be equal. */
const same = (a: Dim | undefined, b: Dim | undefined): boolean => a !== undefined && a === b

/**
 * Why a mask cannot be looked into, if it cannot: it counts the keys of each sample (`[batch]`), or tells for each key
 * (`[batch, keys]`), or for each query and key, whether it takes part.
 */
export const maskMisfit = (
  mask: ValueType | undefined,
  [batch, queries, keys]: readonly [Dim | undefined, Dim | undefined, Dim | undefined],
): string | undefined => {
  if (mask === undefined) return undefined
  if (mask.kind !== 'tensor' || mask.shape === undefined || mask.dtype !== 'int32') return 'a mask of unknown shape'
  const expected = { 1: [batch], 2: [batch, keys], 3: [batch, queries, keys] }[mask.shape.length]
  const fits = expected?.every((dim, axis) => same(dim, mask.shape?.[axis])) ?? false
  return fits ? undefined : 'a mask of another size'
}

/** The shape of keys or values that output `output` keeps: as many places as before and as are new, which is not known. */
export const stateShape = (
  ctx: InferContext<unknown>,
  output: number,
  batch: Dim | undefined,
  heads: number,
  size: number,
): Shape => {
  const name = ctx.outputNames[output] ?? ''
  return [batch ?? unknownDim(name, 0), heads, unknownDim(name, 2), size]
}
