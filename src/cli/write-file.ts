/** One file, written as a whole or not at all, also when the user presses Ctrl-C meanwhile. */
import type * as E from 'fp-ts/lib/Either.js'
import type { WriteError } from '../disk/error.ts'
import { writeFile } from '../disk/write-file.ts'
import { uninterrupted } from './interrupt.ts'

/** As `writeFile` of `src/disk`. */
export const writeFileWhole = (
  path: string,
  chunks: Iterable<Uint8Array>,
  force: boolean,
): Promise<E.Either<WriteError, undefined>> =>
  uninterrupted((signal) => writeFile(path, chunks, { replace: force, signal }))
