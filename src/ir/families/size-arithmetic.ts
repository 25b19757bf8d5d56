/**
 * Arithmetic on the known elements of small integer tensors: numbers exactly, symbolic sizes (never negative) to a symbol
 * that spells the computation out where its result cannot be negative either.
 */
import type { DType } from '../dtype.ts'
import { derivedDim } from '../infer.ts'
import type { NodeContext } from '../op.ts'
import { isKnownElement, productOf, quotientOf, unknownElement } from '../sizes.ts'
import { type Dim, isStatic } from '../type.ts'

/** Largest magnitude of an element that counts as known. */
const largest: Partial<Record<DType, number>> = { int64: Number.MAX_SAFE_INTEGER, int32: 2 ** 31 - 1, bool: 1 }

/**
 * Elements of `f(a, b)` for two operands of rank 0 or 1; undefined where none of them is known. Elements without a known
 * result stand for themselves.
 */
export const elementContents = <A>(
  ctx: NodeContext<A>,
  f: ((a: Dim, b: Dim, attrs: A) => Dim | undefined) | undefined,
): ReadonlyArray<Dim> | undefined => {
  const [type] = ctx.outputs
  const [a, b] = f === undefined ? [] : [ctx.content(0), ctx.content(1)]
  if (f === undefined || a === undefined || b === undefined || type?.kind !== 'tensor') return undefined
  if (a.length !== b.length && a.length !== 1 && b.length !== 1) return undefined
  const limit = largest[type.dtype] ?? -1
  const out: Dim[] = []
  const length = a.length === 1 ? b.length : a.length
  for (let i = 0; i < length; i++) {
    const [x, y] = [a[a.length === 1 ? 0 : i], b[b.length === 1 ? 0 : i]]
    const result = x === undefined || y === undefined ? undefined : f(x, y, ctx.attrs)
    const fits = result !== undefined && (!isStatic(result) || Math.abs(result) <= limit)
    out.push(fits ? result : unknownElement(ctx.outputNames[0] ?? '', i))
  }
  return out.some(isKnownElement) ? out : undefined
}

const isNegative = (x: Dim): boolean => isStatic(x) && x < 0

/** Numbers by `f`, sizes that are partly symbols by `g`, which is not asked about negative numbers. */
const either = (
  a: Dim,
  b: Dim,
  f: (x: number, y: number) => number,
  g: () => Dim | undefined = () => undefined,
): Dim | undefined => {
  if (isStatic(a) && isStatic(b)) return f(a, b)
  return isNegative(a) || isNegative(b) ? undefined : g()
}

export const addSizes = (a: Dim, b: Dim): Dim | undefined => {
  if (a === 0) return b
  if (b === 0) return a
  return either(
    a,
    b,
    (x, y) => x + y,
    () => derivedDim('add', [a, b], (x, y) => x + y),
  )
}

/** A difference of symbols may be negative, so there is only `a - 0` and `a - a`. */
export const subtractSizes = (a: Dim, b: Dim): Dim | undefined => {
  if (b === 0) return a
  return a === b ? 0 : either(a, b, (x, y) => x - y)
}

export const multiplySizes = (a: Dim, b: Dim): Dim | undefined =>
  either(
    a,
    b,
    (x, y) => x * y,
    () => productOf([a, b]),
  )

/** Division that truncates: a quotient without remainder, or of a symbol by a number. */
export const divideSizes = (a: Dim, b: Dim): Dim | undefined => {
  if (b === 0) return undefined
  return either(
    a,
    b,
    (x, y) => Math.trunc(x / y),
    () => quotientOf([a], [b]) ?? (isStatic(b) ? derivedDim('div', [a, b], (x, y) => Math.trunc(x / y)) : undefined),
  )
}

/** 1 or 0 where it is known; a size is never negative. */
export const equalSizes = (a: Dim, b: Dim): Dim | undefined => {
  if (a === b) return 1
  const differ = (x: Dim, y: Dim): boolean => isNegative(x) && isKnownElement(y)
  return (isStatic(a) && isStatic(b)) || differ(a, b) || differ(b, a) ? 0 : undefined
}
