/** What the slices of a constant tensor hold. Scans are remembered per tensor. */
import { digestOf } from './digest.ts'
import { bitsOf, byteLength, isFloat } from './dtype.ts'
import { scan } from './scan.ts'
import { elements, gather, isNumeric, materialize, pieces, sampleReader, type Tensor } from './tensor.ts'
import { sizeOf } from './type.ts'

const uniforms = new WeakMap<Tensor, { readonly value: number | undefined }>()

/** The number that every element equals, if there is one. */
export const uniformValue = (tensor: Tensor): number | undefined => {
  const known = uniforms.get(tensor)
  if (known) return known.value
  const value = findUniform(tensor)
  uniforms.set(tensor, { value })
  return value
}

/** Bytes that are compared at once. */
const uniformBytes = 2 ** 16

const findUniform = (tensor: Tensor): number | undefined => {
  if (!isNumeric(tensor.dtype) || sizeOf(tensor.shape) === 0) return undefined
  let first: number | bigint | undefined
  // Most tensors show by their first rows that they are not.
  for (const { rows } of pieces(tensor, uniformBytes)) {
    const values = elements(rows)
    first ??= values[0]
    for (const x of values) if (x !== first) return undefined
  }
  const value = Number(first)
  return typeof first === 'bigint' && !Number.isSafeInteger(value) ? undefined : value
}

const constants = new WeakMap<Tensor, Map<number, Float64Array>>()

/** Per index along `axis` the number that its whole slice holds, NaN where it holds several, and for integers of more than 16 bits. */
export const sliceConstants = (tensor: Tensor, axis: number): Float64Array => {
  const known = constants.get(tensor) ?? new Map<number, Float64Array>()
  constants.set(tensor, known)
  const found = known.get(axis)
  if (found) return found
  const size = tensor.shape[axis] ?? 0
  const out = new Float64Array(size).fill(NaN)
  const isTold = isFloat(tensor.dtype) || (isNumeric(tensor.dtype) && bitsOf(tensor.dtype) <= 16)
  if (isTold && sizeOf(tensor.shape) > 0) {
    const values = elements(tensor)
    const inner = sizeOf(tensor.shape.slice(axis + 1))
    const outer = sizeOf(tensor.shape.slice(0, axis))
    for (let i = 0; i < size; i++) {
      const first = Number(values[i * inner])
      let same = true
      for (let o = 0; o < outer && same; o++) {
        const start = (o * size + i) * inner
        for (let k = 0; k < inner; k++) {
          if (values[start + k] !== first) {
            same = false
            break
          }
        }
      }
      if (same) out[i] = first
    }
  }
  known.set(axis, out)
  return out
}

const classes = new WeakMap<Tensor, Map<number, Int32Array | undefined>>()

/** Elements of a slice that are looked at to see whether it may be equal to another one. */
const sampled = 16

/** Bytes that are looked at at once. */
const lookedBytes = 2 ** 20

/** Bytes of slices that are compared at once. */
const comparedBytes = 2 ** 24

/**
 * Per index along `axis` the first index whose slice has the same bytes (so that 0 is not -0), as far as a digest tells;
 * undefined where all differ. Most slices are told apart by a few elements, the others by all.
 */
export const sliceClasses = (tensor: Tensor, axis: number): Int32Array | undefined => {
  const known = classes.get(tensor) ?? new Map<number, Int32Array | undefined>()
  classes.set(tensor, known)
  if (!known.has(axis)) known.set(axis, findClasses(tensor, axis))
  return known.get(axis)
}

const findClasses = (tensor: Tensor, axis: number): Int32Array | undefined => {
  const size = tensor.shape[axis] ?? 0
  if (size < 2 || tensor.dtype === 'string' || bitsOf(tensor.dtype) < 8 || sizeOf(tensor.shape) === 0) return undefined
  const buckets = new Map<number, number[]>()
  for (const [i, hash] of sampleHashes(tensor, axis).entries()) {
    const bucket = buckets.get(hash)
    if (bucket === undefined) buckets.set(hash, [i])
    else bucket.push(i)
  }
  const firsts = new Int32Array(size).map((_, i) => i)
  let isEqual = false
  const each = (byteLength(tensor.dtype, 1) * sizeOf(tensor.shape)) / size
  const step = Math.max(1, Math.floor(comparedBytes / each))
  let zeros: Uint8Array | undefined
  for (const found of buckets.values()) {
    if (found.length < 2) continue
    // More than are compared at once are mostly those that a mask leaves zero, which need not be gathered.
    if (found.length > step) zeros ??= zeroSlices(tensor, axis)
    const [zero = 0, ...others] = found.filter((i) => zeros?.[i] === 1)
    for (const i of others) firsts[i] = zero
    isEqual ||= others.length > 0
    const bucket = found.filter((i) => zeros?.[i] !== 1)
    const known = new Map<string, number>()
    for (let at = 0; at < bucket.length; at += step) {
      const members = bucket.slice(at, at + step)
      const { bytes } = materialize(gather(tensor, axis, Int32Array.from(members)))
      const inner = byteLength(tensor.dtype, sizeOf(tensor.shape.slice(axis + 1)))
      for (const [k, i] of members.entries()) {
        const slice = new Uint8Array(each)
        for (let o = 0; o * inner < each; o++) {
          const start = (o * members.length + k) * inner
          slice.set(bytes.subarray(start, start + inner), o * inner)
        }
        const digest = digestOf(slice)
        const first = known.get(digest)
        if (first === undefined) known.set(digest, i)
        else {
          firsts[i] = first
          isEqual = true
        }
      }
    }
  }
  return isEqual ? firsts : undefined
}

