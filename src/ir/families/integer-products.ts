/**
 * Products of integers that stand for real numbers: `Σ (x - zero)·(w - zero)`, as such (ConvInteger, MatMulInteger), or with a bias
 * in the integers of the sum and rounded to the integers of the output (QLinearConv, QLinearMatMul, QGemm). They are contractions of
 * a weight that is held as its integers; a constant is paid for in the integers of the bias.
 */
import * as E from 'fp-ts/lib/Either.js'
import { numbersOf } from '../evaluate.ts'
import { replaceOperands } from '../gather-operands.ts'
import type { Contraction, IntegerOperand, NodeContext } from '../op.ts'
import { uniformValue } from '../slices.ts'
import { type Dense, elements, type Held, type Tensor, tensorOf } from '../tensor.ts'
import { sizeOf } from '../type.ts'
import { channelsOf } from './contraction.ts'
import { dtypeOf } from './movement.ts'
import { integerRange, isQuantized, quantized, roundToEven } from './quantization.ts'
import { changesBias, heldShiftRefused, otherOperands, rebiasHeld } from './rebuild.ts'

/** Ports of a scale and a zero point. */
export interface ScalePorts {
  readonly scale: number
  readonly zero: number
}

/** Where an operator has what it multiplies. */
export interface IntegerProduct {
  readonly x: IntegerOperand
  readonly weight: IntegerOperand
  /** The port of the bias, int32, if the operator has one. */
  readonly bias?: number
  /** What the sum is rounded to; absent where it is the output itself, int32. */
  readonly output?: ScalePorts
}

/** What a contraction of integers has in common with one of real numbers. */
export type Geometry = Pick<
  Contraction,
  'axis' | 'outputAxis' | 'weightOutputAxis' | 'weightInputAxis' | 'groups' | 'grouped' | 'uniform' | 'pointwise'
>

/** The number on a port that is omitted, or a constant of one number; undefined where it is anything else. */
const numberOn = (ctx: NodeContext<unknown>, port: number | undefined, omitted: number): number | undefined => {
  if (port === undefined || !ctx.node.inputs[port]) return omitted
  const tensor = ctx.constant(port)
  return tensor !== undefined && sizeOf(tensor.shape) === 1 ? uniformValue(tensor) : undefined
}

/** The weight as what its integers stand for; undefined where they are not constants of one scale, or one for each output. */
const weightOf = (ctx: NodeContext<unknown>, { weight }: IntegerProduct, axis: number): Held | undefined => {
  const stored = ctx.constant(weight.port)
  const constants = [weight.scale, weight.zero].map((port) => {
    const given = port !== undefined && Boolean(ctx.node.inputs[port])
    return { given, tensor: given ? ctx.constant(port) : undefined }
  })
  const [scale, zero] = constants
  if (stored === undefined || !isQuantized(stored.dtype)) return undefined
  for (const { given, tensor } of constants) {
    if (!given) continue
    const count = tensor === undefined ? 0 : sizeOf(tensor.shape)
    if (tensor === undefined || tensor.shape.length > 1 || (count !== 1 && count !== stored.shape[axis]))
      return undefined
  }
  return {
    tag: 'Held',
    dtype: 'float32',
    shape: stored.shape,
    stored,
    scale: scale?.tensor,
    zero: zero?.tensor,
    axis,
  }
}

