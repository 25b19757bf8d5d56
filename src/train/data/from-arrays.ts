/** A data set of images that are in memory. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { type Choice, wrongOption } from '../../ir/options.ts'
import { sizeOf } from '../../ir/type.ts'
import { type DataSet, type ImageShape, inMemory } from './data-set.ts'
import { divide, type Division } from './divide.ts'
import { type DataError, dataError } from './error.ts'
import { normalisations } from './normalisation.ts'

/** Labelled images. */
export interface LabelledImages {
  /** The bytes `[n, channels, height, width]`, one image after the other. */
  readonly images: Uint8Array
  /** The class of each image: a place in the list of classes. */
  readonly labels: ArrayLike<number>
}

export interface ImageArrays {
  readonly name: string
  readonly classes: ReadonlyArray<string>
  readonly shape: ImageShape
  /** What may be learnt from; a part of it becomes the validation images. */
  readonly train: LabelledImages
  /** For the end. */
  readonly test: LabelledImages
}

const divisionChoices: Readonly<Record<keyof Division, Choice>> = {
  seed: 'any',
  validationShare: 'any',
  trainSize: 'any',
  normalisation: normalisations,
}

/**
 * The data set of images that a program has. They are not copied, and must not change. The same seed gives the same validation images.
 *
 * Errors: images that are not as many as their labels, labels that are no class, shares that leave a part empty.
 */
export const dataSetOf =
  (arrays: ImageArrays, division: Division): TaskEither<DataError, DataSet> =>
  async () => {
    const problem = wrongOption('DataError', division, divisionChoices) ?? shapeProblem(arrays)
    if (problem !== undefined) return E.left(problem)
    const { shape, train, test } = arrays
    for (const part of ['train', 'test'] as const) {
      const wrong = partProblem(arrays, part)
      if (wrong !== undefined) return E.left(wrong)
    }
    const sourceOf = ({ images, labels }: LabelledImages) => inMemory(images, Uint16Array.from(labels), shape)
    return divide({ ...arrays, train: sourceOf(train), test: sourceOf(test) }, division)
  }

/** Labels are kept in 16 bits. */
const mostClasses = 2 ** 16

const shapeProblem = ({ name, classes, shape }: ImageArrays): DataError | undefined => {
  if (shape.length !== 3 || !shape.every((d) => Number.isSafeInteger(d) && d > 0)) {
    const help = 'Give channels, height and width, such as [3, 32, 32].'
    return dataError(`shape of ${name}`, 'three whole numbers of at least 1', `[${shape.join(',')}]`, help)
  }
  if (classes.length > 0 && classes.length <= mostClasses) return undefined
  const help = 'Give the name of each class, in the order of the labels.'
  return dataError(`classes of ${name}`, `1 to ${mostClasses}`, `${classes.length}`, help)
}

const partProblem = (arrays: ImageArrays, part: 'train' | 'test'): DataError | undefined => {
  const { name, classes, shape } = arrays
  const { images, labels } = arrays[part]
  const size = sizeOf(shape)
  if (images.length !== labels.length * size) {
    const expected = `${labels.length * size} bytes for ${labels.length} labels`
    const help = `Give ${size} bytes for each image, and a label for each.`
    return dataError(`${part} images of ${name}`, expected, `${images.length}`, help)
  }
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i] ?? NaN
    if (Number.isSafeInteger(label) && label >= 0 && label < classes.length) continue
    const help = 'A label is a place in the list of classes.'
    return dataError(`${part} label ${i} of ${name}`, `a whole number below ${classes.length}`, `${label}`, help)
  }
  return undefined
}
