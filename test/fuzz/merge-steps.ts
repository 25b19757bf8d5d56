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
