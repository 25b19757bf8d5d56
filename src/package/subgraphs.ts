/** Subgraphs of nodes (If, Loop, Scan) as graphs of their own and back: read and written like models. */
import { create } from '@bufbuild/protobuf'
import * as E from 'fp-ts/lib/Either.js'
import { lower } from '../export/lower.ts'
import { restore } from '../export/restore.ts'
import { memoized } from '../ir/analysis.ts'
import { contextOf, type Graph, makeGraph, tryParts } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { isOpaque } from '../ir/registry.ts'
import { sizeInBytes } from '../ir/tensor.ts'
import { sameType, tensorType, unknownType, type ValueType } from '../ir/type.ts'
import { writtenOut } from '../ir/written.ts'
import { encode, without } from '../onnx/codec.ts'
import { type GraphProto, GraphProtoSchema, ModelProtoSchema, NodeProtoSchema } from '../onnx/onnx_pb.ts'
import { createValueInfo } from '../onnx/value-info.ts'
import type { Crossing, OpaqueNode, Subgraph, Subgraphs } from '../passes/subgraphs.ts'
import { scopeOf, subgraphsOf } from '../read/captures.ts'
import { readModelBytes } from '../read/model.ts'

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
  // What is captured may be known to fit no node that reads it, where sizes are only supposed.
  const fitted = tryParts(made.right, {
    constants,
    inputs: made.right.inputs.filter(({ name }) => !constants.has(name)),
    preserved: { ...made.right.preserved, uses: namesAround(graph, node, new Set(defines)) },
  })
  return E.isRight(fitted) ? fitted.right : undefined
}

/** The subgraph that a graph made by {@link read} is now; undefined where it does not fit into a message. */
const write = (subgraph: Subgraph, node: OpaqueNode, around: Graph): GraphProto | undefined => {
  // What is made of captured parts is made of other ones where less is left of them.
  const graph = writtenOut(subgraph.graph, new Set(node.attrs.captures))
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

/** The type of what is left of a value at one index of an axis, which may be counted from the back. */
const slicedType = (type: ValueType | undefined, axis: number): ValueType | undefined => {
  if (type?.kind !== 'tensor' || type.shape === undefined) return undefined
  const { shape } = type
  const at = axis < 0 ? axis + shape.length : axis
  return tensorType(
    type.dtype,
    shape.filter((_, a) => a !== at),
  )
}

/** How a body is run: how often, and with what types of its first inputs, where these are known. */
interface Course {
  readonly times: number
  /** Number of values that it carries from step to step. */
  readonly states: number
  readonly types: ReadonlyArray<ValueType | undefined>
}

const courseOf = (node: OpaqueNode, graph: Graph): Course => {
  const { attribute } = restore(NodeProtoSchema, node.attrs.payload)
  const types = node.inputs.map((name) => graph.types.get(name))
  if (node.attrs.opType === 'Loop') {
    const [times] = contextOf(graph, node).content(0) ?? []
    const carried = [undefined, undefined, ...types.slice(2)]
    return { times: typeof times === 'number' ? times : 1, states: types.length - 2, types: carried }
  }
  const scans = Number(attribute.find(({ name }) => name === 'num_scan_inputs')?.i ?? 0n)
  const axes = attribute.find(({ name }) => name === 'scan_input_axes')?.ints.map(Number) ?? []
  const states = types.length - scans
  const [first, axis] = [types[states], axes[0] ?? 0]
  const shape = first?.kind === 'tensor' ? first.shape : undefined
  const times = shape?.at(axis)
  return {
    times: scans > 0 && typeof times === 'number' ? times : 1,
    states,
    types: types.map((type, k) => (k < states ? type : slicedType(type, axes[k - states] ?? 0))),
  }
}

/** The first opset with Scan as it is now: before, it had a batch in front and lengths of its sequences. */
const firstScan = 9

/** States first, then what is read and made in slices; in front of them in a Loop's inputs and its body's are two more, in its body's outputs one. */
const crossingsOf = (node: OpaqueNode, graph: Graph): ReadonlyArray<Crossing> | undefined => {
  const { opType, domain } = node.attrs
  const { attribute } = restore(NodeProtoSchema, node.attrs.payload)
  const outputs = attribute.find(({ g }) => g !== undefined)?.g?.output.length ?? 0
  if (domain !== '') return undefined
  if (opType === 'If') return range(outputs).map((k): Crossing => ({ out: { port: k, index: k } }))
  if (opType !== 'Loop' && opType !== 'Scan') return undefined
  const numbers = (name: string): ReadonlyArray<number> =>
    attribute.find((one) => one.name === name)?.ints.map(Number) ?? []
  const isLoop = opType === 'Loop'
  const [before, condition] = isLoop ? [2, 1] : [0, 0]
  const scans = Number(attribute.find(({ name }) => name === 'num_scan_inputs')?.i ?? 0n)
  const states = node.inputs.length - before - scans
  if (states < 0 || outputs < condition + states || node.inputs.slice(before).includes('')) return undefined
  if (!isLoop && (graph.opsets.get('') ?? 0) < firstScan) return undefined
  const [from, to] = [numbers('scan_input_axes'), numbers('scan_output_axes')]
  return [
    ...range(states).map((k): Crossing => ({
      into: { port: k + before, index: k + before },
      out: { port: k, index: k + condition },
    })),
    ...range(scans).map((k): Crossing => ({
      into: { port: states + k, index: states + k },
      along: from[k] ?? 0,
    })),
    ...range(outputs - condition - states).map((k): Crossing => ({
      out: { port: states + k, index: condition + states + k },
      along: to[k] ?? 0,
    })),
  ]
}

const range = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i)

