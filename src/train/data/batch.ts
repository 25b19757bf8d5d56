/** Batches of a data set, ready for a network. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { type Augmentation, type Cuts, drawCuts, normalised } from './augment.ts'
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
  /** Absent: images as they are. */
  readonly augmentation?: Augmentation
  /** Whether the smaller batch at the end of an epoch counts. Absent: it does. */
  readonly partial?: boolean
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
  if (options.augmentation === undefined) return { indices, last, next }
  const drawn = drawCuts(indices.length, options.augmentation, cursor.augmentation)
  return { indices, cuts: drawn.cuts, last, next: { ...next, augmentation: drawn.next } }
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
