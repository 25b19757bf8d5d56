/** Tensors from disk: one file, or a checkpoint of several. Node only. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { type FileContents, tensorFileError, type TensorFileError } from '../masks/file-entry.ts'
import { decodeFile } from '../masks/files.ts'
import { kindOf } from '../masks/kind.ts'
import { readBytes, unreadableBy } from './bytes.ts'
import type { ReadError } from './error.ts'
import { readShards } from './shards.ts'

/** What a folder of HuggingFace has its weights in. */
const weightFiles = [
  'model.safetensors.index.json',
  'pytorch_model.bin.index.json',
  'model.safetensors',
  'pytorch_model.bin',
] as const

/**
 * The tensors of a file, told by its content as {@link decodeFile} does, or of its bytes. A path may also be that of the
 * index of a sharded checkpoint, whose files are all read, or of a folder with one such index or one file of weights.
 */
export const readTensors =
  (source: string | Uint8Array): TaskEither<ReadError | TensorFileError, FileContents> =>
  async () => {
    if (typeof source !== 'string') return decodeFile(source)
    const path = await fileIn(source)
    if (E.isLeft(path)) return path
    const bytes = await readBytes(path.right)
    if (E.isLeft(bytes)) return bytes
    return kindOf(bytes.right) === 'shard index' ? readShards(path.right, bytes.right) : decodeFile(bytes.right)
  }

/** The file that `path` stands for: itself, or the only one with weights in that folder. */
const fileIn = async (path: string): Promise<E.Either<ReadError | TensorFileError, string>> => {
  try {
    if (!(await stat(path)).isDirectory()) return E.right(path)
    const present = new Set(await readdir(path))
    const [only, ...others] = weightFiles.filter((name) => present.has(name))
    if (only !== undefined && others.length === 0) return E.right(join(path, only))
    return E.left(
      tensorFileError(
        path,
        `a file of tensors, or a folder with one of ${weightFiles.join(', ')}`,
        only === undefined ? 'a folder without' : `a folder with ${[only, ...others].join(' and ')}`,
        'Give the path of the file.',
      ),
    )
  } catch (thrown) {
    return E.left(unreadableBy(path, thrown))
  }
}
