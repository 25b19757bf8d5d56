/**
 * Constant tensors. Structure is rebuilt freely; bytes are shared and never written to after a tensor was made.
 *
 * `Dense` holds little-endian bytes in memory, `External` a range of a file, `Gather` a selection of indices per axis of
 * another tensor, `Edited` another tensor with new numbers, `Held` smaller tensors that a node makes it from. The bytes of all
 * but the first are made whenever they are read, so that a graph holds no large weight: row by row by {@link pieces}, or at once
 * by {@link materialize}.
 */
import { bitsOf, byteLength, type DType, fromBfloat16, fromFloat16, isWide, toBfloat16, toFloat16 } from './dtype.ts'
import { invariant } from './failure.ts'
import type { Node } from './op.ts'
import { pick } from './pick.ts'
import { sizeOf } from './type.ts'

export interface TensorShape {
  readonly dtype: DType
  readonly shape: ReadonlyArray<number>
}

/** What an ONNX TensorProto says besides its name, type and content (doc string, metadata, unknown fields), serialised. */
export type TensorMeta = Uint8Array

export interface Dense extends TensorShape {
  readonly tag: 'Dense'
  /** Little-endian elements in row-major order; types under 8 bits packed, low bits first. Empty for strings. */
  readonly bytes: Uint8Array
  /** The elements of a string tensor, as UTF-8. */
  readonly strings?: ReadonlyArray<Uint8Array>
  readonly meta?: TensorMeta
}

export interface External extends TensorShape {
  readonly tag: 'External'
  /** Where the bytes are; `read` returns them in new memory, and throws when the file has changed or gone. */
  readonly location: string
  readonly offset: number
  readonly length: number
  readonly read: (offset: number, length: number) => Uint8Array
  readonly meta?: TensorMeta
}

export interface Gather extends TensorShape {
  readonly tag: 'Gather'
  readonly source: Dense | External | Edited
  /** Per axis of the source the indices kept, in order; null keeps the axis whole. */
  readonly indices: ReadonlyArray<Int32Array | null>
  readonly meta?: TensorMeta
}

export interface Edited extends TensorShape {
  readonly tag: 'Edited'
  /** Of the same type and shape, with elements of whole bytes. */
  readonly source: Tensor
  /** The new bytes of rows (indices along axis 0) from `first` on; the old ones, which it is given, it may write to. */
  readonly edit: (rows: Uint8Array, first: number) => Uint8Array
  readonly meta?: TensorMeta
}

/**
 * `(stored - zero) · scale`: a tensor that a model keeps as integers, or in a narrower type. It is selected from, and its numbers
 * are changed, in terms of what is stored, so that it stays as small.
 */
export interface Held extends TensorShape {
  readonly tag: 'Held'
  /** Of the same shape. */
  readonly stored: Tensor
  /** One number, one for each index along `axis`, or with `block` one for each block of indices along it. Absent: 1. */
  readonly scale?: Tensor | undefined
  /** What stands for zero, as many as scales. Absent: 0. */
  readonly zero?: Tensor | undefined
  readonly axis: number
  /** Indices along `axis` that share a scale; other axes have one for each index. Absent: no blocks. */
  readonly block?: number | undefined
  /** The node that makes it, which reads `stored`, `scale` and `zero`; absent where an operator reads these itself. */
  readonly node?: Node
  readonly meta?: undefined
}

export type Tensor = Dense | External | Gather | Edited | Held

/** Numbers of a tensor. 64-bit integers keep their exact value; everything else fits a double. */
export type Elements = Float64Array | Float32Array | BigInt64Array | BigUint64Array

export const dense = (dtype: DType, shape: ReadonlyArray<number>, bytes: Uint8Array, meta?: TensorMeta): Dense => {
  invariant(
    bytes.byteLength === byteLength(dtype, sizeOf(shape)),
    `${dtype}[${shape.join(',')}] holds ${bytes.byteLength} bytes`,
  )
  return meta === undefined ? { tag: 'Dense', dtype, shape, bytes } : { tag: 'Dense', dtype, shape, bytes, meta }
}

/** A tensor of `values`, each converted to `dtype` with one rounding. */
export const tensorOf = (dtype: DType, shape: ReadonlyArray<number>, values: Elements | ReadonlyArray<number>): Dense =>
  dense(dtype, shape, encodeElements(dtype, values))

