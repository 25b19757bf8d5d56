import { type Failure, failure } from '../ir/failure.ts'

/** What a user can get wrong about a built-in model: its name, or numbers it cannot be built for. */
export type ModelError = Failure<'ModelError'>

export const modelError = (subject: string, expected: string, found: string, help: string): ModelError =>
  failure('ModelError', subject, expected, found, help)
