/** Files that tensors are read from while a model is worked on: they may change or go meanwhile, or hold too much. */
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, failure } from './failure.ts'
import { systemReason } from './system-reason.ts'

/** What engines say of an array that is longer than they can make, or than there is memory for. */
const tooLong = /^(Invalid typed array length|Array buffer allocation failed)/

interface SystemError extends Error {
  readonly code: string
  /** Undefined where a call was not made. */
  readonly syscall?: string
  readonly path?: string
}

/** Whether an operating system said it, by a code such as ENOENT, rather than Node. */
export const isSystemError = (thrown: unknown): thrown is SystemError =>
  thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' && !thrown.code.startsWith('ERR_')

/** Calls of the system that read; what else throws one has no name for it. */
const reading: ReadonlyArray<unknown> = ['open', 'read', 'stat', 'lstat', 'fstat', undefined]

/** What reading a file has thrown, as data; undefined for anything else. */
export const externalFailure = (thrown: unknown): Failure<'ReadError'> | undefined => {
  if (thrown instanceof RangeError && tooLong.test(thrown.message)) {
    const help =
      'One row of a tensor has to fit; a model that is run, without --no-verify or with --measure, as a whole.'
    return failure('ReadError', 'the weights', 'at most 4 GB at once, and memory for them', thrown.message, help)
  }
  if (!isSystemError(thrown) || !reading.includes(thrown.syscall)) return undefined
  const [path, help] = [thrown.path ?? 'a file beside the model', 'Read the model again, then retry.']
  return failure('ReadError', path, 'its bytes', systemReason(thrown), help)
}

/** What `work` gives, or why a file could not be read that its tensors are in. */
export const readingFiles = <L, A>(work: () => E.Either<L, A>): E.Either<L | Failure<'ReadError'>, A> => {
  try {
    return work()
  } catch (thrown) {
    const found = externalFailure(thrown)
    if (found === undefined) throw thrown
    return E.left(found)
  }
}
