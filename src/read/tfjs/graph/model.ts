/** A GraphModel of TensorFlow.js: a frozen TensorFlow graph in JSON, whose constants are in the weights. */
import * as E from 'fp-ts/lib/Either.js'
import type { Graph } from '../../../ir/graph.ts'
import { isRecord } from '../../../ir/record.ts'
import { type Dim, tensorType, unknownDim } from '../../../ir/type.ts'
import type { ReadError } from '../../error.ts'
import { type Builder, newBuilder } from '../builder.ts'
import { invalid, shown, unsupported } from '../error.ts'
import type { Operand } from '../operand.ts'
import type { Weights } from '../weights.ts'
import { orderOf } from '../order.ts'
import { type Attributes, attributesOf } from './attributes.ts'
import { lowerings } from './ops.ts'

interface Edge {
  readonly node: string
  readonly output: number
}

interface GraphNode {
  readonly name: string
  readonly op: string
  /** Without what only orders the nodes. */
  readonly inputs: ReadonlyArray<Edge>
  readonly attrs: Attributes
}

/** `node`, `node:output` or `node:name:output`. */
const edgeOf = (text: string): Edge => {
  const parts = text.split(':')
  const output = parts.length > 1 ? Number(parts.at(-1)) : 0
  return { node: parts[0] ?? '', output: Number.isSafeInteger(output) ? output : 0 }
}

const nodesOf = (topology: Readonly<Record<string, unknown>>): E.Either<ReadError, ReadonlyMap<string, GraphNode>> => {
  const list = topology['node']
  if (!Array.isArray(list)) return E.left(invalid('modelTopology', 'a list of nodes', 'none'))
  const nodes = new Map<string, GraphNode>()
  for (const given of list) {
    const { name, op, input = [], attr } = isRecord(given) ? given : {}
    if (typeof name !== 'string' || typeof op !== 'string' || !Array.isArray(input)) {
      return E.left(invalid('modelTopology', 'nodes with name, op and input', shown(given)))
    }
    if (nodes.has(name)) return E.left(invalid(`node ${name}`, 'a name of its own', 'a second node'))
    const inputs = input
      .map(String)
      .filter((text) => !text.startsWith('^'))
      .map(edgeOf)
    nodes.set(name, { name, op, inputs, attrs: attributesOf(attr) })
  }
  return E.right(nodes)
}

interface Port {
  /** As TensorFlow.js calls it: by its key in the signature, else by its node. */
  readonly name: string
  readonly edge: Edge
  /** The shape that the signature gives, -1 for unknown sizes. */
  readonly shape: ReadonlyArray<number> | undefined
}

/** The inputs or outputs that a signature names. */
const portsOf = (signature: unknown, side: 'inputs' | 'outputs'): ReadonlyArray<Port> => {
  const entries = isRecord(signature) && isRecord(signature[side]) ? Object.entries(signature[side]) : []
  return entries.flatMap(([key, entry]) => {
    if (!isRecord(entry) || typeof entry['name'] !== 'string') return []
    const shape = attributesOf({ value: { shape: entry['tensorShape'] } }).shape('value')
    return [{ name: key, edge: edgeOf(entry['name']), shape }]
  })
}

interface Ports {
  readonly inputs: ReadonlyArray<Port>
  readonly outputs: ReadonlyArray<Port>
}

/** What the signature says, else every placeholder and every node that nothing reads. */
const interfaceOf = (signature: unknown, nodes: ReadonlyMap<string, GraphNode>): Ports => {
  const present = ({ edge }: Port): boolean => nodes.has(edge.node)
  const [inputs, outputs] = [
    portsOf(signature, 'inputs').filter(present),
    portsOf(signature, 'outputs').filter(present),
  ]
  const portOf = ({ name }: GraphNode): Port => ({ name, edge: { node: name, output: 0 }, shape: undefined })
  const all = [...nodes.values()]
  const read = new Set(all.flatMap((node) => node.inputs.map((edge) => edge.node)))
  return {
    inputs: inputs.length > 0 ? inputs : all.filter(({ op }) => op.startsWith('Placeholder')).map(portOf),
    outputs: outputs.length > 0 ? outputs : all.filter(({ name, op }) => !read.has(name) && op !== 'NoOp').map(portOf),
  }
}

