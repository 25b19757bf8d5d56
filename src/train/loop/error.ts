import { type Failure, failure } from '../../ir/failure.ts'

/** Why training cannot start or go on; failures of the parts (data, backend, recipe, sparse training) come through as they are. */
export type TrainError = Failure

export const trainError = (subject: string, expected: string, found: string, help: string): TrainError =>
  failure('TrainError', subject, expected, found, help)