export const int64s = (values: ReadonlyArray<number>, shape: ReadonlyArray<number> = [values.length]): Dense =>
  tensorOf('int64', shape, values)

/**
 * Keeps `kept` along `axis`. Composes with an earlier selection; copies nothing. Packed types (under 8 bits) can be
 * selected too; they are unpacked when materialised.
 */
export const gather = (tensor: Tensor, axis: number, kept: Int32Array): Tensor => {
  const size = tensor.shape[axis]
  invariant(size !== undefined, `axis ${axis} of a rank-${tensor.shape.length} tensor`)
  for (const i of kept) invariant(i >= 0 && i < size, `index ${i} of an axis of ${size}`)
  if (kept.length === size && kept.every((k, i) => k === i)) return tensor
  if (tensor.tag === 'Held') return gatherHeld(tensor, axis, kept)
  const source = tensor.tag === 'Gather' ? tensor.source : tensor
  const indices = tensor.tag === 'Gather' ? tensor.indices : tensor.shape.map(() => null)
  const before = indices[axis]
  const composed = before ? kept.map((i) => before[i] ?? 0) : kept.slice()
  return {
    tag: 'Gather',
    dtype: tensor.dtype,
    shape: tensor.shape.map((d, a) => (a === axis ? kept.length : d)),
    source,
    indices: indices.map((x, a) => (a === axis ? composed : x)),
    ...(tensor.meta === undefined ? {} : { meta: tensor.meta }),
  }
}

/**
 * A selection of what is held. Where blocks of an axis lose different numbers of indices, they are taken apart into smaller ones,
 * of which as many keep the scale that they had.
 */
const gatherHeld = (tensor: Held, axis: number, kept: Int32Array): Held => {
  const { stored, block } = tensor
  const rest = {
    ...tensor,
    shape: tensor.shape.map((d, a) => (a === axis ? kept.length : d)),
    stored: gather(stored, axis, kept),
  }
  if (block === undefined) {
    const along = (part: Tensor | undefined): Tensor | undefined =>
      part !== undefined && axis === tensor.axis && sizeOf(part.shape) > 1 ? gather(part, 0, kept) : part
    return { ...rest, scale: along(tensor.scale), zero: along(tensor.zero) }
  }
  const isCut = axis === tensor.axis
  const size = isCut ? finestBlock(kept, block) : block
  const indices = isCut
    ? Int32Array.from({ length: Math.ceil(kept.length / size) }, (_, i) => Math.floor((kept[i * size] ?? 0) / block))
    : kept
  const along = (part: Tensor | undefined): Tensor | undefined => part && gather(part, axis, indices)
  return { ...rest, block: size, scale: along(tensor.scale), zero: along(tensor.zero) }
}

/** The most indices in a row of `kept` that always come from one block of `block` indices. */
const finestBlock = (kept: Int32Array, block: number): number => {
  const isWhole = (size: number): boolean =>
    kept.every((k, i) => Math.floor(k / block) === Math.floor((kept[i - (i % size)] ?? 0) / block))
  for (let size = block; size > 1; size--) if (block % size === 0 && isWhole(size)) return size
  return 1
}

/** Bytes up to which the elements of a tensor are made once and remembered. */
const smallBytes = 2 ** 20

/** Bytes of larger tensors that are remembered, those that were read last; one of more than half of it never is. */
const recentBytes = 2 ** 27

/** Bytes of a tensor that are in memory at once while it is read piece by piece, where its rows are not longer. */
const pieceBytes = 2 ** 24

/** Bytes of a tensor's elements; 0 for strings, which are never written as raw bytes. */
export const sizeInBytes = ({ dtype, shape }: TensorShape): number => byteLength(dtype, sizeOf(shape))

/** Bytes that a model keeps of a tensor: of what is held, those of its parts. */
export const storedBytes = (tensor: Tensor | undefined): number => {
  if (tensor === undefined) return 0
  if (tensor.tag !== 'Held') return sizeInBytes(tensor)
  return storedBytes(tensor.stored) + storedBytes(tensor.scale) + storedBytes(tensor.zero)
}

