/** Batches of a data set, ready for a network. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { normalised } from './augment.ts'
import { type Augmentation, cutDrawer, type CutDrawer, type Cuts } from './cuts.ts'
import type { DataSet, Split } from './data-set.ts'
import type { DataError } from './error.ts'
import { type Cursor, nextStep } from './order.ts'

export interface Batch {
  /** `[labels.length, channels, height, width]`, mean 0 and deviation 1 over the training images. */
  readonly images: Float32Array
  readonly labels: Int32Array
}

export interface BatchOptions {
  /** Images in a batch. */
  readonly batch: number
  /** Draws which part of each image is looked at. Absent: images as they are. */
  readonly cuts?: CutDrawer
  /** Whether the smaller batch at the end of an epoch counts. Absent: it does. */
  readonly partial?: boolean
}

/** What a recipe says about batches; `augmentation` is null for images as they are. */
export interface TrainingBatches extends Required<Pick<BatchOptions, 'batch' | 'partial'>> {
  readonly augmentation: Augmentation | null
}

/** A batch that has been drawn but not loaded. */
export interface DrawnBatch {
  readonly indices: Uint32Array
  readonly cuts?: Cuts
  /** Whether the epoch ends with it. */
  readonly last: boolean
  /** Where the batch after this one is drawn from. */
  readonly next: Cursor
}

/** The batch at `cursor` of a part of `size` images. The same cursor gives the same batch, to the last byte. */
export const drawBatch = (size: number, cursor: Cursor, options: BatchOptions): DrawnBatch => {
  const { indices, last, next } = nextStep(size, cursor, options.batch, options.partial ?? true)
  if (options.cuts === undefined) return { indices, last, next }
  const drawn = options.cuts(indices.length, cursor.augmentation)
  return { indices, cuts: drawn.cuts, last, next: { ...next, augmentation: drawn.next } }
}

/** The batch of training images at `cursor`: of that size, cut as a recipe's augmentation says. */
export const drawTrainingBatch = (
  { train, shape }: Pick<DataSet, 'train' | 'shape'>,
  cursor: Cursor,
  { batch, partial, augmentation }: TrainingBatches,
): DrawnBatch => {
  const cuts = augmentation === null ? {} : { cuts: cutDrawer(augmentation, shape) }
  return drawBatch(train.size, cursor, { batch, partial, ...cuts })
}

/** The images and labels of a batch from a part of `data`. Errors: an image that cannot be read. */
export const loadBatch =
  (
    data: DataSet,
    split: Split,
    { indices, cuts }: Pick<DrawnBatch, 'indices' | 'cuts'>,
  ): TaskEither<DataError, Batch> =>
  async () => {
    const pixels = await split.pixels(indices)()
    if (E.isLeft(pixels)) return pixels
    return E.right({
      images: normalised(pixels.right, data.shape, data, cuts),
      labels: Int32Array.from(indices, (index) => split.labels[index] ?? 0),
    })
  }

/** All images of a part in their order, `batch` at a time, the last ones fewer: for evaluation. */
export function* batchesInOrder(size: number, batch: number): Iterable<{ readonly indices: Uint32Array }> {
  for (let start = 0; start < size; start += batch) {
    yield { indices: Uint32Array.from({ length: Math.min(batch, size - start) }, (_, i) => start + i) }
  }
}
