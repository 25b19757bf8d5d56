/**
 * Steps of random programs with quantized layers, of which filters and inputs are zero, that is the zero point of their integers: as
 * pairs of QuantizeLinear and DequantizeLinear, as operators on integers, and with ranges found while they run.
 */
import type { DType } from '../../src/ir/dtype.ts'
import type { AnyOp } from '../../src/ir/registry.ts'
import { findOp } from '../../src/ir/registry.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { int64s, tensorOf } from '../../src/ir/tensor.ts'
import { sizeOf } from '../../src/ir/type.ts'
import type { Apply, Builder, Value } from './program.ts'

const choose = <T>(list: readonly [T, ...T[]], choice: number): T => list[choice % list.length] ?? list[0]

const draw = <const T>(b: Builder, list: ReadonlyArray<T>): T => {
  const [one] = list.slice(Math.floor(b.uniform() * list.length))
  if (one === undefined) throw new Error('nothing to choose from')
  return one
}

const chance = (b: Builder, share: number): boolean => b.uniform() < share

const microsoft = (name: string): AnyOp => {
  const op = findOp(`com.microsoft.${name}`)
  if (op === undefined) throw new Error(`no operator ${name}`)
  return op
}

type Byte = 'uint8' | 'int8'

/** Integers that stand for real numbers: `(q - zero) · scale`. Names of both, and the numbers behind them. */
interface Grid {
  readonly type: Byte
  readonly scale: number
  readonly names: readonly [scale: string, zero: string]
}

const integer = (b: Builder, type: DType, value: number): string => b.constant(tensorOf(type, [], [value]))

/** A grid for activations: zero points in the middle and at either end, scales that are powers of two and others. */
const gridOf = (b: Builder, type: Byte = draw(b, ['uint8', 'uint8', 'int8'])): Grid => {
  const scale = Math.fround(draw(b, [2 ** -5, 0.05, 0.0234, 2 ** -4]))
  const zero = type === 'uint8' ? draw(b, [128, 0, 117, 255]) : draw(b, [0, -128, 9])
  return { type, scale, names: [b.numbers([], [scale]), integer(b, type, zero)] }
}

/** A weight in integers: channels along `axis` have scales of their own, or all have one. */
interface Weight {
  readonly stored: string
  readonly names: readonly [scale: string, zero: string]
  readonly scales: ReadonlyArray<number>
  readonly shape: ReadonlyArray<number>
}

/** Which output channels and inputs of a weight are zero, those along `axis` being the outputs. */
const structureOf = (
  b: Builder,
  shape: ReadonlyArray<number>,
  [outputs, inputs]: readonly [number, number],
): ((i: number) => boolean) => {
  const marks = (axis: number, share: number): ReadonlyArray<boolean> =>
    Array.from({ length: shape[axis] ?? 1 }, () => chance(b, share))
  const [dead, unread] = [marks(outputs, chance(b, 0.7) ? 0.4 : 0), marks(inputs, chance(b, 0.4) ? 0.4 : 0)]
  const single = chance(b, 0.15) ? 0.5 : 0
  const at = (i: number, axis: number): number => Math.floor(i / sizeOf(shape.slice(axis + 1))) % (shape[axis] ?? 1)
  return (i) => dead[at(i, outputs)] === true || unread[at(i, inputs)] === true || (single > 0 && chance(b, single))
}

const weightOf = (
  b: Builder,
  shape: ReadonlyArray<number>,
  axes: readonly [outputs: number, inputs: number],
  perChannel: boolean,
  type: Byte,
): Weight => {
  const outs = shape[axes[0]] ?? 1
  const zero = type === 'uint8' ? draw(b, [128, 120, 0]) : perChannel ? 0 : draw(b, [0, 0, 5])
  const isZero = structureOf(b, shape, axes)
  const [low, high] = type === 'uint8' ? [0, 255] : [-127, 127]
  const values = Array.from({ length: sizeOf(shape) }, (_, i) =>
    isZero(i) ? zero : Math.round(low + b.uniform() * (high - low)),
  )
  const scales = Array.from({ length: perChannel ? outs : 1 }, () =>
    Math.fround(draw(b, [2 ** -7, 0.004, 0.011]) * (perChannel ? draw(b, [1, 0.5, 0.83]) : 1)),
  )
  const vector = perChannel ? [outs] : []
  return {
    stored: b.constant(tensorOf(type, shape, values)),
    names: [
      b.numbers(vector, scales),
      b.constant(
        tensorOf(
          type,
          vector,
          scales.map(() => zero),
        ),
      ),
    ],
    scales,
    shape,
  }
}