const isKnown = (type: ValueType | undefined): boolean =>
  type?.kind === 'tensor' && type.shape?.every((dim) => typeof dim === 'number') === true

/** A body whose inputs are of known types; as it is where they contradict what it says itself. */
const typed = (graph: Graph, types: Course['types']): Graph => {
  const inputs = graph.inputs.map((input, k) => {
    const type = types[k]
    return type !== undefined && isKnown(type) && !isKnown(input.type) ? { ...input, type } : input
  })
  const made = makeGraph({ ...graph, inputs })
  return E.isRight(made) ? made.right : graph
}

/** By name the types of what the body of a node carries, behind it, where they are those at first. */
const carriedTypes = (node: OpaqueNode, graph: Graph): ReadonlyArray<readonly [ValueId, ValueType]> => {
  const isLoop = node.attrs.opType === 'Loop'
  const [body] = isLoop || node.attrs.opType === 'Scan' ? (subgraphs.open(node, graph) ?? []) : []
  if (body === undefined) return []
  const { types, states } = courseOf(node, graph)
  const { outputs, types: inside } = typed(body.graph, types)
  return node.outputs.slice(0, states).flatMap((name, k) => {
    const [first, next] = [types[isLoop ? k + 2 : k], inside.get(outputs[isLoop ? k + 1 : k]?.name ?? '')]
    return name !== '' && first !== undefined && isKnown(first) && next !== undefined && sameType(first, next)
      ? [[name, first]]
      : []
  })
}

/** What was opened of a graph: several passes look into it. */
const openedIn = memoized((_graph) => new Map<OpaqueNode, ReadonlyArray<Subgraph> | undefined>())

const openedBy = (node: OpaqueNode, graph: Graph): ReadonlyArray<Subgraph> | undefined => {
  if (tellsTooMany(graph) || graph.preserved.irVersion < oldest || node.attrs.attributes !== undefined) return undefined
  const out: Subgraph[] = []
  for (const { name, g, graphs } of restore(NodeProtoSchema, node.attrs.payload).attribute) {
    if (graphs.length > 0) return undefined
    const made = g && read(g, node, graph)
    if (made !== undefined) out.push({ name, graph: made })
    else if (g !== undefined) return undefined
  }
  return out
}

/** Subgraphs as ONNX files hold them. */
export const subgraphs: Subgraphs = {
  sized: (graph) => {
    const found = graph.nodes.flatMap((node) =>
      isOpaque(node) && node.attrs.defines.length > 0 ? carriedTypes(node, graph) : [],
    )
    if (found.length === 0) return graph
    const made = makeGraph({ ...graph, hints: new Map([...graph.hints, ...found]) })
    return E.isRight(made) ? made.right : graph
  },
  crossings: crossingsOf,
  macs: (node, graph, macsOf) => {
    const opened = subgraphs.open(node, graph) ?? []
    if (node.attrs.opType === 'If') return Math.max(0, ...opened.map((one) => macsOf(one.graph)))
    if (node.attrs.opType !== 'Loop' && node.attrs.opType !== 'Scan') return 0
    const { times, types } = courseOf(node, graph)
    return times * opened.reduce((sum, one) => sum + macsOf(typed(one.graph, types)), 0)
  },
  open: (node, graph) => {
    const known = openedIn(graph)
    const found = known.get(node)
    if (found !== undefined || known.has(node)) return found
    const bodies = openedBy(node, graph)
    known.set(node, bodies)
    return bodies
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
