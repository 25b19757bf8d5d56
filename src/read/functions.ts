/** Local functions: a call becomes the nodes of the function, nested calls too. Pure but for the message it is given. */
import { create } from '@bufbuild/protobuf'
import type { ValueId } from '../ir/op.ts'
import { without } from '../onnx/codec.ts'
import { domainOf } from '../onnx/conventions.ts'
import {
  type AttributeProto,
  AttributeProtoSchema,
  type FunctionProto,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  type NodeProto,
  NodeProtoSchema,
  SparseTensorProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../onnx/onnx_pb.ts'
import { scopeOf, subgraphsOf } from './captures.ts'

export const functionKey = (domain: string, name: string, overload: string): string =>
  JSON.stringify([domainOf(domain), name, overload])

const keyOf = ({ domain, opType, overload }: NodeProto): string => functionKey(domain, opType, overload)

/** The most nodes that all calls of a file become; calls beyond that are kept. */
const nodesInAll = 2 ** 17

/** The longest name of a call that the names of its values begin with. */
const longestPrefix = 200

/** A function whose calls can be replaced by its nodes. */
interface Inlinable {
  readonly proto: FunctionProto
  /** Nodes that a call becomes. */
  readonly size: number
}

/**
 * The functions that mean what their nodes mean where they are called: names are defined once and before anything else
 * reads them, each output is one of them, and the function imports no other version of a domain than the model. One that
 * calls itself, by whatever way, is none.
 */
const inlinableFunctions = (
  functions: ReadonlyArray<FunctionProto>,
  opsets: ReadonlyMap<string, number>,
): ReadonlyMap<string, Inlinable> => {
  const protos = new Map(functions.map((proto) => [functionKey(proto.domain, proto.name, proto.overload), proto]))
  const waiting = new Map<string, number>()
  const callers = new Map<string, string[]>()
  for (const [key, { node }] of protos) {
    const called = new Set(node.map(keyOf).filter((one) => protos.has(one)))
    waiting.set(key, called.size)
    for (const one of called) callers.set(one, [...(callers.get(one) ?? []), key])
  }
  const out = new Map<string, Inlinable>()
  // The list grows while it is walked: a function follows those that it calls.
  const ready = [...protos.keys()].filter((key) => waiting.get(key) === 0)
  for (const key of ready) {
    const proto = protos.get(key)
    if (proto === undefined) continue
    if (isWellFormed(proto) && importsAgree(proto, opsets)) {
      out.set(key, { proto, size: proto.node.reduce((sum, node) => sum + (out.get(keyOf(node))?.size ?? 1), 1) })
    }
    for (const caller of callers.get(key) ?? []) {
      const left = (waiting.get(caller) ?? 0) - 1
      waiting.set(caller, left)
      if (left === 0) ready.push(caller)
    }
  }
  return out
}

const importsAgree = ({ opsetImport }: FunctionProto, opsets: ReadonlyMap<string, number>): boolean =>
  opsetImport.every(({ domain, version }) => (opsets.get(domainOf(domain)) ?? Number(version)) === Number(version))

const readsOf = (node: NodeProto): ReadonlyArray<string> => [
  ...node.input.filter((name) => name !== ''),
  ...scopeOf(subgraphsOf(node)).captures,
]

const isWellFormed = ({ input, output, node }: FunctionProto): boolean => {
  const known = new Set(input)
  if (known.size < input.length || new Set(output).size < output.length) return false
  for (const one of node) {
    if (!readsOf(one).every((name) => known.has(name))) return false
    for (const name of one.output) {
      if (name === '') continue
      if (known.has(name)) return false
      known.add(name)
    }
  }
  return output.every((name) => known.has(name))
}

/** Attributes of a call by name, defaults included. */
const argumentsOf = (call: NodeProto, proto: FunctionProto): ReadonlyMap<string, AttributeProto> =>
  new Map([...proto.attributeProto, ...call.attribute].map((attribute) => [attribute.name, attribute]))

/** Makes names that are not among `names`, nor among those that it made. */
const namesBeside = (names: Iterable<string>): ((hint: string) => string) => {
  const taken = new Set(names)
  return (hint) => {
    let name = hint
    for (let i = 1; name === '' || taken.has(name); i++) name = `${hint}_${i}`
    taken.add(name)
    return name
  }
}

type Rename = (name: ValueId) => ValueId

const { refAttrName } = AttributeProtoSchema.field

/** A node of a function under other names, with the call's attributes where it refers to the function's. */
const instantiate = (
  node: NodeProto,
  rename: Rename,
  given: ReadonlyMap<string, AttributeProto>,
  name: string,
): NodeProto => {
  const copy = without(NodeProtoSchema, node, [])
  if (name !== '') copy.name = name
  copy.input = node.input.map(rename)
  copy.output = node.output.map(rename)
  copy.attribute = node.attribute.flatMap((attribute) => {
    const value = attribute.refAttrName === '' ? attribute : given.get(attribute.refAttrName)
    if (value === undefined) return []
    if (value === attribute && value.g === undefined && value.graphs.length === 0) return [attribute]
    const own = without(AttributeProtoSchema, value, [refAttrName])
    own.name = attribute.name
    if (value !== attribute) return [own]
    if (value.g !== undefined) own.g = instantiateGraph(value.g, rename, given)
    own.graphs = value.graphs.map((graph) => instantiateGraph(graph, rename, given))
    return [own]
  })
  return copy
}

/** A subgraph of a function; nesting is as deep as a file may be nested. */
const instantiateGraph = (
  graph: GraphProto,
  rename: Rename,
  given: ReadonlyMap<string, AttributeProto>,
): GraphProto => {
  const copy = without(GraphProtoSchema, graph, [])
  const infoOf = (info: ValueInfoProto): ValueInfoProto => {
    const own = without(ValueInfoProtoSchema, info, [])
    own.name = rename(info.name)
    return own
  }
  const tensorOf = (tensor: TensorProto): TensorProto => {
    const own = without(TensorProtoSchema, tensor, [])
    own.name = rename(tensor.name)
    return own
  }
  copy.input = graph.input.map(infoOf)
  copy.output = graph.output.map(infoOf)
  copy.valueInfo = graph.valueInfo.map(infoOf)
  copy.initializer = graph.initializer.map(tensorOf)
  copy.sparseInitializer = graph.sparseInitializer.map((sparse) => {
    const own = without(SparseTensorProtoSchema, sparse, [])
    if (sparse.values !== undefined) own.values = tensorOf(sparse.values)
    return own
  })
  copy.node = graph.node.map((node) => instantiate(node, rename, given, node.name))
  return copy
}

/**
 * Replaces the calls of functions among the nodes of the graph of `model`, which it changes, by the nodes of these: values get names that
 * begin with the call's. Functions of which no call is left go; those that are called in subgraphs stay, and so do calls of
 * functions that are not well-formed, call themselves or import other versions than the model. Domains of new nodes are
 * added to `opsets`.
 */
export const inlineFunctions = (
  model: ModelProto,
  graph: GraphProto,
  opsets: Map<string, number>,
  names: Iterable<ValueId>,
): void => {
  if (model.functions.length === 0) return
  const functions = inlinableFunctions(model.functions, opsets)
  const fresh = namesBeside(names)
  const freshNode = namesBeside(graph.node.map(({ name }) => name))
  let left = nodesInAll
  const nodes: NodeProto[] = []
  const inlined = new Set<FunctionProto>()
  /** Nodes to come, the next one last. */
  const stack = graph.node.toReversed()
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    const found = functions.get(keyOf(node))
    if (found === undefined || !fits(node, found.proto) || found.size > left) {
      nodes.push(node)
      continue
    }
    // What a nested call becomes is counted with the call around it.
    left -= found.proto.node.length + 1
    inlined.add(found.proto)
    stack.push(...bodyOf(node, found.proto, fresh, freshNode).toReversed())
    for (const { domain, version } of found.proto.opsetImport) {
      if (
        !opsets.has(domainOf(domain)) &&
        found.proto.node.some((one) => domainOf(one.domain) === domainOf(domain) && !functions.has(keyOf(one)))
      ) {
        opsets.set(domainOf(domain), Number(version))
      }
    }
  }
  graph.node = nodes
  const called = functionsCalled(model, nodes)
  model.functions = model.functions.filter((proto) => called.has(proto) || !inlined.has(proto))
}

