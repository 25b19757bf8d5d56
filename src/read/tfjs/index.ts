/** Models of TensorFlow.js, `model.json` and its weights, to graphs. Pure; also runs in a browser. */
import * as E from 'fp-ts/lib/Either.js'
import type { Graph } from '../../ir/graph.ts'
import { isRecord } from '../../ir/record.ts'
import type { ReadError } from '../error.ts'
import type { ExternalReader } from '../external.ts'
import { invalid } from './error.ts'
import { readGraphModel } from './graph/model.ts'
import { readLayersModel } from './layers/model.ts'
import { readWeights } from './weights.ts'

/**
 * The graph that computes what TensorFlow.js computes with the model whose `model.json` has these bytes. Inputs and outputs keep
 * their names, shapes and element types; weights keep their names, and lie as ONNX has them (`[out, in, ...kernel]`).
 * `external` opens the files of weights, by their paths in the manifest.
 */
export const readTensorFlowJs = (
  bytes: Uint8Array,
  external: ExternalReader | undefined,
): E.Either<ReadError, Graph> => {
  const parsed = E.tryCatch(
    (): unknown => JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)),
    (thrown) => (thrown instanceof Error ? thrown.message : String(thrown)),
  )
  if (E.isLeft(parsed)) return E.left(invalid('model.json', 'JSON', parsed.left.slice(0, 200)))
  const model = parsed.right
  if (!isRecord(model) || !isRecord(model['modelTopology'])) {
    return E.left(invalid('model.json', 'a modelTopology', 'none'))
  }
  const topology = model['modelTopology']
  const weights = readWeights(model['weightsManifest'], external)
  if (E.isLeft(weights)) return weights
  if (!Array.isArray(topology['node'])) return readLayersModel(topology, weights.right)
  const metadata = model['userDefinedMetadata']
  const signature = (isRecord(metadata) ? metadata['signature'] : undefined) ?? model['signature']
  return readGraphModel(topology, signature, weights.right)
}