/** `source` with other numbers; see {@link Edited}. What is written of it besides is `meta`. Small tensors are made at once. */
export const edited = (source: Tensor, edit: Edited['edit'], meta?: TensorMeta): Tensor => {
  const { dtype, shape } = source
  invariant(bitsOf(dtype) >= 8, `rows of ${dtype} to be changed`)
  const tensor: Edited = { tag: 'Edited', dtype, shape, source, edit, ...(meta === undefined ? {} : { meta }) }
  return sizeInBytes(source) <= smallBytes ? materialize(tensor) : tensor
}

/**
 * `source` with its elements changed in place by `edit`, which is given those of rows from `first` on; each rounded once. What
 * is held can be given numbers only that it {@link holds}.
 */
export const editElements = (
  source: Tensor,
  edit: (values: Float32Array | Float64Array, first: number) => void,
): Tensor => {
  const { dtype, shape } = source
  if (source.tag === 'Held') return editHeld(source, edit)
  return edited(source, (bytes, first) => {
    const rows = bytes.byteLength / Math.max(1, byteLength(dtype, sizeOf(shape.slice(1))))
    const values = copyElements(dense(dtype, shape.length === 0 ? [] : [rows, ...shape.slice(1)], bytes))
    edit(values, first)
    return encodeElements(dtype, values)
  })
}

const editHeld = (source: Held, edit: (values: Float32Array | Float64Array, first: number) => void): Held => {
  const { stored, shape } = source
  const each = sizeOf(shape.slice(1))
  const read = heldReader(source)
  const change = (numbers: Float32Array | Float64Array, first: number): void => {
    const start = first * each
    const before = numbers.map((q, i) => read.decode(q, start + i))
    const after = elementBuffer(source.dtype, numbers.length)
    after.set(before)
    edit(after, first)
    for (const [i, value] of after.entries()) if (value !== before[i]) numbers[i] = read.encode(value, start + i)
  }
  if (bitsOf(stored.dtype) >= 8) return { ...source, stored: editElements(stored, change) }
  const numbers = copyElements(stored)
  change(numbers, 0)
  return { ...source, stored: tensorOf(stored.dtype, shape, numbers) }
}

/** What the numbers that are stored stand for, by their place in row-major order. */
interface HeldReader {
  /** In double, not yet rounded to the type of the tensor. */
  readonly decode: (stored: number, place: number) => number
  /** What is stored for a number that the tensor {@link holds}. */
  readonly encode: (value: number, place: number) => number
}

/** The number of a scale or zero that belongs to each place of a tensor. */
export const heldPart = (
  { shape, axis, block }: Pick<Held, 'shape' | 'axis' | 'block'>,
  part: Tensor | undefined,
  otherwise: number,
): ((place: number) => number) => {
  if (part === undefined) return () => otherwise
  const inner = sizeOf(shape.slice(axis + 1))
  const size = shape[axis] ?? 1
  const values = elements(part)
  if (block !== undefined) {
    const blocks = Math.ceil(size / block)
    return (place) => {
      const row = Math.floor(place / inner)
      const at = Math.floor(row / size) * blocks + Math.floor((row % size) / block)
      return Number(values[at * inner + (place % inner)])
    }
  }
  const only = Number(values[0])
  return values.length === 1 ? () => only : (place) => Number(values[Math.floor(place / inner) % size])
}

const heldReader = (held: Held): HeldReader => {
  const { dtype, stored, scale, zero } = held
  const [scaleAt, zeroAt] = [heldPart(held, scale, 1), heldPart(held, zero, 0)]
  const isCast = scale === undefined && zero === undefined
  // As runtimes do: the difference of integers is exact in 32 bits, then rounded to single precision.
  const single = dtype === 'float64' || isCast ? (x: number): number => x : Math.fround
  const decode = (q: number, place: number): number => single(single(q - zeroAt(place)) * scaleAt(place))
  return {
    decode,
    encode: (value, place) => {
      const q = isCast ? value : Math.round(value / scaleAt(place)) + zeroAt(place)
      const [written = NaN] = Float64Array.from(elements(tensorOf(stored.dtype, [], [q])), Number)
      invariant(
        value === 0 || decode(written, place) === value,
        `${value} as ${stored.dtype} of scale ${scaleAt(place)}`,
      )
      return q
    },
  }
}

