/** Operators that summarise whole axes into one element. */
import * as E from 'fp-ts/lib/Either.js'
import { int, optionalInts } from '../attributes.ts'
import { isFloat, isWide } from '../dtype.ts'
import { forEachIndex, numbersOf, stridesOf } from '../evaluate.ts'
import { isGiven, tensorInput, unknownShape } from '../infer.ts'
import { gatherOperands } from '../gather-operands.ts'
import { inputShape, sameIndex, shapeOf } from '../links.ts'
import { makeNode } from '../make-node.ts'
import { type AxisLink, defineOp, type InferContext, type NodeContext, type OpDef } from '../op.ts'
import { Add } from '../ops/add.ts'
import { Mul } from '../ops/mul.ts'
import { type Dense, elements, isNumeric, tensorOf } from '../tensor.ts'
import { type Dim, isStatic, normalizeAxis, type Shape, sizeOf, tensorType } from '../type.ts'
import { type Precision, precisionOf } from '../numerics.ts'
import { finite, outputPrecision } from './elementwise.ts'
import { dtypeOf } from './movement.ts'
import { channelsGone, constantsAt } from './statistics.ts'

export interface ReductionAttributes {
  /** Before the axes became an input. */
  readonly axes: ReadonlyArray<number> | undefined
  readonly keepdims: number
  readonly noop_with_empty_axes: number
}

/** The axes, counted from the front, of a list that may count from the back; undefined when one is out of range or twice. */
export const normalizeAxes = (axes: ReadonlyArray<number>, rank: number): ReadonlySet<number> | undefined => {
  const out = new Set<number>()
  for (const axis of axes) {
    const at = normalizeAxis(axis, rank)
    if (at === undefined || out.has(at)) return undefined
    out.add(at)
  }
  return out
}

/** Each kept axis of the input with its place in the output. */
export const keptAxes = (
  rank: number,
  reduced: ReadonlySet<number>,
  keepdims: boolean,
): ReadonlyArray<readonly [axis: number, outputAxis: number]> => {
  const out: Array<readonly [number, number]> = []
  for (let axis = 0; axis < rank; axis++) if (!reduced.has(axis)) out.push([axis, keepdims ? axis : out.length])
  return out
}

/** Links of the kept axes of static size. */
export const keptLinks = (
  shape: Shape,
  reduced: ReadonlySet<number>,
  keepdims: boolean,
  output = 0,
): ReadonlyArray<AxisLink> =>
  keptAxes(shape.length, reduced, keepdims)
    .filter(([axis]) => isStatic(shape[axis]))
    .map(([axis, to]) => sameIndex(0, axis, output, to))

/** `shape` with the reduced axes of size 1, or without them. */
export const reducedShape = <D extends Dim>(
  shape: ReadonlyArray<D>,
  reduced: ReadonlySet<number>,
  keepdims: boolean,
): ReadonlyArray<D | 1> =>
  keepdims ? shape.map((dim, axis) => (reduced.has(axis) ? 1 : dim)) : shape.filter((_, axis) => !reduced.has(axis))

export interface Reduction {
  /** The element that `values` become. */
  readonly compute: (values: ReadonlyArray<number>) => number
  /** What `count` times the number c becomes; `count` is undefined where it is not known. */
  readonly repeated: (c: number, count: number | undefined, precision: Precision) => number | undefined
  /** On 64-bit integers; absent: not evaluated for them, and integers have no known contents. */
  readonly wide?: (values: ReadonlyArray<bigint>) => bigint
  /** What a sum loses with an element that holds the constant c; absent where the result is no such sum. */
  readonly term?: (c: number) => number | undefined
  /** Whether the sum is divided by the number of elements. */
  readonly isMean?: boolean
  /** What sizes that are partly symbols become. */
  readonly ofSizes?: (sizes: Shape) => Dim | undefined
}

/** What is known of the axes that a node reduces. */
type Axes = 'all' | 'none' | ReadonlyArray<number> | undefined

/**
 * `y = compute(x over axes)`; the axes are an attribute, or from opset `inputSince` on an input. Without axes all are
 * reduced, or with `noop_with_empty_axes` none.
 */
