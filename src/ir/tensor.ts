/**
 * Constant tensors. Structure is rebuilt freely; bytes are shared and never written to after a tensor was made.
 *
 * `Dense` holds little-endian bytes in memory, `External` a range of a file, `Gather` a selection of indices per axis of
 * another tensor, `Edited` another tensor with new numbers, `Held` smaller tensors that a node makes it from. The bytes of all
 * but the first are made whenever they are read, so that a graph holds no large weight: row by row by {@link pieces}, or at once
 * by {@link materialize}.
 */
import { bitsOf, byteLength, type DType, fromBfloat16, fromFloat16, isFloat } from './dtype.ts'
import { decodeElements, type Elements, encodeElements, pack, unpack } from './element-codec.ts'
import { invariant } from './failure.ts'
import { roundTo } from './numerics.ts'
import { heldReader } from './held.ts'
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
  /** Of as many rows (indices along axis 0), which are whole bytes. */
  readonly source: Tensor
  /** The bytes of rows from `first` on, given those of the source, which it may write to. */
  readonly edit: (rows: Uint8Array, first: number) => Uint8Array
  /** Where an element depends on no other: what {@link Edited.edit} makes of the one at `index`, before it is rounded. */
  readonly each?: (value: number, index: number) => number
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
  const along = (part: Tensor | undefined): Tensor | undefined =>
    part?.shape.length === tensor.shape.length ? gather(part, axis, indices) : part
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

/** Whether its elements are made once and remembered. */
export const isSmall = (tensor: TensorShape): boolean => sizeInBytes(tensor) <= smallBytes

/** Whether each row (an index along axis 0) begins and ends at a whole byte, so that rows are read and changed one by one. */
export const hasWholeRows = ({ dtype, shape }: TensorShape): boolean =>
  bitsOf(dtype) >= 8 || (dtype !== 'string' && shape.length > 0 && (sizeOf(shape.slice(1)) * bitsOf(dtype)) % 8 === 0)

/** Bytes that a model keeps of a tensor: of what is held, those of its parts. */
export const storedBytes = (tensor: Tensor | undefined): number => {
  if (tensor === undefined) return 0
  if (tensor.tag !== 'Held') return sizeInBytes(tensor)
  return storedBytes(tensor.stored) + storedBytes(tensor.scale) + storedBytes(tensor.zero)
}

/** Rows of what is held, decoded and rounded once. */
const heldRows = (tensor: Held, first: number, end: number): Uint8Array => {
  const { stored, dtype } = tensor
  const each = sizeOf(tensor.shape.slice(1))
  const [start, count] = [first * each, (end - first) * each]
  const given = hasWholeRows(stored)
    ? decodeElements(stored.dtype, rowsOf(stored, first, end), count)
    : elements(stored).subarray(start, start + count)
  const { decode } = heldReader(tensor, tensor.scale && elements(tensor.scale), tensor.zero && elements(tensor.zero))
  const numbers = new Float64Array(count)
  for (let i = 0; i < count; i++) numbers[i] = decode(Number(given[i]), start + i)
  return encodeElements(dtype, numbers)
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
  if (tensor.tag === 'Gather' && !hasWholeRows(tensor)) return gatherPacked(tensor)
  return dense(dtype, shape, rowsOf(tensor, 0, shape[0] ?? 1), meta)
}

/** Some rows of a tensor: indices along axis 0 from `first` on. */
export interface Piece {
  readonly first: number
  readonly rows: Dense
}

/**
 * The rows of a tensor piece by piece, each of which is read or made when it is asked for and takes at most `bytes`, or one
 * row; rows that share a byte, and strings, all at once.
 */
export function* pieces(tensor: Tensor, bytes = pieceBytes): Iterable<Piece> {
  const [count = 1, ...inner] = tensor.shape
  const each = byteLength(tensor.dtype, sizeOf(inner))
  const step = Math.max(1, Math.floor(bytes / Math.max(1, each)))
  if (!hasWholeRows(tensor) || (count <= step && isSmall(tensor))) {
    yield { first: 0, rows: materialize(tensor) }
    return
  }
  for (let first = 0; first < count; first += step) {
    const end = Math.min(count, first + step)
    yield { first, rows: dense(tensor.dtype, [end - first, ...inner], rowsOf(tensor, first, end)) }
  }
}

