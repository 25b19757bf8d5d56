/** What the fuzzer of files asks of one kind of files. */
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, renderError } from '../../../src/ir/failure.ts'
import type { Draw } from './draw.ts'

export type Verdict = 'accepted' | 'refused'

export interface FileKind {
  /** How many of a hundred files are of this kind. */
  readonly share: number
  /** A file, made up or mended from a good one. */
  readonly make: (draw: Draw) => Uint8Array
  /** Reads it, and does all that follows from it. Throws where that is a bug. */
  readonly judge: (bytes: Uint8Array, draw: Draw) => Verdict | Promise<Verdict>
}

/** Throws unless errors are tagged ones that say what is wrong. */
export const refused = (left: Failure | ReadonlyArray<Failure>): Verdict => {
  const failures = '_tag' in left ? [left] : left
  if (failures.length === 0) throw new Error('no failure in the list of failures')
  for (const failure of failures) {
    const text = renderError(failure)
    const { _tag, subject, expected, found, help } = failure
    const whole = [_tag, subject, expected, found, help].every((part) => typeof part === 'string')
    if (!whole || _tag === '') throw new Error(`not a failure with a tag: ${JSON.stringify(failure)}`)
    if (text.length > 1_000_000) throw new Error(`an error of ${text.length} characters: ${text.slice(0, 200)}`)
  }
  return 'refused'
}

/** `accepted`, or what {@link refused} finds of a left. */
export const verdictOf = (result: E.Either<Failure | ReadonlyArray<Failure>, unknown>): Verdict =>
  E.isLeft(result) ? refused(result.left) : 'accepted'
