/** A checkpoint in a file. Node only. */
import { readFile } from 'node:fs/promises'
import * as E from 'fp-ts/lib/Either.js'
import { writeFile } from '../../disk/write-file.ts'
import { systemReason } from '../../ir/system-reason.ts'
import type { Store } from './checkpoint.ts'
import { trainError, type TrainError } from './error.ts'

export const fileStore = (path: string): Store => ({
  name: path,
  read: () => readIfThere(path),
  write: (chunks) => writeFile(path, chunks, { replace: true }),
})

const readIfThere = async (path: string): Promise<E.Either<TrainError, Uint8Array | undefined>> => {
  try {
    const { buffer, byteOffset, byteLength } = await readFile(path)
    return E.right(new Uint8Array(buffer, byteOffset, byteLength))
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown)) throw thrown
    if (thrown.code === 'ENOENT') return E.right(undefined)
    return E.left(trainError(path, 'a file that can be read', systemReason(thrown), 'Check its permissions.'))
  }
}
