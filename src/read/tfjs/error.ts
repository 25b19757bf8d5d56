/** What is wrong with a TensorFlow.js model, or which part of it is not read. */
import * as E from 'fp-ts/lib/Either.js'
import { type ReadError, readError } from '../error.ts'

/** A model that TensorFlow.js itself would not load. */
export const invalid = (subject: string, expected: string, found: string): ReadError =>
  readError(
    'tfjs-invalid',
    subject,
    expected,
    found,
    'Convert the model to TensorFlow.js again; TensorFlow.js cannot load it as it is.',
  )

/** Something that TensorFlow.js may compute, but that is not translated. */
export const unsupported = (subject: string, found: string): ReadError =>
  readError(
    'tfjs-unsupported',
    subject,
    'what chasec translates from TensorFlow.js',
    found,
    'Convert the model itself: python -m tf2onnx.convert --tfjs FILE --output model.onnx (or --saved-model, --keras).',
  )

/** A part of a model as JSON, for messages: its start, or dots where it is too deep to be written. */
export const shown = (part: unknown): string =>
  E.getOrElse(() => '…')(
    E.tryCatch(
      () => (JSON.stringify(part) ?? 'nothing').slice(0, 100),
      () => undefined,
    ),
  )
