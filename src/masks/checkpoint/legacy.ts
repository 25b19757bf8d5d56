/**
 * Checkpoints of PyTorch before 1.6, and today's with `_use_new_zipfile_serialization=False`: five pickles (a magic number, a
 * version, the machine's sizes, the object, the keys of the memory), then for each key the number of elements in eight
 * bytes and the elements, always little-endian.
 * Format: https://github.com/pytorch/pytorch/blob/main/torch/serialization.py (_legacy_save)
 */
import * as E from 'fp-ts/lib/Either.js'
import type { FileContents, TensorFileError } from '../file-entry.ts'
import { contentsOf } from './contents.ts'
import { type Pickle, readPickle } from './pickle.ts'
import {
  damaged,
  isSkipped,
  type Reference,
  referenceOf,
  type Skipped,
  type Storage,
  type Storages,
} from './storage.ts'
import { isTagged, itemsOf, type Value } from './value.ts'

const magic = 0x1950a86a20f9469cfc6cn
const version = 1001

/** The first pickle of every such file: the magic number in protocol 2. */
const start = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e] as const

export const looksLegacy = (bytes: Uint8Array): boolean => start.every((byte, i) => bytes[i] === byte)

export const readLegacy = (bytes: Uint8Array): E.Either<TensorFileError, FileContents> => {
  const file = openLegacy(bytes)
  return E.isLeft(file) ? file : contentsOf(file.right.pickle, file.right.storages, nestedStorage)
}

interface Legacy {
  readonly pickle: Pickle
  readonly storages: Storages
}

const openLegacy = (bytes: Uint8Array): E.Either<TensorFileError, Legacy> => {
  const pickles: Pickle[] = []
  let at = 0
  while (pickles.length < 5) {
    const pickle = readPickle(bytes, at)
    if (E.isLeft(pickle)) return pickle
    pickles.push(pickle.right)
    at = pickle.right.end
  }
  const [first, second, , object, last] = pickles
  if (first?.value !== magic || second?.value !== version || object === undefined) {
    return damaged('checkpoint', `a legacy file of version ${version}`, 'something else')
  }
  const keys = itemsOf(last?.value)
  if (keys === undefined) return damaged('checkpoint', 'the list of what follows the pickles', 'something else')
  const references = referencesIn(object)
  if (E.isLeft(references)) return references
  const storages = new Map<string, Storage>()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (const value of keys) {
    const key = typeof value === 'string' || typeof value === 'number' ? String(value) : ''
    const reference = references.right.get(key)
    if (reference === undefined || storages.has(key)) return damaged('checkpoint', 'every memory once', 'another')
    if (at + 8 > bytes.length) return damaged('checkpoint', `memory ${key.slice(0, 200)}`, 'the end of the file')
    const { dtype, width, count } = reference
    const declared = view.getBigInt64(at, true)
    if (declared !== BigInt(count)) return damaged('checkpoint', `${count} elements, as the pickle says`, `${declared}`)
    const begin = at + 8
    const size = count * width
    if (size > bytes.length - begin) {
      return damaged('checkpoint', `${size} bytes of memory`, `${bytes.length - begin}`)
    }
    at = begin + size
    const content = bytes.subarray(begin, at)
    storages.set(key, { key, size, dtype, bigEndian: false, bytes: () => E.right(content) })
  }
  if (at !== bytes.length) return damaged('checkpoint', 'nothing after its memory', `${bytes.length - at} bytes`)
  return E.right({
    pickle: object,
    storages: ({ key }) => {
      const storage = storages.get(key)
      return storage === undefined ? damaged('checkpoint', `memory ${key.slice(0, 200)}`, 'none') : E.right(storage)
    },
  })
}

/** What the object's pickle says of its memory, by key. The same key stands for the same memory everywhere. */
const referencesIn = ({ persistent }: Pickle): E.Either<TensorFileError, ReadonlyMap<string, Reference>> => {
  const references = new Map<string, Reference>()
  for (const value of persistent) {
    const reference = referenceOf(value)
    if (reference === undefined || isSkipped(reference)) continue
    const known = references.get(reference.key) ?? reference
    if (known.width !== reference.width || known.dtype !== reference.dtype || known.count !== reference.count) {
      return damaged('checkpoint', 'one type and size of each memory', 'two')
    }
    references.set(reference.key, reference)
  }
  return E.right(references)
}

/**
 * The memory that a legacy file holds as its object: what a plain pickle of tensors has for each, in
 * `torch.storage._load_from_bytes`. `id` tells it from others.
 */
export const nestedStorage = (bytes: Uint8Array, id: number): E.Either<TensorFileError, Storage | Skipped> => {
  const file = looksLegacy(bytes) ? openLegacy(bytes) : undefined
  if (file === undefined) return damaged('checkpoint', 'memory in the legacy format', 'something else')
  if (E.isLeft(file)) return file
  const value: Value = file.right.pickle.value
  const reference = isTagged(value) && value.tag === 'persistent' ? referenceOf(value) : undefined
  if (reference === undefined) return damaged('checkpoint', 'memory in the legacy format', 'something else')
  if (isSkipped(reference)) return E.right(reference)
  const storage = file.right.storages(reference)
  if (E.isLeft(storage) || isSkipped(storage.right)) return storage
  return E.right({ ...storage.right, key: `nested ${id}` })
}
