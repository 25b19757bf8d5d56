/** Steps of random programs with residual streams through normalisations, of which channels are zero or constant. */
import * as ops from '../../src/ir/ops/index.ts'
import { int64s } from '../../src/ir/tensor.ts'
import type { Apply, Builder, Value } from './program.ts'

const last = (b: Builder, fallback: Value): Value => b.values.at(-1) ?? fallback

const choose = <T>(list: ReadonlyArray<T>, choice: number, fallback: T): T => list[choice % list.length] ?? fallback

/** A vector of one number a channel, `fill` in those that are gone. */
const vector = (
  b: Builder,
  size: number,
  low: number,
  gone: ReadonlyArray<boolean>,
  fill: (i: number) => number,
): string =>
  b.numbers(
    [size],
    Array.from({ length: size }, (_, i) => (gone[i] === true ? fill(i) : low + b.uniform())),
  )

/** `x · W`, and a bias unless that is `''`. */
const linear = (b: Builder, x: Value, weight: string, outs: number, bias: string): Value => {
  const shape = [...x.shape.slice(0, -1), outs]
  b.emit(ops.MatMul, [x.name, weight], {}, shape)
  if (bias !== '') b.emit(ops.Add, [last(b, x).name, bias], {}, shape)
  return last(b, x)
}

const mean = (b: Builder, x: Value): Value => {
  const shape = [...x.shape.slice(0, -1), 1]
  if (b.opset < 18) b.emit(ops.ReduceMean, [x.name], { axes: [-1], keepdims: 1 }, shape)
  else b.emit(ops.ReduceMean, [x.name, b.constant(int64s([-1]))], { keepdims: 1 }, shape)
  return last(b, x)
}

/** `x / √(mean(x²) + ε)` as exporters write it, in one of its ways, of what may be centred before. */
const writtenOut = (b: Builder, x: Value, epsilon: string, choice: number, scale: string, bias: string): void => {
  let from = x
  if (bias !== '') {
    b.emit(ops.Sub, [x.name, mean(b, x).name], {}, x.shape)
    from = last(b, x)
  }
  if (choice % 2 === 0) b.emit(ops.Pow, [from.name, b.numbers([], [2])], {}, x.shape)
  else b.emit(ops.Mul, [from.name, from.name], {}, x.shape)
  const { shape, name } = mean(b, last(b, x))
  b.emit(ops.Add, [name, epsilon], {}, shape)
  b.emit(ops.Sqrt, [last(b, x).name], {}, shape)
  const root = last(b, x).name
  if (choice % 3 === 0) b.emit(ops.Div, [from.name, root], {}, x.shape)
  else {
    if (choice % 3 === 1) b.emit(ops.Reciprocal, [root], {}, shape)
    else b.emit(ops.Div, [b.numbers([], [1]), root], {}, shape)
    b.emit(ops.Mul, [from.name, last(b, x).name], {}, x.shape)
  }
  if (choice % 5 !== 4) b.emit(ops.Mul, [scale, last(b, x).name], {}, x.shape)
  if (bias !== '' && choice % 5 < 3) b.emit(ops.Add, [last(b, x).name, bias], {}, x.shape)
}

