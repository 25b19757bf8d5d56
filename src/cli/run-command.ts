import type * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../ir/failure.ts'
import type { CommonFlags } from './flags.ts'
import type { Outcome } from './outcome.ts'
import type { Terminal } from './terminal.ts'

/** The work of one command; it reports progress on the terminal, and gives back everything else. */
export type Work = (terminal: Terminal) => Promise<E.Either<Failure, Outcome>>

/** Does the work and tells its outcome in the way the flags ask for. */
export type RunCommand = (flags: CommonFlags, work: Work) => Promise<void>
