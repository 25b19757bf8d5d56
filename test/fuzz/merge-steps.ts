/** Steps of random programs that have something to merge: branches side by side, equal channels, rows that are multiples. */
import * as ops from '../../src/ir/ops/index.ts'
import type { Apply, Builder, Value } from './program.ts'

const last = (b: Builder, fallback: Value): Value => b.values.at(-1) ?? fallback

/** A convolution that keeps sizes. */
const same = (b: Builder, x: Value, weight: string, outs: number, kernel: number, bias: string, group = 1): Value => {
  const pad = (kernel - 1) / 2
  const attrs = {
    kernel_shape: [kernel, kernel],
    pads: [pad, pad, pad, pad],
    strides: [1, 1],
    dilations: [1, 1],
    group,
  }
  const inputs = [x.name, weight, ...(bias === '' ? [] : [bias])]
  b.emit(ops.Conv, inputs, attrs, [x.shape[0] ?? 1, outs, ...x.shape.slice(2)])
  return last(b, x)
}

/** What RepVGG trains: a 3x3 and a 1x1 convolution and a normalisation, or the value itself, summed. */
export const branches: Apply = (b, { choices: [p, q, r, s] }, x) => {
  const c = x.shape[1] ?? 0
  if (x.shape.length !== 4 || c > 16) return
  const group = p % 3 === 0 ? c : 1
  const bias = (on: number): string => (on % 2 === 0 ? b.weights([c], 0.3) : '')
  const three = same(b, x, b.weights([c, c / group, 3, 3], 0.5), c, 3, bias(q), group)
  const one = same(b, x, b.weights([c, c / group, 1, 1], 0.5), c, 1, bias(r), group)
  const norm = (): Value => {
    b.emit(
      ops.BatchNormalization,
      [x.name, b.positive([c]), b.weights([c], 0.3), b.weights([c], 0.3), b.positive([c])],
      {},
      x.shape,
    )
    return last(b, x)
  }
  const third = s % 4 === 0 ? x : norm()
  b.emit(ops.Add, [three.name, one.name], {}, x.shape)
  const [left, right] = s % 2 === 0 ? [last(b, x), third] : [third, last(b, x)]
  b.emit(ops.Add, [left.name, right.name], {}, x.shape)
}

/** A layer of which some rows are equal, and some multiples of each other, an activation, and a layer that reads them. */
export const copies: Apply = (b, { choices: [p, q, r, s] }, x) => {
  const c = x.shape[1] ?? 0
  if (x.shape.length !== 4 || c > 16) return
  const outs = 4 + (q % 5)
  const kernel = p % 2 === 0 ? 1 : 3
  const size = c * kernel * kernel
  const distinct = 1 + (r % 3)
  const rows = Array.from({ length: distinct }, () => Array.from({ length: size }, () => 2 * b.uniform() - 1))
  const factors = s % 2 === 0 ? [1] : [1, -1, 0.5, 2, 0.7]
  const made = Array.from({ length: outs }, () => ({
    row: Math.floor(distinct * b.uniform()),
    factor: factors[Math.floor(factors.length * b.uniform())] ?? 1,
  }))
  const weight = b.numbers(
    [outs, c, kernel, kernel],
    made.flatMap(({ row, factor }) => (rows[row] ?? []).map((w) => w * factor)),
  )
  const bias = b.numbers(
    [outs],
    made.map(({ row }) => (s % 3 === 0 ? row : 0.25)),
  )
  const y = same(b, x, weight, outs, kernel, bias)
  if (s % 5 !== 4) b.emit(ops.Relu, [y.name], {}, y.shape)
  const z = last(b, y)
  if (q % 4 === 3) return
  same(b, z, b.weights([3, outs, 3, 3], 0.5), 3, 3, p % 3 === 0 ? b.weights([3], 0.3) : '')
}
