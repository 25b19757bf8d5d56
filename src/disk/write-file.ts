/** Files that are written as a whole or not at all. Node only. */
import { dirname, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { beside, leftoversOf } from './beside.ts'
import { type WriteError, writeError } from './error.ts'
import { type FileSystem, nodeFileSystem, systemCode } from './file-system.ts'
import { systemReason } from '../ir/system-reason.ts'
import { tryFolder } from './writable.ts'

export type Chunks = Iterable<Uint8Array> | AsyncIterable<Uint8Array>

/** How something is written. */
export interface Writing {
  readonly fileSystem?: FileSystem
  /** Aborted: what has not been put into its place by then never is, and the result is an error. */
  readonly signal?: AbortSignal
  /** Does all but write: what is to be written is made, and given up. Errors of places and rights are those of writing. */
  readonly dry?: boolean
}

/** Makes all of `chunks`, and gives them up. Throws where it is aborted. */
export const giveUp = async (chunks: Chunks, signal: AbortSignal | undefined): Promise<undefined> => {
  for await (const _chunk of chunks) signal?.throwIfAborted()
  return undefined
}

/**
 * Writes a new file, which must not exist, and forces it to disk. Each chunk is written while the next one is made, so that none may
 * be written to afterwards. Throws errors of the system, and where it is aborted.
 */
export const createFile = async (path: string, chunks: Chunks, { fileSystem, signal }: Writing): Promise<void> => {
  const file = await (fileSystem ?? nodeFileSystem).create(path)
  const write = async (chunk: Uint8Array): Promise<void> => {
    let rest = chunk
    while (rest.byteLength > 0) {
      signal?.throwIfAborted()
      const written = await file.write(rest.subarray(0, pieceBytes))
      if (written <= 0) throw Object.assign(new Error(`nothing more could be written to ${path}`), { code: 'EIO' })
      rest = rest.subarray(written)
    }
  }
  let writing = Promise.resolve()
  try {
    for await (const chunk of chunks) {
      await writing
      writing = write(chunk)
      // Whoever waits for it is told; it may fail before.
      writing.catch(() => undefined)
    }
    await writing
    await file.sync()
  } finally {
    await writing.catch(() => undefined)
    await file.close()
  }
  signal?.throwIfAborted()
}

/** Bytes that are written between two looks at whether to stop. */
const pieceBytes = 2 ** 24

export interface FileWriting extends Writing {
  /** Whether a file that exists is replaced; else it is an error. */
  readonly replace: boolean
}

/**
 * Writes the file at `path`: at any moment, also after a crash of the machine, there is what was there before or the new file,
 * whole. It is written beside its place under a name of its own, forced to disk, and moved there; then the folder is forced
 * to disk. What processes that were killed have left beside it is removed.
 *
 * Errors: a file that exists and is not to be replaced; a folder that is missing, full or cannot be written.
 */
export const writeFile = async (
  path: string,
  chunks: Chunks,
  { replace, fileSystem = nodeFileSystem, signal, dry = false }: FileWriting,
): Promise<E.Either<WriteError, undefined>> => {
  const target = resolve(path)
  const exists = writeError(path, 'no file yet', 'one that exists', 'Give --force to replace it.')
  const fresh = beside(target, 'new')
  try {
    if (dry)
      return (await tryFile(target, replace, fileSystem)) ? E.right(await giveUp(chunks, signal)) : E.left(exists)
    if (!replace && (await fileSystem.kindOf(target)) !== undefined) return E.left(exists)
    await createFile(fresh, chunks, signal === undefined ? { fileSystem } : { fileSystem, signal })
    if (replace) await fileSystem.rename(fresh, target)
    else if (!(await moveTo(target, fresh, fileSystem))) return E.left(exists)
    await fileSystem.syncFolder(dirname(target))
    return E.right(undefined)
  } catch (thrown) {
    if (signal?.aborted === true && thrown === signal.reason) return E.left(stoppedAt(path))
    if (!(thrown instanceof Error) || systemCode(thrown) === '') throw thrown
    const help = 'Check that the folder exists, has space and can be written.'
    return E.left(writeError(path, 'a file that can be written', systemReason(thrown), help))
  } finally {
    if (!dry) await removeLeftovers(target, fresh, fileSystem).catch(() => undefined)
  }
}

/** Whether a file may be put at `target`; throws the error of the system that this would meet with. */
const tryFile = async (target: string, replace: boolean, fileSystem: FileSystem): Promise<boolean> => {
  const kind = await fileSystem.kindOf(target)
  if (kind !== undefined && !replace) return false
  await tryFolder(dirname(target))
  if (kind !== 'folder') return true
  throw Object.assign(new Error('EISDIR: illegal operation on a directory, rename'), { code: 'EISDIR' })
}

/** The writing of `path` was aborted. */
export const stoppedAt = (path: string): WriteError =>
  writeError(path, 'time to write it', 'a request to stop', 'What was there is unchanged; try again.')

/** Moves a file to where there must be none; false where there is one. */
const moveTo = async (target: string, fresh: string, fileSystem: FileSystem): Promise<boolean> => {
  try {
    await fileSystem.link(fresh, target)
    return true
  } catch (thrown) {
    if (systemCode(thrown) === 'EEXIST') return false
    // Not every disk has links: there, a file may appear between the look and the renaming.
    if ((await fileSystem.kindOf(target)) !== undefined) return false
    await fileSystem.rename(fresh, target)
    return true
  }
}

const removeLeftovers = async (target: string, fresh: string, fileSystem: FileSystem): Promise<void> => {
  for (const { path, inUse } of await leftoversOf(target, 'file', fileSystem)) {
    if (!inUse || path === fresh) await fileSystem.removeFile(path)
  }
}
