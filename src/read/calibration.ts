/** Calibration sets from disk: files of arrays (.npy, .npz), of which one is in memory at a time. Node only. */
import { readdir, stat } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import type { Graph } from '../ir/graph.ts'
import type { Dense } from '../ir/tensor.ts'
import { tensorFileError, type TensorFileError } from '../masks/file-entry.ts'
import { decodeNpy } from '../masks/npy.ts'
import { readNpz } from '../masks/npz.ts'
import { readBytes, unreadableBy } from './bytes.ts'
import type { ReadError } from './error.ts'
import { fitInputs, type InputBatch, tensorInputs } from './fit-inputs.ts'

export type CalibrationError = ReadError | TensorFileError

const extensions = ['.npy', '.npz']

const images = new Set(['.jpg', '.jpeg', '.png', '.webp', '.gif', '.avif', '.tif', '.tiff', '.bmp'])

/**
 * The runs that a file or folder of arrays is for `graph`, in the order of the names of files, at most `batch` samples at once:
 *
 * - `.npz`: arrays by the names of inputs;
 * - `.npy`: the array of the only input;
 * - a folder of either, each file for itself; or of one `.npy` for each input, named after it.
 *
 * Ends with the first error.
 */
export async function* readCalibration(
  path: string,
  graph: Graph,
  batch: number,
): AsyncGenerator<E.Either<CalibrationError, InputBatch>> {
  const inputs = tensorInputs(graph)
  const required = inputs.filter(({ isOptional }) => !isOptional).map(({ name }) => name)
  const groups = await filesOf(path, new Set(inputs.map(({ name }) => name)), required)
  if (E.isLeft(groups)) {
    yield groups
    return
  }
  for (const group of groups.right) {
    const arrays = new Map<string, Dense>()
    for (const { file, input } of group.files) {
      const bytes = await readBytes(file)
      const decoded = pipe(
        bytes,
        E.chainW((found) => (input === undefined ? decodeAll(found, file) : decodeOne(found, file, input))),
      )
      if (E.isLeft(decoded)) {
        yield decoded
        return
      }
      for (const [name, array] of decoded.right) arrays.set(name, array)
    }
    const runs = fitInputs(arrays, group.name, inputs, batch)
    if (E.isLeft(runs)) {
      yield runs
      return
    }
    for (const run of runs.right) yield E.right(run)
  }
}

/** Files that are read together: each an archive, or the array of an input. */
interface Group {
  readonly name: string
  readonly files: ReadonlyArray<{ readonly file: string; readonly input?: string }>
}

const filesOf = async (
  path: string,
  inputs: ReadonlySet<string>,
  required: ReadonlyArray<string>,
): Promise<E.Either<CalibrationError, ReadonlyArray<Group>>> => {
  const wrong = (expected: string, found: string, help: string): E.Either<CalibrationError, never> =>
    E.left(tensorFileError(path, expected, found, help))
  const list = [...inputs].join(', ') || 'none'
  let names: ReadonlyArray<string>
  try {
    const isFolder = (await stat(path)).isDirectory()
    names = isFolder ? (await readdir(path)).sort().map((name) => join(path, name)) : [path]
  } catch (thrown) {
    return E.left(unreadableBy(path, thrown))
  }
  const files = names.filter((name) => extensions.includes(extname(name).toLowerCase()))
  const [first] = files
  if (first === undefined) {
    const isImages = names.some((name) => images.has(extname(name).toLowerCase()))
    const help = isImages
      ? 'Prepare the images as for the model and save them with numpy.save, or give images:DIR with a folder for each class.'
      : 'Save inputs of the model with numpy.save or numpy.savez, or name a data set: mnist:DIR, cifar10:DIR, images:DIR.'
    const found = isImages
      ? 'images'
      : names.length === 1 && names[0] === path
        ? 'another file'
        : `${names.length} other files`
    return wrong('files of arrays (.npy, .npz)', found, help)
  }
  const isArchive = (file: string): boolean => extname(file).toLowerCase() === '.npz'
  if (files.every(isArchive)) return E.right(files.map((file) => ({ name: file, files: [{ file }] })))
  if (files.some(isArchive)) return wrong('either .npy or .npz files', 'both', 'Put them into folders of their own.')
  const stem = (file: string): string => basename(file).slice(0, -'.npy'.length)
  if (files.every((file) => inputs.has(stem(file))))
    return E.right([{ name: path, files: files.map((file) => ({ file, input: stem(file) })) }])
  const [input, ...others] = required
  if (input !== undefined && others.length === 0)
    return E.right(files.map((file) => ({ name: file, files: [{ file, input }] })))
  const odd = files.find((file) => !inputs.has(stem(file))) ?? first
  const help = 'Save each run of the model as one .npz, or all samples of an input as one .npy named after it.'
  return wrong(`arrays of the inputs ${list}`, basename(odd), help)
}

const decodeOne = (
  bytes: Uint8Array,
  file: string,
  input: string,
): E.Either<TensorFileError, ReadonlyMap<string, Dense>> =>
  pipe(
    decodeNpy(bytes, file),
    E.map((array) => new Map([[input, array]])),
  )

const decodeAll = (bytes: Uint8Array, file: string): E.Either<TensorFileError, ReadonlyMap<string, Dense>> => {
  const named = (error: TensorFileError): TensorFileError => ({ ...error, subject: `${file}, ${error.subject}` })
  const entries = readNpz(bytes)
  if (E.isLeft(entries)) return E.left(named(entries.left))
  const arrays = new Map<string, Dense>()
  for (const { name, decode } of entries.right) {
    const array = decode()
    if (E.isLeft(array)) return E.left(named(array.left))
    arrays.set(name, array.right)
  }
  return E.right(arrays)
}
