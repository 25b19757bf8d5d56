/** Labelled images, in three parts that share none. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { sizeOf } from '../../ir/type.ts'
import type { DataError } from './error.ts'

export type ImageShape = readonly [channels: number, height: number, width: number]

export interface Split {
  /** How many images there are. */
  readonly size: number
  /** The class of each. */
  readonly labels: Uint16Array
  /** The bytes `[n, channels, height, width]` of the images at `indices`, in that order; images may repeat. */
  readonly pixels: (indices: Uint32Array) => TaskEither<DataError, Uint8Array>
}

export interface DataSet {
  /** As the user named it. */
  readonly name: string
  /** The names of the classes; a label is a place in this list. */
  readonly classes: ReadonlyArray<string>
  readonly shape: ImageShape
  /** Of each channel over the training images, as fractions of 255. */
  readonly mean: ReadonlyArray<number>
  /** Standard deviation of each channel over the training images, as a fraction of 255. */
  readonly deviation: ReadonlyArray<number>
  readonly train: Split
  /** Carved from the published training images; the test images are for the end. */
  readonly validation: Split
  readonly test: Split
}

/** Images with their labels before they are divided. */
export interface Source {
  readonly labels: Uint16Array
  readonly pixels: Split['pixels']
}

/** The images that `images` holds one after the other. */
export const inMemory = (images: Uint8Array, labels: Uint16Array, shape: ImageShape): Source => {
  const size = sizeOf(shape)
  return {
    labels,
    pixels: (indices) => async () => {
      const out = new Uint8Array(indices.length * size)
      for (const [i, index] of indices.entries()) out.set(images.subarray(index * size, (index + 1) * size), i * size)
      return E.right(out)
    },
  }
}

/** The images at `members` of a source. */
export const partOf = (source: Source, members: Uint32Array): Split => ({
  size: members.length,
  labels: Uint16Array.from(members, (index) => source.labels[index] ?? 0),
  pixels: (indices) => source.pixels(indices.map((index) => members[index] ?? 0)),
})
