/**
 * Steps of random programs with quantized layers, of which filters and inputs are zero, that is the zero point of their integers: as
 * pairs of QuantizeLinear and DequantizeLinear, as operators on integers, with ranges found while they run, and in blocks of bits.
 */
import type { DType } from '../../src/ir/dtype.ts'
import type { AnyOp } from '../../src/ir/registry.ts'
import { findOp } from '../../src/ir/registry.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { pack } from '../../src/ir/element-codec.ts'
import { dense, int64s, tensorOf } from '../../src/ir/tensor.ts'
import { sizeOf } from '../../src/ir/type.ts'
import { sequence } from './attention-steps.ts'
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
  readonly zero: number
  readonly names: readonly [scale: string, zero: string]
}

const integer = (b: Builder, type: DType, value: number): string => b.constant(tensorOf(type, [], [value]))

/** A grid for activations: zero points in the middle and at either end, scales that are powers of two and others. */
const gridOf = (b: Builder, type: Byte = draw(b, ['uint8', 'uint8', 'int8'])): Grid => {
  const scale = Math.fround(draw(b, [2 ** -5, 0.05, 0.0234, 2 ** -4]))
  const zero = type === 'uint8' ? draw(b, [128, 0, 117, 255]) : draw(b, [0, -128, 9])
  return { type, scale, zero, names: [b.numbers([], [scale]), integer(b, type, zero)] }
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
  isDead?: (output: number) => boolean,
): Weight => {
  const outs = shape[axes[0]] ?? 1
  const zero = type === 'uint8' ? draw(b, [128, 120, 0]) : perChannel ? 0 : draw(b, [0, 0, 5])
  const isStructured = structureOf(b, shape, axes)
  const inner = sizeOf(shape.slice(axes[0] + 1))
  const isZero = (i: number): boolean => isDead?.(Math.floor(i / inner) % outs) ?? isStructured(i)
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

/** Integers and what they stand for. */
interface Integers {
  readonly x: Value
  readonly grid: Grid
}

const operandsOf = ({ x, grid }: Integers): ReadonlyArray<string> => [x.name, ...grid.names]

/** A constant that is broadcast to a value, some of its channels zero. */
const constantFor = (b: Builder, { x, grid }: Integers, channelAxis: number): Integers => {
  const channels = x.shape[channelAxis] ?? 1
  const other = gridOf(b, grid.type)
  const shape = draw(b, [[channels, ...x.shape.slice(channelAxis + 1).map(() => 1)], [], x.shape.slice(1)])
  const dead = Array.from({ length: channels }, () => chance(b, 0.4))
  const inner = shape.length > 1 ? sizeOf(x.shape.slice(channelAxis + 1)) : 1
  const low = grid.type === 'uint8' ? 0 : -128
  const values = Array.from({ length: sizeOf(shape) }, (_, i) =>
    dead[Math.floor(i / inner) % channels] === true ? other.zero : low + Math.floor(256 * b.uniform()),
  )
  return { x: { name: b.constant(tensorOf(grid.type, shape, values)), shape }, grid: other }
}

/** The mean of each channel of an image. */
const pooledImage = (b: Builder, given: Integers): Integers => {
  const grid = gridOf(b, given.grid.type)
  const [n = 1, c = 1] = given.x.shape
  const op = microsoft('QLinearGlobalAveragePool')
  return { x: b.inner(op, [...operandsOf(given), ...grid.names], {}, [n, c, 1, 1]), grid }
}

const betweenKinds = [
  ...['none', 'LeakyRelu', 'Sigmoid', 'Add', 'Mul', 'Concat', 'MaxPool'],
  ...['AveragePool', 'Where', 'Constant', 'Gate'],
] as const

/** What works on integers between layers: on those that one made, and sometimes those that it read. */
const between = (b: Builder, made: Integers, before: Integers, channelAxis: number): Integers => {
  const { x, grid } = made
  const kind = draw(b, betweenKinds)
  const next = gridOf(b, grid.type)
  const isSame = before.x.shape.join() === x.shape.join()
  const through = (name: string, inputs: ReadonlyArray<string>, attrs = {}, shape = x.shape): Integers => ({
    x: b.inner(microsoft(`QLinear${name}`), inputs, attrs, shape),
    grid: next,
  })
  const both = (name: string, one: Integers, other: Integers): Integers =>
    through(name, [...operandsOf(one), ...operandsOf(other), ...next.names])
  const arithmetic = draw(b, ['Add', 'Mul'])
  switch (kind) {
    case 'LeakyRelu':
    case 'Sigmoid':
      return through(kind, [...operandsOf(made), ...next.names])
    case 'Add':
    case 'Mul':
      return isSame ? both(kind, made, before) : made
    case 'Constant': {
      const constant = constantFor(b, made, channelAxis)
      return chance(b, 0.5) ? both(arithmetic, made, constant) : both(arithmetic, constant, made)
    }
    case 'Gate':
      return isImage(x) ? both(arithmetic, made, pooledImage(b, made)) : made
    case 'Where': {
      const channels = [x.shape[channelAxis] ?? 1, ...x.shape.slice(channelAxis + 1).map(() => 1)]
      const shape = draw(b, [channels, x.shape.slice(1)])
      const chosen = Array.from({ length: sizeOf(shape) }, () => (chance(b, 0.5) ? 1 : 0))
      const condition = b.constant(tensorOf('bool', shape, chosen))
      const other = isSame && chance(b, 0.5) ? before : constantFor(b, made, channelAxis)
      return through('Where', [condition, ...operandsOf(made), ...operandsOf(other), ...next.names])
    }
    case 'Concat': {
      const [ours = 1, theirs = 1] = [x.shape[channelAxis], before.x.shape[channelAxis]]
      if (theirs > 12) return made
      const shape = x.shape.map((d, a) => (a === channelAxis ? ours + theirs : d))
      const inputs = [...next.names, ...operandsOf(made), ...operandsOf(before)]
      return through('Concat', inputs, { axis: channelAxis }, shape)
    }
    case 'MaxPool':
    case 'AveragePool': {
      if (!isImage(x)) return made
      const window = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] }
      if (kind === 'MaxPool') return { x: b.inner(ops.MaxPool, [x.name], window, x.shape), grid }
      const counts = { ...window, count_include_pad: draw(b, [0, 1]) }
      return through(kind, [...operandsOf(made), ...next.names], counts)
    }
    default:
      return made
  }
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
    ;({ x, grid } = between(b, { x, grid }, before, channelAxis))
  }
  if (isImage(x) && r % 6 === 5) {
    const [n = 1, c = 1] = x.shape
    ;({ x, grid } = pooledImage(b, { x, grid }))
    x = b.inner(ops.Reshape, [x.name, b.constant(int64s([0, c]))], {}, [n, c])
  }
  const out = gridOf(b, type)
  const last = s % 3 === 0 ? x : integerLayer(b, x, grid, out, 4)
  b.emit(ops.DequantizeLinear, [last.name, ...(s % 3 === 0 ? grid : out).names], {}, last.shape)
}

