import { open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { trainError, type TrainError } from './error.ts'

/**
 * Replaces the file at `path` by one of these bytes: at any moment, also after a crash of the machine, there is the old file or
 * the new one, whole. The new file is written beside it under a name of its own, forced to disk, renamed, and then the
 * folder is forced to disk. For one writer at a time. What a crash leaves of the new file is overwritten by the next call.
 */
export const replaceFile = async (
  path: string,
  chunks: Iterable<Uint8Array>,
): Promise<E.Either<TrainError, undefined>> => {
  const fresh = join(dirname(path), `.${basename(path)}.new`)
  try {
    const file = await open(fresh, 'w')
    try {
      for (const chunk of chunks) await file.writeFile(chunk)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(fresh, path)
    await syncFolder(dirname(path))
    return E.right(undefined)
  } catch (thrown) {
    await rm(fresh, { force: true })
    if (!(thrown instanceof Error && 'code' in thrown)) throw thrown
    const help = 'Check that the folder exists, has space and can be written.'
    return E.left(trainError(path, 'a file that can be written', thrown.message, help))
  }
}

const syncFolder = async (folder: string): Promise<void> => {
  // Windows has no such call: a folder cannot be opened.
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
