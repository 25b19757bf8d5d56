/**
 * The graph: an SSA list of nodes in topological order with the constants they read and the type of every value. It is
 * plain readonly data. {@link makeGraph} is its only constructor and derives all types, so a graph that exists is
 * well-formed.
 */
import * as E from 'fp-ts/lib/Either.js'
import { unqualified } from './domain.ts'
import { type DType, isFloat } from './dtype.ts'
import { type Failure, failure, invariant } from './failure.ts'
import type { InferContext, Node, NodeContext, ValueId } from './op.ts'
import { makeNode } from './make-node.ts'
import { Opaque } from './ops/opaque.ts'
import { encodeAttributes, isOp, opOf } from './registry.ts'
import { integersOf, isNumeric, type Tensor } from './tensor.ts'
import {
  contradict,
  type Dim,
  isAnonymous,
  isStatic,
  rankLimit,
  tensorType,
  unknownDim,
  unknownType,
  type ValueType,
} from './type.ts'

export interface ValueInfo {
  readonly name: ValueId
  /** As the file declares it. */
  readonly type: ValueType
  /** Serialised ValueInfoProto, where the file had one with more than a name and a type that the IR models. */
  readonly meta?: Uint8Array
}

/** Parts of a model that the compiler carries along without looking into them. */
export interface Preserved {
  readonly irVersion: number
  /** Serialised ModelProto without nodes, values and constants: producer, metadata, local functions, annotations. */
  readonly model: Uint8Array
  /** Values that those parts name; they stay as they are. */
  readonly uses: ReadonlyArray<ValueId>
}

/** What a graph is made of before its types are derived. */
export interface GraphParts {
  readonly name: string
  readonly inputs: ReadonlyArray<ValueInfo>
  readonly outputs: ReadonlyArray<ValueInfo>
  readonly nodes: ReadonlyArray<Node>
  readonly constants: ReadonlyMap<ValueId, Tensor>
  /** Values of inputs that the caller may leave out (an initializer that is also an input, IR version 4 and later). */
  readonly defaults: ReadonlyMap<ValueId, Tensor>
  /** Types the file declares for inner values; used where inference cannot tell. */
  readonly hints: ReadonlyMap<ValueId, ValueType>
  /** Imported version of each operator domain; the default domain is `''`. */
  readonly opsets: ReadonlyMap<string, number>
  readonly preserved: Preserved
}

export interface Graph extends GraphParts {
  readonly types: ReadonlyMap<ValueId, ValueType>
  /** Known elements of small integer values that are not constants, as sizes. */
  readonly contents: ReadonlyMap<ValueId, ReadonlyArray<Dim>>
}

export type GraphError = Failure<'GraphError'>

const malformed = (subject: string, expected: string, found: string): GraphError =>
  failure('GraphError', subject, expected, found, 'Check the model with onnx.checker; it is not a valid ONNX graph.')

/** The largest constant whose elements count as known contents: shapes, axes, pads. */
const contentLimit = 64

/**
 * Checks that every value is defined once and before use, and derives all types. A node whose types cannot be inferred
 * is replaced by what `demote` makes of it, one with the same reads and outputs; without `demote` it is an error.
 */
export const makeGraph = (
  parts: GraphParts,
  demote?: (node: Node, reason: string, types: ReadonlyMap<ValueId, ValueType>) => Node,
): E.Either<GraphError, Graph> => {
  const nodes: Node[] = []
  const types = new Map<ValueId, ValueType>()
  const contents = new Map<ValueId, ReadonlyArray<Dim>>()
  for (const input of parts.inputs) {
    if (types.has(input.name)) return E.left(malformed(`input ${input.name}`, 'one input of this name', 'several'))
    types.set(input.name, named(input.type, input.name))
  }
  for (const [name, tensor] of parts.constants) {
    if (types.has(name)) return E.left(malformed(`initializer ${name}`, 'a name of its own', 'a second definition'))
    types.set(name, tensorType(tensor.dtype, tensor.shape))
  }
  for (const given of parts.nodes) {
    const label = labelOf(given)
    for (const input of readsOf(given)) {
      if (!types.has(input)) return E.left(malformed(`${label}, input ${input}`, 'a value defined earlier', 'none'))
    }
    const inferred = inferNode(given, parts, types, contents)
    const node = E.isLeft(inferred) && demote !== undefined ? demote(given, inferred.left.found, types) : given
    const outputs = node === given ? inferred : inferNode(node, parts, types, contents)
    if (E.isLeft(outputs)) return outputs
    nodes.push(node)
    for (const [i, output] of node.outputs.entries()) {
      if (output === '') continue
      if (types.has(output))
        return E.left(malformed(`${label}, output ${output}`, 'a name of its own', 'a second definition'))
      types.set(output, outputs.right[i] ?? unknownType)
    }
    const content = contentOf(contextWith(node, parts, types, contents))
    if (content !== undefined && node.outputs[0]) contents.set(node.outputs[0], content)
  }
  for (const output of parts.outputs) {
    if (!types.has(output.name)) return E.left(malformed(`graph output ${output.name}`, 'a value of the graph', 'none'))
  }
  return E.right({ ...parts, nodes, types, contents })
}