/** A pre-norm block on a stream that lost channels by structure: none of them read, or some of them all the same. */
export const stream: Apply = (b, { choices: [p, q, r, s] }, given) => {
  let x = given
  if (x.shape.length === 4) {
    const [n = 1, c = 1, h = 1, w = 1] = x.shape
    if (h * w > 36) return
    b.emit(ops.Transpose, [x.name], { perm: [0, 2, 3, 1] }, [n, h, w, c])
    x = last(b, x)
  }
  const ins = x.shape.at(-1) ?? 0
  if (x.shape.length < 2 || ins > 64) return
  const width = choose([32, 24, 32, 6], r, 32)
  const gone = Array.from({ length: width }, () => b.uniform() < 0.6)
  const constant = choose([() => 0, () => 0, () => 0.5, (i: number) => 0.25 * (i % 3) - 0.25], q, () => 0)
  const made = (count: number): string => b.weights([count, width], 0.4, (i) => gone[i % width] === true)
  const read = (count: number): string =>
    b.weights([width, count], 0.3, (i) => gone[Math.floor(i / count)] === true && (q % 5 !== 4 || i % 7 > 0))
  const first = linear(b, x, made(ins), width, q % 2 === 0 ? vector(b, width, -0.5, gone, constant) : '')
  b.emit(ops.Relu, [linear(b, first, read(64), 64, '').name], {}, [...x.shape.slice(0, -1), 64])
  const second = linear(b, last(b, x), made(64), width, s % 2 === 0 ? vector(b, width, -0.5, gone, constant) : '')
  b.emit(ops.Add, [first.name, second.name], {}, first.shape)
  const joined = last(b, x)
  const scale = vector(b, width, 0.5, gone, s % 3 === 0 ? () => 0.75 : () => 0)
  const bias = vector(b, width, -0.5, gone, s % 3 === 0 ? () => 0.25 : () => 0)
  const epsilon = choose([1e-5, 1e-3, 1e-6, 0], s, 1e-5)
  const added = b.numbers([], [epsilon])
  if (p % 6 === 0) b.emit(ops.LayerNormalization, [joined.name, scale, bias], { epsilon }, joined.shape)
  else if (p % 6 === 1) b.emit(ops.SimplifiedLayerNormalization, [joined.name, scale], { epsilon }, joined.shape)
  else if (p % 6 === 2) b.emit(ops.LpNormalization, [joined.name], { axis: -1, p: 1 + (s % 2) }, joined.shape)
  else if (p % 6 === 3) b.emit(ops.Sub, [joined.name, mean(b, joined).name], {}, joined.shape)
  else writtenOut(b, joined, added, q + r, scale, p % 6 === 4 ? bias : '')
  linear(b, linear(b, last(b, x), read(96), 96, ''), b.weights([96, 3], 0.3), 3, '')
}

/** An image through a group normalisation, of which whole groups or equally many channels of each are gone. */
export const grouped: Apply = (b, { choices: [p, q, r, s] }, x) => {
  const [n = 1, c = 1, h = 1, w = 1] = x.shape
  if (x.shape.length !== 4 || c > 32 || h * w > 36) return
  const [width, groups] = choose([[32, 4] as const, [24, 3] as const, [12, 2] as const], r, [32, 4] as const)
  const perGroup = width / groups
  const gone = Array.from({ length: width }, (_, i) => {
    const [group, place] = [Math.floor(i / perGroup), i % perGroup]
    return p % 3 === 0 ? group % 2 === 1 : p % 3 === 1 ? (place + group) % perGroup > 2 : b.uniform() < 0.5
  })
  const constant = choose([() => 0, () => 0, (i: number) => 0.25 * (i % 3)], q, () => 0)
  const conv = (from: Value, weight: string, outs: number, bias: string): Value => {
    const attrs = { kernel_shape: [1, 1], pads: [0, 0, 0, 0], strides: [1, 1], dilations: [1, 1], group: 1 }
    b.emit(ops.Conv, [from.name, weight, ...(bias === '' ? [] : [bias])], attrs, [n, outs, h, w])
    return last(b, from)
  }
  const weight = b.weights([width, c, 1, 1], 0.4, (i) => gone[Math.floor(i / c)] === true)
  const y = conv(x, weight, width, vector(b, width, -0.5, gone, constant))
  const [scale, bias] = [vector(b, width, 0.5, gone, () => 0), vector(b, width, -0.5, gone, () => 0)]
  const epsilon = choose([1e-5, 1e-3], s, 1e-5)
  if (b.opset >= 21 && s % 3 > 0) {
    b.emit(ops.GroupNormalization, [y.name, scale, bias], { num_groups: groups, epsilon }, y.shape)
  } else {
    const split = [n, groups, perGroup * h * w]
    const ones = b.numbers([groups], new Array<number>(groups).fill(1))
    const zeros = b.numbers([groups], new Array<number>(groups).fill(0))
    b.emit(ops.Reshape, [y.name, b.constant(int64s([0, groups, -1]))], {}, split)
    b.emit(ops.InstanceNormalization, [last(b, y).name, ones, zeros], { epsilon }, split)
    const normalised = last(b, y).name
    b.emit(ops.Reshape, [normalised, b.constant(int64s([0, width, h, w]))], {}, y.shape)
  }
  const reads = (outs: number): string => b.weights([outs, width, 1, 1], 0.3, (i) => gone[i % width] === true)
  conv(conv(last(b, y), reads(64), 64, ''), b.weights([3, 64, 1, 1], 0.3), 3, '')
}