/** The nodes that the outputs need, each behind what it reads; inputs of the model need nothing. */
const neededNodes = (
  nodes: ReadonlyMap<string, GraphNode>,
  { inputs, outputs }: Ports,
): E.Either<ReadError, ReadonlyArray<GraphNode>> => {
  const given = new Set(inputs.map(({ edge }) => edge.node))
  /** Operators that are not translated, each with a node. */
  const odd = new Map<string, string>()
  const order = orderOf(
    outputs.map(({ edge }) => edge.node),
    (name) => {
      const node = nodes.get(name)
      if (node === undefined) return undefined
      if (given.has(name)) return []
      if (node.op !== 'Const' && !lowerings.has(node.op) && !odd.has(node.op)) odd.set(node.op, name)
      return node.inputs.map((edge) => edge.node)
    },
  )
  const [first] = odd
  if (first !== undefined) {
    const listed = [...odd.keys()].toSorted().join(', ')
    return E.left(unsupported(`node ${first[1]}`, odd.size === 1 ? `operator ${listed}` : `operators ${listed}`))
  }
  if (E.isLeft(order)) {
    const { kind, name } = order.left
    const expected = kind === 'missing' ? 'a node that is read' : 'a graph without cycles'
    return E.left(invalid(`node ${name}`, expected, kind === 'missing' ? 'none' : 'a node that reads itself'))
  }
  return E.right(order.right.flatMap((name) => nodes.get(name) ?? []))
}

/** The inputs of the model, by node. */
const addInputs = (
  b: Builder,
  ports: Ports,
  nodes: ReadonlyMap<string, GraphNode>,
): E.Either<ReadError, Map<string, ReadonlyArray<Operand>>> => {
  const values = new Map<string, ReadonlyArray<Operand>>()
  for (const { name, edge, shape } of ports.inputs) {
    const attrs = nodes.get(edge.node)?.attrs
    const dtype = attrs?.dtype('dtype') ?? 'float32'
    const dims = attrs?.shape('shape') ?? shape
    if (dtype === 'string') return E.left(unsupported(`input ${name}`, 'text'))
    if (dims === undefined) return E.left(unsupported(`input ${name}`, 'a tensor of unknown rank'))
    const sizes = dims.map((size, axis): Dim => (size < 0 ? unknownDim(name, axis) : size))
    values.set(edge.node, [b.input({ name, type: tensorType(dtype, sizes) })])
  }
  return E.right(values)
}

/** The graph that computes what the GraphModel computes, with inputs and outputs named as TensorFlow.js names them. */
export const readGraphModel = (
  topology: Readonly<Record<string, unknown>>,
  signature: unknown,
  weights: Weights,
): E.Either<ReadError, Graph> => {
  const nodes = nodesOf(topology)
  if (E.isLeft(nodes)) return nodes
  const ports = interfaceOf(signature, nodes.right)
  if (ports.outputs.length === 0) return E.left(invalid('modelTopology', 'outputs', 'none'))
  const order = neededNodes(nodes.right, ports)
  if (E.isLeft(order)) return order
  const b = newBuilder(ports.outputs.map(({ name }) => name))
  const inputs = addInputs(b, ports, nodes.right)
  if (E.isLeft(inputs)) return inputs
  const values = inputs.right
  for (const node of order.right) {
    const { name, op } = node
    if (values.has(name)) continue
    const subject = `node ${name} (${op})`
    if (op === 'Const') {
      const tensor = weights.get(name)
      if (tensor === undefined) return E.left(invalid(subject, 'a weight of its name', 'none'))
      values.set(name, [b.constant(name, tensor)])
      continue
    }
    const operands = node.inputs.flatMap(({ node: read, output }) => values.get(read)?.[output] ?? [])
    if (operands.length < node.inputs.length) return E.left(unsupported(subject, 'an output of what it reads'))
    b.enter(name)
    const lowered = lowerings.get(op)?.({ b, op, inputs: operands, attrs: node.attrs }) ?? E.left('an operator')
    const problem = E.isLeft(lowered) ? lowered.left : b.problem()
    if (problem !== undefined) return E.left(unsupported(subject, problem))
    if (E.isRight(lowered)) values.set(name, lowered.right)
  }
  for (const { name, edge } of ports.outputs) {
    const x = values.get(edge.node)?.[edge.output]
    if (x === undefined) return E.left(unsupported(`output ${name}`, `output ${edge.output} of node ${edge.node}`))
    b.output(name, x)
  }
  const graph = b.graph('graph-model')
  return E.isLeft(graph) ? E.left(unsupported('the model', graph.left)) : graph
}
