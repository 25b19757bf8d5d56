/**
 * Which channels of a model are the same for every input, found by running it: ONNX Runtime computes every value for
 * several inputs, and a channel is constant where all its numbers are equal, position by position and bit by bit.
 *
 * A ReLU that happens to be shut for all inputs tried would look constant too. So activations that saturate are replaced
 * by leaky ones: for constants that is all one, and what varies keeps varying.
 */
import * as ort from 'onnxruntime-node'
import { lower } from '../../src/export/lower.ts'
import { type Graph, makeGraph } from '../../src/ir/graph.ts'
import type { ValueId } from '../../src/ir/op.ts'
import { LeakyRelu } from '../../src/ir/ops/leaky-relu.ts'
import { makeNode } from '../../src/ir/make-node.ts'
import { orThrow } from '../../test/fuzz/differential.ts'
import { normals, uniforms } from '../../test/inflate.ts'
import type { Axis } from './ties.ts'

const saturating: ReadonlySet<string> = new Set(['Relu', 'Clip', 'HardSwish', 'HardSigmoid'])

/** The graph with every value of `axes` as an output, and nothing that saturates. */
const probeOf = (graph: Graph, axes: ReadonlyMap<ValueId, Axis>): Graph => {
  const nodes = graph.nodes.map((node) =>
    saturating.has(node.op)
      ? makeNode(LeakyRelu, node.inputs.slice(0, 1), node.outputs, { alpha: 0.25 }, node.name)
      : node,
  )
  const inputs = new Set(graph.inputs.map(({ name }) => name))
  const outputs = [...axes.keys()].flatMap((name) => {
    const type = graph.types.get(name)
    return inputs.has(name) || type === undefined ? [] : [{ name, type }]
  })
  return orThrow(makeGraph({ ...graph, nodes, outputs }))
}

/** Of every value with channels, 1 for each channel that is the same for all `runs` inputs. */
export const constantChannels = async (
  graph: Graph,
  axes: ReadonlyMap<ValueId, Axis>,
  runs: number,
): Promise<ReadonlyMap<ValueId, Uint8Array>> => {
  const probe = probeOf(graph, axes)
  const session = await ort.InferenceSession.create(orThrow(lower(probe)).model, {
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 4,
  })
  const out = new Map<ValueId, Uint8Array>()
  const first = new Map<ValueId, Float32Array>()
  try {
    for (let run = 0; run < runs; run++) {
      const normal = normals(uniforms(100 + run))
      const feeds: Record<string, ort.Tensor> = {}
      for (const { name, type } of graph.inputs) {
        const shape = type.kind === 'tensor' ? (type.shape ?? []).map((d) => (typeof d === 'number' ? d : 1)) : []
        const size = shape.reduce((n, d) => n * d, 1)
        feeds[name] = new ort.Tensor(
          'float32',
          Float32Array.from({ length: size }, () => 2 ** run * normal()),
          shape,
        )
      }
      const results = await session.run(feeds)
      for (const { name } of probe.outputs) {
        const data = results[name]?.data
        const { axis, size } = axes.get(name) ?? { axis: 0, size: 0 }
        if (!(data instanceof Float32Array)) throw new Error(`${name} is not float32`)
        const known = first.get(name)
        if (known === undefined) {
          first.set(name, data)
          out.set(name, new Uint8Array(size).fill(1))
          continue
        }
        const marks = out.get(name) ?? new Uint8Array()
        const inner = (results[name]?.dims ?? []).slice(axis + 1).reduce((n, d) => n * d, 1)
        for (let start = 0, block = 0; start < data.length; start += inner, block++) {
          const c = block % size
          for (let i = start; marks[c] === 1 && i < start + inner; i++) if (data[i] !== known[i]) marks[c] = 0
        }
      }
    }
  } finally {
    await session.release()
  }
  for (const { name } of graph.inputs) out.set(name, new Uint8Array(axes.get(name)?.size ?? 0))
  return out
}
