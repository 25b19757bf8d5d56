/** Models from disk. Node only. */
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs'
import { type FileHandle, open, realpath } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { Graph } from '../ir/graph.ts'
import { type ReadError, readError } from './error.ts'
import type { ExternalFile, ExternalReader } from './external.ts'
import { readModelBytes } from './model.ts'

/** One read asks for at most this much: Node refuses 2 GiB and more. */
const chunkBytes = 2 ** 30

const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown))

const codeOf = (thrown: unknown): string =>
  thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : ''

const unreadable = (path: string, found: string): ReadError =>
  readError(
    'file-unreadable',
    path,
    'a file that can be read',
    found,
    'Check the path and the permissions of the file.',
  )

/**
 * The graph that an ONNX file, or its bytes, hold. Tensors kept in files beside the model are read when they are needed.
 *
 * Such a file must be a regular one in the folder of the model, or of the file that the model's path links to, after
 * symbolic links are resolved: a link that leads elsewhere is refused. Hard links are followed.
 */
export const readModel =
  (source: string | Uint8Array): TaskEither<ReadError, Graph> =>
  async () => {
    if (typeof source !== 'string') return readModelBytes(source)
    try {
      const real = await realpath(source)
      const bytes = await readWhole(source, real)
      return E.isLeft(bytes) ? bytes : readModelBytes(bytes.right, { external: externalFiles(dirname(source), real) })
    } catch (thrown) {
      if (codeOf(thrown) === '' && !(thrown instanceof RangeError)) throw thrown
      return E.left(unreadable(source, messageOf(thrown)))
    }
  }

const readWhole = async (path: string, real: string): Promise<E.Either<ReadError, Uint8Array>> => {
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

const isBelow = (path: string, folder: string): boolean => path.startsWith(folder.endsWith(sep) ? folder : folder + sep)

/** Opens files beside a model whose path has the folder `folder` and resolves to `real`. */
const externalFiles = (folder: string, real: string): ExternalReader => {
  const folders = [realpathSync(folder), dirname(real)]
  const known = new Map<string, ExternalFile | ReadError | undefined>()
  return (location) => {
    if (!known.has(location)) known.set(location, findExternal(location, folders))
    return known.get(location)
  }
}

const resolve = (path: string): string | undefined => {
  try {
    return realpathSync(path)
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined
    throw thrown
  }
}

const findExternal = (location: string, folders: ReadonlyArray<string>): ExternalFile | ReadError | undefined => {
  const refused = (found: string): ReadError =>
    readError('external-data-invalid', `external file ${location}`, "a regular file in the model's folder", found)
  try {
    const path = folders.map((folder) => resolve(join(folder, location))).find((one) => one !== undefined)
    if (path === undefined) return undefined
    if (!folders.some((folder) => isBelow(path, folder))) return refused('a link that leads out of it')
    const identity = withFile(path, (_, state) => state)
    return identity === undefined ? refused('something else') : fileAt(path, identity)
  } catch (thrown) {
    if (codeOf(thrown) === '') throw thrown
    return refused(messageOf(thrown))
  }
}

interface Identity {
  readonly device: bigint
  readonly inode: bigint
  readonly size: bigint
  readonly modified: bigint
}

/** What `use` makes of the open file; undefined where it is not a regular one. */
const withFile = <T>(path: string, use: (file: number, state: Identity) => T): T | undefined => {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
  try {
    const { dev, ino, size, mtimeNs, ...stat } = fstatSync(file, { bigint: true })
    if ((BigInt(constants.S_IFMT) & stat.mode) !== BigInt(constants.S_IFREG)) return undefined
    return use(file, { device: dev, inode: ino, size, modified: mtimeNs })
  } finally {
    closeSync(file)
  }
}

const fileAt = (path: string, identity: Identity): ExternalFile => ({
  size: Number(identity.size),
  read: (offset, length) => {
    const changed = Object.assign(new Error(`${path} has changed since the model was read`), { code: 'ESTALE' })
    const bytes = withFile(path, (file, state) => {
      const same =
        state.device === identity.device &&
        state.inode === identity.inode &&
        state.size === identity.size &&
        state.modified === identity.modified
      if (!same) throw changed
      const out = new Uint8Array(length)
      let at = 0
      while (at < length) {
        const count = readSync(file, out, at, Math.min(chunkBytes, length - at), offset + at)
        if (count === 0) throw changed
        at += count
      }
      return out
    })
    if (bytes === undefined) throw changed
    return bytes
  },
})
