/** From bytes to what a network reads: shifts and mirror images, and numbers of mean 0 and deviation 1. */
import { drawsFrom, type RandomState } from '../../ir/random.ts'
import { sizeOf } from '../../ir/type.ts'
import type { DataSet, ImageShape } from './data-set.ts'

/** How training images are varied: what CIFAR is usually trained with is `{ padding: 4, flip: true }`. */
export interface Augmentation {
  /** Black rows and columns put around the image before a part of its own size is cut out at a random place. */
  readonly padding: number
  /** Whether half of the images are mirrored left to right. */
  readonly flip: boolean
}

/** How each image of a batch is cut: where from, relative to the image itself, and whether mirrored after that. */
export interface Cuts {
  readonly top: Int32Array
  readonly left: Int32Array
  readonly mirrored: Uint8Array
}

export const drawCuts = (
  count: number,
  { padding, flip }: Augmentation,
  state: RandomState,
): { readonly cuts: Cuts; readonly next: RandomState } => {
  const cuts = { top: new Int32Array(count), left: new Int32Array(count), mirrored: new Uint8Array(count) }
  const draws = drawsFrom(state)
  for (let i = 0; i < count; i++) {
    cuts.top[i] = draws.below(2 * padding + 1) - padding
    cuts.left[i] = draws.below(2 * padding + 1) - padding
    cuts.mirrored[i] = flip ? draws.below(2) : 0
  }
  return { cuts, next: draws.state() }
}

/**
 * `(pixel / 255 - mean) / deviation` of each channel, as float32 `[n, channels, height, width]`, cut as `cuts` says; outside
 * the image a pixel is 0. A channel that never changes is only centred.
 */
export const normalised = (
  pixels: Uint8Array,
  shape: ImageShape,
  { mean, deviation }: Pick<DataSet, 'mean' | 'deviation'>,
  cuts?: Cuts,
): Float32Array => {
  const [channels, height, width] = shape
  const out = new Float32Array(pixels.length)
  const count = pixels.length / sizeOf(shape)
  const tables = Array.from({ length: channels }, (_, c) => tableOf(mean[c] ?? 0, deviation[c] ?? 1))
  let to = 0
  for (let image = 0; image < count; image++) {
    const top = cuts?.top[image] ?? 0
    const left = cuts?.left[image] ?? 0
    const mirrored = cuts?.mirrored[image] === 1
    const step = mirrored ? -1 : 1
    const start = mirrored ? left + width - 1 : left
    // Columns of the result that lie in the image, the rest is outside.
    const first = Math.min(width, Math.max(0, mirrored ? left : -left))
    const end = Math.max(first, Math.min(width, mirrored ? width + left : width - left))
    for (const [c, table] of tables.entries()) {
      const black = table[0] ?? 0
      const plane = (image * channels + c) * height * width
      for (let y = top; y < top + height; y++) {
        const inside = y >= 0 && y < height
        const [from, until] = inside ? [first, end] : [width, width]
        out.fill(black, to, to + from)
        out.fill(black, to + until, to + width)
        let at = plane + y * width + start + step * from
        for (let column = from; column < until; column++) {
          out[to + column] = table[pixels[at] ?? 0] ?? 0
          at += step
        }
        to += width
      }
    }
  }
  return out
}

/** What each byte becomes. */
const tableOf = (mean: number, deviation: number): Float32Array =>
  Float32Array.from({ length: 256 }, (_, byte) => (byte / 255 - mean) / (deviation > 0 ? deviation : 1))
