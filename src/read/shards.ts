/**
 * Sharded checkpoints as HuggingFace writes them: an index, JSON with a `weight_map` from the names of tensors to files
 * beside it.
 * Format: https://huggingface.co/docs/safetensors/metadata_parsing and `split_torch_state_dict_into_shards` in huggingface_hub
 */
import { realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { isRecord } from '../ir/record.ts'
import type { FileContents, FileEntry, TensorFileError } from '../masks/file-entry.ts'
import { tensorFileError } from '../masks/file-entry.ts'
import { decodeTensors } from '../masks/files.ts'
import { unpackEntries } from '../masks/packed/index.ts'
import { codeOf, isBelow, readWhole, unreadableBy } from './bytes.ts'
import type { ReadError } from './error.ts'

/** Names of files by the tensors that they hold. */
type WeightMap = ReadonlyMap<string, string>

const broken = (path: string, expected: string, found: string): E.Either<TensorFileError, never> =>
  E.left(tensorFileError(path, expected, found, 'Copy or download all files of the checkpoint again.'))

/** Things beyond this many are counted, not listed. */
const listedLimit = 20

const listOf = (names: ReadonlyArray<string>): string => {
  const listed = names.slice(0, listedLimit).join(', ')
  return names.length <= listedLimit ? listed : `${listed} and ${names.length - listedLimit} more`
}

/** The `weight_map` of an index, with plain names of files only. */
const parseIndex = (bytes: Uint8Array, path: string): E.Either<TensorFileError, WeightMap> => {
  const parsed = E.tryCatch(
    (): unknown => JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)),
    () => undefined,
  )
  const index = E.isRight(parsed) ? parsed.right : undefined
  const map = isRecord(index) ? index['weight_map'] : undefined
  if (!isRecord(map)) return broken(path, 'an index of JSON with a weight_map', 'something else')
  const files = new Map<string, string>()
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== 'string' || !isPlainName(file)) {
      return broken(path, 'names of files beside the index', JSON.stringify(file).slice(0, 100))
    }
    files.set(name, file)
  }
  return E.right(files)
}

/** Neither a path nor one of the names that stand for folders. */
const isPlainName = (name: string): boolean => /^[^/\\\0:]+$/.test(name) && name !== '.' && name !== '..'

/**
 * The tensors of all the files that the index at `path` names, in its order, read one after the other. A file must be a
 * regular one in the folder of the index, or of what the index links to, once links are followed: the cache of HuggingFace
 * has its files in one folder and links to them in another.
 */
export const readShards = async (
  path: string,
  bytes: Uint8Array,
): Promise<E.Either<ReadError | TensorFileError, FileContents>> => {
  const index = parseIndex(bytes, path)
  if (E.isLeft(index)) return index
  const found = await findShards(path, new Set(index.right.values()))
  if (E.isLeft(found)) return found
  const entries: FileEntry[] = []
  const notes = new Set<string>()
  const missing = new Set(index.right.keys())
  let ignored = 0
  for (const [name, file] of found.right) {
    const shard = await readShard(file)
    if (E.isLeft(shard)) return shard
    for (const note of shard.right.notes) notes.add(note)
    for (const entry of shard.right.entries) {
      if (entry.within !== undefined || index.right.get(entry.name) !== name) {
        ignored += 1
        continue
      }
      missing.delete(entry.name)
      const { storage } = entry
      entries.push(storage === undefined ? entry : { ...entry, storage: `${name} ${storage}` })
    }
  }
  if (missing.size > 0)
    return broken(path, 'every tensor in the file that the index names', `none of ${listOf([...missing])}`)
  if (ignored > 0) notes.add(`${ignored} tensors that the index does not place where they are were passed over.`)
  return E.map((all: FileContents['entries']) => ({ entries: all, notes: [...notes] }))(unpackEntries(entries, false))
}

const readShard = async (path: string): Promise<E.Either<ReadError | TensorFileError, FileContents>> => {
  try {
    const bytes = await readWhole(path, path)
    return E.isLeft(bytes)
      ? bytes
      : E.mapLeft((error: TensorFileError) => ({ ...error, subject: `${path}: ${error.subject}` }))(
          decodeTensors(bytes.right),
        )
  } catch (thrown) {
    return E.left(unreadableBy(path, thrown))
  }
}

/** Where the files are, by name. */
const findShards = async (
  path: string,
  names: ReadonlySet<string>,
): Promise<E.Either<ReadError | TensorFileError, ReadonlyMap<string, string>>> => {
  try {
    const folders = [await realpath(dirname(path)), dirname(await realpath(path))]
    const found = new Map<string, string>()
    const absent: string[] = []
    for (const name of names) {
      const file = await resolved(join(dirname(path), name))
      if (file === undefined) absent.push(name)
      else if (folders.some((folder) => isBelow(file, folder))) found.set(name, file)
      else return broken(path, 'files beside the index', `${name}, a link that leads elsewhere`)
    }
    return absent.length === 0
      ? E.right(found)
      : broken(path, 'all files of the checkpoint beside the index', `none of ${listOf(absent)}`)
  } catch (thrown) {
    return E.left(unreadableBy(path, thrown))
  }
}

const resolved = async (path: string): Promise<string | undefined> => {
  try {
    return await realpath(path)
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined
    throw thrown
  }
}
