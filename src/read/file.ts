/** Models from disk. Node only. */
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { Graph } from '../ir/graph.ts'
import { readAnyModel } from './any-model.ts'
import { chunkBytes, codeOf, isBelow, readWhole, unreadableBy } from './bytes.ts'
import { type ReadError, readError } from './error.ts'
import type { ExternalFile, ExternalReader } from './external.ts'
import { fileOfFolder, folderNotOnnx, hinted } from './not-onnx.ts'
import { systemReason } from '../ir/system-reason.ts'

/**
 * The graph that an ONNX file or a TensorFlow.js model holds: the path of the file, or its bytes. Of TensorFlow.js it is that of
 * `model.json`, or of its folder; the files of weights are beside it. Tensors kept in files beside the model are read when they are needed.
 *
 * Such a file must be a regular one in the folder of the model, or of the file that the model's path links to, after
 * symbolic links are resolved: a link that leads elsewhere is refused. Hard links are followed.
 */
export const readModel =
  (source: string | Uint8Array): TaskEither<ReadError, Graph> =>
  async () => {
    if (typeof source !== 'string') return readAnyModel(source)
    try {
      const path = await modelFile(source)
      if (E.isLeft(path)) return path
      const real = await realpath(path.right)
      const bytes = await readWhole(path.right, real)
      if (E.isLeft(bytes)) return bytes
      const model = readAnyModel(bytes.right, { external: externalFiles(dirname(path.right), real) })
      return E.mapLeft((error: ReadError) => hinted(error, path.right))(model)
    } catch (thrown) {
      return E.left(unreadableBy(source, thrown))
    }
  }

/** The file that a path of a model stands for: itself, or the model of TensorFlow.js in that folder. */
export const modelFile = async (path: string): Promise<E.Either<ReadError, string>> => {
  try {
    if (!(await stat(path)).isDirectory()) return E.right(path)
    const names = await readdir(path)
    const file = fileOfFolder(names)
    return file === undefined ? E.left(folderNotOnnx(path, names)) : E.right(join(path, file))
  } catch (thrown) {
    return E.left(unreadableBy(path, thrown))
  }
}

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
    return refused(systemReason(thrown))
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