const quantize = (b: Builder, x: Value, { names }: Grid): Value =>
  b.inner(ops.QuantizeLinear, [x.name, ...names], {}, x.shape)

const dequantize = (b: Builder, q: Value, { names }: Grid): Value =>
  b.inner(ops.DequantizeLinear, [q.name, ...names], {}, q.shape)

const rounded = (b: Builder, x: Value, grid: Grid): Value => dequantize(b, quantize(b, x, grid), grid)

/** A bias in multiples of the scales of input and weight. */
const biasOf = (b: Builder, outs: number, isInteger: boolean, scale: number, { scales }: Weight): string => {
  const isLive = chance(b, 0.6)
  const values = Array.from({ length: outs }, () => (isLive ? 2 * b.uniform() - 1 : 0))
  if (!isInteger) return b.numbers([outs], values)
  const of = (o: number): number => Math.fround(scale * (scales[o % scales.length] ?? 1))
  return b.constant(
    tensorOf(
      'int32',
      [outs],
      values.map((v, o) => Math.round(v / of(o))),
    ),
  )
}

const isImage = ({ shape }: Value): boolean => shape.length === 4

/** How a layer of `outs` channels that reads `x` is shaped: 1x1 or padded 3x3 convolutions, or a matrix. */
const layerShape = (b: Builder, x: Value, outs: number, isDepthwise = false) => {
  if (!isImage(x)) {
    const ins = x.shape.at(-1) ?? 1
    return { shape: [ins, outs], axes: [1, 0] as const, to: [...x.shape.slice(0, -1), outs], attrs: {} }
  }
  const [n = 1, c = 1, h = 1, w = 1] = x.shape
  const kernel = draw(b, [1, 3])
  const pad = (kernel - 1) / 2
  const attrs = {
    kernel_shape: [kernel, kernel],
    pads: [pad, pad, pad, pad],
    strides: [1, 1],
    dilations: [1, 1],
    group: isDepthwise ? c : 1,
  }
  return { shape: [outs, isDepthwise ? 1 : c, kernel, kernel], axes: [0, 1] as const, to: [n, outs, h, w], attrs }
}

const isFit = (b: Builder, x: Value): boolean =>
  b.dtype === 'float32' &&
  x.shape.length >= 2 &&
  (isImage(x) ? (x.shape[1] ?? 1) <= 24 && sizeOf(x.shape) < 3_000 : (x.shape.at(-1) ?? 1) <= 128)

/** A layer of real numbers whose weight, and sometimes whose bias, are made of integers. */
const realLayer = (b: Builder, x: Value, grid: Grid, outs: number, isDepthwise = false): Value => {
  const { shape, axes, to, attrs } = layerShape(b, x, outs, isDepthwise)
  const block = b.opset >= 21 && !isImage(x) && chance(b, 0.3) ? 4 : 0
  const perChannel = block === 0 && chance(b, 0.5)
  const weight = weightOf(b, shape, axes, perChannel, draw(b, ['int8', 'int8', 'uint8']))
  let names = weight.names
  if (block > 0) {
    const blocks = [Math.ceil((shape[0] ?? 1) / block), shape[1] ?? 1]
    const count = sizeOf(blocks)
    names = [
      b.numbers(
        blocks,
        Array.from({ length: count }, () => draw(b, [2 ** -7, 0.01, 0.006])),
      ),
      '',
    ]
  }
  const axis = block > 0 ? 0 : axes[0]
  const real = b.inner(
    ops.DequantizeLinear,
    [weight.stored, ...names.filter((name) => name !== '')],
    { axis, block_size: block },
    shape,
  )
  const isInteger = block === 0 && chance(b, 0.6)
  const stored = biasOf(b, outs, isInteger, grid.scale, weight)
  let bias = stored
  if (isInteger) {
    const vector = perChannel ? [outs] : []
    const scales = b.numbers(
      vector,
      weight.scales.map((s) => Math.fround(s * grid.scale)),
    )
    bias = b.inner(ops.DequantizeLinear, [stored, scales], { axis: 0 }, [outs]).name
  }
  if (isImage(x)) return b.inner(ops.Conv, [x.name, real.name, bias], attrs, to)
  if (x.shape.length === 2 && chance(b, 0.5)) return b.inner(ops.Gemm, [x.name, real.name, bias], {}, to)
  const made = b.inner(ops.MatMul, [x.name, real.name], {}, to)
  return chance(b, 0.7) ? b.inner(ops.Add, [made.name, bias], {}, to) : made
}

