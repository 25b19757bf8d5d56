/** Files that tensors are read from while a model is worked on: they may change or go meanwhile, or hold too much. */
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, failure } from './failure.ts'
import { systemReason } from './system-reason.ts'

/** What engines say of an array that is longer than they can make, or than there is memory for. */
const tooLong = /^(Invalid typed array length|Array buffer allocation failed)/

/** The reason, and of which file. */
const reasonAndPath = (thrown: Error): string => {
  const path = 'path' in thrown && typeof thrown.path === 'string' ? `${thrown.path}: ` : ''
  return `${path}${systemReason(thrown)}`
}

/** What reading a file has thrown, as data; undefined for anything else. */
export const externalFailure = (thrown: unknown): Failure<'ReadError'> | undefined => {
  if (thrown instanceof RangeError && tooLong.test(thrown.message)) {
    const help =
      'One row of a tensor has to fit; a model that is run, without --no-verify or with --measure, as a whole.'
    return failure('ReadError', 'the weights', 'at most 4 GB at once, and memory for them', thrown.message, help)
  }
  return thrown instanceof Error &&
    'code' in thrown &&
    typeof thrown.code === 'string' &&
    !thrown.code.startsWith('ERR_')
    ? failure(
        'ReadError',
        'a file beside the model',
        'its bytes',
        reasonAndPath(thrown),
        'Read the model again, then retry.',
      )
    : undefined
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
