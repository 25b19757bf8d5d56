/** Checkpoints: files that Python wrote with `torch.save` or `pickle.dump`. Nothing that they name is imported or called. */
import * as E from 'fp-ts/lib/Either.js'
import type { FileContents, TensorFileError } from '../file-entry.ts'
import { contentsOf } from './contents.ts'
import { looksLegacy, nestedStorage, readLegacy } from './legacy.ts'
import { readPickle } from './pickle.ts'
import { damaged } from './storage.ts'

export { prefixOf, readArchive } from './archive.ts'
export { looksLikePickle } from './pickle.ts'
export { looksLegacy }

/** The tensors of a legacy checkpoint, or of a plain pickle of arrays or tensors. */
export const readPickled = (bytes: Uint8Array): E.Either<TensorFileError, FileContents> => {
  if (looksLegacy(bytes)) return readLegacy(bytes)
  const pickle = readPickle(bytes)
  if (E.isLeft(pickle)) return pickle
  const { end } = pickle.right
  if (end !== bytes.length) return damaged('pickle', 'nothing after its end', `${bytes.length - end} bytes`)
  return contentsOf(
    pickle.right,
    () => damaged('pickle', 'tensors with their memory', 'memory kept elsewhere'),
    nestedStorage,
  )
}
