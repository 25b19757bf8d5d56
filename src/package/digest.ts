/** SHA-256 digests of files. Node only. */
import { basename } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { sha256OfFile } from '../disk/sha256.ts'
import { type ReadError, readError } from '../read/error.ts'
import type { Source } from '../report/source.ts'
import { systemReason } from '../ir/system-reason.ts'

/** Name and SHA-256 of a file, for the manifest of a package. Fails where the file cannot be read. */
export const sourceOf =
  (path: string): TaskEither<ReadError, Source> =>
  async () => {
    try {
      return E.right({ name: basename(path), sha256: await sha256OfFile(path) })
    } catch (thrown) {
      if (!(thrown instanceof Error && 'code' in thrown)) throw thrown
      const help = 'Check the path and the permissions of the file.'
      return E.left(readError('file-unreadable', path, 'a file that can be read', systemReason(thrown), help))
    }
  }
