/** MNIST, Fashion-MNIST and others in their format: IDX files of images and of labels, plain or packed with gzip. Node only. */
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { type ImageShape, inMemory, type Source } from './data-set.ts'
import type { Published } from './divide.ts'
import { type DataError, dataError } from './error.ts'
import { locate, openChunks } from './files.ts'
import { checkedLabels } from './labels.ts'
import { systemReason } from '../../ir/system-reason.ts'

/** The usual name comes first. Archives differ in one character, and in whether they are packed. */
const spellings = (part: 'train' | 't10k', kind: 'images' | 'labels'): ReadonlyArray<string> => {
  const sizes = kind === 'images' ? 3 : 1
  return ['-', '.'].flatMap((mark) => ['', '.gz'].map((packed) => `${part}-${kind}${mark}idx${sizes}-ubyte${packed}`))
}

/** Folders that packages put the files in. */
const folders = ['', 'data']

interface Part extends Source {
  readonly shape: ImageShape
}

/** The images of a folder. Errors: a file that is missing, damaged, or does not fit the others. */
export const readIdx = async (
  name: string,
  root: string,
  classes: ReadonlyArray<string>,
  help: string,
): Promise<E.Either<DataError, Published>> => {
  const train = await readPart(root, 'train', classes, help)
  if (E.isLeft(train)) return train
  const test = await readPart(root, 't10k', classes, help)
  if (E.isLeft(test)) return test
  const { shape } = train.right
  if (shape.join() !== test.right.shape.join()) {
    const expected = `test images of ${shape.slice(1).join('x')} like the training images`
    return E.left(dataError(root, expected, test.right.shape.slice(1).join('x'), help))
  }
  return E.right({ name, classes, shape, train: train.right, test: test.right })
}

const readPart = async (
  root: string,
  part: 'train' | 't10k',
  classes: ReadonlyArray<string>,
  help: string,
): Promise<E.Either<DataError, Part>> => {
  const images = await readFileOf(root, part, 'images', help)
  if (E.isLeft(images)) return images
  const labels = await readFileOf(root, part, 'labels', help)
  if (E.isLeft(labels)) return labels
  const [count = 0, height = 0, width = 0] = images.right.sizes
  if (labels.right.sizes[0] !== count) {
    const found = `${labels.right.sizes[0] ?? 0} labels`
    return E.left(dataError(labels.right.path, `${count} labels, one for each image`, found, help))
  }
  const checked = checkedLabels(Uint16Array.from(labels.right.content), classes.length, labels.right.path, help)
  if (E.isLeft(checked)) return checked
  const shape = [1, height, width] as const
  return E.right({ shape, ...inMemory(images.right.content, checked.right, shape) })
}

interface IdxFile {
  readonly path: string
  readonly sizes: ReadonlyArray<number>
  readonly content: Uint8Array
}

const readFileOf = async (
  root: string,
  part: 'train' | 't10k',
  kind: 'images' | 'labels',
  help: string,
): Promise<E.Either<DataError, IdxFile>> => {
  const names = spellings(part, kind)
  const found = await locate(root, folders, names)
  if (found === undefined) {
    return E.left(dataError(join(root, names[0] ?? ''), 'this file, plain or with .gz', 'none', help))
  }
  const path = join(found.folder, found.name)
  const chunks = openChunks(path)
  return parseIdx(path, chunks, kind === 'images' ? 3 : 1, help)
}

/** No file of a data set has more elements: forty times the images of MNIST. */
const mostElements = 2 ** 31

/**
 * An IDX file of unsigned bytes: two zeros, the element type 8, the number of sizes, the sizes as big-endian 32-bit
 * integers, then the elements. No more is read, or unpacked, than the header says there is.
 */
export const parseIdx = async (
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  rank: number,
  help: string,
): Promise<E.Either<DataError, IdxFile>> => {
  const wrong = (expected: string, found: string): E.Either<DataError, never> =>
    E.left(dataError(path, expected, found, help))
  const header = 4 + 4 * rank
  let sizes: E.Either<DataError, ReadonlyArray<number>> | undefined
  let total = 0
  let length = 0
  const parts: Uint8Array[] = []
  try {
    for await (const chunk of chunks) {
      parts.push(chunk)
      length += chunk.length
      if (length < header) continue
      sizes ??= parseHeader(path, Buffer.concat(parts, header), rank, help)
      if (E.isLeft(sizes)) return sizes
      total = header + sizes.right.reduce((product, size) => product * size, 1)
      if (total > mostElements) return wrong(`at most ${mostElements} elements`, sizes.right.join('x'))
      if (length > total) break
    }
  } catch (thrown) {
    const expected = path.endsWith('.gz') ? 'a gzip file that can be read' : 'a file that can be read'
    return wrong(expected, systemReason(thrown))
  }
  if (sizes === undefined || E.isLeft(sizes)) return wrong(`a header of ${header} bytes`, `${length} bytes`)
  const found = length > total ? `${length} bytes or more` : `${length} bytes`
  if (length !== total) return wrong(`${total} bytes for ${sizes.right.join('x')}`, found)
  return E.right({ path, sizes: sizes.right, content: new Uint8Array(Buffer.concat(parts, total)).subarray(header) })
}

const parseHeader = (
  path: string,
  bytes: Buffer,
  rank: number,
  help: string,
): E.Either<DataError, ReadonlyArray<number>> => {
  const magic = bytes.readUInt32BE(0)
  const expected = 0x0800 + rank
  if (magic !== expected) return E.left(dataError(path, `the magic number ${expected}`, `${magic}`, help))
  const sizes = Array.from({ length: rank }, (_, i) => bytes.readUInt32BE(4 + 4 * i))
  return sizes.includes(0) ? E.left(dataError(path, 'sizes above 0', sizes.join('x'), help)) : E.right(sizes)
}
