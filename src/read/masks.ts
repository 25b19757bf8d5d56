/** Masks from disk. Node only. */
import { readFile, stat } from 'node:fs/promises'
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { Graph } from '../ir/graph.ts'
import type { MaskFileError } from '../masks/match/index.ts'
import { decodeMasks } from '../masks/files.ts'
import type { Masks } from '../masks/mask.ts'
import { type ReadError, readError } from './error.ts'

/**
 * The masks for `graph` that a safetensors or npz file, or its bytes, hold; told apart by content, whatever the file is
 * called. See `matchMasks` for how they find their weights.
 */
export const readMasks =
  (source: string | Uint8Array, graph: Graph): TaskEither<ReadError | MaskFileError, Masks> =>
  async () => {
    if (typeof source !== 'string') return decodeMasks(source, graph)
    const bytes = await readBytes(source)
    return E.isLeft(bytes) ? bytes : decodeMasks(bytes.right, graph)
  }

const unreadable = (path: string, found: string): ReadError =>
  readError(
    'file-unreadable',
    path,
    'a file that can be read',
    found,
    'Check the path and the permissions of the file.',
  )

const readBytes = async (path: string): Promise<E.Either<ReadError, Uint8Array>> => {
  try {
    if (!(await stat(path)).isFile()) return E.left(unreadable(path, 'something that is not a regular file'))
    const bytes = await readFile(path)
    return E.right(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown)) throw thrown
    return E.left(unreadable(path, thrown.message))
  }
}
