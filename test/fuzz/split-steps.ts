/** Steps of random programs with layers whose weights are zero outside of blocks, wide enough to be computed in parts. */
import * as ops from '../../src/ir/ops/index.ts'
import type { Apply, Builder, Value } from './program.ts'

const choose = <T>(list: readonly [T, ...T[]], choice: number): T => list[choice % list.length] ?? list[0]

/** Which weights `[outputs, inputs]` are live. */
type Live = (output: number, input: number) => boolean

/** Blocks on the diagonal; of channels in another order, or of outputs alone; two in each row of blocks; some with zeros within. */
const liveOf = (outputs: number, inputs: number, parts: number, choice: number): Live => {
  const [height, width] = [outputs / parts, inputs / parts]
  const isOn: Live = (o, i) => Math.floor(o / height) === Math.floor(i / width)
  const kinds: readonly [Live, ...Live[]] = [
    isOn,
    (o, i) => isOn((o * 5) % outputs, (i * 7) % inputs),
    (o, i) => isOn((o * 5) % outputs, i),
    (o, i) => isOn(o, i) || isOn(o, (i + Math.ceil(width)) % inputs),
    (o, i) => isOn(o, i) && (o * 3 + i * 5) % 4 !== 0,
  ]
  return choose(kinds, choice)
}

const last = (b: Builder, fallback: Value): Value => b.values.at(-1) ?? fallback

/** A layer that makes channels enough, what is computed of each, and a layer with blocks. */
export const partedLayers: Apply = (b, { choices: [p, q, r, s] }, x) => {
  const isImage = x.shape.length === 4
  const isRows = x.shape.length === 2 || x.shape.length === 3
  if ((!isImage && !isRows) || (x.shape.at(isImage ? 1 : -1) ?? 0) > 64) return
  const [inputs, outputs] = [choose([8, 12, 9, 16], q), choose([8, 12, 24, 16], p)]
  const parts = choose([2, 4, 2, 3], r)
  const taps = isImage ? choose([1, 9], s) : 1
  const isTurned = !isImage && s % 2 === 1 && x.shape.length === 2
  const live = liveOf(outputs, inputs, parts, s)
  const isZero = (at: number): boolean => {
    const [major, minor] = [Math.floor(at / taps), isImage || isTurned ? inputs : outputs]
    const [first, second] = [Math.floor(major / minor), major % minor]
    return isImage || isTurned ? !live(first, second) : !live(second, first)
  }
  const bias = p % 3 === 0 ? [] : [b.weights([outputs], 0.3)]
  if (isImage) {
    const [n = 1, channels = 1, h = 1, w = 1] = x.shape
    b.emit(ops.Conv, [x.name, b.weights([inputs, channels, 1, 1], 0.5)], { kernel_shape: [1, 1] }, [n, inputs, h, w])
    if (q % 2 === 0) b.emit(ops.Relu, [last(b, x).name], {}, [n, inputs, h, w])
    const side = taps === 9 ? 3 : 1
    const pads = Array.from({ length: 4 }, () => (side - 1) / 2)
    const weight = b.weights([outputs, inputs, side, side], 0.5, isZero)
    const stride = r % 5 === 4 ? 2 : 1
    const shape = [n, outputs, Math.ceil(h / stride), Math.ceil(w / stride)]
    const attrs = { kernel_shape: [side, side], pads, strides: [stride, stride] }
    b.emit(ops.Conv, [last(b, x).name, weight, ...bias], attrs, shape)
    return
  }
  const wide = [...x.shape.slice(0, -1), inputs]
  const made = [...x.shape.slice(0, -1), outputs]
  b.emit(ops.MatMul, [x.name, b.weights([x.shape.at(-1) ?? 1, inputs], 0.5)], {}, wide)
  if (q % 2 === 0) b.emit(ops.Relu, [last(b, x).name], {}, wide)
  const weight = b.weights(isTurned ? [outputs, inputs] : [inputs, outputs], 0.5, isZero)
  if (isTurned) b.emit(ops.Gemm, [last(b, x).name, weight, ...bias], { transB: 1, alpha: choose([1, 0.5], p) }, made)
  else {
    b.emit(ops.MatMul, [last(b, x).name, weight], {}, made)
    for (const name of bias) b.emit(ops.Add, [last(b, x).name, name], {}, made)
  }
}
