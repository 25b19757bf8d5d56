/** One file, written as a whole or not at all. */
import { access, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { type WriteError, writeError } from '../export/error.ts'
import { systemCode } from '../export/file-system.ts'
import { uninterrupted } from './interrupt.ts'

/**
 * Writes `chunks` to a new file beside `path`, forces it to disk and renames it. Without `force` an existing file is an
 * error, as is a folder that cannot be written.
 */
export const writeFileWhole = (
  path: string,
  chunks: Iterable<Uint8Array>,
  force: boolean,
): Promise<E.Either<WriteError, void>> =>
  uninterrupted(async () => {
    const fresh = join(dirname(path), `.${basename(path)}.chasec-new-${crypto.randomUUID()}`)
    try {
      if (!force && (await exists(path))) {
        return E.left(writeError(path, 'no file yet', 'one that exists', 'Give --force to replace it.'))
      }
      const file = await open(fresh, 'wx')
      try {
        for (const chunk of chunks) await file.writeFile(chunk)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(fresh, path)
      return E.right(undefined)
    } catch (thrown) {
      await rm(fresh, { force: true })
      if (!(thrown instanceof Error) || systemCode(thrown) === '') throw thrown
      const help = 'Check that the folder exists, has space and can be written.'
      return E.left(writeError(path, 'a file that can be written', thrown.message, help))
    }
  })

const exists = async (path: string): Promise<boolean> => {
  try {
    await access(path)
    return true
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return false
    throw thrown
  }
}
