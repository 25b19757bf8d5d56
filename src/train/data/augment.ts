/** From bytes to what a network reads: parts and mirror images, and numbers of mean 0 and deviation 1. */
import { sizeOf } from '../../ir/type.ts'
import type { Cuts, Part } from './cuts.ts'
import type { DataSet, ImageShape } from './data-set.ts'
import { enlarger } from './resize.ts'

/**
 * `(pixel / 255 - mean) / deviation` of each channel, as float32 `[n, channels, height, width]`, cut as `cuts` says; outside
 * the image a pixel is 0, and a part that is smaller than the image is brought to its size. A channel that never changes
 * is only centred.
 */
export const normalised = (
  pixels: Uint8Array,
  shape: ImageShape,
  { mean, deviation }: Pick<DataSet, 'mean' | 'deviation'>,
  cuts?: Cuts,
): Float32Array => {
  const [channels, height, width] = shape
  const size = sizeOf(shape)
  const out = new Float32Array(pixels.length)
  const tables = Array.from({ length: channels }, (_, c) => tableOf(mean[c] ?? 0, deviation[c] ?? 1))
  const enlarged = new Uint8Array(cuts === undefined ? 0 : size)
  let to = 0
  for (let image = 0; image < pixels.length / size; image++) {
    const part = partOf(cuts, image, shape)
    const whole = part.height === height && part.width === width
    const source = whole ? pixels : enlarged
    if (!whole) enlargePart(pixels, image * size, shape, part, enlarged)
    const [top, left] = whole ? [part.top, part.left] : [0, 0]
    const mirrored = cuts?.mirrored[image] === 1
    const step = mirrored ? -1 : 1
    const start = mirrored ? left + width - 1 : left
    // Columns of the result that lie in the image, the rest is outside.
    const first = Math.min(width, Math.max(0, mirrored ? left : -left))
    const end = Math.max(first, Math.min(width, mirrored ? width + left : width - left))
    for (const [c, table] of tables.entries()) {
      const black = table[0] ?? 0
      const plane = (whole ? image * size : 0) + c * height * width
      for (let y = top; y < top + height; y++) {
        const inside = y >= 0 && y < height
        const [from, until] = inside ? [first, end] : [width, width]
        out.fill(black, to, to + from)
        out.fill(black, to + until, to + width)
        let at = plane + y * width + start + step * from
        for (let column = from; column < until; column++) {
          out[to + column] = table[source[at] ?? 0] ?? 0
          at += step
        }
        to += width
      }
    }
  }
  return out
}

const partOf = (cuts: Cuts | undefined, image: number, [, height, width]: ImageShape): Part => ({
  top: cuts?.top[image] ?? 0,
  left: cuts?.left[image] ?? 0,
  height: cuts?.height[image] ?? height,
  width: cuts?.width[image] ?? width,
})

/** Brings a part of the image that begins at `at` to the image's size. */
const enlargePart = (
  pixels: Uint8Array,
  at: number,
  [channels, height, width]: ImageShape,
  part: Part,
  target: Uint8Array,
): void => {
  const enlarge = enlarger({ from: part, to: { height, width } })
  for (let c = 0; c < channels; c++) {
    const plane = c * height * width
    enlarge(pixels, at + plane + part.top * width + part.left, width, target, plane)
  }
}

/** What each byte becomes. */
const tableOf = (mean: number, deviation: number): Float32Array =>
  Float32Array.from({ length: 256 }, (_, byte) => (byte / 255 - mean) / (deviation > 0 ? deviation : 1))