/** 1 for each slice of which all bytes are zero. */
const zeroSlices = (tensor: Tensor, axis: number): Uint8Array => {
  const zero = new Uint8Array(tensor.shape[axis] ?? 0).fill(1)
  const block = byteLength(tensor.dtype, sizeOf(tensor.shape.slice(axis + 1)))
  let i = 0
  for (const { rows } of pieces(tensor, lookedBytes)) {
    const { bytes } = rows
    for (let start = 0; start < bytes.byteLength; start += block) {
      if (zero[i] === 1 && !isZero(bytes, start, block)) zero[i] = 0
      i = i + 1 === zero.length ? 0 : i + 1
    }
  }
  return zero
}

const isZero = (bytes: Uint8Array, start: number, count: number): boolean => {
  for (let k = start; k < start + count; k++) if (bytes[k] !== 0) return false
  return true
}

/** A hash of a few elements of each slice, the same ones of all. */
const sampleHashes = (tensor: Tensor, axis: number): Int32Array => {
  const size = tensor.shape[axis] ?? 0
  const inner = sizeOf(tensor.shape.slice(axis + 1))
  const count = sizeOf(tensor.shape) / size
  const places = new Set<number>()
  for (let k = 0; k < Math.min(sampled, count); k++) places.add(Math.floor((k * count) / Math.min(sampled, count)))
  const hashes = new Int32Array(size)
  const at = sampleReader(tensor)
  if (at === undefined) {
    hashBytes(tensor, axis, places, hashes)
    return hashes
  }
  const number = new Float64Array(1)
  const bits = new Int32Array(number.buffer)
  for (const place of places) {
    const [outer, rest] = [Math.floor(place / inner), place % inner]
    for (let i = 0; i < size; i++) {
      const value = at((outer * size + i) * inner + rest)
      // All that are no number have one hash, whatever their bits.
      number[0] = Number.isNaN(value) ? 0 : value
      const hash = Math.imul((hashes[i] ?? 0) ^ (bits[0] ?? 0), 0x01000193) ^ (bits[1] ?? 0)
      hashes[i] = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) + place
    }
  }
  return hashes
}

/** The same of what is not read element by element: of columns only those rows are made in which elements are looked at. */
const hashBytes = (tensor: Tensor, axis: number, places: ReadonlySet<number>, hashes: Int32Array): void => {
  const size = hashes.length
  const inner = sizeOf(tensor.shape.slice(axis + 1))
  const outers = new Set(Array.from(places, (place) => Math.floor(place / inner)))
  const isPart = axis === 1 && 4 * outers.size <= (tensor.shape[0] ?? 0)
  const part = isPart ? gather(tensor, 0, Int32Array.from(outers)) : tensor
  const rowOf = new Map(Array.from(outers, (outer, row) => [outer, isPart ? row : outer]))
  const width = byteLength(tensor.dtype, 1)
  const perRow = sizeOf(tensor.shape.slice(1))
  for (const { first, rows } of pieces(part, lookedBytes)) {
    const start = first * perRow
    const end = start + perRow * (rows.shape[0] ?? 1)
    for (const place of places) {
      const [outer, rest] = [rowOf.get(Math.floor(place / inner)) ?? 0, place % inner]
      for (let i = 0; i < size; i++) {
        const at = (outer * size + i) * inner + rest
        if (at < start || at >= end) continue
        let hash = hashes[i] ?? 0
        for (let b = (at - start) * width; b < (at - start + 1) * width; b++) {
          hash = Math.imul(hash ^ (rows.bytes[b] ?? 0), 0x01000193)
        }
        hashes[i] = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) + place
      }
    }
  }
}

/** Blocks of a weight: for output channel o and input channel c, the elements `W[o, c, ...]`. */
export interface Blocks {
  readonly outputs: number
  readonly inputs: number
  /** A bit for each block, 1 where it has an element other than zero: bit `c % 32` of word `o * words + c / 32`. */
  readonly nonZero: Uint32Array
  /** Words that hold the bits of one output. */
  readonly words: number
}

