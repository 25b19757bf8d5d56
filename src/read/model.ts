/** Bytes of ONNX models to graphs. Pure; also runs in a browser. */
import * as E from 'fp-ts/lib/Either.js'
import { sameBytes } from '../ir/equal.ts'
import { type Graph, type GraphParts, makeGraph, type ValueInfo } from '../ir/graph.ts'
import type { Node, ValueId } from '../ir/op.ts'
import { type Choice, wrongOption } from '../ir/options.ts'
import { Opaque } from '../ir/ops/opaque.ts'
import { makeNode } from '../ir/make-node.ts'
import type { Tensor } from '../ir/tensor.ts'
import { tensorType, unknownDim, type ValueType } from '../ir/type.ts'
import { brokenName } from '../onnx/broken-name.ts'
import { decode, encode, without } from '../onnx/codec.ts'
import { domainOf, sparseInitializer } from '../onnx/conventions.ts'
import {
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type SparseTensorProto,
  SparseTensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../onnx/onnx_pb.ts'
import { dtypeOf, readType } from '../onnx/types.ts'
import { createValueInfo } from '../onnx/value-info.ts'
import { scopeOf, subgraphsOf } from './captures.ts'
import { type ReadError, readError } from './error.ts'
import type { ExternalReader } from './external.ts'
import { inlineNestedTensors } from './inline.ts'
import { functionKey, inlineFunctions } from './functions.ts'
import { opaqueNode, readNode } from './node.ts'
import { isTensorFlowJs, notOnnx } from './not-onnx.ts'
import { sortNodes } from './order.ts'
import { readTensor } from './tensor.ts'

export interface ReadOptions {
  /** Finds files that tensors keep their bytes in; without it such a tensor is an error. */
  readonly external?: ExternalReader
  /** Reads the `model.json` of a TensorFlow.js model; without it such a file is an error. */
  readonly tensorFlowJs?: (bytes: Uint8Array, external: ExternalReader | undefined) => E.Either<ReadError, Graph>
}

const optionChoices: Readonly<Record<keyof ReadOptions, Choice>> = { external: 'any', tensorFlowJs: 'any' }

/** Initializers that are also inputs can be overridden by the caller from this IR version on; before, all are inputs. */
const overridableSince = 4

/**
 * The graph that an ONNX file holds, or a `model.json` where `tensorFlowJs` reads these. Tensor bytes are views of `bytes`, which
 * must not change afterwards. Whatever the compiler does not know becomes an opaque node or a preserved part; only a file that
 * is not a valid model is an error.
 */
export const readModelBytes = (bytes: Uint8Array, options: ReadOptions = {}): E.Either<ReadError, Graph> => {
  const wrong = wrongOption('ReadError', options, optionChoices)
  if (wrong !== undefined) return E.left({ ...wrong, code: 'no-such-option' })
  const decoded = decode(ModelProtoSchema, bytes)
  const { tensorFlowJs } = options
  if (tensorFlowJs !== undefined && (E.isLeft(decoded) || decoded.right.graph === undefined) && isTensorFlowJs(bytes)) {
    return tensorFlowJs(bytes, options.external)
  }
  if (E.isLeft(decoded)) {
    return E.left(
      notOnnx(bytes) ?? readError('malformed-protobuf', 'the model', 'a serialised ONNX ModelProto', decoded.left),
    )
  }
  const model = decoded.right
  const { graph } = model
  const irVersion = Number(model.irVersion)
  if (graph === undefined) {
    return E.left(notOnnx(bytes) ?? readError('required-field-missing', 'the model', 'a graph', 'none'))
  }
  if (!Number.isSafeInteger(irVersion) || irVersion < 1) {
    return E.left(readError('ir-version-missing', 'the model', 'an ir_version of 1 or more', String(model.irVersion)))
  }
  const named = checkNames(model, graph, bytes)
  if (E.isLeft(named)) return named
  const inlined = inlineNestedTensors(model, options.external)
  if (E.isLeft(inlined)) return inlined
  const opsets = readOpsets(model)
  if (E.isLeft(opsets)) return opsets
  inlineFunctions(model, graph, opsets.right, valueNames(model, graph))
  const initializers = readInitializers(graph, options.external)
  if (E.isLeft(initializers)) return initializers
  const nodes = readNodes(model, graph, opsets.right, options.external)
  if (E.isLeft(nodes)) return nodes
  const values = sortValues(graph, irVersion, initializers.right)
  const sparse = graph.sparseInitializer.filter(({ values: v }) => !values.inputNames.has(v?.name ?? ''))
  const available = new Set([...values.inputNames, ...values.constants.keys()])
  const sorted = sortNodes([...sparse.map(sparseNode), ...nodes.right.nodes], available)
  if (E.isLeft(sorted)) return sorted
  const parts: GraphParts = {
    name: graph.name,
    inputs: values.inputs,
    outputs: graph.output.map(readValueInfo),
    nodes: sorted.right,
    constants: values.constants,
    defaults: values.defaults,
    hints: readHints(graph),
    opsets: opsets.right,
    preserved: { irVersion, model: skeleton(model, graph, irVersion, sparse), uses: preservedUses(model, graph) },
  }
  const made = makeGraph(parts, (node, reason) => {
    const proto = nodes.right.protos.get(node)
    return proto === undefined ? node : opaqueNode(proto, reason)
  })
  if (E.isLeft(made)) {
    const { subject, expected, found } = made.left
    return E.left(readError('malformed-graph', subject, expected, found))
  }
  return made
}

/** All names of values, in subgraphs and functions too. */
function* valueNames(model: ModelProto, graph: GraphProto): Iterable<string> {
  for (const { name } of [...graph.input, ...graph.output, ...graph.initializer]) yield name
  for (const { input, output, node } of [{ input: [], output: [], node: graph.node }, ...model.functions]) {
    yield* input
    yield* output
    for (const proto of node) {
      yield* proto.input
      yield* proto.output
      const { captures, defines } = scopeOf(subgraphsOf(proto))
      yield* captures
      yield* defines
    }
  }
}

/**
 * Refuses values of the graph without a name, and names that are not UTF-8: decoding replaces their bytes by U+FFFD, so
 * that two names could become one. A name that holds that character in the file is a name like any other.
 */
const checkNames = (model: ModelProto, graph: GraphProto, bytes: Uint8Array): E.Either<ReadError, void> => {
  if ([...graph.input, ...graph.output, ...graph.initializer].some(({ name }) => name === '')) {
    const expected = 'a name for every input, output and initializer'
    return E.left(readError('required-field-empty', 'the graph', expected, 'none'))
  }
  for (const name of valueNames(model, graph)) {
    if (!name.includes('\ufffd')) continue
    const broken = brokenName(bytes)
    if (broken === undefined) break
    return E.left(readError('malformed-text', `value ${broken}`, 'a name in UTF-8', 'other bytes'))
  }
  return E.right(undefined)
}

const readOpsets = (model: ModelProto): E.Either<ReadError, Map<string, number>> => {
  const out = new Map<string, number>()
  for (const entry of model.opsetImport) {
    const domain = domainOf(entry.domain)
    const version = Number(entry.version)
    const known = out.get(domain)
    if (known !== undefined && known !== version) {
      const subject = `opset import of domain '${domain}'`
      return E.left(readError('opset-import-conflict', subject, 'one version', `versions ${known} and ${version}`))
    }
    out.set(domain, version)
  }
  return E.right(out)
}

const readInitializers = (
  graph: GraphProto,
  external: ExternalReader | undefined,
): E.Either<ReadError, ReadonlyMap<ValueId, Tensor>> => {
  const out = new Map<ValueId, Tensor>()
  for (const proto of graph.initializer) {
    const subject = `initializer ${proto.name}`
    if (out.has(proto.name)) {
      return E.left(readError('duplicate-name', subject, 'a name of its own', 'a second definition'))
    }
    const tensor = readTensor(proto, subject, external)
    if (E.isLeft(tensor)) return tensor
    out.set(proto.name, tensor.right)
  }
  for (const { values } of graph.sparseInitializer) {
    if (!values?.name) {
      return E.left(readError('required-field-empty', 'the graph', 'a name for every sparse initializer', 'none'))
    }
  }
  return E.right(out)
}

interface Nodes {
  readonly nodes: ReadonlyArray<Node>
  readonly protos: ReadonlyMap<Node, NodeProto>
}

const readNodes = (
  model: ModelProto,
  graph: GraphProto,
  opsets: ReadonlyMap<string, number>,
  external: ExternalReader | undefined,
): E.Either<ReadError, Nodes> => {
  const functions = new Set(model.functions.map(({ domain, name, overload }) => functionKey(domain, name, overload)))
  const reader = { opsets, functions, external }
  const protos = new Map<Node, NodeProto>()
  for (const proto of graph.node) {
    const node = readNode(proto, reader)
    if (E.isLeft(node)) return node
    protos.set(node.right, proto)
  }
  return E.right({ nodes: [...protos.keys()], protos })
}

interface Values {
  readonly inputs: ReadonlyArray<ValueInfo>
  readonly inputNames: ReadonlySet<ValueId>
  readonly constants: ReadonlyMap<ValueId, Tensor>
  readonly defaults: ReadonlyMap<ValueId, Tensor>
}

/** Tells inputs, constants, and defaults of inputs apart. */
const sortValues = (graph: GraphProto, irVersion: number, initializers: ReadonlyMap<ValueId, Tensor>): Values => {
  const overridable = irVersion >= overridableSince
  const inputs = graph.input.filter(({ name }) => overridable || !initializers.has(name)).map(readValueInfo)
  const inputNames = new Set(inputs.map(({ name }) => name))
  const constants = new Map<ValueId, Tensor>()
  const defaults = new Map<ValueId, Tensor>()
  for (const [name, tensor] of initializers) (inputNames.has(name) ? defaults : constants).set(name, tensor)
  return { inputs, inputNames, constants, defaults }
}

const sparseNode = (proto: SparseTensorProto): Node =>
  makeNode(Opaque, [], [proto.values?.name ?? ''], {
    ...sparseInitializer,
    payload: encode(SparseTensorProtoSchema, proto),
    reason: 'sparse initializers are not looked into',
  })

const readValueInfo = (proto: ValueInfoProto): ValueInfo => {
  const type = readType(proto.type, proto.name)
  const bytes = encode(ValueInfoProtoSchema, proto)
  const plain = encode(ValueInfoProtoSchema, createValueInfo(proto.name, type))
  return { name: proto.name, type, ...(sameBytes(bytes, plain) ? {} : { meta: bytes }) }
}

/**
 * Declared types of inner values. Of graph outputs and sparse initializers only what cannot mislead: exporters declare
 * wrong sizes of outputs, which ONNX Runtime only warns of.
 */
const readHints = (graph: GraphProto): ReadonlyMap<ValueId, ValueType> => {
  const hints = new Map<ValueId, ValueType>()
  for (const { name, type: declared } of graph.output) {
    const type = readType(declared, name)
    if (type.kind === 'tensor') {
      hints.set(name, { ...type, shape: type.shape?.map((_, axis) => unknownDim(name, axis)) })
    } else hints.set(name, type)
  }
  for (const { values, dims } of graph.sparseInitializer) {
    const dtype = dtypeOf(values?.dataType ?? 0)
    const shape = dims.map((dim, axis) => (dim < 0n ? unknownDim(values?.name ?? '', axis) : Number(dim)))
    if (values !== undefined && dtype !== undefined) hints.set(values.name, tensorType(dtype, shape))
  }
  for (const { name, type } of graph.valueInfo) if (type !== undefined) hints.set(name, readType(type, name))
  return hints
}

/**
 * The model without what the graph models. Declarations of inner values stay, to be written again as they are where
 * they still hold; so do inputs before IR version 4, for their order.
 */
const skeleton = (
  model: ModelProto,
  graph: GraphProto,
  irVersion: number,
  sparse: ReadonlyArray<SparseTensorProto>,
): Uint8Array => {
  const { field } = GraphProtoSchema
  const modelled = [field.name, field.node, field.initializer, field.output, field.sparseInitializer]
  const rest = without(GraphProtoSchema, graph, irVersion >= overridableSince ? [...modelled, field.input] : modelled)
  rest.sparseInitializer = graph.sparseInitializer.filter((one) => !sparse.includes(one))
  const out = without(ModelProtoSchema, model, [ModelProtoSchema.field.irVersion, ModelProtoSchema.field.graph])
  out.graph = rest
  return encode(ModelProtoSchema, out)
}

/** Values that preserved parts name: quantization annotations, training, device configurations. */
const preservedUses = (model: ModelProto, graph: GraphProto): ReadonlyArray<ValueId> => {
  const uses = new Set<ValueId>()
  for (const { tensorName, quantParameterTensorNames } of graph.quantizationAnnotation) {
    uses.add(tensorName)
    for (const { value } of quantParameterTensorNames) uses.add(value)
  }
  for (const training of model.trainingInfo) {
    for (const { key, value } of [...training.initializationBinding, ...training.updateBinding]) {
      uses.add(key)
      uses.add(value)
    }
    const graphs = [training.initialization, training.algorithm].filter((one) => one !== undefined)
    const { captures, defines } = scopeOf(graphs)
    for (const name of [...captures, ...defines]) uses.add(name)
  }
  for (const { deviceConfigurations } of graph.node) {
    for (const { shardingSpec } of deviceConfigurations) for (const { tensorName } of shardingSpec) uses.add(tensorName)
  }
  uses.delete('')
  return [...uses]
}