/** A product of matrices of real numbers, rounded to integers of the range that they have, in one operator or several. */
const dynamicProduct = (b: Builder, x: Value, outs: number, isBiased: boolean): Value => {
  const layer = layerShape(b, x, outs)
  const type = draw(b, ['int8', 'uint8'])
  const perChannel = type === 'int8' && chance(b, 0.4)
  const weight = weightOf(b, layer.shape, layer.axes, perChannel, type)
  const [wScale, wZero] = weight.names
  const bias = isBiased ? b.weights([outs], 0.3) : ''
  const form = draw(b, ['parts', 'whole', 'real'])
  if (form === 'whole') {
    return b.inner(microsoft('DynamicQuantizeMatMul'), [x.name, weight.stored, wScale, wZero, bias], {}, layer.to)
  }
  const [ints, scale, zero] = b.inners(ops.DynamicQuantizeLinear, [x.name], {}, [x.shape, [], []]).map((v) => v.name)
  if (ints === undefined || scale === undefined || zero === undefined) return x
  if (form === 'real') {
    const operands = [ints, weight.stored, scale, wScale, zero, wZero, bias]
    return b.inner(microsoft('MatMulIntegerToFloat'), operands, {}, layer.to)
  }
  const sum = b.inner(ops.MatMulInteger, [ints, weight.stored, zero, wZero], {}, layer.to)
  const real = b.inner(ops.Cast, [sum.name], { to: 1 }, layer.to)
  const factor = b.inner(ops.Mul, [scale, wScale], {}, perChannel ? [outs] : [])
  const y = b.inner(ops.Mul, [real.name, factor.name], {}, layer.to)
  return isBiased ? b.inner(ops.Add, [y.name, bias], {}, layer.to) : y
}

