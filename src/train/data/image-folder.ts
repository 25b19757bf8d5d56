/** Folders of image files, one for each class. Images are decoded when they are needed. Node only. */
import { readdir } from 'node:fs/promises'
import { extname, join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { sizeOf } from '../../ir/type.ts'
import type { ImageShape, Source } from './data-set.ts'
import { loadSharp, type Sharp } from './decode-image.ts'
import { holdOut, type Published } from './divide.ts'
import { type DataError, dataError } from './error.ts'
import { systemReason } from '../../ir/system-reason.ts'

export interface ImageFolderOptions {
  /** Height and width that every image is brought to: scaled until both fit, then cut around the middle. */
  readonly imageSize: number
  /** How many bytes of decoded images are kept in memory. */
  readonly cacheBytes: number
  /** Loads the library that decodes. */
  readonly load?: () => Promise<Sharp>
}

const help =
  'Put the images of each class into a folder named after it: DIR/cat/1.jpg, or DIR/train/cat/1.jpg and DIR/test.'

const extensions = new Set(['.jpg', '.jpeg', '.png', '.webp', '.gif', '.avif', '.tif', '.tiff'])

/** What the folder of test images may be called. */
const testFolders = ['test', 'val', 'validation']

/** Images that are decoded at the same time. */
const concurrency = 8

/**
 * The images of `root`: those of `root/train` and `root/test` (or `val`). Where one of them is missing an eleventh of all
 * images is set apart for testing, the same ones every time. Images are RGB, those without colours too.
 *
 * Errors: no sharp; no images; classes of the test images that training does not have. A damaged image is an error when it
 * is read.
 */
export const readImageFolder = async (
  name: string,
  root: string,
  options: ImageFolderOptions,
): Promise<E.Either<DataError, Published>> => {
  const library = await (options.load ?? loadSharp)().catch(systemReason)
  if (typeof library === 'string') {
    const [reason = ''] = library.split('\n')
    return E.left(
      dataError(name, 'the package sharp, which decodes images', reason, 'Run npm install --save-dev sharp.'),
    )
  }
  const shape: ImageShape = [3, options.imageSize, options.imageSize]
  const sourceOf = (listing: Listing): Source => decoded(listing, shape, library, options.cacheBytes)
  const folders = await foldersIn(root)
  if (E.isLeft(folders)) return folders
  if (!folders.right.includes('train')) {
    const all = await list(root, folders.right)
    if (E.isLeft(all)) return all
    return E.right({ name, classes: folders.right, shape, ...holdOut(sourceOf(all.right)) })
  }
  const classes = await foldersIn(join(root, 'train'))
  if (E.isLeft(classes)) return classes
  const train = await list(join(root, 'train'), classes.right)
  if (E.isLeft(train)) return train
  const testFolder = testFolders.find((folder) => folders.right.includes(folder))
  if (testFolder === undefined) {
    return E.right({ name, classes: classes.right, shape, ...holdOut(sourceOf(train.right)) })
  }
  const found = await foldersIn(join(root, testFolder))
  if (E.isLeft(found)) return found
  const unknown = found.right.find((folder) => !classes.right.includes(folder))
  if (unknown !== undefined) {
    const path = join(root, testFolder, unknown)
    return E.left(dataError(path, `a class of the training images (${classes.right.join(', ')})`, unknown, help))
  }
  const test = await list(join(root, testFolder), classes.right, found.right)
  if (E.isLeft(test)) return test
  return E.right({ name, classes: classes.right, shape, train: sourceOf(train.right), test: sourceOf(test.right) })
}

/** The folders in a folder by name, hidden ones left out. */
const foldersIn = async (path: string): Promise<E.Either<DataError, ReadonlyArray<string>>> => {
  try {
    const entries = await readdir(path, { withFileTypes: true })
    const names = entries.flatMap((entry) => (entry.isDirectory() && !entry.name.startsWith('.') ? [entry.name] : []))
    if (names.length > 0) return E.right(names.sort())
    return E.left(dataError(path, 'a folder for each class', 'none', help))
  } catch (thrown) {
    return E.left(dataError(path, 'a folder with one folder for each class', systemReason(thrown), help))
  }
}

interface Listing {
  readonly paths: ReadonlyArray<string>
  readonly labels: Uint16Array
}

/** The image files of all classes, by name within each, so that the order is the same on every machine. */
const list = async (
  root: string,
  classes: ReadonlyArray<string>,
  present: ReadonlyArray<string> = classes,
): Promise<E.Either<DataError, Listing>> => {
  const paths: string[] = []
  const labels: number[] = []
  for (const folder of present) {
    const path = join(root, folder)
    const before = paths.length
    try {
      for (const file of (await readdir(path)).sort()) {
        if (!extensions.has(extname(file).toLowerCase())) continue
        paths.push(join(path, file))
        labels.push(classes.indexOf(folder))
      }
    } catch (thrown) {
      return E.left(dataError(path, 'a folder of images', systemReason(thrown), help))
    }
    if (paths.length === before) {
      return E.left(dataError(path, `images (${[...extensions].join(', ')})`, 'none', help))
    }
  }
  return E.right({ paths, labels: Uint16Array.from(labels) })
}

/** Decodes on demand and keeps the images that were used last, up to `cacheBytes`. */
const decoded = ({ paths, labels }: Listing, shape: ImageShape, library: Sharp, cacheBytes: number): Source => {
  const size = sizeOf(shape)
  const kept = new Map<number, Uint8Array>()
  const most = Math.max(0, Math.floor(cacheBytes / size))
  const remember = (index: number, image: Uint8Array): void => {
    kept.delete(index)
    kept.set(index, image)
    for (const oldest of kept.keys()) {
      if (kept.size <= most) break
      kept.delete(oldest)
    }
  }
  const load = async (index: number): Promise<E.Either<DataError, Uint8Array>> => {
    const path = paths[index] ?? ''
    const known = kept.get(index)
    if (known === undefined) {
      const image = await decodeFile(path, shape, library)
      if (E.isLeft(image)) return image
      remember(index, image.right)
      return image
    }
    remember(index, known)
    return E.right(known)
  }
  return {
    labels,
    pixels: (indices) => async () => {
      const out = new Uint8Array(indices.length * size)
      for (let start = 0; start < indices.length; start += concurrency) {
        const images = await Promise.all(Array.from(indices.subarray(start, start + concurrency), load))
        for (const [i, image] of images.entries()) {
          if (E.isLeft(image)) return image
          out.set(image.right, (start + i) * size)
        }
      }
      return E.right(out)
    },
  }
}

const decodeFile = async (
  path: string,
  [channels, height, width]: ImageShape,
  library: Sharp,
): Promise<E.Either<DataError, Uint8Array>> => {
  try {
    const { data, info } = await library(path, { failOn: 'error' })
      .autoOrient()
      .toColourspace('srgb')
      .flatten()
      .resize(width, height, { fit: 'cover' })
      .raw()
      .toBuffer({ resolveWithObject: true })
    const area = height * width
    const out = new Uint8Array(channels * area)
    for (let c = 0; c < channels; c++) {
      // An image without colours has one channel for all three.
      const from = info.channels >= channels ? c : 0
      for (let i = 0; i < area; i++) out[c * area + i] = data[i * info.channels + from] ?? 0
    }
    return E.right(out)
  } catch (thrown) {
    return E.left(dataError(path, 'an image file', systemReason(thrown), 'Replace the file or remove it.'))
  }
}