/** Rows of what is held, decoded and rounded once. */
const heldRows = (tensor: Held, first: number, end: number): Uint8Array => {
  const { stored, dtype } = tensor
  const each = sizeOf(tensor.shape.slice(1))
  const numbers =
    bitsOf(stored.dtype) < 8
      ? Float64Array.from(elements(stored), Number).subarray(first * each, end * each)
      : Float64Array.from(elements(dense(stored.dtype, [(end - first) * each], rowsOf(stored, first, end))), Number)
  const { decode } = heldReader(tensor)
  return encodeElements(
    dtype,
    numbers.map((q, i) => decode(q, first * each + i)),
  )
}

const materialized = new WeakMap<Tensor, Dense>()

/** What {@link materialize} has made of larger tensors, the latest last. */
const recent = new Map<Tensor, Dense>()

/** The tensor's bytes in memory. An external range is read on every call, what is made of one is remembered for a while. */
export const materialize = (tensor: Tensor): Dense => {
  if (tensor.tag === 'Dense') return tensor
  if (tensor.tag === 'External') return wholeOf(tensor)
  const size = sizeInBytes(tensor)
  if (size > recentBytes / 2) return wholeOf(tensor)
  const result = materialized.get(tensor) ?? recent.get(tensor) ?? wholeOf(tensor)
  if (size <= smallBytes) {
    materialized.set(tensor, result)
    return result
  }
  recent.delete(tensor)
  recent.set(tensor, result)
  let sum = [...recent.keys()].reduce((bytes, one) => bytes + sizeInBytes(one), 0)
  for (const [other] of recent) {
    if (sum <= recentBytes) break
    recent.delete(other)
    sum -= sizeInBytes(other)
  }
  return result
}

const wholeOf = (tensor: Exclude<Tensor, Dense>): Dense => {
  const { dtype, shape, meta } = tensor
  if (tensor.tag === 'External') return dense(dtype, shape, tensor.read(tensor.offset, tensor.length), meta)
  if (tensor.tag === 'Gather' && bitsOf(dtype) < 8) return gatherPacked(tensor)
  return dense(dtype, shape, rowsOf(tensor, 0, shape[0] ?? 1), meta)
}

/** Some rows of a tensor: indices along axis 0 from `first` on. */
export interface Piece {
  readonly first: number
  readonly rows: Dense
}

/**
 * The rows of a tensor piece by piece, each of which is read or made when it is asked for and takes at most `bytes`, or one
 * row; elements of less than a byte, and strings, all at once.
 */
export function* pieces(tensor: Tensor, bytes = pieceBytes): Iterable<Piece> {
  const [count = 1, ...inner] = tensor.shape
  const each = byteLength(tensor.dtype, sizeOf(inner))
  const step = Math.max(1, Math.floor(bytes / Math.max(1, each)))
  if (bitsOf(tensor.dtype) < 8 || count <= step) {
    yield { first: 0, rows: materialize(tensor) }
    return
  }
  for (let first = 0; first < count; first += step) {
    const end = Math.min(count, first + step)
    yield { first, rows: dense(tensor.dtype, [end - first, ...inner], rowsOf(tensor, first, end)) }
  }
}

/** Bytes of the rows of a tensor with elements of whole bytes; a scalar is one row. */
const rowsOf = (tensor: Tensor, first: number, end: number): Uint8Array => {
  const inner = tensor.shape.slice(1)
  const each = byteLength(tensor.dtype, sizeOf(inner))
  switch (tensor.tag) {
    case 'Dense':
      return tensor.bytes.subarray(first * each, end * each)
    case 'External':
      return tensor.read(tensor.offset + first * each, (end - first) * each)
    case 'Edited': {
      const rows = rowsOf(tensor.source, first, end)
      return tensor.edit(tensor.source.tag === 'Dense' ? rows.slice() : rows, first)
    }
    case 'Held':
      return heldRows(tensor, first, end)
    case 'Gather': {
      const { source, indices } = tensor
      const kept = indices[0]?.subarray(first, end)
      const low = kept?.reduce((a, b) => Math.min(a, b), Infinity) ?? first
      const high = kept?.reduce((a, b) => Math.max(a, b), -1) ?? end - 1
      if (high < low) return new Uint8Array(0)
      const from = rowsOf(source, low, high + 1)
      const shape = [high + 1 - low, ...source.shape.slice(1)]
      const selected = [kept?.map((i) => i - low) ?? null, ...indices.slice(1)]
      return pick(from, shape, selected, bitsOf(tensor.dtype) / 8)
    }
  }
}

