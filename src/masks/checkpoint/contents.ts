/** From a pickle and the memory beside it to tensors and notes. */
import * as E from 'fp-ts/lib/Either.js'
import type { FileContents, TensorFileError } from '../file-entry.ts'
import { dataOf } from './data.ts'
import type { Pickle } from './pickle.ts'
import type { Skipped, Storage, Storages } from './storage.ts'
import { isMade, itemsOf, type Value } from './value.ts'
import { tensorsIn } from './walk.ts'

/** Functions of Python's library that run programs or code. */
const dangerous =
  /^(?:os|nt|posix|subprocess|sys|pty|socket|shutil|runpy|importlib|webbrowser|ctypes|commands|pip)\.|^builtins\.(?:eval|exec|execfile|compile|open|__import__)$/

/** What is to be said of the calls that a pickle wants made. */
const warningsOf = (calls: ReadonlySet<string>): ReadonlyArray<string> =>
  [...calls]
    .filter((name) => dangerous.test(name))
    .slice(0, 10)
    .map((name) => `The file wants ${name} called when it is loaded: it was not, and Python should not load this file.`)

/** Finds memory in a file that is within the pickle. */
export type Nested = (bytes: Uint8Array, id: number) => E.Either<TensorFileError, Storage | Skipped>

export const contentsOf = (
  { value, calls }: Pickle,
  storages: Storages,
  nested: Nested,
): E.Either<TensorFileError, FileContents> => {
  const known = new Map<Value, E.Either<TensorFileError, Storage | Skipped>>()
  const remembered = (value: Value): E.Either<TensorFileError, Storage | Skipped> => {
    // The same bytes, whatever makes them.
    const source = (isMade(value) ? itemsOf(value.args)?.[0] : undefined) ?? value
    const storage = known.get(source) ?? nested(dataOf(value)?.bytes() ?? new Uint8Array(), known.size)
    known.set(source, storage)
    return storage
  }
  const found = tensorsIn(value, { storages, nested: remembered })
  return E.map(({ entries, notes }: FileContents) => ({ entries, notes: [...warningsOf(calls), ...notes] }))(found)
}
