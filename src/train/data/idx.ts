/** MNIST, Fashion-MNIST and others in their format: IDX files of images and of labels, plain or packed with gzip. Node only. */
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { type ImageShape, inMemory, type Source } from './data-set.ts'
import type { Published } from './divide.ts'
import { type DataError, dataError } from './error.ts'
import { locate, readWhole } from './files.ts'
import { checkedLabels } from './labels.ts'

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
  const bytes = await readWhole(path, help)
  return E.isLeft(bytes) ? bytes : parseIdx(path, bytes.right, kind === 'images' ? 3 : 1, help)
}

/**
 * An IDX file of unsigned bytes: two zeros, the element type 8, the number of sizes, the sizes as big-endian 32-bit
 * integers, then the elements.
 */
const parseIdx = (path: string, bytes: Uint8Array, rank: number, help: string): E.Either<DataError, IdxFile> => {
  const wrong = (expected: string, found: string): E.Either<DataError, never> =>
    E.left(dataError(path, expected, found, help))
  const header = 4 + 4 * rank
  if (bytes.length < header) return wrong(`a header of ${header} bytes`, `${bytes.length} bytes`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const magic = view.getUint32(0)
  const expected = 0x0800 + rank
  if (magic !== expected) return wrong(`the magic number ${expected}`, `${magic}`)
  const sizes = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i))
  if (sizes.includes(0)) return wrong('sizes above 0', sizes.join('x'))
  const total = header + sizes.reduce((product, size) => product * size, 1)
  if (bytes.length !== total) return wrong(`${total} bytes for ${sizes.join('x')}`, `${bytes.length} bytes`)
  return E.right({ path, sizes, content: bytes.subarray(header) })
}
