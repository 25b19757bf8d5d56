/**
 * Arithmetic on the known elements of small integer tensors: numbers exactly, symbolic sizes (never negative) to a symbol
 * that spells the computation out where its result cannot be negative either.
 */
import { derivedDim } from '../infer.ts'
import type { NodeContext } from '../op.ts'
import { isKnownElement, productOf } from '../sizes.ts'
import { type Dim, isStatic } from '../type.ts'

/** Elements of `f(a, b)` for two operands of rank 0 or 1, or undefined where one of them has no known result. */
export const elementContents = <A>(
  ctx: NodeContext<A>,
  f: ((a: Dim, b: Dim, attrs: A) => Dim | undefined) | undefined,
): ReadonlyArray<Dim> | undefined => {
  const [type] = ctx.outputs
  const [a, b] = f === undefined ? [] : [ctx.content(0), ctx.content(1)]
  if (f === undefined || a === undefined || b === undefined || type?.kind !== 'tensor') return undefined
  if (a.length !== b.length && a.length !== 1 && b.length !== 1) return undefined
  const limit =
    type.dtype === 'int64'
      ? Number.MAX_SAFE_INTEGER
      : type.dtype === 'int32'
        ? 2 ** 31 - 1
        : type.dtype === 'bool'
          ? 1
          : -1
  const out: Dim[] = []
  const length = a.length === 1 ? b.length : a.length
  for (let i = 0; i < length; i++) {
    const [x, y] = [a[a.length === 1 ? 0 : i], b[b.length === 1 ? 0 : i]]
    const result = x === undefined || y === undefined ? undefined : f(x, y, ctx.attrs)
    if (result === undefined || (isStatic(result) && !(Math.abs(result) <= limit))) return undefined
    out.push(result)
  }
  return out
}

const isNegative = (x: Dim): boolean => isStatic(x) && x < 0

export const addSizes = (a: Dim, b: Dim): Dim | undefined => {
  if (a === 0) return b
  if (b === 0) return a
  return isNegative(a) || isNegative(b)
    ? bothNumbers(a, b, (x, y) => x + y)
    : derivedDim('add', [a, b], (x, y) => x + y)
}

/** A difference of symbols may be negative, so there is only `a - 0` and `a - a`. */
export const subtractSizes = (a: Dim, b: Dim): Dim | undefined => {
  if (b === 0) return a
  return a === b ? 0 : bothNumbers(a, b, (x, y) => x - y)
}

export const multiplySizes = (a: Dim, b: Dim): Dim | undefined => {
  if (a === 1) return b
  if (b === 1) return a
  if (a === 0 || b === 0) return 0
  return isNegative(a) || isNegative(b) ? bothNumbers(a, b, (x, y) => x * y) : productOf([a, b])
}

/** Division that truncates; the quotient of two symbols may be one by zero. */
export const divideSizes = (a: Dim, b: Dim): Dim | undefined => {
  if (b === 1) return a
  if (!isStatic(b) || b === 0) return undefined
  return isStatic(a) || b < 0
    ? bothNumbers(a, b, (x, y) => Math.trunc(x / y))
    : derivedDim('div', [a, b], (x) => Math.trunc(x / b))
}

/** 1 or 0 where it is known; a size is never negative. */
export const equalSizes = (a: Dim, b: Dim): Dim | undefined => {
  if (a === b) return 1
  if (isStatic(a) && isStatic(b)) return 0
  const differ = (x: Dim, y: Dim): boolean => isNegative(x) && isKnownElement(y)
  return differ(a, b) || differ(b, a) ? 0 : undefined
}

const bothNumbers = (a: Dim, b: Dim, f: (a: number, b: number) => number): Dim | undefined =>
  isStatic(a) && isStatic(b) ? f(a, b) : undefined
