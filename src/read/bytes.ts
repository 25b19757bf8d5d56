/** Whole files as bytes, of any size that fits in memory. Node only. */
import { constants } from 'node:fs'
import { type FileHandle, open, realpath } from 'node:fs/promises'
import { sep } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { type ReadError, readError } from './error.ts'
import { systemReason } from '../ir/system-reason.ts'

/** One read asks for at most this much: Node refuses 2 GiB and more. */
export const chunkBytes = 2 ** 30

/** The code of an error of the operating system; empty for any other. */
export const codeOf = (thrown: unknown): string =>
  thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : ''

export const unreadable = (path: string, found: string): ReadError =>
  readError(
    'file-unreadable',
    path,
    'a file that can be read',
    found,
    'Check the path and the permissions of the file.',
  )

/** What went wrong with `path`, where the operating system or the limits of memory said so; anything else is thrown again. */
export const unreadableBy = (path: string, thrown: unknown): ReadError => {
  if (codeOf(thrown) === '' && !(thrown instanceof RangeError)) throw thrown
  return unreadable(path, systemReason(thrown))
}

/** The bytes of a regular file, links followed. */
export const readBytes = async (path: string): Promise<E.Either<ReadError, Uint8Array>> => {
  try {
    return await readWhole(path, await realpath(path))
  } catch (thrown) {
    return E.left(unreadableBy(path, thrown))
  }
}

/** The bytes of the regular file `real`, which errors call `path`. Throws what the operating system does. */
export const readWhole = async (path: string, real: string): Promise<E.Either<ReadError, Uint8Array>> => {
  // Not to wait for a writer where the path is a FIFO.
  const file = await open(real, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const stat = await file.stat()
    if (!stat.isFile()) return E.left(unreadable(path, 'something that is not a regular file'))
    const bytes = new Uint8Array(stat.size)
    const length = await fill(file, bytes)
    if (length < bytes.byteLength) return E.left(unreadable(path, `${length} of ${bytes.byteLength} bytes`))
    return E.right(bytes)
  } finally {
    await file.close()
  }
}

const fill = async (file: FileHandle, bytes: Uint8Array): Promise<number> => {
  let at = 0
  while (at < bytes.byteLength) {
    const { bytesRead } = await file.read(bytes, at, Math.min(chunkBytes, bytes.byteLength - at), at)
    if (bytesRead === 0) break
    at += bytesRead
  }
  return at
}

export const isBelow = (path: string, folder: string): boolean =>
  path.startsWith(folder.endsWith(sep) ? folder : folder + sep)
