/** What bytes of images become before a network sees them. */
import * as E from 'fp-ts/lib/Either.js'
import type { DataSet, ImageShape } from './data-set.ts'
import { type DataError, dataError } from './error.ts'

/**
 * `data`: mean 0 and deviation 1 over the training images. The others are what networks that were trained elsewhere mostly want:
 * `unit`, from 0 to 1; `signed`, from -1 to 1; `imagenet`, from 0 to 1, then less ImageNet's mean, over its deviation, by channel.
 */
export const normalisations = ['data', 'unit', 'signed', 'imagenet'] as const

export type Normalisation = (typeof normalisations)[number]

type Statistics = Pick<DataSet, 'mean' | 'deviation'>

/** Of red, green and blue, as fractions of 255: torchvision's. */
const imageNet: Statistics = { mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] }

/**
 * The mean and deviation of each channel that a normalisation takes, whatever the images; undefined where these decide.
 * Errors: images that do not have the channels of the normalisation.
 */
export const fixedStatistics = (
  normalisation: Normalisation,
  name: string,
  [channels]: ImageShape,
): E.Either<DataError, Statistics | undefined> => {
  const all = (value: number): ReadonlyArray<number> => new Array<number>(channels).fill(value)
  switch (normalisation) {
    case 'data':
      return E.right(undefined)
    case 'unit':
      return E.right({ mean: all(0), deviation: all(1) })
    case 'signed':
      return E.right({ mean: all(0.5), deviation: all(0.5) })
    case 'imagenet': {
      if (channels === 3) return E.right(imageNet)
      const help = 'Take another normalisation: that one is of red, green and blue.'
      return E.left(dataError(`normalisation imagenet of ${name}`, 'images of 3 channels', `${channels}`, help))
    }
  }
}
