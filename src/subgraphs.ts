/** Subgraphs of nodes (If, Loop, Scan) as graphs of their own and back: read and written like models. */
import { create } from '@bufbuild/protobuf'
import * as E from 'fp-ts/lib/Either.js'
import { lower } from './export/lower.ts'
import { restore } from './export/restore.ts'
import { memoized } from './ir/analysis.ts'
import { type Graph, withParts } from './ir/graph.ts'
import { isOpaque } from './ir/registry.ts'
import { sizeInBytes } from './ir/tensor.ts'
import { unknownType } from './ir/type.ts'
import { encode, without } from './onnx/codec.ts'
import { type GraphProto, GraphProtoSchema, ModelProtoSchema, NodeProtoSchema } from './onnx/onnx_pb.ts'
import { createValueInfo } from './onnx/value-info.ts'
import type { OpaqueNode, Subgraph, Subgraphs } from './passes/subgraphs.ts'
import { scopeOf, subgraphsOf } from './read/captures.ts'
import { readModelBytes } from './read/model.ts'

/** The oldest IR version of which initializers need not be inputs too; subgraphs of older models stay. */
const oldest = 4

/** The most bytes of constants that the subgraphs of one node may hold: they are in memory as a whole. */
const bytesLimit = 2 ** 28

/**
 * The most names of the model that all of its nodes with subgraphs may be told together: each is told all of them. Models with more
 * keep their subgraphs.
 */
const namesInAll = 2 ** 24

const tellsTooMany = memoized(
  ({ nodes, types }: Graph): boolean =>
    nodes.filter((node) => isOpaque(node) && node.attrs.defines.length > 0).length * types.size > namesInAll,
)

/** Names of the model around a subgraph, which nothing in it may define. */
const namesAround = (graph: Graph, node: OpaqueNode, own: ReadonlySet<string>): ReadonlyArray<string> => {
  const names = new Set([...graph.types.keys(), ...graph.preserved.uses])
  for (const other of graph.nodes)
    if (isOpaque(other) && other !== node) for (const name of other.attrs.defines) names.add(name)
  return [...names].filter((name) => !own.has(name))
}

/** A subgraph of `node` as a graph. Undefined where it is no graph that a model could have, or overrides captured values. */
const read = (proto: GraphProto, node: OpaqueNode, graph: Graph): Graph | undefined => {
  const { captures, defines } = scopeOf([proto])
  const source = restore(ModelProtoSchema, graph.preserved.model)
  const captured = captures.map((name) => createValueInfo(name, graph.types.get(name) ?? unknownType))
  const whole = without(GraphProtoSchema, proto, [])
  whole.input = [...proto.input, ...captured]
  const opsetImport = [...graph.opsets].map(([domain, version]) => ({ domain, version: BigInt(version) }))
  const model = create(ModelProtoSchema, {
    irVersion: BigInt(graph.preserved.irVersion),
    opsetImport,
    functions: source.functions,
    graph: whole,
  })
  const made = readModelBytes(encode(ModelProtoSchema, model))
  if (E.isLeft(made) || made.right.defaults.size > 0 || made.right.opsets.size !== graph.opsets.size) return undefined
  const constants = new Map(made.right.constants)
  for (const name of captures) {
    const tensor = graph.constants.get(name)
    if (tensor !== undefined) constants.set(name, tensor)
  }
  return withParts(made.right, {
    constants,
    inputs: made.right.inputs.filter(({ name }) => !constants.has(name)),
    preserved: { ...made.right.preserved, uses: namesAround(graph, node, new Set(defines)) },
  })
}

/** The subgraph that a graph made by {@link read} is now; undefined where it does not fit into a message. */
const write = ({ graph }: Subgraph, node: OpaqueNode, around: Graph): GraphProto | undefined => {
  const isCaptured = (name: string): boolean =>
    node.attrs.captures.includes(name) && graph.constants.get(name) === around.constants.get(name)
  let bytes = 0
  for (const [name, tensor] of graph.constants) if (!isCaptured(name)) bytes += sizeInBytes(tensor)
  if (bytes > bytesLimit) return undefined
  const lowered = lower({ ...graph, preserved: { ...graph.preserved, uses: [] } }, { external: false })
  const proto = E.isLeft(lowered) ? undefined : restore(ModelProtoSchema, lowered.right.model).graph
  if (proto === undefined) return undefined
  proto.input = proto.input.filter(({ name }) => !node.attrs.captures.includes(name))
  proto.initializer = proto.initializer.filter(({ name }) => !isCaptured(name))
  return proto
}

/** Subgraphs as ONNX files hold them. */
export const subgraphs: Subgraphs = {
  open: (node, graph) => {
    if (tellsTooMany(graph) || graph.preserved.irVersion < oldest || node.attrs.attributes !== undefined)
      return undefined
    const out: Subgraph[] = []
    for (const { name, g, graphs } of restore(NodeProtoSchema, node.attrs.payload).attribute) {
      if (graphs.length > 0) return undefined
      const made = g && read(g, node, graph)
      if (made !== undefined) out.push({ name, graph: made })
      else if (g !== undefined) return undefined
    }
    return out
  },
  close: (node, graph, changed) => {
    const proto = restore(NodeProtoSchema, node.attrs.payload)
    for (const one of changed) {
      const attribute = proto.attribute.find(({ name }) => name === one.name)
      const written = write(one, node, graph)
      if (attribute === undefined || written === undefined) return node
      attribute.g = written
    }
    const attrs = { ...node.attrs, payload: encode(NodeProtoSchema, proto), ...scopeOf(subgraphsOf(proto)) }
    return { ...node, attrs }
  },
}
