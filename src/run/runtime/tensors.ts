/** Tensors as ONNX Runtime's packages for JavaScript have them, and what a session says of its inputs and outputs. */
import * as E from 'fp-ts/lib/Either.js'
import type { InferenceSession, Tensor } from 'onnxruntime-web'
import { bitsOf, type DType } from '../../ir/dtype.ts'
import type { Dense } from '../../ir/tensor.ts'
import { isDType, type ValueInfo } from '../protocol.ts'
import type { Runtime } from './runtime.ts'

/** Element types that move between JavaScript and ONNX Runtime without reading out of bounds, and what holds them. */
const constructors = {
  float32: Float32Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
  float16: Uint16Array,
  float64: Float64Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
} as const

const isMovable = (dtype: DType): dtype is keyof typeof constructors => Object.hasOwn(constructors, dtype)

/** A tensor for a runtime, or why there is none. The bytes are copied. */
export const toTensor = (
  { Tensor }: Pick<Runtime, 'Tensor'>,
  name: string,
  { dtype, shape, bytes, strings }: Dense,
): E.Either<string, Tensor> => {
  if (dtype === 'string') {
    const decoder = new TextDecoder()
    const texts = (strings ?? []).map((text) => decoder.decode(text))
    return E.right(new Tensor('string', texts, [...shape]))
  }
  if (!isMovable(dtype)) return E.left(`input '${name}' has type ${dtype}`)
  // Bytes may start anywhere, typed arrays only at multiples of their element.
  const { buffer } = Uint8Array.from(bytes)
  return E.right(new Tensor(dtype, new constructors[dtype](buffer), [...shape]))
}

/** What a runtime made, a view of its `data`, or why it cannot be read. */
export const toDense = (name: string, { type, dims }: Tensor, data: unknown): E.Either<string, Dense> => {
  const dtype: unknown = type
  if (dtype === 'string' && Array.isArray(data)) {
    const encoder = new TextEncoder()
    const strings = data.map((text) => encoder.encode(String(text)))
    return E.right({ tag: 'Dense', dtype, shape: [...dims], bytes: new Uint8Array(), strings })
  }
  if (!isDType(dtype) || !ArrayBuffer.isView(data) || bitsOf(dtype) < 8) {
    return E.left(`output '${name}' has type ${String(dtype)}`)
  }
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return E.right({ tag: 'Dense', dtype, shape: [...dims], bytes })
}

/** onnxruntime-web gives an open dimension without a name as -1 in 32 bits. */
const dimOf = (dim: number | string, fixed: Readonly<Record<string, number>>): number | string | null =>
  dim === '' || dim === 2 ** 32 - 1 ? null : (fixed[dim] ?? dim)

/** What a session says of a value, with the dimensions `fixed` that the caller fixed, or why it cannot be moved. */
export const valueInfo = (
  role: 'input' | 'output',
  value: InferenceSession.ValueMetadata,
  fixed: Readonly<Record<string, number>> = {},
): E.Either<string, ValueInfo> => {
  if (!value.isTensor) return E.left(`${role} '${value.name}' is not a tensor`)
  const dtype: unknown = value.type
  if (!isDType(dtype) || !(dtype === 'string' || isMovable(dtype))) {
    return E.left(`${role} '${value.name}' has type ${String(dtype)}`)
  }
  return E.right({ name: value.name, dtype, shape: value.shape.map((dim) => dimOf(dim, fixed)) })
}