/** A selection of strings, or of elements under 8 bits. */
const gatherPacked = (tensor: Gather): Dense => {
  const source = materialize(tensor.source)
  if (source.strings) return gatherStrings(source, source.strings, tensor)
  const picked = pick(unpack(source), source.shape, tensor.indices, 1)
  return dense(tensor.dtype, tensor.shape, pack(tensor.dtype, picked), tensor.meta)
}

const gatherStrings = (source: Dense, strings: ReadonlyArray<Uint8Array>, tensor: Gather): Dense => {
  const order = new Int32Array(sizeOf(source.shape)).map((_, i) => i)
  const bytes = pick(new Uint8Array(order.buffer), source.shape, tensor.indices, 4)
  const picked = Array.from(new Int32Array(bytes.buffer), (i) => strings[i] ?? new Uint8Array())
  return { tag: 'Dense', dtype: 'string', shape: tensor.shape, bytes: new Uint8Array(), strings: picked }
}

/** One byte per element of a packed type, sign-less. */
const unpack = (tensor: Dense): Uint8Array => {
  const bits = bitsOf(tensor.dtype)
  const per = 8 / bits
  const mask = (1 << bits) - 1
  const out = new Uint8Array(sizeOf(tensor.shape))
  for (let i = 0; i < out.length; i++) out[i] = ((tensor.bytes[Math.floor(i / per)] ?? 0) >> ((i % per) * bits)) & mask
  return out
}

const pack = (dtype: DType, raw: Uint8Array): Uint8Array => {
  const bits = bitsOf(dtype)
  const per = 8 / bits
  const out = new Uint8Array(byteLength(dtype, raw.length))
  for (let i = 0; i < raw.length; i++) {
    const at = Math.floor(i / per)
    out[at] = (out[at] ?? 0) | ((raw[i] ?? 0) << ((i % per) * bits))
  }
  return out
}

/** A float32 view of the bytes where alignment allows it, else a copy. Only for float32 tensors. */
export const float32View = (tensor: Dense): Float32Array => {
  invariant(tensor.dtype === 'float32', `a float32 view of ${tensor.dtype}`)
  const { bytes } = tensor
  return bytes.byteOffset % 4 === 0
    ? new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
    : new Float32Array(new Uint8Array(bytes).buffer)
}

/** Reads single elements as numbers. Unlike {@link elements} it copies no floats, however their bytes are aligned. */
export const elementReader = (tensor: Tensor): ((index: number) => number) => {
  const source = materialize(tensor)
  const view = new DataView(source.bytes.buffer, source.bytes.byteOffset, source.bytes.byteLength)
  switch (source.dtype) {
    case 'float32':
      return (index) => view.getFloat32(4 * index, true)
    case 'float64':
      return (index) => view.getFloat64(8 * index, true)
    case 'float16':
      return (index) => fromFloat16(view.getUint16(2 * index, true))
    case 'bfloat16':
      return (index) => fromBfloat16(view.getUint16(2 * index, true))
    default: {
      const values = elements(source)
      return (index) => Number(values[index])
    }
  }
}

/** An array to compute a tensor's elements in, whose stores round at most once to `dtype` or to double. */
export const elementBuffer = (dtype: DType, size: number): Float32Array | Float64Array =>
  dtype === 'float32' ? new Float32Array(size) : new Float64Array(size)

/** The elements in a new array to compute in; stores round at most once to the tensor's type or to double. */
export const copyElements = (tensor: Tensor): Float32Array | Float64Array => {
  const source = materialize(tensor)
  if (source.dtype === 'float32') return new Float32Array(new Uint8Array(source.bytes).buffer)
  const values = elements(source)
  return values instanceof BigInt64Array || values instanceof BigUint64Array
    ? Float64Array.from(values, Number)
    : new Float64Array(values)
}

