import * as E from 'fp-ts/lib/Either.js'
import { optionalInt } from '../attributes.ts'
import { bitsOf } from '../dtype.ts'
import { targetShape } from '../families/movement.ts'
import { gatherOperand } from '../gather-operands.ts'
import { derivedDim, tensorInput } from '../infer.ts'
import { inputShape, ofOneSize, outputShape, sameIndex, shifted } from '../links.ts'
import { type AxisLink, defineOp, type InferContext, type ValueId } from '../op.ts'
import { unknownElement } from '../sizes.ts'
import { dense, type Tensor } from '../tensor.ts'
import { type Dim, isStatic, normalizeAxis, type Shape, sizeOf, tensorType, unknownDim } from '../type.ts'

export interface ConcatAttributes {
  /** Required; counted from the end when negative. */
  readonly axis: number | undefined
}

/** Sizes that must be equal: a number before a symbol, a named symbol before an anonymous one. */
const common = (dims: ReadonlyArray<Dim>): Dim | undefined => {
  const numbers = new Set(dims.filter(isStatic))
  if (numbers.size > 1) return undefined
  const [first] = numbers
  return first ?? dims.find((d) => typeof d === 'string' && !d.startsWith('?')) ?? dims[0]
}

const shapeFor = (ctx: InferContext<ConcatAttributes>, shapes: ReadonlyArray<Shape | undefined>) => {
  const known = shapes.filter((s) => s !== undefined)
  const rank = known[0]?.length
  if (rank === undefined) return E.right(undefined)
  const axis = normalizeAxis(ctx.attrs.axis ?? rank, rank)
  if (axis === undefined) return E.left(`axis ${ctx.attrs.axis ?? 'none'} of rank ${rank}`)
  if (known.some((s) => s.length !== rank)) return E.left('inputs differ in rank')
  const out: Dim[] = []
  for (let a = 0; a < rank; a++) {
    const dims = known.flatMap((s) => s[a] ?? [])
    if (a !== axis) {
      const dim = common(dims)
      if (dim === undefined) return E.left(`inputs differ in size along axis ${a}: ${dims.join(', ')}`)
      out.push(dim)
    } else if (known.length < shapes.length) out.push(unknownDim(ctx.outputNames[0] ?? '', axis))
    else
      out.push(dims.length === 1 ? (dims[0] ?? 0) : derivedDim('sum', dims, (...ns) => ns.reduce((n, d) => n + d, 0)))
  }
  return E.right(out)
}

/** The inputs one after another along `axis`; all other sizes are equal. */
export const Concat = defineOp<'Concat', ConcatAttributes>({
  name: 'Concat',
  versions: [4, Infinity],
  schema: { axis: optionalInt },
  inferTypes: (ctx) => {
    const first = tensorInput(ctx, 0)
    if (E.isLeft(first)) return first
    const shapes: Array<Shape | undefined> = []
    for (const port of ctx.inputs.keys()) {
      const type = tensorInput(ctx, port)
      if (E.isLeft(type)) return type
      shapes.push(type.right.shape)
    }
    const shape = shapeFor(ctx, shapes)
    return E.isLeft(shape) ? shape : E.right([tensorType(first.right.dtype, shape.right)])
  },
  contents: (ctx) => {
    const out: Dim[] = []
    for (const port of ctx.inputs.keys()) {
      const length = inputShape(ctx, port)?.[0]
      if (!isStatic(length)) return undefined
      const name = ctx.node.inputs[port] ?? ''
      out.push(...(ctx.content(port) ?? Array.from({ length }, (_, i) => unknownElement(name, i))))
    }
    return out
  },
  links: (ctx) => {
    const to = outputShape(ctx)
    const axis = to && normalizeAxis(ctx.attrs.axis ?? 0, to.length)
    if (to === undefined || axis === undefined) return 'opaque'
    const links: AxisLink[] = []
    let offset: number | undefined = 0
    const others: AxisLink[] = []
    for (const port of ctx.inputs.keys()) {
      const from = inputShape(ctx, port)
      to.forEach((_, a) => {
        if (a !== axis) others.push(sameIndex(port, a, 0, a))
      })
      const [size, total] = [from?.[axis], to[axis]]
      if (!isStatic(size) || !isStatic(total)) offset = undefined
      else if (offset !== undefined) {
        links.push({ ...sameIndex(port, axis, 0, axis), from: shifted(total, size, -offset) })
        offset += size
      }
    }
    return [...ofOneSize(ctx, others), ...links]
  },
  constant: 'copied',
  mayLoseInputs: true,
  shrink: (s) => {
    const axis = normalizeAxis(s.attrs.axis ?? 0, outputShape(s)?.length ?? 0) ?? 0
    const ports = [...s.node.inputs.keys()].filter((port) => s.keptInput(port, axis)?.length !== 0)
    const constants = new Map<ValueId, Tensor>()
    const inputs = ports.map((port) => {
      const [name, tensor] = [s.node.inputs[port] ?? '', s.constant(port)]
      const selected = tensor && gatherOperand(s, port, tensor)
      if (selected === undefined || selected === tensor) return name
      const renamed = s.rename(port, name)
      constants.set(renamed, selected)
      return renamed
    })
    return { nodes: [{ ...s.node, inputs }], constants }
  },
  identity: (ctx) => (ctx.node.inputs.length === 1 ? 0 : undefined),
  total: true,
  evaluate: (ctx, inputs) => {
    const shape = targetShape(ctx)
    const tensors = inputs.filter((x) => x !== undefined)
    const axis = shape && normalizeAxis(ctx.attrs.axis ?? 0, shape.length)
    const [first] = tensors
    if (!first || !shape || axis === undefined || tensors.some((t) => t.strings || bitsOf(t.dtype) < 8))
      return undefined
    const width = bitsOf(first.dtype) / 8
    const out = new Uint8Array(sizeOf(shape) * width)
    let to = 0
    for (let outer = 0; outer < sizeOf(shape.slice(0, axis)); outer++) {
      for (const { bytes, shape: from } of tensors) {
        const chunk = sizeOf(from.slice(axis)) * width
        out.set(bytes.subarray(outer * chunk, (outer + 1) * chunk), to)
        to += chunk
      }
    }
    return [dense(first.dtype, shape, out)]
  },
})
