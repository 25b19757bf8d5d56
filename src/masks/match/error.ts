import type { Failure } from '../../ir/failure.ts'
import type { TensorFileError } from '../file-entry.ts'

export type MaskError = Failure<'MaskError'>

/** Why masks cannot be had from a file: the file is broken, or they do not fit the model. */
export type MaskFileError = MaskError | TensorFileError
