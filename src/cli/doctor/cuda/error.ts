/** What can go wrong while CUDA's libraries are fetched, put in place or removed. */
import { type Failure, failure } from '../../../ir/failure.ts'

export type CudaError = Failure<'CudaError'>

export const cudaError = (subject: string, expected: string, found: string, help: string): CudaError =>
  failure('CudaError', subject, expected, found, help)

/** A {@link CudaError} on its way through code that gives bytes. */
export class Interruption extends Error {
  readonly error: CudaError
  constructor(error: CudaError) {
    super(error.found)
    this.error = error
  }
}
