/** The .npz format of numpy: a zip archive of .npy files. */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { type FileEntry, tensorFileError, type TensorFileError } from './file-entry.ts'
import { decodeNpy } from './npy.ts'
import { readZip, type ZipEntry } from './zip.ts'
import { contentOf } from './zip-content.ts'

const suffix = '.npy'

/** More files than any model has weights. */
const entryLimit = 10_000

/**
 * The arrays of an archive by their names, none inflated before it is decoded. Names are looked up, never used as
 * paths; those that could only be meant as paths out of a folder are refused all the same.
 */
export const readNpz = (bytes: Uint8Array): E.Either<TensorFileError, ReadonlyArray<FileEntry>> =>
  E.chain(arraysIn)(readZip(bytes))

/** The arrays of an archive whose directory is read. */
export const arraysIn = (files: ReadonlyArray<ZipEntry>): E.Either<TensorFileError, ReadonlyArray<FileEntry>> => {
  if (files.length > entryLimit) {
    return E.left(
      tensorFileError('npz file', `at most ${entryLimit} arrays`, `${files.length}`, 'Use safetensors instead.'),
    )
  }
  const entries: FileEntry[] = []
  for (const entry of files) {
    const { name: file, size } = entry
    const subject = `zip entry ${file}`
    if (!file.endsWith(suffix) || file === suffix) {
      return E.left(
        tensorFileError(subject, 'arrays only, named NAME.npy', 'another file', 'Write the file with numpy.savez.'),
      )
    }
    if (isPathLike(file)) {
      return E.left(
        tensorFileError(subject, 'the name of an array', 'a path', 'Name the arrays after the weights they mask.'),
      )
    }
    const name = file.slice(0, -suffix.length)
    entries.push({
      name,
      size,
      decode: () =>
        pipe(
          contentOf(entry),
          E.chain((array) => decodeNpy(array, `array ${name}`)),
        ),
    })
  }
  return E.right(entries)
}

/** ONNX names may hold slashes, but neither parent folders nor backslashes nor control characters. */
const isPathLike = (file: string): boolean =>
  file.split('/').includes('..') || file.includes('\\') || Array.from(file).some((c) => c < ' ')
