/** A contraction with other channels: what all of them share of `OpDef.shrink` and of {@link Contraction.rebuild}. */
import * as E from 'fp-ts/lib/Either.js'
import type { DType } from '../dtype.ts'
import { gatherOperand } from '../gather-operands.ts'
import { invariant } from '../failure.ts'
import { precisionOf, type Refusal, roundTo } from '../numerics.ts'
import type { Contraction, NodeContext, Rebuilding, Rewrite, ShrinkContext } from '../op.ts'
import type { Tensor } from '../tensor.ts'
import { readsOfContraction } from './contraction.ts'
import { payFor } from './payment.ts'
import { selectWeight } from './weights.ts'

const all = (length: number): Int32Array => new Int32Array(length).map((_, i) => i)

/**
 * The contraction with the kept channels, constant inputs that go paid for. Outputs that are kept although nothing needs
 * them (for width, groups or a neighbour) are written as zeros, weight and bias, so that what follows them is `f(0)`.
 */
export const shrinkContraction = (s: ShrinkContext<unknown>, c: Contraction): Rewrite => {
  const r = readsOfContraction(s, c)
  const inputs = s.keptInput(c.port, c.axis)
  const outputs = s.keptOutput(0, c.outputAxis)
  const exact = s.exactOutput(0, c.outputAxis)
  const [keptIn, keptOut] = [new Set(inputs), new Set(outputs)]
  const payment = payFor(r, {
    keepsInput: (i) => inputs === undefined || keptIn.has(i),
    keepsOutput: (o) => outputs === undefined || keptOut.has(o),
    constants: s.constantsOf(c.port, c.axis),
    isExact: (o) => exact?.[o] !== 0,
  })
  invariant(E.isRight(payment), `${s.node.name}: channels went that cannot be paid for`)
  const { shift, carried } = payment.right
  const isZero = (o: number): boolean => c.payable && exact?.[o] === 0
  const made = outputs ?? all(r.outputs)
  const kept = { inputs: inputs ?? all(r.inputs), outputs: made, isZero, carried }
  const selected = selectWeight(r, kept, s.node.name)
  const rebuilt = c.rebuild(
    {
      ...selected,
      node: s.node,
      outputs,
      factor: made.some(isZero) ? Float64Array.from(made, (o) => (isZero(o) ? 0 : 1)) : undefined,
      shift: shift && Float64Array.from(made, (o) => shift[o] ?? 0),
      operand: (port, tensor) => gatherOperand(s, port, tensor),
    },
    s,
  )
  invariant(E.isRight(rebuilt), `${s.node.name}: ${E.isLeft(rebuilt) ? rebuilt.left : ''}`)
  return rebuilt.right
}

/** What stays of the constant operands on ports other than `handled`, where that is less than before. */
export const otherOperands = (
  ctx: NodeContext<unknown>,
  { operand }: Rebuilding,
  handled: ReadonlyArray<number>,
): Map<number, Tensor> => {
  const out = new Map<number, Tensor>()
  for (const port of ctx.node.inputs.keys()) {
    const tensor = handled.includes(port) ? undefined : ctx.constant(port)
    const kept = tensor && operand?.(port, tensor)
    if (kept !== undefined && kept !== tensor) out.set(port, kept)
  }
  return out
}

/** Whether {@link rebias} does more than to select from the bias. */
export const changesBias = ({ factor, shift }: Pick<Rebuilding, 'factor' | 'shift'>, isBiased: boolean): boolean =>
  (isBiased && factor?.some((f) => f !== 1) === true) || shift?.some((t) => t !== 0) === true

/** `factor · bias + shift` of kept output `at`, rounded once to `dtype`; refused where that is not finite. */
export const rebias = (
  bias: number,
  at: number,
  { factor, shift }: Pick<Rebuilding, 'factor' | 'shift'>,
  dtype: DType,
): E.Either<Refusal, number> => {
  const f = factor?.[at] ?? 1
  const sum = (f === 0 ? 0 : f * bias) + (shift?.[at] ?? 0)
  const rounded = roundTo(dtype, sum)
  // A constant that was infinite before stays so: the masked model is not finite either.
  if (Number.isFinite(rounded) || (f === 1 && (shift?.[at] ?? 0) === 0)) return E.right(rounded)
  return E.left(`a bias of ${sum} is beyond ${precisionOf(dtype).largest}, the largest ${dtype}`)
}

/** {@link rebias} of every kept output, `bias` read by kept output. */
export const rebiased = (
  count: number,
  bias: (at: number) => number,
  change: Pick<Rebuilding, 'factor' | 'shift'>,
  dtype: DType,
): E.Either<Refusal, Float64Array> => {
  const out = new Float64Array(count)
  for (let at = 0; at < count; at++) {
    const one = rebias(bias(at), at, change, dtype)
    if (E.isLeft(one)) return one
    out[at] = one.right
  }
  return E.right(out)
}
