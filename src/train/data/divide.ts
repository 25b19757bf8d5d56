/** Dividing what was read into training, validation and test images. */
import * as E from 'fp-ts/lib/Either.js'
import { seededRandom } from '../../ir/random.ts'
import { sizeOf } from '../../ir/type.ts'
import { type DataSet, type ImageShape, partOf, type Source, type Split } from './data-set.ts'
import { type DataError, dataError } from './error.ts'
import { fixedStatistics, type Normalisation } from './normalisation.ts'
import { shuffled } from './order.ts'

export interface Division {
  /** Decides which training images are for validation. */
  readonly seed: number
  /** Which part of the training images is for validation. Absent: a tenth. */
  readonly validationShare?: number
  /** How many of the rest to train on, the first ones in an order drawn from the seed. Absent: all. */
  readonly trainSize?: number
  /** What bytes become. Absent: `data`. */
  readonly normalisation?: Normalisation
}

/** What was read: all images that may be learnt from, and those that may not. */
export interface Published {
  readonly name: string
  readonly classes: ReadonlyArray<string>
  readonly shape: ImageShape
  readonly train: Source
  readonly test: Source
}

/** Mean and deviation are taken over at most this many bytes of training images: all of CIFAR. */
const measuredBytes = 2 ** 28

/** Images that are loaded at once while measuring. */
const chunk = 1024

/**
 * A data set with its validation part, and the mean and deviation of its training part, unless the normalisation has its own; of very
 * large ones those of the first images in the order drawn from the seed.
 *
 * Errors: shares and sizes that leave a part empty; images that cannot be read.
 */
export const divide = async (published: Published, division: Division): Promise<E.Either<DataError, DataSet>> => {
  const { name, classes, shape } = published
  const count = published.train.labels.length
  const { seed, validationShare = 0.1, trainSize, normalisation = 'data' } = division
  const held = Math.round(count * validationShare)
  if (!(validationShare > 0 && validationShare < 1) || held < 1 || held >= count) {
    const found = `${validationShare} of ${count} images`
    const help = 'Take a validation share such as 0.1.'
    return E.left(dataError(name, 'a validation share that leaves images on both sides', found, help))
  }
  const rest = count - held
  if (trainSize !== undefined && !(Number.isSafeInteger(trainSize) && trainSize > 0 && trainSize <= rest)) {
    const help = 'Take fewer training images, or a smaller validation share.'
    return E.left(dataError(name, `at most ${rest} training images`, `${trainSize}`, help))
  }
  const { order } = shuffled(count, seededRandom(seed, 'validation'))
  const train = partOf(published.train, order.subarray(held, held + (trainSize ?? rest)))
  const fixed = fixedStatistics(normalisation, name, shape)
  if (E.isLeft(fixed)) return fixed
  const statistics = fixed.right === undefined ? await statisticsOf(train, shape) : E.right(fixed.right)
  if (E.isLeft(statistics)) return statistics
  return E.right({
    name,
    classes,
    shape,
    ...statistics.right,
    train,
    validation: partOf(published.train, order.slice(0, held).sort()),
    test: partOf(published.test, Uint32Array.from(published.test.labels.keys())),
  })
}

/**
 * The source divided in two by numbers that are the same for everyone: an eleventh of the images is never trained on. For
 * data that comes without test images.
 */
export const holdOut = (source: Source): { readonly train: Source; readonly test: Source } => {
  const { order } = shuffled(source.labels.length, seededRandom(0, 'test'))
  const held = Math.ceil(order.length / 11)
  return { train: partOf(source, order.slice(held).sort()), test: partOf(source, order.slice(0, held).sort()) }
}

const statisticsOf = async (
  split: Split,
  shape: ImageShape,
): Promise<E.Either<DataError, Pick<DataSet, 'mean' | 'deviation'>>> => {
  const [channels, height, width] = shape
  const area = height * width
  const size = sizeOf(shape)
  const measured = Math.min(split.size, Math.max(1, Math.floor(measuredBytes / size)))
  const sums = new Float64Array(channels)
  const squares = new Float64Array(channels)
  for (let start = 0; start < measured; start += chunk) {
    const indices = Uint32Array.from({ length: Math.min(chunk, measured - start) }, (_, i) => start + i)
    const loaded = await split.pixels(indices)()
    if (E.isLeft(loaded)) return loaded
    const pixels = loaded.right
    for (let image = 0; image < indices.length; image++) {
      for (let c = 0; c < channels; c++) {
        let [sum, square] = [0, 0]
        const at = image * size + c * area
        for (let i = at; i < at + area; i++) {
          const value = pixels[i] ?? 0
          sum += value
          square += value * value
        }
        sums[c] = (sums[c] ?? 0) + sum
        squares[c] = (squares[c] ?? 0) + square
      }
    }
  }
  const total = measured * area
  const mean = Array.from(sums, (sum) => sum / total / 255)
  const variance = Array.from(squares, (square, c) => square / total / 255 ** 2 - (mean[c] ?? 0) ** 2)
  return E.right({ mean, deviation: variance.map((v) => Math.sqrt(Math.max(v, 0))) })
}