/** The same of a convolution. */
const dynamicConvolution = (b: Builder, x: Value, outs: number, isBiased: boolean): Value => {
  const [ints, scale, zero] = b.inners(ops.DynamicQuantizeLinear, [x.name], {}, [x.shape, [], []]).map((v) => v.name)
  if (ints === undefined || scale === undefined || zero === undefined) return x
  const layer = layerShape(b, x, outs)
  const weight = weightOf(b, layer.shape, layer.axes, false, 'uint8')
  const sum = b.inner(ops.ConvInteger, [ints, weight.stored, zero, weight.names[1]], layer.attrs, layer.to)
  const real = b.inner(ops.Cast, [sum.name], { to: 1 }, layer.to)
  const factor = b.inner(ops.Mul, [scale, weight.names[0]], {}, [])
  const y = b.inner(ops.Mul, [real.name, factor.name], {}, layer.to)
  return isBiased ? b.inner(ops.Add, [y.name, b.weights([outs, 1, 1], 0.3)], {}, layer.to) : y
}

/** Layers whose inputs are rounded to integers of the range that they have. */
export const dynamicLayers: Apply = (b, { choices: [p, q, r] }, given) => {
  if (!isFit(b, given)) return
  let x = given
  const layers = 1 + (p % 2)
  for (let i = 0; i <= layers; i++) {
    const outs = i === layers ? 3 : choose([8, 6, 12, 5], q + i)
    const y = isImage(x) ? dynamicConvolution(b, x, outs, r % 2 === 0) : dynamicProduct(b, x, outs, r % 2 === 0)
    x = i < layers && r % 3 > 0 ? b.inner(ops.Relu, [y.name], {}, y.shape) : y
  }
  b.emit(ops.Identity, [x.name], {}, x.shape)
}

/** A layer whose weight is blocks of few bits, filters and inputs zero, inputs often in whole blocks. */
const blockLayer = (b: Builder, x: Value, outs: number): Value => {
  const ins = x.shape.at(-1) ?? 1
  const [bits, block] = [draw(b, [4, 4, 8]), draw(b, [16, 16, 32])]
  const blocks = Math.ceil(ins / block)
  const [low, high] = [0, 2 ** bits - 1]
  const hasZeros = chance(b, 0.6)
  const any = (): number => low + Math.floor((high + 1 - low) * b.uniform())
  const zeros = Array.from({ length: outs * blocks }, () => (hasZeros ? any() : 2 ** (bits - 1)))
  const unread = Array.from({ length: ins }, () => false)
  for (let i = 0; i < blocks; i++) if (chance(b, 0.3)) unread.fill(true, i * block, (i + 1) * block)
  if (chance(b, 0.3)) unread.forEach((_, k) => (unread[k] ||= chance(b, 0.5)))
  const dead = Array.from({ length: outs }, () => chance(b, 0.4))
  const stored = Uint8Array.from({ length: outs * blocks * block }, (_, i) => {
    const [o, k] = [Math.floor(i / (blocks * block)), i % (blocks * block)]
    const zero = zeros[o * blocks + Math.floor(k / block)] ?? 0
    return dead[o] === true || unread[k] === true ? zero : any()
  })
  const type = bits === 4 ? 'uint4' : 'uint8'
  const packed = (values: Uint8Array): Uint8Array => (bits === 4 ? pack(type, values) : values)
  const scales = Array.from({ length: outs * blocks }, () => draw(b, [0.02, 0.05, 2 ** -5]))
  const width = Math.ceil((blocks * bits) / 8)
  const zeroBytes = Array.from({ length: outs }, (_, o) => [
    ...packed(Uint8Array.from(zeros.slice(o * blocks, (o + 1) * blocks))),
  ])
  const inputs = [
    x.name,
    b.constant(dense('uint8', [outs, blocks, (block * bits) / 8], packed(stored))),
    b.numbers([outs, blocks], scales),
    ...(hasZeros ? [b.constant(tensorOf('uint8', [outs, width], zeroBytes.flat()))] : []),
  ]
  const attrs = { K: ins, N: outs, bits, block_size: block }
  return b.inner(microsoft('MatMulNBits'), inputs, attrs, [...x.shape.slice(0, -1), outs])
}

