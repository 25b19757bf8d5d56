/** Bytes of models of every kind that is read: ONNX and TensorFlow.js. Pure; also runs in a browser. */
import type * as E from 'fp-ts/lib/Either.js'
import type { Graph } from '../ir/graph.ts'
import type { ReadError } from './error.ts'
import { readModelBytes, type ReadOptions } from './model.ts'
import { readTensorFlowJs } from './tfjs/index.ts'

/** The graph that an ONNX file holds, or the `model.json` of a TensorFlow.js model. See {@link readModelBytes}. */
export const readAnyModel = (bytes: Uint8Array, options: ReadOptions = {}): E.Either<ReadError, Graph> =>
  readModelBytes(bytes, { tensorFlowJs: readTensorFlowJs, ...options })
