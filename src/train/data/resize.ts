/** Enlarging a part of an image of bytes. */
import { invariant } from '../../ir/failure.ts'

/** Where each result lies between two neighbours, and what the second of them counts, in 2²² parts. */
interface Taps {
  readonly first: Int32Array
  readonly second: Int32Array
  readonly weight: Int32Array
}

const one = 1 << 22

/** Result i of `to` lies at (i + ½) · from / to - ½; beyond the first and the last number these are repeated. */
const tapsOf = (from: number, to: number): Taps => {
  const [first, second, weight] = [new Int32Array(to), new Int32Array(to), new Int32Array(to)]
  for (let i = 0; i < to; i++) {
    const place = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5))
    const low = Math.floor(place)
    first[i] = low
    second[i] = Math.min(from - 1, low + 1)
    weight[i] = Math.floor((place - low) * one + 0.5)
  }
  return { first, second, weight }
}

export interface Enlarging {
  /** Size of the part and of the result, which is at least as large. */
  readonly from: { readonly height: number; readonly width: number }
  readonly to: { readonly height: number; readonly width: number }
}

/**
 * Brings a part of a plane of bytes to another size by bilinear interpolation, (1 - a) · p + a · q between neighbours, first
 * along rows, then along columns, rounded to bytes after each: the numbers of Pillow's bilinear resize of the part cut
 * out, and so of torchvision's on Pillow images. (Its antialiasing only comes in where images get smaller.)
 *
 * The function reads the part from `source`, in which it begins at `at` and rows are `stride` long, and writes to `target`
 * from `start` on.
 */
export const enlarger = ({ from, to }: Enlarging) => {
  invariant(from.height <= to.height && from.width <= to.width, 'a part larger than the result')
  const [across, down] = [tapsOf(from.width, to.width), tapsOf(from.height, to.height)]
  const rows = new Uint8Array(from.height * to.width)
  return (source: Uint8Array, at: number, stride: number, target: Uint8Array, start: number): void => {
    for (let y = 0; y < from.height; y++) enlargeRow(source, at + y * stride, across, rows, y * to.width)
    for (let y = 0; y < to.height; y++) {
      const [p, q] = [(down.first[y] ?? 0) * to.width, (down.second[y] ?? 0) * to.width]
      mixRows(rows, p, q, down.weight[y] ?? 0, target, start + y * to.width, to.width)
    }
  }
}

const enlargeRow = (
  source: Uint8Array,
  at: number,
  { first, second, weight }: Taps,
  target: Uint8Array,
  start: number,
): void => {
  for (let x = 0; x < weight.length; x++) {
    const p = source[at + (first[x] ?? 0)] ?? 0
    const q = source[at + (second[x] ?? 0)] ?? 0
    target[start + x] = between(p, q, weight[x] ?? 0)
  }
}

const mixRows = (
  rows: Uint8Array,
  p: number,
  q: number,
  weight: number,
  target: Uint8Array,
  start: number,
  width: number,
): void => {
  for (let x = 0; x < width; x++) target[start + x] = between(rows[p + x] ?? 0, rows[q + x] ?? 0, weight)
}

const between = (p: number, q: number, weight: number): number =>
  ((p << 22) + Math.imul(q - p, weight) + (one >> 1)) >> 22
