/** Reading the files of a data set. What is wrong with one is said with its path. Node only. */
import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import * as E from 'fp-ts/lib/Either.js'
import { type DataError, dataError } from './error.ts'
import { systemReason } from '../../ir/system-reason.ts'

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

/** The bytes of a file piece by piece, unpacked where its name ends in `.gz`: for whoever stops when there are too many. */
export const openChunks = (path: string): AsyncIterable<Uint8Array> => {
  const file = createReadStream(path)
  return path.endsWith('.gz') ? unpacked(file) : file
}

/** What a gzip stream holds, piece by piece. */
export const unpacked = (packed: Readable): AsyncIterable<Uint8Array> =>
  // Errors of either arrive at whoever reads.
  pipeline(packed, createGunzip(), () => undefined)

/** The bytes of a file; `help` says where to get it. */
export const readWhole = async (path: string, help: string): Promise<E.Either<DataError, Uint8Array>> => {
  try {
    const { buffer, byteOffset, byteLength } = await readFile(path)
    return E.right(new Uint8Array(buffer, byteOffset, byteLength))
  } catch (thrown) {
    return E.left(dataError(path, 'a file that can be read', systemReason(thrown), help))
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
    return E.left(dataError(path, `a file of ${size} bytes`, systemReason(thrown), help))
  }
  const bytes = await readWhole(path, help)
  return E.isRight(bytes) && bytes.right.length !== size ? wrong(bytes.right.length) : bytes
}