/**
 * A graph with some parts replaced. The parts come from our own passes, so a malformed result is our bug; but for a node that
 * could never work, which shows only now that more is known of its operands: it becomes opaque, as when a model is read.
 */
export const withParts = (graph: Graph, changed: Partial<GraphParts>): Graph => {
  const next = tryParts(graph, changed)
  invariant(
    E.isRight(next),
    E.isLeft(next) ? `${next.left.subject}: expected ${next.left.expected}, found ${next.left.found}` : '',
  )
  return next.right
}

/** {@link withParts} of parts that need not fit together. */
export const tryParts = (graph: Graph, changed: Partial<GraphParts>): E.Either<GraphError, Graph> => {
  const { types: _types, contents: _contents, ...parts } = graph
  const whole = { ...parts, ...changed }
  const made = makeGraph(whole)
  return E.isRight(made) ? made : withMisfits(graph, whole)
}

/** A graph in which nodes that fit what `before` knows of their operands, but not what is known now, are opaque. */
const withMisfits = (before: Graph, parts: GraphParts): E.Either<GraphError, Graph> => {
  const hints = new Map(parts.hints)
  // A pass that gives other names to what a node reads and makes leaves its attributes, or else one of its outputs.
  const origins = new Map<unknown, Node>()
  for (const node of before.nodes)
    for (const key of [node.attrs, ...node.outputs]) if (key !== '') origins.set(key, node)
  return makeGraph({ ...parts, hints }, (node, reason, types) => {
    const origin = [...node.outputs, node.attrs]
      .map((key) => origins.get(key))
      .find((one) => one !== undefined && learnsOnly(before, one, node, types))
    if (origin === undefined) return node
    for (const [i, output] of node.outputs.entries()) {
      const type = before.types.get(origin.outputs[i] ?? '')
      if (output !== '' && type !== undefined && !hints.has(output)) hints.set(output, type)
    }
    return makeNode(
      Opaque,
      node.inputs,
      node.outputs,
      { ...unqualified(node.op), payload: node.meta ?? new Uint8Array(), attributes: encodeAttributes(node), reason },
      node.name,
    )
  })
}

/** Whether `node` is `origin`, and nothing that this knows of its operands is contradicted by what `node` knows of them. */
const learnsOnly = (before: Graph, origin: Node, node: Node, types: ReadonlyMap<ValueId, ValueType>): boolean =>
  origin.op === node.op &&
  origin.inputs.length === node.inputs.length &&
  origin.inputs.every((input, port) => {
    const [was, is] = [before.types.get(input), types.get(node.inputs[port] ?? '')]
    return was === undefined || is === undefined ? was === is : !contradict(was, is)
  })

export const labelOf = (node: Node): string => {
  const kind = isOp(node, Opaque) ? node.attrs.opType : node.op
  return `${kind} ${node.name || (node.outputs.find((o) => o !== '') ?? '')}`
}

/** Every value a node reads, subgraph captures included; omitted ports left out. */
export const readsOf = (node: Node): ReadonlyArray<ValueId> => {
  const inputs = node.inputs.filter((i) => i !== '')
  return isOp(node, Opaque) ? [...inputs, ...node.attrs.captures] : inputs
}

/** Inferred types of a node's outputs, filled in from declared ones where inference does not know; or why there are none. */
const inferNode = (
  node: Node,
  parts: GraphParts,
  types: ReadonlyMap<ValueId, ValueType>,
  contents: ReadonlyMap<ValueId, ReadonlyArray<Dim>>,
): E.Either<GraphError, ReadonlyArray<ValueType>> => {
  const inferred = typesOf(node, inferContext(node, parts, types, contents))
  if (E.isLeft(inferred)) return E.left(malformed(labelOf(node), 'operands it can work on', inferred.left))
  return E.right(node.outputs.map((name, i) => refine(inferred.right[i] ?? unknownType, parts.hints.get(name), name)))
}

/** What `node` makes of operands, in types that a value can have; or what is wrong with them. */
export const typesOf = (node: Node, ctx: InferContext<unknown>): E.Either<string, ReadonlyArray<ValueType>> => {
  const misfit = operandMisfit(node, ctx)
  if (misfit !== undefined) return E.left(misfit)
  const inferred = opOf(node).inferTypes(ctx)
  if (E.isLeft(inferred)) return E.left(inferred.left.slice(0, 300))
  const count = inferred.right.length
  if (node.outputs.slice(count).some((name) => name !== '')) return E.left(`more than ${count} outputs`)
  for (const type of inferred.right) {
    const shape = (type.kind === 'tensor' ? type.shape : undefined) ?? []
    if (shape.length > rankLimit) return E.left(`an output of rank ${shape.length}`)
    const size = shape.find((dim) => isStatic(dim) && !isSize(dim))
    if (size !== undefined) return E.left(`an output of size ${size}`)
  }
  return inferred
}

