import * as E from 'fp-ts/lib/Either.js'
import { int, optionalInt, optionalInts } from '../attributes.ts'
import { stridesOf } from '../evaluate.ts'
import { integersOn, strided, targetShape, withOperand } from '../families/movement.ts'
import { gatherOperands } from '../gather-operands.ts'
import { tensorInput } from '../infer.ts'
import { inputShape, sameIndex, shifted } from '../links.ts'
import { type AxisLink, defineOp, type InferContext } from '../op.ts'
import { int64s } from '../tensor.ts'
import { isStatic, normalizeAxis, tensorType, unknownDim } from '../type.ts'

export interface SplitAttributes {
  readonly axis: number
  /** Since opset 18, instead of sizes: equal chunks, the last one smaller where they do not divide. */
  readonly num_outputs: number | undefined
  /** An input since opset 13. */
  readonly split: ReadonlyArray<number> | undefined
}

/** Sizes of all outputs along the axis; undefined where they are computed or the input's size is unknown. */
const sizesOf = (ctx: InferContext<SplitAttributes>, size: unknown): ReadonlyArray<number> | undefined => {
  const given = ctx.attrs.split ?? (ctx.inputs[1] === undefined ? undefined : integersOn(ctx, 1))
  if (given !== undefined || ctx.inputs[1] !== undefined) return given
  const count = ctx.attrs.num_outputs ?? ctx.outputNames.length
  if (typeof size !== 'number' || count < 1) return undefined
  if (count !== ctx.outputNames.length) return []
  const chunk = Math.ceil(size / count)
  // Until opset 18 chunks are equal; from then on only the last may be smaller.
  if ((ctx.opset < 18 && size % count !== 0) || (count - 1) * chunk > size) return []
  return Array.from({ length: count }, (_, k) => Math.min(chunk, size - k * chunk))
}

/** Where each output starts, and where the last one ends. */
const startsOf = (sizes: ReadonlyArray<number>): ReadonlyArray<number> => {
  const out = [0]
  for (const size of sizes) out.push((out.at(-1) ?? 0) + size)
  return out
}

/** Cuts axis `axis` into consecutive parts, one for each output. */
export const Split = defineOp<'Split', SplitAttributes>({
  name: 'Split',
  versions: [2, Infinity],
  schema: { axis: int(0), num_outputs: optionalInt, split: optionalInts },
  inferTypes: (ctx) => {
    const type = tensorInput(ctx, 0)
    if (E.isLeft(type)) return type
    const { dtype, shape } = type.right
    if (shape === undefined) return E.right(ctx.outputNames.map(() => tensorType(dtype, undefined)))
    const axis = normalizeAxis(ctx.attrs.axis, shape.length)
    if (axis === undefined) return E.left(`axis ${ctx.attrs.axis} of rank ${shape.length}`)
    const sizes = sizesOf(ctx, shape[axis])
    const fits = sizes?.length === ctx.outputNames.length
    const total = shape[axis]
    if (sizes !== undefined && (!fits || (isStatic(total) && startsOf(sizes).at(-1) !== total))) {
      return E.left(`sizes ${sizes.join(', ')} for ${ctx.outputNames.length} outputs of axis ${axis}`)
    }
    return E.right(
      ctx.outputNames.map((name, k) =>
        tensorType(
          dtype,
          shape.map((dim, a) => (a === axis ? (sizes?.[k] ?? unknownDim(name, a)) : dim)),
        ),
      ),
    )
  },
  links: (ctx) => {
    const from = inputShape(ctx, 0)
    const axis = from && normalizeAxis(ctx.attrs.axis, from.length)
    if (from === undefined || axis === undefined) return 'opaque'
    const [sizes, operand] = [sizesOf(ctx, from[axis]), ctx.inputs[1]]
    // Sizes that are computed cannot be rewritten.
    const divisible = operand === undefined || ctx.constant(1) !== undefined
    const total = from[axis]
    const starts = startsOf(sizes ?? [])
    const links: AxisLink[] = []
    ctx.node.outputs.forEach((name, k) => {
      if (name === '') return
      from.forEach((dim, a) => {
        if (a !== axis && isStatic(dim)) links.push(sameIndex(0, a, k, a))
      })
      if (!divisible || sizes === undefined || !isStatic(total)) return
      links.push({ ...sameIndex(0, axis, k, axis), from: shifted(sizes[k] ?? 0, total, starts[k] ?? 0) })
    })
    return links
  },
  constant: (_ctx, [x]) => x ?? undefined,
  mayLoseOutputs: true,
  shrink: (s) => {
    const from = inputShape(s, 0) ?? []
    const axis = normalizeAxis(s.attrs.axis, from.length) ?? 0
    const kept = s.keptInput(0, axis)
    const sizes = sizesOf(s, from[axis])
    const rewrite = gatherOperands(s)
    if (kept === undefined || sizes === undefined) return rewrite
    const ends = startsOf(sizes).slice(1)
    let at = 0
    const left = ends.map((end) => {
      const first = at
      while ((kept[at] ?? Infinity) < end) at += 1
      return at - first
    })
    const outputs = s.node.outputs.filter((_, k) => left[k] !== 0)
    const split = left.filter((size) => size !== 0)
    const [data = ''] = rewrite.nodes[0]?.inputs ?? []
    if (s.opset < 13) {
      const node = { ...s.node, inputs: [data], outputs, attrs: { ...s.attrs, split } }
      return { nodes: [node], constants: rewrite.constants }
    }
    const attrs = { ...s.attrs, num_outputs: undefined }
    const node = { ...s.node, inputs: [data, ''], outputs, attrs }
    return withOperand(s, { nodes: [node], constants: rewrite.constants }, 1, int64s(split))
  },
  identity: (ctx) => (ctx.node.outputs.length === 1 ? 0 : undefined),
  total: true,
  evaluate: (ctx, [x]) => {
    const axis = x && normalizeAxis(ctx.attrs.axis, x.shape.length)
    const sizes = x && axis !== undefined ? sizesOf(ctx, x.shape[axis]) : undefined
    if (!x || axis === undefined || !sizes || startsOf(sizes).at(-1) !== x.shape[axis]) return undefined
    const [strides, starts] = [stridesOf(x.shape), startsOf(sizes)]
    const outputs = ctx.node.outputs.map((_, k) => {
      const shape = targetShape(ctx, k)
      return shape && strided(x, shape, strides, (starts[k] ?? 0) * (strides[axis] ?? 0))
    })
    const known = outputs.filter((y) => y !== undefined)
    return known.length === outputs.length ? known : undefined
  },
})
