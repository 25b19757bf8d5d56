import { type Failure, failure } from '../ir/failure.ts'

/**
 * Which rule a file breaks. Codes up to `external-data-file-missing` are those of ONNX's own checker, which gives its
 * other rules none.
 */
export type ReadErrorCode =
  | 'ir-version-missing'
  | 'required-field-missing'
  | 'required-field-empty'
  | 'external-data-file-missing'
  | 'file-unreadable'
  | 'malformed-protobuf'
  | 'malformed-text'
  | 'opset-import-conflict'
  | 'tensor-data-invalid'
  | 'external-data-invalid'
  | 'duplicate-name'
  | 'undefined-value'
  | 'cycle'
  | 'malformed-graph'
  // A TensorFlow.js model that is broken, or that has a part which is not translated.
  | 'tfjs-invalid'
  | 'tfjs-unsupported'
  // A file of another kind: `found` says which, `help` how to get a model from it.
  | 'not-onnx'
  // What the caller gave besides the bytes.
  | 'no-such-option'

/** Why a model cannot be read. */
export interface ReadError extends Failure<'ReadError'> {
  readonly code: ReadErrorCode
}

const notOnnx = 'Check the file with onnx.checker, or export the model again; it is not a valid ONNX model.'

export const readError = (
  code: ReadErrorCode,
  subject: string,
  expected: string,
  found: string,
  help: string = notOnnx,
): ReadError => ({ ...failure('ReadError', subject, expected, found, help), code })