/** Layers in a row between roundings to integers, as quantizers write them for later fusion. */
export const roundedLayers: Apply = (b, { choices: [p, q, r, s] }, given) => {
  if (!isFit(b, given)) return
  const channelAxis = isImage(given) ? 1 : given.shape.length - 1
  let grid = gridOf(b)
  let x = rounded(b, given, grid)
  const layers = 1 + (p % 3)
  for (let i = 0; i < layers; i++) {
    const outs = choose([8, 6, 12, 5], q + i)
    const isDepthwise = isImage(x) && r % 5 === 4 && i > 0
    let y = realLayer(b, x, grid, isDepthwise ? (x.shape[1] ?? 1) : outs, isDepthwise)
    if (s % 3 !== 2) y = b.inner(ops.Relu, [y.name], {}, y.shape)
    grid = gridOf(b)
    const before = x
    x = rounded(b, y, grid)
    if (r % 4 === 1 && before.shape.join() === x.shape.join()) {
      grid = gridOf(b)
      x = rounded(b, b.inner(ops.Add, [before.name, x.name], {}, x.shape), grid)
    }
    if (r % 4 === 2 && i === 0 && (before.shape[channelAxis] ?? 1) <= 12) {
      const size = (before.shape[channelAxis] ?? 1) + (x.shape[channelAxis] ?? 1)
      const shape = x.shape.map((d, a) => (a === channelAxis ? size : d))
      grid = gridOf(b)
      x = rounded(b, b.inner(ops.Concat, [before.name, x.name], { axis: channelAxis }, shape), grid)
    }
  }
  const last = realLayer(b, x, grid, 3)
  if (s % 2 === 0) b.emit(ops.Identity, [last.name], {}, last.shape)
  else {
    const out = gridOf(b)
    b.emit(ops.DequantizeLinear, [quantize(b, last, out).name, ...out.names], {}, last.shape)
  }
}

/** A layer on integers. */
const integerLayer = (b: Builder, x: Value, from: Grid, to: Grid, outs: number, isDepthwise = false): Value => {
  const layer = layerShape(b, x, outs, isDepthwise)
  // Kernels take unsigned inputs with either kind of weights, and signed ones with signed weights.
  const type = from.type === 'int8' ? 'int8' : draw(b, ['int8', 'uint8'])
  const perChannel = type === 'int8' && chance(b, 0.5)
  const weight = weightOf(b, layer.shape, layer.axes, perChannel, type)
  const operands = [x.name, ...from.names, weight.stored, ...weight.names]
  if (isImage(x)) {
    const bias = chance(b, 0.7) ? [biasOf(b, outs, true, from.scale, weight)] : []
    return b.inner(ops.QLinearConv, [...operands, ...to.names, ...bias], layer.attrs, layer.to)
  }
  if (x.shape.length === 2 && chance(b, 0.5)) {
    const bias = chance(b, 0.7) ? biasOf(b, outs, true, from.scale, weight) : ''
    return b.inner(microsoft('QGemm'), [...operands, bias, ...to.names], {}, layer.to)
  }
  return b.inner(ops.QLinearMatMul, [...operands, ...to.names], {}, layer.to)
}