/** The elements as numbers: float32 as a view where possible, 64-bit integers as bigint, all else as doubles. */
export const elements = (tensor: Tensor): Elements => {
  const source = materialize(tensor)
  const { dtype, bytes } = source
  if (dtype === 'float32') return float32View(source)
  const copy = new Uint8Array(bytes).buffer
  if (dtype === 'int64') return new BigInt64Array(copy)
  if (dtype === 'uint64') return new BigUint64Array(copy)
  switch (dtype) {
    case 'float64':
      return new Float64Array(copy)
    case 'float16':
      return Float64Array.from(new Uint16Array(copy), fromFloat16)
    case 'bfloat16':
      return Float64Array.from(new Uint16Array(copy), fromBfloat16)
    case 'int32':
      return Float64Array.from(new Int32Array(copy))
    case 'uint32':
      return Float64Array.from(new Uint32Array(copy))
    case 'int16':
      return Float64Array.from(new Int16Array(copy))
    case 'uint16':
      return Float64Array.from(new Uint16Array(copy))
    case 'int8':
      return Float64Array.from(new Int8Array(copy))
    case 'uint8':
    case 'bool':
      return Float64Array.from(new Uint8Array(copy))
    case 'uint4':
    case 'uint2':
      return Float64Array.from(unpack(source))
    case 'int4':
      return Float64Array.from(unpack(source), (x) => (x << 28) >> 28)
    case 'int2':
      return Float64Array.from(unpack(source), (x) => (x << 30) >> 30)
    default:
      throw new Error(`chasec: internal invariant broken: numbers of a ${dtype} tensor.`)
  }
}

/** Whether {@link elements} can read this type as numbers. */
export const isNumeric = (dtype: DType): boolean =>
  dtype !== 'string' && !dtype.startsWith('complex') && !dtype.startsWith('float8') && dtype !== 'float4e2m1'

/**
 * Little-endian bytes of `values` as `dtype`, one rounding each; integers wrap like a C cast. A Float32Array becomes
 * float32 bytes without a copy: it must not be written to afterwards.
 */
export const encodeElements = (dtype: DType, values: Elements | ReadonlyArray<number>): Uint8Array => {
  const numbers = (): ReadonlyArray<number> | Float64Array | Float32Array =>
    values instanceof BigInt64Array || values instanceof BigUint64Array ? Float64Array.from(values, Number) : values
  const bytesOf = (array: { readonly buffer: ArrayBufferLike }): Uint8Array => new Uint8Array(array.buffer)
  if (isWide(dtype)) {
    const wide: Array<bigint> = []
    for (const v of values) wide.push(typeof v === 'bigint' ? v : BigInt(Math.trunc(v)))
    return bytesOf(dtype === 'int64' ? BigInt64Array.from(wide) : BigUint64Array.from(wide))
  }
  switch (dtype) {
    case 'float32':
      return values instanceof Float32Array
        ? new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
        : bytesOf(new Float32Array(numbers()))
    case 'float64':
      return bytesOf(new Float64Array(numbers()))
    case 'float16':
      return bytesOf(Uint16Array.from(numbers(), toFloat16))
    case 'bfloat16':
      return bytesOf(Uint16Array.from(numbers(), toBfloat16))
    case 'int32':
      return bytesOf(Int32Array.from(numbers()))
    case 'uint32':
      return bytesOf(Uint32Array.from(numbers()))
    case 'int16':
      return bytesOf(Int16Array.from(numbers()))
    case 'uint16':
      return bytesOf(Uint16Array.from(numbers()))
    case 'int8':
      return bytesOf(Int8Array.from(numbers()))
    case 'uint8':
      return bytesOf(Uint8Array.from(numbers()))
    case 'bool':
      return bytesOf(Uint8Array.from(numbers(), (x) => (x === 0 ? 0 : 1)))
    case 'int4':
    case 'uint4':
    case 'int2':
    case 'uint2':
      return pack(
        dtype,
        Uint8Array.from(numbers(), (x) => x & ((1 << bitsOf(dtype)) - 1)),
      )
    default:
      throw new Error(`chasec: internal invariant broken: numbers as a ${dtype} tensor.`)
  }
}

/** The elements as JavaScript numbers; undefined for types that hold none. */
export const numbersIn = (tensor: Tensor): ReadonlyArray<number> | undefined =>
  isNumeric(tensor.dtype) ? Array.from(elements(tensor), Number) : undefined

/** An integer tensor's elements as JavaScript numbers, or undefined where one is not a safe integer. */
export const integersOf = (tensor: Tensor): ReadonlyArray<number> | undefined => {
  if (!isNumeric(tensor.dtype)) return undefined
  const out: number[] = []
  for (const x of elements(tensor)) {
    const n = Number(x)
    if (!Number.isSafeInteger(n)) return undefined
    out.push(n)
  }
  return out
}