export const reduction = <const Name extends string>(
  name: Name,
  versions: readonly [first: number, last: number],
  inputSince: number,
  { compute, repeated, term, isMean, wide, ofSizes }: Reduction,
): OpDef<Name, ReductionAttributes> => {
  type Context = InferContext<ReductionAttributes>
  const reducedAxes = (ctx: Context): Axes => {
    const isInput = ctx.opset >= inputSince
    const given = isInput ? (isGiven(ctx, 1) ? numbersIn(ctx.content(1)) : []) : (ctx.attrs.axes ?? [])
    if (given === undefined || given.length > 0) return given
    return isInput && ctx.attrs.noop_with_empty_axes !== 0 ? 'none' : 'all'
  }
  const reducedOf = (ctx: Context, rank: number): ReadonlySet<number> | undefined => {
    const axes = reducedAxes(ctx)
    if (axes === undefined) return undefined
    if (typeof axes !== 'string') return normalizeAxes(axes, rank)
    return new Set(axes === 'all' ? Array.from({ length: rank }, (_, axis) => axis) : [])
  }
  const keeps = (ctx: Context): boolean => ctx.attrs.keepdims !== 0
  /** A reduction over no axis is left alone: what it does to each element differs between runtimes. */
  const isNoop = (ctx: Context): boolean =>
    reducedAxes(ctx) === 'none' && repeated(-2, 1, precisionOf('float32')) !== -2
  return defineOp<Name, ReductionAttributes>({
    name,
    versions,
    schema: { axes: optionalInts, keepdims: int(1), noop_with_empty_axes: int(0) },
    inferTypes: (ctx) => {
      const x = tensorInput(ctx, 0)
      if (E.isLeft(x)) return x
      const { dtype, shape } = x.right
      const axes = reducedAxes(ctx)
      if (axes === 'all' && !keeps(ctx)) return E.right([tensorType(dtype, [])])
      if (shape === undefined) return E.right([tensorType(dtype, undefined)])
      if (axes === undefined) return E.right([tensorType(dtype, unknownReduced(ctx, shape.length, keeps(ctx)))])
      const reduced = reducedOf(ctx, shape.length)
      if (reduced === undefined) return E.left(`axes ${String(axes)} of a rank-${shape.length} tensor`)
      return E.right([tensorType(dtype, reducedShape(shape, reduced, keeps(ctx)))])
    },
    contents: (ctx) => {
      const content = ctx.content(0)
      const isVector = inputShape(ctx, 0)?.length === 1 && reducedOf(ctx, 1)?.has(0) === true
      if (content === undefined || wide === undefined || !isVector) return undefined
      const numbers = numbersIn(content)
      const hasNegative = content.some((dim) => isStatic(dim) && dim < 0)
      const result = numbers ? compute(numbers) : hasNegative ? undefined : ofSizes?.(content)
      return result === undefined || (isStatic(result) && !Number.isSafeInteger(result)) ? undefined : [result]
    },
    links: (ctx) => {
      const shape = inputShape(ctx, 0)
      const reduced = shape && reducedOf(ctx, shape.length)
      return shape && reduced ? keptLinks(shape, reduced, keeps(ctx)) : []
    },
    constant: (ctx, [c]) => {
      const shape = inputShape(ctx, 0)
      const reduced = shape && reducedOf(ctx, shape.length)
      const precision = outputPrecision(ctx)
      if (typeof c !== 'number' || precision === undefined || !shape || !reduced || isNoop(ctx)) return undefined
      return finite(repeated(c, countAlong(shape, reduced), precision))
    },
    ...(term === undefined
      ? {}
      : summed(term, isMean === true, (ctx) => [...(reducedOf(ctx, inputShape(ctx, 0)?.length ?? 0) ?? [])])),
    evaluate: (ctx, [x]) => {
      const reduced = x && reducedOf(ctx, x.shape.length)
      if (!x || !reduced || !isNumeric(x.dtype) || isNoop(ctx)) return undefined
      const shape = reducedShape(x.shape, reduced, keeps(ctx))
      if (isWide(x.dtype)) {
        if (wide === undefined || x.shape.includes(0)) return undefined
        const values = BigInt64Array.from(elements(x), BigInt)
        const groups = collect(x, values, reduced)
        return [tensorOf(x.dtype, shape, BigInt64Array.from(groups, wide))]
      }
      if (!isFloat(x.dtype) && wide === undefined) return undefined
      const groups = collect(x, numbersOf(x), reduced)
      return [tensorOf(x.dtype, shape, Float64Array.from(groups, compute))]
    },
  })
}

