/**
 * The calls of `chasec` for those who do not use fp-ts: each resolves to what the other entry has as `Right`, and rejects
 * with a {@link FailureError} for what it has as `Left`.
 */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { type Failure, renderError } from './ir/failure.ts'
import * as api from './index.ts'

/** What the calls reject with: its message says what to do, `failure` holds the same as data. */
export type FailureError = Error & { readonly failure: Failure }

export const isFailureError = (thrown: unknown): thrown is FailureError =>
  thrown instanceof Error && 'failure' in thrown

const settle = <A>(result: E.Either<Failure, A>): A => {
  if (E.isRight(result)) return result.right
  throw Object.assign(new Error(renderError(result.left)), { failure: result.left })
}

const fromTask =
  <Args extends ReadonlyArray<unknown>, A>(call: (...args: Args) => TaskEither<Failure, A>) =>
  async (...args: Args): Promise<A> =>
    settle(await call(...args)())

const fromEither =
  <Args extends ReadonlyArray<unknown>, A>(call: (...args: Args) => E.Either<Failure, A>) =>
  async (...args: Args): Promise<A> =>
    settle(call(...args))

export const readModel = fromTask(api.readModel)
export const readMasks = fromTask(api.readMasks)
export const compile = fromEither(api.compile)
export const inspect = fromEither(api.inspect)
export const pruneChannels = fromEither(api.pruneChannels)
export const lower = fromEither(api.lower)
export const lowerCompiled = fromEither(api.lowerCompiled)
export const maskedModel = fromEither(api.maskedModel)
export const writePackage = fromTask(api.writePackage)
export const sourceOf = fromTask(api.sourceOf)
export const verify = fromTask(api.verify)
export const verifyCompiled = fromTask(api.verifyCompiled)
export const measure = fromTask(api.measure)
export const providers = fromTask(api.providers)

export { encodeMasks, noMasks, renderError, runnable, version, zerosOf } from './index.ts'
export type * from './index.ts'
