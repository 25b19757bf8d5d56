/** Running a graph in ONNX Runtime on seeded images. */
import * as ort from 'onnxruntime-node'
import { lower } from '../../src/export/lower.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { MeanVarianceNormalization } from '../../src/ir/ops/mean-variance-normalization.ts'
import { BatchNormalization } from '../../src/ir/ops/batch-normalization.ts'
import { makeNode } from '../../src/ir/make-node.ts'
import { isOp } from '../../src/ir/registry.ts'
import { withParts } from '../../src/ir/graph.ts'
import { sizeOf } from '../../src/ir/type.ts'
import { orThrow } from '../fuzz/differential.ts'
import { normals, uniforms } from '../inflate.ts'

export interface Values {
  readonly shape: ReadonlyArray<number>
  readonly data: Float32Array
}

/** Seeded N(0, 1) images. */
export const images = (shape: ReadonlyArray<number>, seed = 3): Values => ({
  shape,
  data: Float32Array.from({ length: sizeOf(shape) }, normals(uniforms(seed))),
})

/** All outputs for `input`, without graph optimisations. */
export const runGraph = async (graph: Graph, input: Values): Promise<ReadonlyMap<string, Values>> => {
  const session = await ort.InferenceSession.create(orThrow(lower(graph)).model, {
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 3,
  })
  try {
    const results = await session.run({ input: new ort.Tensor('float32', input.data, input.shape) })
    return new Map(
      session.outputNames.map((name) => {
        const tensor = results[name]
        if (!(tensor?.data instanceof Float32Array)) throw new Error(`output ${name} is not float32`)
        return [name, { shape: tensor.dims, data: tensor.data }]
      }),
    )
  } finally {
    await session.release()
  }
}

/** The graph whose BatchNormalization uses the statistics of the batch, as in the first step of training. */
export const withBatchStatistics = (graph: Graph): Graph =>
  withParts(graph, {
    nodes: graph.nodes.map((node) =>
      isOp(node, BatchNormalization)
        ? makeNode(MeanVarianceNormalization, node.inputs.slice(0, 1), node.outputs, { axes: [0, 2, 3] }, node.name)
        : node,
    ),
  })

/** The graph with every float value that a node computes as an output. */
export const withAllOutputs = (graph: Graph): Graph =>
  withParts(graph, {
    outputs: graph.nodes.flatMap((node) => {
      const [name = ''] = node.outputs
      const type = graph.types.get(name)
      return type?.kind === 'tensor' && type.dtype === 'float32' ? [{ name, type }] : []
    }),
  })
