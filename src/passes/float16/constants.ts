/** Constants in half precision: what they would lose, and what they become. */
import { float32BitsToFloat16, fromFloat16 } from '../../ir/dtype.ts'
import { edited, reformed } from '../../ir/edits.ts'
import { type Dense, float32View, pieces, type Tensor } from '../../ir/tensor.ts'
import { sizeOf } from '../../ir/type.ts'

/**
 * What a finite number beyond half precision is clamped to, where clamping it is right: half of the largest number, so that what is
 * added to it stays finite.
 */
export const clampedTo = 2 ** 15

/** From here on a number is rounded to infinity: half a unit above 65504, the largest. */
const overflow = 65520

/** The rounding error of a row against the row, both as root mean squares, from which on the row has lost digits. Usual: 2^-13. */
const rowLimit = 2 ** -9

/** The same of a number alone: a normal one is off by half a unit in the last place at most. */
const numberLimit = 2 ** -11

/** Rows below this share of the largest one, as root mean squares, are below the rounding of what they are summed up with. */
const rowCounts = 2 ** -11

/** What half precision would do to a constant. */
export interface Loss {
  /** Finite numbers that it has no room for. */
  readonly beyond: number
  /** Rows, or numbers alone, of which it would hold too few digits. */
  readonly lost: number
}

const tables: Float32Array[] = []

/** Every number of half precision by its bits, made once. */
const halves = (): Float32Array =>
  (tables[0] ??= Float32Array.from({ length: 2 ** 16 }, (_, bits) => fromFloat16(bits)))

const wordsOf = ({ bytes }: Dense): Uint32Array =>
  bytes.byteOffset % 4 === 0
    ? new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
    : new Uint32Array(new Uint8Array(bytes).buffer)

/**
 * What `tensor`, float32, would lose: judged along `axis` (the output channels of a weight), or as one row without. It is read
 * piece by piece, once.
 */
export const lossOf = (tensor: Tensor, axis: number | undefined): Loss => {
  const { shape } = tensor
  const [size, inner] = axis === undefined ? [1, sizeOf(shape)] : [shape[axis] ?? 1, sizeOf(shape.slice(axis + 1))]
  const [squares, errors] = [new Float64Array(size), new Float64Array(size)]
  const known = halves()
  const each = sizeOf(shape.slice(1))
  let beyond = 0
  for (const { first, rows } of pieces(tensor)) {
    const [numbers, words] = [float32View(rows), wordsOf(rows)]
    let at = 0
    while (at < numbers.length) {
      const place = first * each + at
      const row = Math.floor(place / inner) % size
      const end = Math.min(numbers.length, at + inner - (place % inner))
      let [sum, error] = [0, 0]
      for (; at < end; at++) {
        const x = numbers[at] ?? 0
        if (!(Math.abs(x) < overflow)) {
          if (Number.isFinite(x)) beyond += 1
          continue
        }
        const off = (known[float32BitsToFloat16(words[at] ?? 0)] ?? 0) - x
        sum += x * x
        error += off * off
      }
      squares[row] = (squares[row] ?? 0) + sum
      errors[row] = (errors[row] ?? 0) + error
    }
  }
  const largest = squares.reduce((a, b) => Math.max(a, b), 0)
  const limit = sizeOf(shape) === 1 ? numberLimit : rowLimit
  let lost = 0
  for (let row = 0; row < size; row++) {
    const square = squares[row] ?? 0
    if (square >= largest * rowCounts ** 2 && (errors[row] ?? 0) > square * limit ** 2) lost += 1
  }
  return { beyond, lost }
}

/** How many numbers of `tensor`, float32, half precision holds too few digits of to divide by them, `offset` added to each first. */
export const lostAsDivisors = (tensor: Tensor, offset: number): number => {
  const known = halves()
  let lost = 0
  for (const { rows } of pieces(tensor)) {
    const [numbers, words] = [float32View(rows), wordsOf(rows)]
    for (let i = 0; i < numbers.length; i++) {
      const x = numbers[i] ?? 0
      const off = (known[float32BitsToFloat16(words[i] ?? 0)] ?? 0) - x
      if (Math.abs(off) > rowLimit * Math.abs(x + offset)) lost += 1
    }
  }
  return lost
}

/** The bits of the nearest half of a float32, finite numbers beyond clamped. */
const clampedHalf = (word: number): number => {
  const half = float32BitsToFloat16(word)
  const isBeyond = (half & 0x7fff) === 0x7c00 && (word & 0x7fffffff) !== 0x7f800000
  return isBeyond ? (half & 0x8000) | clampedBits : half
}

/** The bits of {@link clampedTo}. */
const clampedBits = 0x7800

const wordsIn = (bytes: Uint8Array): Uint32Array =>
  wordsOf({ tag: 'Dense', dtype: 'float32', shape: [bytes.byteLength / 4], bytes })

/** `tensor`, float32, rounded to half precision; finite numbers beyond it clamped to {@link clampedTo}. Made while it is read. */
export const toHalf = (tensor: Tensor): Tensor =>
  reformed(tensor, { dtype: 'float16', shape: tensor.shape }, (bytes) => {
    const words = wordsIn(bytes)
    const out = new Uint16Array(words.length)
    for (let i = 0; i < out.length; i++) out[i] = clampedHalf(words[i] ?? 0)
    return new Uint8Array(out.buffer)
  })

/** The same numbers in float32. */
export const halfNumbers = (tensor: Tensor): Tensor =>
  edited(tensor, (bytes) => {
    const [words, known] = [wordsIn(bytes), halves()]
    const out = new Float32Array(words.length)
    for (let i = 0; i < out.length; i++) out[i] = known[clampedHalf(words[i] ?? 0)] ?? 0
    return new Uint8Array(out.buffer)
  })
