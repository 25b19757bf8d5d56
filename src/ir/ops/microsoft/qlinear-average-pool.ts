import * as E from 'fp-ts/lib/Either.js'
import { int, optionalInts, string } from '../../attributes.ts'
import { numbersOf } from '../../evaluate.ts'
import { dtypeOf } from '../../families/movement.ts'
import { coversInput, pool, type PoolAttributes, poolSteps, poolType, staysInside } from '../../families/pooling.ts'
import { realOf, requantizedNumber, rounded, type Scaling, scalingOn } from '../../families/quantized-elements.ts'
import { sameAxes } from '../../links.ts'
import { defineOp, type InferContext } from '../../op.ts'
import { tensorOf } from '../../tensor.ts'
import { tensorType } from '../../type.ts'

interface QLinearAveragePoolAttributes extends PoolAttributes {
  readonly count_include_pad: number
  readonly channels_last: number
}

const scalingsOf = (ctx: InferContext<unknown>): readonly [Scaling, Scaling] | undefined => {
  const [from, to] = [scalingOn(ctx, 1, 2), scalingOn(ctx, 3, 4)]
  return from && to && [from, to]
}

/** The mean of each window of a quantized tensor, its channels before its places. Ports: X, its scale and zero, scale and zero of the result. */
export const QLinearAveragePool = defineOp<'com.microsoft.QLinearAveragePool', QLinearAveragePoolAttributes>({
  name: 'com.microsoft.QLinearAveragePool',
  versions: [1, 1],
  schema: {
    auto_pad: string('NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID'),
    ceil_mode: int(0),
    channels_last: int(0),
    count_include_pad: int(0),
    dilations: optionalInts,
    kernel_shape: optionalInts,
    pads: optionalInts,
    strides: optionalInts,
  },
  inferTypes: (ctx) => {
    if (ctx.attrs.channels_last !== 0) return E.left('channels behind places')
    const [y, dtype] = [poolType(ctx), dtypeOf(ctx.inputs[4] ?? ctx.inputs[0])]
    if (E.isLeft(y)) return y
    return dtype === undefined ? E.left('the element type is unknown') : E.right([tensorType(dtype, y.right.shape)])
  },
  links: (ctx) => (scalingsOf(ctx) === undefined ? 'opaque' : sameAxes(ctx, (axis) => axis < 2)),
  constant: (ctx, [x]) => {
    const [scalings, dtype] = [scalingsOf(ctx), dtypeOf(ctx.outputs[0])]
    const { attrs } = ctx
    const isSame = (attrs.count_include_pad === 0 && attrs.ceil_mode === 0) || staysInside(attrs)
    if (typeof x !== 'number' || scalings === undefined || dtype === undefined) return undefined
    return isSame && coversInput(ctx) ? requantizedNumber(x, ...scalings, dtype) : undefined
  },
  integers: () => [{ port: 0, scale: 1, zero: 2 }],
  total: true,
  steps: poolSteps,
  evaluate: (ctx, [x]) => {
    const [scalings, dtype] = [scalingsOf(ctx), dtypeOf(ctx.outputs[0])]
    if (x === undefined || scalings === undefined || dtype === undefined) return undefined
    const [from, to] = scalings
    const reals = tensorOf(
      'float64',
      x.shape,
      Float64Array.from(numbersOf(x), (q) => realOf(from, q)),
    )
    const means = pool(reals, ctx.attrs, (values, positions) => {
      const count = ctx.attrs.count_include_pad === 0 ? values.length : positions
      return values.reduce((sum, v) => sum + v, 0) / count
    })
    if (means === undefined) return undefined
    const largest = Float64Array.from(numbersOf(x), Math.abs).reduce((a, b) => Math.max(a, b), 0)
    const sizes = new Float64Array(numbersOf(means).length).fill((largest + Math.abs(from.zero)) * from.scale)
    const y = rounded(Float64Array.from(numbersOf(means)), sizes, means.shape, to, dtype)
    return y && [y]
  },
})