/**
 * The answers of a sum of terms: constants that leave it are added again, and their number divided by. Of several axes at once
 * only what adds nothing leaves.
 */
const summed = (
  term: (c: number) => number | undefined,
  isMean: boolean,
  axesOf: (ctx: NodeContext<ReductionAttributes>) => ReadonlyArray<number>,
): Pick<OpDef<string, ReductionAttributes>, 'statistics' | 'shrink'> => ({
  statistics: (ctx) => {
    const [shape, precision, axes] = [inputShape(ctx, 0), outputPrecision(ctx), axesOf(ctx)]
    if (precision === undefined || ctx.opset < Add.versions[0] || (isMean && axes.length > 1)) return []
    return axes.flatMap((axis) => {
      const size = shape?.[axis]
      if (!isStatic(size)) return []
      const leaves = (c: number): boolean => {
        const share = Math.abs(term(c) ?? Infinity)
        if (share === 0 || axes.length > 1) return share === 0 && c === 0
        return share >= precision.normal && share <= precision.largest / (2 * size)
      }
      return [{ port: 0, axis, groups: 1, links: [], leaves, isPadded: false }]
    })
  },
  shrink: (s) => {
    const [axis, ...others] = axesOf(s)
    const rewrite = gatherOperands(s)
    const kept = axis === undefined || others.length > 0 ? undefined : s.keptInput(0, axis)
    if (axis === undefined || kept === undefined) return rewrite
    const size = Number(inputShape(s, 0)?.[axis])
    let lost = 0
    for (const c of constantsAt(s, axis, channelsGone(s, axis))) lost += term(c) ?? 0
    const steps = [
      ...(isMean ? [{ op: Mul, by: kept.length / size }] : []),
      ...(lost === 0 ? [] : [{ op: Add, by: isMean ? lost / size : lost }]),
    ]
    const constants = new Map(rewrite.constants)
    const [y = ''] = s.node.outputs
    const names = [...steps.map(() => s.fresh(`${y}_left`)), y]
    const nodes = rewrite.nodes.map((node) => ({ ...node, outputs: names.slice(0, 1) }))
    const more = steps.map(({ op, by }, i) => {
      const name = s.fresh(`${y}_lost`)
      constants.set(name, tensorOf(dtypeOf(s.outputs[0]) ?? 'float32', [], [by]))
      return makeNode(op, [names[i] ?? '', name], [names[i + 1] ?? ''])
    })
    return { nodes: [...nodes, ...more], constants }
  },
})

/** The elements when all are known. */
const numbersIn = (content: ReadonlyArray<Dim> | undefined): ReadonlyArray<number> | undefined => {
  const numbers = content?.filter(isStatic)
  return numbers?.length === content?.length ? numbers : undefined
}

/** Shape after reducing axes of which at most the number is known. */
const unknownReduced = (ctx: InferContext<unknown>, rank: number, keepdims: boolean): Shape | undefined => {
  const [name = ''] = ctx.outputNames
  if (keepdims) return unknownShape(name, rank)
  const count = shapeOf(ctx.inputs[1])?.[0]
  return isStatic(count) && count > 0 && count <= rank ? unknownShape(name, rank - count) : undefined
}

/** Elements of each output element, in order. */
export const collect = <T>(
  x: Dense,
  values: ArrayLike<T>,
  reduced: ReadonlySet<number>,
): ReadonlyArray<ReadonlyArray<T>> => {
  const shape = reducedShape(x.shape, reduced, true)
  const strides = stridesOf(shape)
  const groups = Array.from({ length: sizeOf(shape) }, (): T[] => [])
  forEachIndex(x.shape, (index, flat) => {
    let at = 0
    for (let a = 0; a < shape.length; a++) if (!reduced.has(a)) at += (index[a] ?? 0) * (strides[a] ?? 0)
    const value = values[flat]
    if (value !== undefined) groups[at]?.push(value)
  })
  return groups
}

/** How many elements the given axes have together, where all are static. */
export const countAlong = (shape: Shape, axes: ReadonlySet<number>): number | undefined => {
  let count = 1
  for (const axis of axes) {
    const dim = shape[axis]
    if (!isStatic(dim)) return undefined
    count *= dim
  }
  return count
}