/** An operand whose elements are no numbers to compute with (text, complex, 8-bit floats), where another one's are. */
const operandMisfit = (node: Node, { inputs }: InferContext<unknown>): string | undefined => {
  const dtypes = new Set<DType>()
  for (const type of inputs) if (type?.kind === 'tensor') dtypes.add(type.dtype)
  const odd = [...dtypes].find((dtype) => !isNumeric(dtype))
  const float = [...dtypes].find(isFloat)
  const fits = odd === undefined || float === undefined || isOp(node, Opaque) || opOf(node).mixesTypes === true
  return fits ? undefined : `operands of ${odd} and of ${float}`
}

const isSize = (dim: number): boolean => dim >= 0 && Number.isSafeInteger(dim)

/** `type` with what only the declaration knows; a declaration never overrides inference. */
const refine = (type: ValueType, hint: ValueType | undefined, name: ValueId): ValueType => {
  if (type.kind === 'other') {
    if (hint === undefined || type.member === undefined) return hint === undefined ? type : named(hint, name)
    return hint.kind === 'other' ? { ...hint, member: type.member } : type
  }
  if (hint?.kind !== 'tensor' || hint.dtype !== type.dtype || hint.shape === undefined) return type
  if (type.shape === undefined) return named(hint, name)
  const { shape } = hint
  if (shape.length !== type.shape.length) return type
  return tensorType(
    type.dtype,
    type.shape.map((d, a) => {
      const declared = shape[a]
      return isAnonymous(d) && declared !== undefined && !isAnonymous(declared) ? declared : d
    }),
  )
}

/** Gives anonymous sizes of a declared type the symbols of the value they belong to. */
const named = (type: ValueType, name: ValueId): ValueType =>
  type.kind === 'tensor' && type.shape?.some(isAnonymous)
    ? tensorType(
        type.dtype,
        type.shape.map((d, a) => (isAnonymous(d) ? unknownDim(name, a) : d)),
      )
    : type

/** The context for type inference of a node that need not be in a graph yet. */
export const inferContext = (
  node: Node,
  parts: Pick<GraphParts, 'constants' | 'opsets'>,
  types: ReadonlyMap<ValueId, ValueType>,
  contents: ReadonlyMap<ValueId, ReadonlyArray<Dim>>,
): InferContext<unknown> => {
  const constant = (port: number): Tensor | undefined => parts.constants.get(node.inputs[port] ?? '')
  return {
    attrs: node.attrs,
    opset: parts.opsets.get('') ?? 1,
    inputs: node.inputs.map((name) => (name === '' ? undefined : types.get(name))),
    outputNames: node.outputs,
    constant,
    content: (port) => contents.get(node.inputs[port] ?? '') ?? smallContent(constant(port)),
  }
}

/** Element types of shape computations: sizes, and answers about them (0 or 1). */
const holdsContents = (dtype: DType): boolean => dtype === 'int64' || dtype === 'int32' || dtype === 'bool'

const smallContents = new WeakMap<Tensor, ReadonlyArray<number>>()

const smallContent = (tensor: Tensor | undefined): ReadonlyArray<Dim> | undefined => {
  if (tensor === undefined || tensor.shape.length > 1 || (tensor.shape[0] ?? 1) > contentLimit) return undefined
  if (!holdsContents(tensor.dtype)) return undefined
  const known = smallContents.get(tensor) ?? integersOf(tensor)
  if (known !== undefined) smallContents.set(tensor, known)
  return known
}

/** Known elements of the first output of a node, where it is a small tensor of integers. */
export const contentOf = (ctx: NodeContext<unknown>): ReadonlyArray<Dim> | undefined => {
  const [type] = ctx.outputs
  if (type?.kind !== 'tensor' || !holdsContents(type.dtype)) return undefined
  const size = type.shape?.[0] ?? 1
  if (type.shape === undefined || type.shape.length > 1 || !isStatic(size) || size > contentLimit) return undefined
  return opOf(ctx.node).contents?.(ctx)
}

const contextWith = (
  node: Node,
  parts: Pick<GraphParts, 'constants' | 'opsets'>,
  types: ReadonlyMap<ValueId, ValueType>,
  contents: ReadonlyMap<ValueId, ReadonlyArray<Dim>>,
): NodeContext<unknown> => ({
  ...inferContext(node, parts, types, contents),
  node,
  outputs: node.outputs.map((name) => types.get(name) ?? unknownType),
})

/** What an operator sees of `node` in `graph`. */
export const contextOf = (graph: Graph, node: Node): NodeContext<unknown> =>
  contextWith(node, graph, graph.types, graph.contents)
