/** Building blocks of type inference. All take what the file says and answer with a reason where it makes no sense. */
import * as E from 'fp-ts/lib/Either.js'
import type { DType } from './dtype.ts'
import type { InferContext } from './op.ts'
import { type Dim, isStatic, rankLimit, type Shape, type TensorType, unknownDim } from './type.ts'

/** The tensor on an input port. */
export const tensorInput = (ctx: InferContext<unknown>, port: number): E.Either<string, TensorType> => {
  const type = ctx.inputs[port]
  if (type === undefined) return E.left(`input ${port} is missing`)
  return type.kind === 'tensor' ? E.right(type) : E.left(`input ${port} is not known to be a tensor`)
}

/** The tensor on an input port, its rank known. */
export const rankedInput = (
  ctx: InferContext<unknown>,
  port: number,
): E.Either<string, TensorType & { readonly shape: Shape }> => {
  const type = tensorInput(ctx, port)
  if (E.isLeft(type)) return type
  const { shape } = type.right
  return shape === undefined ? E.left(`the rank of input ${port} is unknown`) : E.right({ ...type.right, shape })
}

/** Element type of the first of some ports that is known to be a tensor: inputs of one operator mostly share theirs. */
export const sharedDtype = (ctx: InferContext<unknown>, ports: ReadonlyArray<number>): E.Either<string, DType> => {
  for (const port of ports) {
    const type = ctx.inputs[port]
    if (type?.kind === 'tensor') return E.right(type.dtype)
  }
  return E.left(`input ${ports[0] ?? 0} is not known to be a tensor`)
}

/** The shape of a value of which only the rank is known. */
export const unknownShape = (value: string, rank: number): Shape =>
  Array.from({ length: rank }, (_, axis) => unknownDim(value, axis))

/** {@link unknownShape} of a rank that a file computes; more axes than any value has are as good as unknown. */
export const unknownShapeOf = (value: string, rank: Dim | undefined): Shape | undefined =>
  isStatic(rank) && rank <= rankLimit ? unknownShape(value, rank) : undefined

/** Whether an optional port is given. */
export const isGiven = (ctx: InferContext<unknown>, port: number): boolean => ctx.inputs[port] !== undefined

/**
 * The size that a computation gives: computed where its operands are numbers, else a symbol that spells it out. Equal
 * computations on equal symbols give equal symbols; one that involves an anonymous size stays anonymous but equal too.
 */
export const derivedDim = (
  name: string,
  operands: ReadonlyArray<Dim>,
  compute: (...sizes: number[]) => number,
): Dim => {
  const sizes = operands.filter((d) => typeof d === 'number')
  if (sizes.length === operands.length) return compute(...sizes)
  const text = `${name}(${operands.join(',')})`
  return operands.some((d) => typeof d === 'string' && d.startsWith('?')) ? `?${text}` : text
}

/** Whether `b` is the size of the first `a` of so many, which may be fewer: a table of positions as long as the text. */
const isFirstOf = (a: Dim, b: Dim): boolean => {
  if (typeof a !== 'string' || typeof b !== 'string') return false
  const start = `slice(0,${a},1,`
  return b.startsWith(start) && /^[1-9][0-9]*\)$/.test(b.slice(start.length))
}

/**
 * Broadcast of two sizes; undefined when they clash. A size against a symbol is the size: the symbol is it or 1. What would be
 * fewer than it is broadcast against is no valid input.
 */
const broadcastDim = (a: Dim, b: Dim, fallback: () => Dim): Dim | undefined => {
  if (a === b || isFirstOf(a, b)) return a
  if (isFirstOf(b, a)) return b
  if (a === 1) return b
  if (b === 1) return a
  if (typeof a === 'number') return typeof b === 'number' ? undefined : a
  return typeof b === 'number' ? b : fallback()
}

/** NumPy broadcasting of shapes; `value` names the result where two symbols meet. */
export const broadcastShapes = (shapes: ReadonlyArray<Shape>, value: string): E.Either<string, Shape> => {
  const rank = Math.max(0, ...shapes.map((s) => s.length))
  const out: Dim[] = []
  for (let axis = 0; axis < rank; axis++) {
    let dim: Dim = 1
    for (const shape of shapes) {
      const at = axis - (rank - shape.length)
      const given = at >= 0 ? shape[at] : undefined
      if (given === undefined) continue
      const merged = broadcastDim(dim, given, () => unknownDim(value, axis))
      if (merged === undefined)
        return E.left(`shapes ${shapes.map((s) => `[${s.join(',')}]`).join(' and ')} do not broadcast`)
      dim = merged
    }
    out.push(dim)
  }
  return E.right(out)
}
