import * as E from 'fp-ts/lib/Either.js'
import { int } from '../../attributes.ts'
import { stridesOf, forEachIndex, numbersOf } from '../../evaluate.ts'
import { dtypeOf } from '../../families/movement.ts'
import { realOf, requantizedNumber, rounded, type Scaling, scalingOn } from '../../families/quantized-elements.ts'
import { tensorInput } from '../../infer.ts'
import { inputShape, sameAxes } from '../../links.ts'
import { defineOp, type InferContext } from '../../op.ts'
import { sizeOf, tensorType } from '../../type.ts'

interface QLinearGlobalAveragePoolAttributes {
  readonly channels_last: number
}

/** Whether an axis is summed over. */
const isSpatial = ({ channels_last }: QLinearGlobalAveragePoolAttributes, axis: number, rank: number): boolean =>
  channels_last === 0 ? axis > 1 : axis > 0 && axis < rank - 1

const scalingsOf = (ctx: InferContext<unknown>): readonly [Scaling, Scaling] | undefined => {
  const [from, to] = [scalingOn(ctx, 1, 2), scalingOn(ctx, 3, 4)]
  return from && to && [from, to]
}

/** The mean over the spatial axes of a quantized tensor. Ports: X, its scale and zero, scale and zero of the result. */
export const QLinearGlobalAveragePool = defineOp<
  'com.microsoft.QLinearGlobalAveragePool',
  QLinearGlobalAveragePoolAttributes
>({
  name: 'com.microsoft.QLinearGlobalAveragePool',
  versions: [1, 1],
  schema: { channels_last: int(0) },
  inferTypes: (ctx) => {
    const x = tensorInput(ctx, 0)
    const dtype = dtypeOf(ctx.inputs[4])
    if (E.isLeft(x)) return x
    if (dtype === undefined) return E.left('the element type of the output is unknown')
    const { shape } = x.right
    return E.right([
      tensorType(
        dtype,
        shape?.map((size, axis) => (isSpatial(ctx.attrs, axis, shape.length) ? 1 : size)),
      ),
    ])
  },
  links: (ctx) => {
    const rank = inputShape(ctx, 0)?.length ?? 0
    return scalingsOf(ctx) === undefined ? 'opaque' : sameAxes(ctx, (axis) => !isSpatial(ctx.attrs, axis, rank))
  },
  constant: (ctx, [x]) => {
    const [scalings, dtype] = [scalingsOf(ctx), dtypeOf(ctx.outputs[0])]
    if (typeof x !== 'number' || scalings === undefined || dtype === undefined) return undefined
    return requantizedNumber(x, ...scalings, dtype)
  },
  integers: () => [{ port: 0, scale: 1, zero: 2 }],
  total: true,
  evaluate: (ctx, [x]) => {
    const [scalings, dtype] = [scalingsOf(ctx), dtypeOf(ctx.outputs[0])]
    if (x === undefined || scalings === undefined || dtype === undefined) return undefined
    const [from, to] = scalings
    const isSummed = x.shape.map((_, axis) => isSpatial(ctx.attrs, axis, x.shape.length))
    const shape = x.shape.map((size, axis) => (isSummed[axis] === true ? 1 : size))
    const strides = stridesOf(shape)
    const count = sizeOf(x.shape) / Math.max(1, sizeOf(shape))
    const [values, sizes] = [new Float64Array(sizeOf(shape)), new Float64Array(sizeOf(shape))]
    const qs = numbersOf(x)
    forEachIndex(x.shape, (index, flat) => {
      let at = 0
      index.forEach((i, axis) => {
        if (isSummed[axis] !== true) at += i * (strides[axis] ?? 0)
      })
      const q = qs[flat] ?? 0
      values[at] = (values[at] ?? 0) + realOf(from, q) / count
      sizes[at] = (sizes[at] ?? 0) + ((Math.abs(q) + Math.abs(from.zero)) * from.scale) / count
    })
    const y = rounded(values, sizes, shape, to, dtype)
    return y && [y]
  },
})