/** The contraction that a product of integers is; undefined where its weight, its bias or what it is rounded by is computed. */
export const integerContraction = (
  ctx: NodeContext<unknown>,
  product: IntegerProduct,
  geometry: Geometry,
): Contraction | undefined => {
  const { x, output } = product
  const weight = weightOf(ctx, product, geometry.weightOutputAxis)
  if (weight === undefined) return undefined
  const inputScale = numberOn(ctx, x.scale, 1)
  const inputZero = numberOn(ctx, x.zero, 0)
  const [outputScale, outputZero] = [numberOn(ctx, output?.scale, 1), numberOn(ctx, output?.zero, 0)]
  const [type] = ctx.outputs
  const to = dtypeOf(type)
  if (inputScale === undefined || outputScale === undefined || outputZero === undefined || to === undefined)
    return undefined
  const { outputs } = channelsOf(weight, geometry)
  const biasGiven = product.bias !== undefined && Boolean(ctx.node.inputs[product.bias])
  const integers = product.bias === undefined ? undefined : ctx.constant(product.bias)
  if (biasGiven && (integers?.shape.length !== 1 || integers.shape[0] !== outputs)) return undefined
  const bias = product.bias === undefined ? undefined : biasOf(weight, integers, inputScale, outputs)
  let known: ReturnType<typeof elements> | undefined
  const biasAt = (o: number): number => {
    if (!biasGiven) return 0
    known ??= bias && elements(bias)
    return Number(known?.[o])
  }
  return {
    ...geometry,
    port: x.port,
    weightPort: product.weight.port,
    weight,
    ...(inputZero === undefined && x.zero !== undefined ? { centre: x.zero } : {}),
    counts: (q) => (inputZero === undefined ? NaN : q - inputZero),
    makes: (sum) => {
      if (output === undefined) return Number.isInteger(sum) && Math.abs(sum) < 2 ** 31 ? sum : undefined
      return quantized(sum / outputScale, outputZero, to)
    },
    sampling: undefined,
    payable: bias !== undefined,
    admits: heldShiftRefused(bias),
    bias: biasAt,
    biasSize: (o) => Math.abs(biasAt(o)),
    scale: inputScale,
    rebuild: (change, names) => {
      const { port: weightPort, scale, zero } = product.weight
      const handled = [weightPort, scale ?? -1, zero ?? -1, product.bias ?? -1]
      const operands = otherOperands(ctx, change, handled)
      const made = change.weight
      if (made.tag !== 'Held') return E.left('its weight is kept as integers, which cannot hold others')
      const parts: ReadonlyArray<readonly [number, Tensor | undefined, Tensor | undefined]> = [
        [weightPort, made.stored, weight.stored],
        [scale ?? -1, made.scale, weight.scale],
        [zero ?? -1, made.zero, weight.zero],
      ]
      for (const [port, next, before] of parts) if (next !== undefined && next !== before) operands.set(port, next)
      const isChanged = (biasGiven && change.outputs !== undefined) || changesBias(change, biasGiven)
      if (product.bias !== undefined && bias !== undefined && isChanged) {
        const next = rebiasHeld(bias, change)
        if (E.isLeft(next)) return next
        operands.set(product.bias, next.right.stored)
      }
      const node = { ...ctx.node, ...change.node, attrs: withGroups(ctx.node.attrs, change.groups) }
      return E.right(replaceOperands(node, operands, names, `${ctx.node.inputs[weightPort] ?? ''}_bias`))
    },
  }
}

const withGroups = (attrs: unknown, groups: number): unknown =>
  typeof attrs === 'object' && attrs !== null && 'group' in attrs ? { ...attrs, group: groups } : attrs

/** The bias as what its integers stand for, multiples of the scales of input and weight; zeros where there is none yet. */
const biasOf = (weight: Held, integers: Tensor | undefined, inputScale: number, outputs: number): Held => {
  const scales = weight.scale && elements(weight.scale)
  const scale = Float64Array.from(
    { length: outputs },
    (_, o) => Number(scales?.[scales.length === 1 ? 0 : o] ?? 1) * inputScale,
  )
  return {
    tag: 'Held',
    dtype: 'float64',
    shape: [outputs],
    stored: integers ?? tensorOf('int32', [outputs], new Float64Array(outputs)),
    scale: tensorOf('float64', [outputs], scale),
    axis: 0,
  }
}

/** `x - zero` of integers of any type, as doubles; the zero is one number, or one for each index along `axis`. */
export const centred = (x: Dense, zero: Dense | undefined, axis: number): Dense => {
  const zeros = zero && numbersOf(zero)
  const inner = sizeOf(x.shape.slice(axis + 1))
  const size = x.shape[axis] ?? 1
  const zeroAt = (place: number): number => zeros?.[zeros.length === 1 ? 0 : Math.floor(place / inner) % size] ?? 0
  return tensorOf(
    'float64',
    x.shape,
    Float64Array.from(numbersOf(x), (q, i) => q - zeroAt(i)),
  )
}

/**
 * Sums of products rounded to integers: `saturate(round(sum · (x scale · weight scale / output scale)) + zero)`, the factor and the
 * product in single precision, as ONNX Runtime computes them. `channel` is the output channel of a place.
 */
export const requantized = (
  sums: Dense,
  scales: readonly [x: Dense, weight: Dense, output: Dense],
  zero: Dense,
  channel: (place: number) => number,
): Dense => {
  const [[xScale = 1], weightScales, [outputScale = 1]] = [
    numbersOf(scales[0]),
    numbersOf(scales[1]),
    numbersOf(scales[2]),
  ]
  const [zeroPoint = 0] = numbersOf(zero)
  const factors = Float64Array.from(weightScales, (w) => Math.fround(Math.fround(xScale * w) / outputScale))
  const [low, high] = integerRange(zero.dtype)
  const values = Float64Array.from(numbersOf(sums), (sum, place) => {
    const factor = factors[factors.length === 1 ? 0 : channel(place)] ?? NaN
    const q = roundToEven(Math.fround(Math.fround(sum) * factor)) + zeroPoint
    return Math.min(high, Math.max(low, q))
  })
  return tensorOf(zero.dtype, sums.shape, values)
}
