/** Published images brought to a larger size, when they are used. */
import * as E from 'fp-ts/lib/Either.js'
import type { ImageShape, Source } from './data-set.ts'
import type { Published } from './divide.ts'
import { type DataError, dataError } from './error.ts'
import { enlarger } from './resize.ts'

/**
 * The same images, `size` pixels high and wide, by the bilinear interpolation of {@link enlarger}. Those of that size already are
 * left alone. Errors: images that are larger: what is made smaller has to be filtered first.
 */
export const enlarged = (published: Published, size: number): E.Either<DataError, Published> => {
  const [channels, height, width] = published.shape
  if (height === size && width === size) return E.right(published)
  if (height > size || width > size) {
    const expected = `at least the ${Math.max(height, width)} that the images have`
    const help = 'Leave it out, or give a larger one: only a folder of images is made smaller.'
    return E.left(dataError(`image size of ${published.name}`, expected, `${size}`, help))
  }
  const shape: ImageShape = [channels, size, size]
  const larger = (source: Source): Source => ({
    labels: source.labels,
    pixels: (indices) => async () => {
      const loaded = await source.pixels(indices)()
      return E.isLeft(loaded) ? loaded : E.right(enlargedPlanes(loaded.right, published.shape, shape))
    },
  })
  return E.right({ ...published, shape, train: larger(published.train), test: larger(published.test) })
}

const enlargedPlanes = (pixels: Uint8Array, [, height, width]: ImageShape, to: ImageShape): Uint8Array => {
  const [, tall, wide] = to
  const enlarge = enlarger({ from: { height, width }, to: { height: tall, width: wide } })
  const planes = pixels.length / (height * width)
  const out = new Uint8Array(planes * tall * wide)
  for (let p = 0; p < planes; p++) enlarge(pixels, p * height * width, width, out, p * tall * wide)
  return out
}
