/** What becomes of numbers that are added to an operand and are the same along an axis (`OpDef.shifts`). */
import { inputShape, outputShape } from '../links.ts'
import type { NodeContext } from '../op.ts'
import { uniformValue } from '../slices.ts'

/** The axes of an operand that broadcasting puts at `axes` of the output: negative where it puts them in front. */
export const alignedAxes = (
  ctx: NodeContext<unknown>,
  port: number,
  axes: ReadonlySet<number>,
): ReadonlyArray<number> => {
  const [from, to] = [inputShape(ctx, port), outputShape(ctx)]
  return from === undefined || to === undefined ? [] : [...axes].map((axis) => axis + from.length - to.length)
}

/** Whether an operand is the same along one of its axes, which may be negative. */
export const isSameAlong = (ctx: NodeContext<unknown>, port: number, axis: number): boolean => {
  const constant = ctx.constant(port)
  if (axis < 0 || inputShape(ctx, port)?.[axis] === 1) return true
  return constant !== undefined && uniformValue(constant) !== undefined
}

/** Those axes of the output along which an operand is the same. */
export const sameAlong = (ctx: NodeContext<unknown>, port: number, axes: ReadonlySet<number>): ReadonlySet<number> =>
  new Set(
    [...axes].filter((axis) => alignedAxes(ctx, port, new Set([axis])).some((own) => isSameAlong(ctx, port, own))),
  )
