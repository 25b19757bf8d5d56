import * as E from 'fp-ts/lib/Either.js'
import { int } from '../attributes.ts'
import { keptSize, withAmounts, withOperand } from '../families/movement.ts'
import { reshapeLinks, reshaping } from '../families/reshaping.ts'
import { gatherOperands } from '../gather-operands.ts'
import { unknownShapeOf } from '../infer.ts'
import { inputShape, outputShape, shapeOf } from '../links.ts'
import type { InferContext, NodeContext, OpDef } from '../op.ts'
import { isKnownElement, quotientOf } from '../sizes.ts'
import { int64s, integersOf } from '../tensor.ts'
import { type Dim, isStatic, type Shape, unknownDim } from '../type.ts'

export interface ReshapeAttributes {
  /** Whether 0 in the target is a size of 0; else it copies the input's size at that place. Since opset 14. */
  readonly allowzero: number
}

/** The size that makes both shapes hold equally many elements; undefined where it is not known to be one. */
const missing = (from: Shape, others: Shape): E.Either<string, Dim | undefined> => {
  const dim = quotientOf(from, others)
  const clash = dim === undefined && [...from, ...others].every(isStatic) && !others.includes(0)
  return clash ? E.left(`[${from.join(',')}] does not divide into [${others.join(',')}]`) : E.right(dim)
}

/** Sizes from the elements of the target; where one alone is not known, all others tell it. */
const shapeFrom = (
  ctx: InferContext<ReshapeAttributes>,
  from: Shape,
  target: ReadonlyArray<Dim>,
): E.Either<string, Shape> => {
  const name = ctx.outputNames[0] ?? ''
  const unknown: number[] = []
  const known: Dim[] = []
  const out: Dim[] = []
  for (const [axis, element] of target.entries()) {
    const dim = element === 0 && ctx.attrs.allowzero === 0 ? from[axis] : element
    if (dim === undefined) return E.left(`0 at place ${axis} of the target copies from an input of rank ${from.length}`)
    if (dim === -1 || !isKnownElement(dim)) {
      unknown.push(axis)
      out.push(unknownDim(name, axis))
    } else {
      known.push(dim)
      out.push(dim)
    }
  }
  const [only] = unknown
  if (unknown.length > 1 || only === undefined) return E.right(out)
  const dim = missing(from, known)
  if (E.isLeft(dim)) return dim
  return E.right(out.map((d, a) => (a === only ? (dim.right ?? d) : d)))
}

/**
 * The target that makes `to` of `from` and is a constant: a number stays a number, a symbol that is the
 * input's at the same place becomes 0, and one other symbol -1. Undefined where two others are left, or a size is 0.
 */
export const canonicalTarget = (from: Shape, to: Shape): ReadonlyArray<number> | undefined => {
  const target = to.map((dim, a) => (isStatic(dim) ? dim : dim === from[a] ? 0 : -1))
  const others = target.filter((t) => t === -1).length
  return others > 1 || to.includes(0) ? undefined : target
}

const sameNumbers = (a: ReadonlyArray<number> | undefined, b: ReadonlyArray<number>): boolean =>
  a?.length === b.length && a.every((x, i) => x === b[i])

const constantTarget = (ctx: NodeContext<ReshapeAttributes>): ReadonlyArray<number> | undefined => {
  const tensor = ctx.constant(1)
  return tensor && integersOf(tensor)
}

const base = reshaping<'Reshape', ReshapeAttributes>('Reshape', [5, Infinity], { allowzero: int(0) }, (ctx, from) => {
  const target = ctx.content(1)
  if (target !== undefined) return shapeFrom(ctx, from, target)
  const rank = shapeOf(ctx.inputs[1])?.[0]
  const name = ctx.outputNames[0] ?? ''
  return E.right(unknownShapeOf(name, rank))
})

/**
 * The same elements under the shape that input 1 holds: 0 copies the input's size, one -1 is what is left. Of a computed
 * target the known entries can be changed, by adding to them.
 */
export const Reshape: OpDef<'Reshape', ReshapeAttributes> = {
  ...base,
  links: (ctx) => {
    const entries = ctx.opset < 7 ? constantTarget(ctx) : ctx.content(1)
    if (entries === undefined) return 'opaque'
    return reshapeLinks(inputShape(ctx, 0), outputShape(ctx)).filter((link) => isStatic(entries[link.outputAxis]))
  },
  shrink: (s) => {
    const [from, to] = [inputShape(s, 0) ?? [], outputShape(s) ?? []]
    const entries = s.content(1) ?? []
    const target = entries.map((entry, a) => {
      const size = to[a]
      if (entry === -1 || !isStatic(entry) || !isStatic(size)) return entry
      const [kept, copied] = [keptSize(s.keptOutput(0, a), size), from[a]]
      const copies = entry === 0 && isStatic(copied) && keptSize(s.keptInput(0, a), copied) === kept
      return copies ? 0 : kept
    })
    if (target.every(isStatic)) return withOperand(s, gatherOperands(s), 1, int64s(target))
    const amounts = target.map((entry, a) => (isStatic(entry) ? entry - Number(entries[a]) : 0))
    return withAmounts(s, gatherOperands(s), 1, amounts)
  },
  simplify: (ctx, fresh) => {
    const [from, content] = [inputShape(ctx, 0), ctx.content(1)]
    const to = from && content && shapeFrom(ctx, from, content)
    const target = from && to && E.isRight(to) ? canonicalTarget(from, to.right) : undefined
    if (target === undefined) return undefined
    if (ctx.attrs.allowzero === 0 && sameNumbers(constantTarget(ctx), target)) return undefined
    const name = fresh(`${ctx.node.outputs[0] ?? ''}_shape`)
    const node = { ...ctx.node, inputs: [ctx.node.inputs[0] ?? '', name], attrs: { allowzero: 0 } }
    return { nodes: [node], constants: new Map([[name, int64s(target)]]) }
  },
}