const fits = (call: NodeProto, { input, output }: FunctionProto): boolean =>
  call.input.length <= input.length && call.output.length <= output.length

const bodyOf = (
  call: NodeProto,
  proto: FunctionProto,
  fresh: (hint: string) => ValueId,
  freshNode: (hint: string) => string,
): ReadonlyArray<NodeProto> => {
  const label = call.name || (call.output.find((name) => name !== '') ?? '')
  const prefix = label.length > longestPrefix ? '' : `${label}/`
  const renamed = new Map<ValueId, ValueId>([['', '']])
  proto.input.forEach((name, i) => renamed.set(name, call.input[i] ?? ''))
  const copies: NodeProto[] = []
  proto.output.forEach((name, i) => {
    const outer = call.output[i] ?? ''
    if (outer === '') return
    // An input that is handed on.
    if (proto.input.includes(name)) {
      const input = [renamed.get(name) ?? '']
      copies.push(
        create(NodeProtoSchema, { opType: 'Identity', input, output: [outer], name: freshNode(`${prefix}${name}`) }),
      )
    } else renamed.set(name, outer)
  })
  const rename: Rename = (name) => {
    const known = renamed.get(name)
    if (known !== undefined) return known
    const made = fresh(`${prefix}${name}`)
    renamed.set(name, made)
    return made
  }
  const given = argumentsOf(call, proto)
  const body = proto.node.map((node) =>
    instantiate(node, rename, given, freshNode(`${prefix}${node.name || node.opType}`)),
  )
  return [...body, ...copies]
}

/** The functions that nodes call, in subgraphs too, and those that these call. */
const functionsCalled = (model: ModelProto, nodes: ReadonlyArray<NodeProto>): ReadonlySet<FunctionProto> => {
  const byKey = new Map(model.functions.map((proto) => [functionKey(proto.domain, proto.name, proto.overload), proto]))
  const met = new Set<FunctionProto>()
  const graphs = model.trainingInfo.flatMap(({ initialization, algorithm }) =>
    [initialization, algorithm].flatMap((graph) => graph ?? []),
  )
  const waiting = [...nodes, ...graphs.flatMap(({ node }) => node)]
  // The list grows while it is walked.
  for (const node of waiting) {
    for (const graph of subgraphsOf(node)) for (const inner of graph.node) waiting.push(inner)
    const called = byKey.get(keyOf(node))
    if (called === undefined || met.has(called)) continue
    met.add(called)
    for (const inner of called.node) waiting.push(inner)
  }
  return met
}
