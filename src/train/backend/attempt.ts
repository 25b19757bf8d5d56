/** Trying a backend: whether it opens, and whether it computes. */
import * as E from 'fp-ts/lib/Either.js'
import type * as T from 'fp-ts/lib/Task.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import type { Backend, BackendError } from './backend.ts'

/** What came of trying a backend. */
export interface Attempt {
  readonly available: boolean
  /** Whether a program stands in for the GPU: `auto` passes such a backend over. */
  readonly software: boolean
  /** What computes, or why nothing does. */
  readonly found: string
}

/** An attempt that came to nothing. */
export const failedAttempt = (found: string): Attempt => ({ available: false, software: false, found })

/** Opens a backend and multiplies two small matrices on it. Never rejects. */
export const attemptOf =
  (open: TE.TaskEither<BackendError, Backend>): T.Task<Attempt> =>
  async () => {
    const opened = await open()
    if (E.isLeft(opened)) return failedAttempt(opened.left.found)
    const { core, description, software } = opened.right
    try {
      const a = core.tensor2d([1, 2, 3, 4], [2, 2])
      const b = core.tensor2d([5, 6, 7, 8], [2, 2])
      const product = core.matMul(a, b)
      const numbers = await product.data()
      core.dispose([a, b, product])
      return [19, 22, 43, 50].every((number, at) => numbers[at] === number)
        ? { available: true, software, found: description }
        : failedAttempt(`${description} multiplies two matrices wrongly`)
    } catch (thrown) {
      const message = thrown instanceof Error ? thrown.message : String(thrown)
      return failedAttempt(`${description} cannot multiply two matrices: ${message.split('\n', 1)[0] ?? ''}`)
    }
  }
