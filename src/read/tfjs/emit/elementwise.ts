/** Operators that work on each element, in whatever layout their operands are. */
import type { DType } from '../../../ir/dtype.ts'
import type { OpDef } from '../../../ir/op.ts'
import { Add } from '../../../ir/ops/add.ts'
import { Clip } from '../../../ir/ops/clip.ts'
import { Div } from '../../../ir/ops/div.ts'
import { Floor } from '../../../ir/ops/floor.ts'
import { Max } from '../../../ir/ops/max.ts'
import { Min } from '../../../ir/ops/min.ts'
import { Mod } from '../../../ir/ops/mod.ts'
import { Mul } from '../../../ir/ops/mul.ts'
import { Sub } from '../../../ir/ops/sub.ts'
import { isStatic } from '../../../ir/type.ts'
import type { Builder } from '../builder.ts'
import type { Operand } from '../operand.ts'

/** `op` of every element. */
export const map = <Name extends string, A>(
  b: Builder,
  op: OpDef<Name, A>,
  x: Operand,
  attrs: Partial<A> = {},
): Operand => b.computed(b.node(op, [b.native(x)], attrs), b.layoutOf(x))

/** `op` of elements that broadcasting brings together: channels first where one of the largest operands has them there. */
export const combine = <Name extends string, A>(
  b: Builder,
  op: OpDef<Name, A>,
  operands: ReadonlyArray<Operand>,
  attrs: Partial<A> = {},
): Operand => {
  const ranks = operands.map(b.rankOf)
  const known = ranks.filter((rank) => rank !== undefined)
  const rank = Math.max(...known)
  const first = known.length === ranks.length && operands.some((x, i) => b.layoutOf(x) === 'first' && ranks[i] === rank)
  const values = operands.map((x) => (first ? b.broadcast(x, rank) : b.last(x)))
  return b.computed(b.node(op, values, attrs), first ? 'first' : 'last')
}

/** Element types in the order in which TensorFlow.js turns one into another. */
const order: ReadonlyArray<DType> = ['bool', 'int32', 'float32']

/** The operands in one type, as TensorFlow.js makes them before arithmetic. */
export const alike = (b: Builder, operands: ReadonlyArray<Operand>): ReadonlyArray<Operand> => {
  const widest = Math.max(...operands.map((x) => order.indexOf(b.dtypeOf(x) ?? 'float32')))
  const to = order[widest]
  return to === undefined ? operands : operands.map((x) => b.cast(x, to))
}

const arithmetic =
  <Name extends string, A>(op: OpDef<Name, A>) =>
  (b: Builder, x: Operand, y: Operand): Operand =>
    combine(b, op, alike(b, [x, y]))

export const add = arithmetic(Add)
export const sub = arithmetic(Sub)
export const mul = arithmetic(Mul)
export const max = arithmetic(Max)
export const min = arithmetic(Min)

/** A constant number of the type of `x`. */
export const number = (b: Builder, x: Operand, value: number): Operand =>
  b.computed(b.scalar(b.dtypeOf(x) ?? 'float32', value))

const isInteger = (b: Builder, x: Operand): boolean => b.dtypeOf(x) === 'int32'

/** `x / y`, of integers the largest integer that is not above it. */
export const div = (b: Builder, x: Operand, y: Operand): Operand => {
  const [p = x, q = y] = alike(b, [x, y])
  if (!isInteger(b, p)) return combine(b, Div, [p, q])
  // Sizes are not negative: the quotient rounded towards zero is the same, and is followed by what is known of shapes.
  const divisor = b.integersOf(q)
  const plain = b.contentsOf(p) !== undefined && divisor !== undefined && divisor.every((one) => one > 0)
  const isNatural = plain && (b.contentsOf(p) ?? []).every((one) => !isStatic(one) || one >= 0)
  return combine(b, Div, [isNatural ? p : combine(b, Sub, [p, combine(b, Mod, [p, q])]), q])
}

/** The largest integer that is not above `x / y`. */
export const floorDiv = (b: Builder, x: Operand, y: Operand): Operand => {
  const quotient = div(b, x, y)
  return isInteger(b, quotient) ? quotient : map(b, Floor, quotient)
}

/** What is left of `x / y`, with the sign of `y`. */
export const mod = (b: Builder, x: Operand, y: Operand): Operand => {
  const [p = x, q = y] = alike(b, [x, y])
  if (isInteger(b, p)) return combine(b, Mod, [p, q])
  return sub(b, p, mul(b, floorDiv(b, p, q), q))
}

export const square = (b: Builder, x: Operand): Operand => mul(b, x, x)

/** Limits on both sides, or on one. */
export const clip = (b: Builder, x: Operand, low: number | undefined, high: number | undefined): Operand => {
  const dtype = b.dtypeOf(x) ?? 'float32'
  const limit = (value: number | undefined): string => (value === undefined ? '' : b.scalar(dtype, value))
  const inputs = high === undefined ? [b.native(x), limit(low)] : [b.native(x), limit(low), limit(high)]
  return b.computed(b.node(Clip, inputs), b.layoutOf(x))
}
