/**
 * Checkpoints of PyTorch since 1.6: a zip archive of one folder with the pickle `data.pkl`, the memory of tensors in
 * `data/KEY`, and `byteorder`. TorchScript files have the same and code beside it, which is not looked at.
 * Format: https://github.com/pytorch/pytorch/blob/main/torch/serialization.py (_save)
 */
import * as E from 'fp-ts/lib/Either.js'
import type { FileContents, TensorFileError } from '../file-entry.ts'
import type { ZipEntry } from '../zip.ts'
import { contentOf } from '../zip-content.ts'
import { contentsOf } from './contents.ts'
import { nestedStorage } from './legacy.ts'
import { readPickle } from './pickle.ts'
import { damaged, type Storage, type Storages } from './storage.ts'

const pickleName = 'data.pkl'

/** A pickle that is deflated, which PyTorch's never are, may take this many bytes. */
const inflatedLimit = 2 ** 26

/** What the names of a checkpoint's files begin with; undefined where an archive is none. */
export const prefixOf = (files: ReadonlyArray<ZipEntry>): string | undefined => {
  const names = files.flatMap(({ name }) => (/^(?:[^/]*\/)?data\.pkl$/.test(name) ? name : []))
  const [name] = names
  return names.length === 1 && name !== undefined ? name.slice(0, -pickleName.length) : undefined
}

/** The tensors of a checkpoint whose files are all under `prefix`. */
export const readArchive = (
  files: ReadonlyArray<ZipEntry>,
  prefix: string,
): E.Either<TensorFileError, FileContents> => {
  const byName = new Map(files.map((file) => [file.name, file]))
  const file = byName.get(`${prefix}${pickleName}`)
  if (file === undefined) return damaged('checkpoint', pickleName, 'none')
  if (!file.stored && file.size > inflatedLimit) {
    return damaged('checkpoint', `a pickle of at most ${inflatedLimit} bytes`, `${file.size}`)
  }
  const bytes = contentOf(file)
  if (E.isLeft(bytes)) return bytes
  const order = orderOf(byName.get(`${prefix}byteorder`))
  if (E.isLeft(order)) return order
  const pickle = readPickle(bytes.right)
  if (E.isLeft(pickle)) return pickle
  if (pickle.right.end !== bytes.right.length) {
    return damaged('checkpoint', 'nothing after its pickle', `${bytes.right.length - pickle.right.end} bytes`)
  }
  return contentsOf(pickle.right, storagesOf(byName, prefix, order.right === 'big'), nestedStorage)
}

const orderOf = (file: ZipEntry | undefined): E.Either<TensorFileError, string> => {
  if (file === undefined) return E.right('little')
  if (file.size > 6) return damaged('checkpoint', 'the byte order little or big', `${file.size} bytes`)
  const bytes = contentOf(file)
  if (E.isLeft(bytes)) return bytes
  const order = new TextDecoder().decode(bytes.right)
  return order === 'little' || order === 'big'
    ? E.right(order)
    : damaged('checkpoint', 'the byte order little or big', 'another')
}

const storagesOf = (byName: ReadonlyMap<string, ZipEntry>, prefix: string, bigEndian: boolean): Storages => {
  const contents = new Map<string, E.Either<TensorFileError, Uint8Array>>()
  // Stored content is a view, checked once; of inflated content only the last is kept.
  const content = (file: ZipEntry): E.Either<TensorFileError, Uint8Array> => {
    const known = contents.get(file.name)
    if (known !== undefined) return known
    if (!file.stored) contents.clear()
    const bytes = contentOf(file)
    contents.set(file.name, bytes)
    return bytes
  }
  return ({ key, dtype, width, count }) => {
    const name = `${prefix}data/${key}`
    const file = byName.get(name)
    if (file === undefined) return damaged('checkpoint', `the file ${name.slice(0, 200)}`, 'none')
    const size = count * width
    if (file.size !== size) return damaged(`zip entry ${name}`, `${size} bytes, as the pickle says`, `${file.size}`)
    const storage: Storage = { key, size, dtype, bigEndian, bytes: () => content(file) }
    return E.right(storage)
  }
}
