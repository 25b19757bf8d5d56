/** Which indices of a product of two computed operands make no difference to what is computed of it. */
import type { Graph } from '../../ir/graph.ts'
import { cancels, precisionOf } from '../../ir/numerics.ts'
import { isFloat } from '../../ir/dtype.ts'
import type { Node, Pair, ValueId } from '../../ir/op.ts'
import { freeAxes } from '../shifts.ts'
import { at, type Known, zeroAlong } from './slice-readers.ts'

/** What is known of channels. */
interface Knowledge {
  readonly known: (value: ValueId, axis: number) => Known
  readonly patterns: (value: ValueId, axis: number) => unknown
}

/**
 * Whether an index of a pair goes for what one of its operands, `side`, holds there: zero, or a number that is the same everywhere
 * where that only moves the product along an axis along which it may be moved: `q_j · c` is the same for all keys, and a softmax
 * does not see it.
 *
 * Guards: no index along that axis of the product is known, which would be what it was while the others move; what is added
 * is not there to round the rest, where it is known (`numerics.ts`).
 */
export const idleIndices = (
  graph: Graph,
  node: Node,
  { ports, axes, own, period }: Pair,
  side: 0 | 1,
  { known, patterns }: Knowledge,
): ((index: number) => boolean) => {
  const valueOf = (one: 0 | 1): Known => known(node.inputs[ports[one]] ?? '', axes[one])
  const numbers = valueOf(side)
  const isZero = zeroAlong(numbers, period)
  const [output = ''] = node.outputs
  const type = graph.types.get(output)
  const axis = own?.[side]
  if (axis === undefined || period !== undefined || !freeAxes(graph)(output).axes.has(axis)) return isZero
  if (type?.kind !== 'tensor' || !isFloat(type.dtype) || patterns(output, axis) !== undefined) return isZero
  const made = known(output, axis)
  if (typeof made === 'number' ? !Number.isNaN(made) : made.some((x) => !Number.isNaN(x))) return isZero
  const precision = precisionOf(type.dtype)
  const others = valueOf(side === 0 ? 1 : 0)
  return (k) => {
    const moved = Math.abs(at(numbers, k)) * Math.abs(at(others, k))
    // Scores differ by about 1 where that tells.
    return isZero(k) || (!Number.isNaN(at(numbers, k)) && !cancels(precision, moved, 0, 1))
  }
}
