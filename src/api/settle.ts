/** From `Either` and `TaskEither` to promises. */
import * as E from 'fp-ts/lib/Either.js'
import type { NonEmptyArray } from 'fp-ts/lib/NonEmptyArray.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { type Failure, renderError } from '../ir/failure.ts'

/** What the calls reject with: its message says what to do, one line for each failure. */
export type FailureError = Error & {
  /** The first of them. */
  readonly failure: Failure
  readonly failures: NonEmptyArray<Failure>
}

export const isFailureError = (thrown: unknown): thrown is FailureError =>
  thrown instanceof Error && 'failure' in thrown && 'failures' in thrown

type Failures = Failure | NonEmptyArray<Failure>

const settle = <A>(result: E.Either<Failures, A>): A => {
  if (E.isRight(result)) return result.right
  const failures: NonEmptyArray<Failure> = '_tag' in result.left ? [result.left] : result.left
  throw Object.assign(new Error(failures.map(renderError).join('\n')), { failure: failures[0], failures })
}

/** The call with a promise that resolves to its `Right`, and rejects with a {@link FailureError} for its `Left`. */
export const fromTask =
  <Args extends ReadonlyArray<unknown>, A>(call: (...args: Args) => TaskEither<Failures, A>) =>
  async (...args: Args): Promise<A> =>
    settle(await call(...args)())

/** As {@link fromTask} for a call that gives its result at once. */
export const fromEither =
  <Args extends ReadonlyArray<unknown>, A>(call: (...args: Args) => E.Either<Failures, A>) =>
  async (...args: Args): Promise<A> =>
    settle(call(...args))