/** Layers on integers in a row, with what else works on integers between them. */
export const integerLayers: Apply = (b, { choices: [p, q, r, s] }, given) => {
  if (!isFit(b, given)) return
  const channelAxis = isImage(given) ? 1 : given.shape.length - 1
  // Signed and unsigned integers are not mixed: kernels do not.
  const type = draw(b, ['uint8', 'uint8', 'int8'])
  let grid = gridOf(b, type)
  let x = quantize(b, given, grid)
  const layers = 1 + (p % 3)
  for (let i = 0; i < layers; i++) {
    const before = { x, grid }
    const isDepthwise = isImage(x) && r % 5 === 4 && i > 0
    grid = gridOf(b, type)
    x = integerLayer(
      b,
      x,
      before.grid,
      grid,
      isDepthwise ? (x.shape[1] ?? 1) : choose([8, 6, 12, 5], q + i),
      isDepthwise,
    )
    const between = draw(b, ['none', 'LeakyRelu', 'Sigmoid', 'Add', 'Mul', 'Concat', 'MaxPool'])
    const operands = [x.name, ...grid.names]
    if (between === 'LeakyRelu' || between === 'Sigmoid') {
      const next = gridOf(b, type)
      x = b.inner(microsoft(`QLinear${between}`), [...operands, ...next.names], {}, x.shape)
      grid = next
    } else if ((between === 'Add' || between === 'Mul') && before.x.shape.join() === x.shape.join()) {
      const next = gridOf(b, type)
      const other = [before.x.name, ...before.grid.names]
      x = b.inner(microsoft(`QLinear${between}`), [...operands, ...other, ...next.names], {}, x.shape)
      grid = next
    } else if (between === 'Concat' && (before.x.shape[channelAxis] ?? 1) <= 12) {
      const next = gridOf(b, type)
      const size = (before.x.shape[channelAxis] ?? 1) + (x.shape[channelAxis] ?? 1)
      const shape = x.shape.map((d, a) => (a === channelAxis ? size : d))
      const both = [...next.names, ...operands, before.x.name, ...before.grid.names]
      x = b.inner(microsoft('QLinearConcat'), both, { axis: channelAxis }, shape)
      grid = next
    } else if (between === 'MaxPool' && isImage(x) && s % 2 === 0) {
      const window = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] }
      x = b.inner(ops.MaxPool, [x.name], window, x.shape)
    }
  }
  if (isImage(x) && r % 6 === 5) {
    const next = gridOf(b, type)
    const [n = 1, c = 1] = x.shape
    const pooled = microsoft('QLinearGlobalAveragePool')
    x = b.inner(pooled, [x.name, ...grid.names, ...next.names], {}, [n, c, 1, 1])
    grid = next
    x = b.inner(ops.Reshape, [x.name, b.constant(int64s([0, c]))], {}, [n, c])
  }
  const out = gridOf(b, type)
  const last = s % 3 === 0 ? x : integerLayer(b, x, grid, out, 4)
  b.emit(ops.DequantizeLinear, [last.name, ...(s % 3 === 0 ? grid : out).names], {}, last.shape)
}

/** Layers whose inputs are rounded to integers of the range that they have. */
export const dynamicLayers: Apply = (b, { choices: [p, q, r] }, given) => {
  if (!isFit(b, given)) return
  let x = given
  const layers = 1 + (p % 2)
  for (let i = 0; i <= layers; i++) {
    const outs = i === layers ? 3 : choose([8, 6, 12, 5], q + i)
    const [ints, scale, zero] = b.inners(ops.DynamicQuantizeLinear, [x.name], {}, [x.shape, [], []])
    if (ints === undefined || scale === undefined || zero === undefined) return
    const layer = layerShape(b, x, outs)
    const type = draw(b, ['int8', 'uint8'])
    const perChannel = !isImage(x) && type === 'int8' && chance(b, 0.4)
    const weight = weightOf(b, layer.shape, layer.axes, perChannel, isImage(x) ? 'uint8' : type)
    const operands = [ints.name, weight.stored, zero.name, weight.names[1]]
    const sum = isImage(x)
      ? b.inner(ops.ConvInteger, operands, layer.attrs, layer.to)
      : b.inner(ops.MatMulInteger, operands, {}, layer.to)
    const real = b.inner(ops.Cast, [sum.name], { to: 1 }, layer.to)
    const factor = b.inner(ops.Mul, [scale.name, weight.names[0]], {}, perChannel ? [outs] : [])
    let y = b.inner(ops.Mul, [real.name, factor.name], {}, layer.to)
    if (r % 2 === 0) {
      const bias = b.weights(isImage(x) ? [outs, 1, 1] : [outs], 0.3)
      y = b.inner(ops.Add, [y.name, bias], {}, layer.to)
    }
    x = i < layers && r % 3 > 0 ? b.inner(ops.Relu, [y.name], {}, y.shape) : y
  }
  b.emit(ops.Identity, [x.name], {}, x.shape)
}