/** Layers with weights in blocks of few bits. */
export const blockLayers: Apply = (b, { choices: [p, q, r] }, given) => {
  if (!isFit(b, given)) return
  let x = given
  for (let i = 0; i <= p % 3; i++) {
    x = blockLayer(b, x, choose([40, 24, 64, 33], q + i))
    if (r % 3 === 0) x = b.inner(ops.Add, [x.name, b.weights([x.shape.at(-1) ?? 1], 0.3)], {}, x.shape)
    if (r % 2 === 0) x = b.inner(ops.Relu, [x.name], {}, x.shape)
  }
  const last = blockLayer(b, x, 3)
  b.emit(ops.Identity, [last.name], {}, last.shape)
}

/** Attention of a sequence of integers to itself in one operator: whole heads, places of queries and keys, or values are zero. */
export const integerAttention: Apply = (b, { choices: [p, q, r, s] }, given) => {
  const x = isFit(b, given) ? sequence(b, given) : undefined
  if (x === undefined) return
  const [n = 1, places = 1, features = 1] = x.shape
  const [heads, size] = [choose([2, 3, 1], p), choose([4, 3, 2], q)]
  const width = heads * size
  const kind = draw(b, ['heads', 'scores', 'values', 'columns', 'none'])
  const goes = Array.from({ length: width }, () => chance(b, 0.4))
  const headGoes = Array.from({ length: heads }, () => chance(b, 0.5))
  const isDead = (column: number): boolean => {
    const [part, at] = [Math.floor(column / width), column % width]
    if (kind === 'heads') return headGoes[Math.floor(at / size)] === true
    return (
      goes[at] === true && (kind === 'columns' || (kind === 'scores' && part < 2) || (kind === 'values' && part === 2))
    )
  }
  const grid = gridOf(b, 'uint8')
  const weight = weightOf(b, [features, 3 * width], [1, 0], chance(b, 0.4), 'int8', isDead)
  const isBiasDead = chance(b, 0.7)
  const bias = b.weights([3 * width], 0.3, (i) => isBiasDead && isDead(i))
  const takesPart = Array.from({ length: n * places }, () => (chance(b, 0.7) ? 1 : 0))
  const counts = Array.from({ length: n }, () => 1 + Math.floor(places * b.uniform()))
  const masks = [undefined, tensorOf('int32', [n, places], takesPart), tensorOf('int32', [n], counts)] as const
  const mask = choose(masks, r)
  const [xScale, xZero] = grid.names
  const [wScale, wZero] = weight.names
  const stored = quantize(b, x, grid).name
  const keys = mask === undefined ? '' : b.constant(mask)
  const operands = [stored, weight.stored, bias, xScale, wScale, keys, xZero, wZero]
  const attrs = { num_heads: heads, unidirectional: s % 3 === 0 ? 1 : 0, ...(s % 4 === 0 ? { scale: 0.25 } : {}) }
  const y = b.inner(microsoft('QAttention'), operands, attrs, [n, places, width])
  b.emit(ops.MatMul, [y.name, b.weights([width, 5], 0.4)], {}, [n, places, 5])
}
