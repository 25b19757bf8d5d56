import * as E from 'fp-ts/lib/Either.js'
import { bitsOf } from '../dtype.ts'
import { broadcastStatic, forEachIndex, stridesOf } from '../evaluate.ts'
import { outputPrecision } from '../families/elementwise.ts'
import { copied } from '../families/movement.ts'
import { alignedAxes } from '../families/shifts.ts'
import { broadcastShapes, tensorInput } from '../infer.ts'
import { broadcastLinks, outputShape } from '../links.ts'
import { defineOp } from '../op.ts'
import { isKnownElement, unknownElement } from '../sizes.ts'
import { uniformValue } from '../slices.ts'
import { dense, elements } from '../tensor.ts'
import { type Dim, sizeOf, tensorType } from '../type.ts'

/** `y = condition ? a : b` for every element, all three broadcast. */
export const Where = defineOp<'Where', Record<never, never>>({
  name: 'Where',
  versions: [9, Infinity],
  schema: {},
  inferTypes: (ctx) => {
    const a = tensorInput(ctx, 1)
    if (E.isLeft(a)) return a
    const shapes = [0, 1, 2].flatMap((port) => {
      const type = ctx.inputs[port]
      return type?.kind === 'tensor' && type.shape !== undefined ? [type.shape] : []
    })
    if (shapes.length < 3) return E.right([tensorType(a.right.dtype, undefined)])
    const shape = broadcastShapes(shapes, ctx.outputNames[0] ?? '')
    return E.isLeft(shape) ? shape : E.right([tensorType(a.right.dtype, shape.right)])
  },
  contents: (ctx) => {
    const length = outputShape(ctx)?.[0] ?? 1
    const operands = [ctx.content(0), ctx.content(1), ctx.content(2)]
    const out: Dim[] = []
    for (let i = 0; i < Number(length); i++) {
      const [condition, a, b] = operands.map((content) => content?.[content.length === 1 ? 0 : i])
      const picked = condition === 1 ? a : condition === 0 || a === b ? b : undefined
      out.push(picked ?? unknownElement(ctx.node.outputs[0] ?? '', i))
    }
    return out.some(isKnownElement) ? out : undefined
  },
  links: (ctx) => broadcastLinks(ctx, [0, 1, 2]),
  constant: (_ctx, [condition, a, b]) =>
    typeof condition === 'number' ? ((condition === 0 ? b : a) ?? undefined) : copied([a, b]),
  // What takes no part in a softmax does not, whatever is added to the rest; the lowest number only where nothing comes between,
  // and in half precision not for sure.
  shifts: (ctx, port, { axes, ends }) => {
    const [other, precision] = [ctx.constant(3 - port), outputPrecision(ctx)]
    const fill = other && uniformValue(other)
    if (port === 0 || precision === undefined || fill === undefined) return []
    if (fill === -Infinity) return alignedAxes(ctx, port, axes)
    return fill === -precision.largest && fill < -(2 ** 17) ? alignedAxes(ctx, port, ends) : []
  },
  broadcasts: () => true,
  evaluate: (_ctx, [condition, a, b]) => {
    if (!condition || !a || !b) return undefined
    const shape = broadcastStatic([condition.shape, a.shape, b.shape])
    const width = bitsOf(a.dtype) / 8
    if (!shape || width < 1 || a.strings || b.strings) return undefined
    const placeIn = (from: ReadonlyArray<number>): ((index: Int32Array) => number) => {
      const strides = stridesOf(from).map((stride, axis) => (from[axis] === 1 ? 0 : stride))
      const offset = shape.length - from.length
      return (index) => strides.reduce((at, stride, axis) => at + (index[axis + offset] ?? 0) * stride, 0)
    }
    const places = [condition, a, b].map((tensor) => placeIn(tensor.shape))
    const chosen = elements(condition)
    const out = new Uint8Array(sizeOf(shape) * width)
    forEachIndex(shape, (index, flat) => {
      const [at = 0, atA = 0, atB = 0] = places.map((place) => place(index))
      const [from, start] = chosen[at] ? [a, atA] : [b, atB]
      out.set(from.bytes.subarray(start * width, (start + 1) * width), flat * width)
    })
    return [dense(a.dtype, shape, out)]
  },
})