/** Bytes of rows of a tensor that {@link hasWholeRows}; a scalar is one row. */
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
      const { source, indices, dtype } = tensor
      if (!hasWholeRows(source)) return gatherPacked(tensor).bytes.subarray(first * each, end * each)
      const kept = indices[0]?.subarray(first, end)
      if (kept !== undefined && kept.length > 1 && isSparse(kept)) return scatteredRows(tensor, first, end)
      const low = kept?.reduce((a, b) => Math.min(a, b), Infinity) ?? first
      const high = kept?.reduce((a, b) => Math.max(a, b), -1) ?? end - 1
      if (high < low) return new Uint8Array(0)
      const from = rowsOf(source, low, high + 1)
      const shape = [high + 1 - low, ...source.shape.slice(1)]
      const selected = [kept?.map((i) => i - low) ?? null, ...indices.slice(1)]
      if (bitsOf(dtype) >= 8) return pick(from, shape, selected, bitsOf(dtype) / 8)
      return pack(dtype, pick(unpack(dtype, from, sizeOf(shape)), shape, selected, 1))
    }
  }
}

/** Whether most rows between the first and the last of a selection are left out. */
const isSparse = (kept: Int32Array): boolean => {
  const low = kept.reduce((a, b) => Math.min(a, b), Infinity)
  const high = kept.reduce((a, b) => Math.max(a, b), -1)
  return high + 1 - low > 4 * kept.length
}

/** Rows of a selection one by one: those between them are not read, nor made. */
const scatteredRows = (tensor: Gather, first: number, end: number): Uint8Array => {
  const each = byteLength(tensor.dtype, sizeOf(tensor.shape.slice(1)))
  const out = new Uint8Array((end - first) * each)
  for (let row = first; row < end; row++) out.set(rowsOf(tensor, row, row + 1), (row - first) * each)
  return out
}

/** A selection of strings, or of rows that share bytes. */
const gatherPacked = (tensor: Gather): Dense => {
  const source = materialize(tensor.source)
  if (source.strings) return gatherStrings(source, source.strings, tensor)
  const picked = pick(unpack(source.dtype, source.bytes, sizeOf(source.shape)), source.shape, tensor.indices, 1)
  return dense(tensor.dtype, tensor.shape, pack(tensor.dtype, picked), tensor.meta)
}

const gatherStrings = (source: Dense, strings: ReadonlyArray<Uint8Array>, tensor: Gather): Dense => {
  const order = new Int32Array(sizeOf(source.shape)).map((_, i) => i)
  const bytes = pick(new Uint8Array(order.buffer), source.shape, tensor.indices, 4)
  const picked = Array.from(new Int32Array(bytes.buffer), (i) => strings[i] ?? new Uint8Array())
  return { tag: 'Dense', dtype: 'string', shape: tensor.shape, bytes: new Uint8Array(), strings: picked }
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

/**
 * Reads a few elements as numbers, such as {@link elementReader} gives, without making the others. Undefined where they do not
 * lie in memory one by one, or change together.
 */
export const sampleReader = (tensor: Tensor): ((index: number) => number) | undefined => {
  switch (tensor.tag) {
    case 'Dense':
      return bitsOf(tensor.dtype) >= 8 && isFloat(tensor.dtype) ? elementReader(tensor) : undefined
    case 'Edited': {
      const { dtype, source, each } = tensor
      const at = each && source.dtype === dtype ? sampleReader(source) : undefined
      return each && at && ((index) => roundTo(dtype, each(at(index), index)))
    }
    case 'Gather': {
      const at = sampleReader(tensor.source)
      const places = placesOf(tensor)
      return at && ((index) => at(places(index)))
    }
    default:
      return undefined
  }
}

/** Where the elements of a selection are in what it selects from. */
const placesOf = ({ source, shape, indices }: Gather): ((index: number) => number) => {
  const axes = shape.map((size, axis) => ({ size, kept: indices[axis], stride: sizeOf(source.shape.slice(axis + 1)) }))
  return (index) => {
    let place = 0
    for (let a = axes.length - 1, rest = index; a >= 0; a--) {
      const { size, kept, stride } = axes[a] ?? { size: 1, kept: null, stride: 0 }
      const i = rest % size
      rest = (rest - i) / size
      place += (kept?.[i] ?? i) * stride
    }
    return place
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
  const { dtype, shape, bytes } = source
  if (dtype === 'float32') return float32View(source)
  return decodeElements(dtype, bytes, sizeOf(shape))
}

/** Whether {@link elements} can read this type as numbers. */
export const isNumeric = (dtype: DType): boolean =>
  dtype !== 'string' && !dtype.startsWith('complex') && !dtype.startsWith('float8') && dtype !== 'float4e2m1'

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
