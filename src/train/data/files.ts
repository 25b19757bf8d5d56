/** Reading the files of a data set. What is wrong with one is said with its path. Node only. */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import * as E from 'fp-ts/lib/Either.js'
import { type DataError, dataError } from './error.ts'

const inflate = promisify(gunzip)

/** No file of a data set unpacks to more: fifty times the images of MNIST. */
const largestUnpacked = 2 ** 31

export const reasonOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown))

/** Whether there is a file at a path. */
export const isFile = async (path: string): Promise<boolean> => {
  try {
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}

/**
 * The first of `folders` under `root` that has one of `names`, and that name. Archives and packages keep the same files in
 * folders of their own.
 */
export const locate = async (
  root: string,
  folders: ReadonlyArray<string>,
  names: ReadonlyArray<string>,
): Promise<{ readonly folder: string; readonly name: string } | undefined> => {
  for (const folder of folders) {
    for (const name of names) {
      if (await isFile(join(root, folder, name))) return { folder: join(root, folder), name }
    }
  }
  return undefined
}

/** The bytes of a file, unpacked where its name ends in `.gz`; `help` says where to get it. */
export const readWhole = async (path: string, help: string): Promise<E.Either<DataError, Uint8Array>> => {
  try {
    const read = await readFile(path)
    const bytes = path.endsWith('.gz') ? await inflate(read, { maxOutputLength: largestUnpacked }) : read
    return E.right(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  } catch (thrown) {
    const expected = path.endsWith('.gz') ? 'a gzip file that can be read' : 'a file that can be read'
    return E.left(dataError(path, expected, reasonOf(thrown), help))
  }
}

/** The bytes of a file that has to have `size` of them. */
export const readExactly = async (
  path: string,
  size: number,
  help: string,
): Promise<E.Either<DataError, Uint8Array>> => {
  const wrong = (found: number): E.Either<DataError, never> =>
    E.left(dataError(path, `${size} bytes`, `${found} bytes`, help))
  try {
    const found = (await stat(path)).size
    if (found !== size) return wrong(found)
  } catch (thrown) {
    return E.left(dataError(path, `a file of ${size} bytes`, reasonOf(thrown), help))
  }
  const bytes = await readWhole(path, help)
  return E.isRight(bytes) && bytes.right.length !== size ? wrong(bytes.right.length) : bytes
}