const noBlocks = (outputs: number, inputs: number): Blocks => {
  const words = Math.ceil(inputs / 32)
  return { outputs, inputs, words, nonZero: new Uint32Array(outputs * words) }
}

export const isNonZero = ({ nonZero, words }: Blocks, o: number, c: number): boolean =>
  (((nonZero[o * words + (c >>> 5)] ?? 0) >>> (c & 31)) & 1) === 1

const setNonZero = ({ nonZero, words }: Blocks, o: number, c: number): void => {
  const at = o * words + (c >>> 5)
  nonZero[at] = (nonZero[at] ?? 0) | (1 << (c & 31))
}

const blocks = new WeakMap<Tensor, Map<number, Blocks>>()

/** Which blocks of a weight are not all zero. The two channel axes must be axes 0 and 1, in either order. */
export const weightBlocks = (tensor: Tensor, outputAxis: number, inputAxis: number): Blocks => {
  const known = blocks.get(tensor) ?? new Map<number, Blocks>()
  blocks.set(tensor, known)
  const found = known.get(outputAxis)
  if (found) return found
  const result = selectedBlocks(tensor, outputAxis, inputAxis) ?? scanBlocks(tensor, outputAxis, inputAxis)
  known.set(outputAxis, result)
  return result
}

/**
 * Notes that `to` has the blocks of `from`, of which it differs by factors other than zero only: it need not be scanned.
 * Where a product is so small that it rounds to zero the block still counts as one that is read.
 */
export const keepBlocks = (from: Tensor, to: Tensor): void => {
  const known = blocks.get(from)
  if (known !== undefined) blocks.set(to, new Map(known))
}

/** Blocks of a selection of whole blocks, from those of what it selects from: nothing is gathered or scanned. */
const selectedBlocks = (tensor: Tensor, outputAxis: number, inputAxis: number): Blocks | undefined => {
  if (tensor.tag !== 'Gather' || tensor.indices.slice(2).some((kept) => kept !== null)) return undefined
  const from = weightBlocks(tensor.source, outputAxis, inputAxis)
  const [rows, columns] = [tensor.indices[outputAxis], tensor.indices[inputAxis]]
  const result = noBlocks(tensor.shape[outputAxis] ?? 0, tensor.shape[inputAxis] ?? 0)
  for (let o = 0; o < result.outputs; o++) {
    const row = rows?.[o] ?? o
    if (columns) columns.forEach((c, i) => isNonZero(from, row, c) && setNonZero(result, o, i))
    else result.nonZero.set(from.nonZero.subarray(row * from.words, (row + 1) * from.words), o * result.words)
  }
  return result
}

const scanBlocks = (tensor: Tensor, outputAxis: number, inputAxis: number): Blocks => {
  const result = noBlocks(tensor.shape[outputAxis] ?? 0, tensor.shape[inputAxis] ?? 0)
  const block = sizeOf(tensor.shape.slice(2))
  const columns = tensor.shape[1] ?? 0
  // Bits of up to 32 rows for each column: rows that are inputs share words.
  const waiting = new Int32Array(outputAxis === 0 ? 0 : columns)
  const { nonZero, words } = result
  for (const { first, end, values } of scan(tensor)) {
    for (let row = first, start = 0; row < end; row++, start += columns * block) {
      if (outputAxis === 0) {
        for (let column = 0, at = start; column < columns; column += 32) {
          let word = 0
          const next = Math.min(columns, column + 32)
          for (let c = column; c < next; c++, at += block) word |= holdsNonZero(values, at, block) << (c & 31)
          nonZero[row * words + (column >>> 5)] = word
        }
        continue
      }
      for (let c = 0, at = start; c < columns; c++, at += block) {
        waiting[c] = (waiting[c] ?? 0) | (holdsNonZero(values, at, block) << (row & 31))
      }
      if ((row & 31) !== 31 && row !== result.inputs - 1) continue
      for (let c = 0; c < columns; c++) nonZero[c * words + (row >>> 5)] = waiting[c] ?? 0
      waiting.fill(0)
    }
  }
  return result
}

/** 1 where one of `count` elements from `start` on is not zero. */
const holdsNonZero = (values: Float32Array | Float64Array, start: number, count: number): number => {
  for (let k = start; k < start + count; k++) if (values[k] !== 0) return 1
  return 0
}

/** Sum of the elements of block (o, c) of a weight whose elements `valueAt` reads. */
export const blockSum = (
  tensor: Tensor,
  valueAt: (index: number) => number,
  outputAxis: number,
  o: number,
  c: number,
): number => {
  const block = sizeOf(tensor.shape.slice(2))
  const second = tensor.shape[1] ?? 0
  const start = (outputAxis === 0 ? o * second + c : c * second + o) * block
  let sum = 0
  for (let k = start; k < start + block; k++) sum += valueAt(k)
  return sum
}
