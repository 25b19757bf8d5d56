/** Numbers between the host, where they lie as in ONNX, and the device, where they lie as the kernels want them. */
import { stridesOf } from '../../ir/evaluate.ts'
import { type Dense, elements } from '../../ir/tensor.ts'
import type { Backend } from '../backend/backend.ts'
import type { Tensor } from '../backend/tensor.ts'
import { sizeOf } from '../../ir/type.ts'
import { type Layout, keepsElements, onnxOrder, orderBetween, storedShape } from './layout.ts'

/** Elements of a tensor of shape `shape` with its axes in the order `order`. */
export const permuted = <T extends Float32Array | Int32Array | Uint8Array>(
  values: T,
  shape: ReadonlyArray<number>,
  order: ReadonlyArray<number>,
  out: T,
): T => {
  const sizes = order.map((axis) => shape[axis] ?? 1)
  const from = stridesOf(shape)
  const strides = order.map((axis) => from[axis] ?? 0)
  const last = sizes.length - 1
  const index = new Int32Array(sizes.length)
  const inner = sizes[last] ?? 1
  const step = strides[last] ?? 0
  let base = 0
  for (let to = 0; to < out.length; to += inner) {
    for (let i = 0; i < inner; i++) out[to + i] = values[base + i * step] ?? 0
    for (let a = last - 1; a >= 0; a--) {
      index[a] = (index[a] ?? 0) + 1
      base += strides[a] ?? 0
      if ((index[a] ?? 0) < (sizes[a] ?? 0)) break
      base -= (strides[a] ?? 0) * (sizes[a] ?? 0)
      index[a] = 0
    }
  }
  return out
}

/** Values in ONNX order as they lie on the device. */
export const toDevice = (
  { ops }: Backend,
  values: Float32Array,
  shape: ReadonlyArray<number>,
  layout: Layout,
): Tensor => {
  // TensorFlow.js may go on reading the array it is given.
  const stored = keepsElements(shape, layout)
    ? values.slice()
    : permuted(values, shape, layout, new Float32Array(values.length))
  return ops.tensor(stored, storedShape(shape, layout))
}

/** Values of the device in ONNX order, in an array of their own. */
export const fromDevice = (stored: Float32Array, shape: ReadonlyArray<number>, layout: Layout): Float32Array => {
  const order = orderBetween(layout, onnxOrder(shape.length))
  const from = storedShape(shape, layout)
  return keepsElements(from, order) ? stored.slice() : permuted(stored, from, order, new Float32Array(stored.length))
}

/** A constant of the graph on the device. */
export const upload = (backend: Backend, tensor: Dense, layout: Layout): Tensor => {
  const { ops } = backend
  const { shape, dtype } = tensor
  const values = elements(tensor)
  const numbers = Float32Array.from({ length: sizeOf(shape) }, (_, i) => Number(values[i]))
  if (dtype === 'float32') return toDevice(backend, numbers, shape, layout)
  const stored = permuted(numbers, shape, layout, new Float32Array(numbers.length))
  return dtype === 'bool'
    ? ops.bools(Uint8Array.from(stored), storedShape(shape, layout))
    : ops.tensor(Int32Array.from(stored), storedShape(shape, layout))
}
