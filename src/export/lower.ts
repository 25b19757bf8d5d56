/** Graph to ONNX bytes. Pure; also runs in a browser. */
import { create } from '@bufbuild/protobuf'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { type Graph, readsOf } from '../ir/graph.ts'
import type { Node, ValueId } from '../ir/op.ts'
import { type Choice, wrongOption } from '../ir/options.ts'
import { Opaque } from '../ir/ops/opaque.ts'
import { isOp } from '../ir/registry.ts'
import { sizeInBytes, type Tensor } from '../ir/tensor.ts'
import { tensorType } from '../ir/type.ts'
import { writtenOut } from '../ir/written.ts'
import { domainOf, sparseInitializer } from '../onnx/conventions.ts'
import {
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  OperatorSetIdProtoSchema,
  type SparseTensorProto,
  SparseTensorProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  type ValueInfoProto,
} from '../onnx/onnx_pb.ts'
import { assemble, concatenate, type Pieces } from './assemble.ts'
import { type WriteError, writeError } from '../disk/error.ts'
import { writeNode } from './node.ts'
import { restore } from './restore.ts'
import { rawChunks, writeExternalTensor, writeHeader } from './tensor.ts'
import { declareConstant, writeInnerValues, writeValueInfo } from './values.ts'

export interface LowerOptions {
  /** The version of chasec to name as the producer. Absent: the source's producer stays. */
  readonly producer?: string
  /** Whether values inside are declared that the source does not declare, so that viewers show their shapes. Absent: no. */
  readonly shapes?: boolean
  /** Whether tensors go into a file beside the model. Absent: when they exceed 1.9 GB, which one message cannot hold. */
  readonly external?: boolean
  /** The name of that file. Absent: `model.onnx_data`. */
  readonly externalName?: string
}

const optionChoices: Readonly<Record<keyof LowerOptions, Choice>> = {
  producer: 'any',
  shapes: 'any',
  external: 'any',
  externalName: 'any',
}

/** A file of tensor bytes beside the model, made piece by piece while it is written. */
export interface ExternalData {
  readonly name: string
  readonly length: number
  readonly chunks: () => Iterable<Uint8Array>
}

export interface Lowered {
  /** A serialised ModelProto. */
  readonly model: Uint8Array
  readonly external?: ExternalData
}

/** A {@link Lowered} model in pieces. */
export interface LoweredPieces extends Omit<Lowered, 'model'> {
  readonly model: Pieces
}

/** Tensor bytes above which a model needs an external file: a message holds less than 2 GiB. */
const inlineLimit = 1.9e9

const messageLimit = 2 ** 31 - 1

/** Smaller tensors stay in the model, where shapes and axes are read from before any file is opened. */
const externalThreshold = 1024

/** External tensors start at multiples of this, so that they can be mapped into memory. */
const alignment = 4096

const needsExternal = 'Write the tensors to a file beside the model (external data).'

/**
 * The ONNX model of a graph. IR version, opsets, inputs, outputs and every part that the compiler does not look into are
 * those of the source; constants follow in the order in which nodes read them, unread ones are left out. The same graph
 * gives the same bytes.
 *
 * Errors: the model is too large for one message and external data was declined; a file that tensors are read from has
 * changed since.
 */
export const lower = (graph: Graph, options: LowerOptions = {}): E.Either<WriteError, Lowered> =>
  pipe(
    lowerInPieces(graph, options),
    E.chain(({ model, ...rest }) =>
      pipe(
        inMemory(model),
        E.map((bytes) => ({ model: bytes, ...rest })),
      ),
    ),
  )

const inMemory = (model: Pieces): E.Either<WriteError, Uint8Array> => {
  try {
    return E.right(concatenate(model))
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown)) throw thrown
    return E.left(
      writeError('a tensor in an external file', 'its bytes', thrown.message, 'Read the model again, then retry.'),
    )
  }
}

/** The same with the model in pieces, tensors read or made while they are written: for writing to a file. */
export const lowerInPieces = (held: Graph, options: LowerOptions = {}): E.Either<WriteError, LoweredPieces> => {
  const wrong = wrongOption('WriteError', options, optionChoices)
  if (wrong !== undefined) return E.left(wrong)
  const graph = writtenOut(held)
  const names = initializerNames(graph)
  const tensors = new Map<ValueId, Tensor>()
  for (const name of names) {
    const tensor = graph.constants.get(name) ?? graph.defaults.get(name)
    if (tensor !== undefined) tensors.set(name, tensor)
  }
  let total = 0
  for (const tensor of tensors.values()) total += sizeInBytes(tensor)
  const external = options.external ?? total > inlineLimit
  if (!external && total > messageLimit) {
    return E.left(writeError('the model', `at most ${messageLimit} bytes`, `${total} bytes of tensors`, needsExternal))
  }
  const location = options.externalName ?? 'model.onnx_data'
  const layout = external ? layOut(tensors) : { offsets: new Map<ValueId, number>(), length: 0 }
  const contents = new Map<TensorProto, Tensor>()
  const model = writeModel(graph, options, (initializers) => {
    for (const [name, tensor] of tensors) {
      const offset = layout.offsets.get(name)
      const proto =
        offset === undefined ? writeHeader(name, tensor) : writeExternalTensor(name, tensor, location, offset)
      if (offset === undefined) contents.set(proto, tensor)
      initializers.push(proto)
    }
  })
  const pieces = assemble(model, contents)
  if (pieces.length > messageLimit) {
    return E.left(writeError('the model', `at most ${messageLimit} bytes`, `${pieces.length} bytes`, needsExternal))
  }
  if (layout.offsets.size === 0) return E.right({ model: pieces })
  const chunks = (): Iterable<Uint8Array> => externalChunks(tensors, layout.offsets)
  return E.right({ model: pieces, external: { name: location, length: layout.length, chunks } })
}

/** Constants that something reads, in the order of first reading, then values of inputs that nothing reads. */
const initializerNames = (graph: Graph): ReadonlySet<ValueId> => {
  const names = new Set<ValueId>()
  const add = (name: ValueId): void => {
    if (graph.constants.has(name) || graph.defaults.has(name)) names.add(name)
  }
  for (const node of graph.nodes) readsOf(node).forEach(add)
  for (const { name } of graph.outputs) add(name)
  graph.preserved.uses.forEach(add)
  for (const { name } of graph.inputs) add(name)
  return names
}

interface Layout {
  readonly offsets: ReadonlyMap<ValueId, number>
  readonly length: number
}

const layOut = (tensors: ReadonlyMap<ValueId, Tensor>): Layout => {
  const offsets = new Map<ValueId, number>()
  let length = 0
  for (const [name, tensor] of tensors) {
    const size = sizeInBytes(tensor)
    if (size < externalThreshold) continue
    const offset = Math.ceil(length / alignment) * alignment
    offsets.set(name, offset)
    length = offset + size
  }
  return { offsets, length }
}

function* externalChunks(
  tensors: ReadonlyMap<ValueId, Tensor>,
  offsets: ReadonlyMap<ValueId, number>,
): Iterable<Uint8Array> {
  let at = 0
  for (const [name, tensor] of tensors) {
    const offset = offsets.get(name)
    if (offset === undefined) continue
    if (offset > at) yield new Uint8Array(offset - at)
    yield* rawChunks(tensor)
    at = offset + sizeInBytes(tensor)
  }
}

const writeModel = (
  graph: Graph,
  { producer, shapes = false }: LowerOptions,
  addInitializers: (into: TensorProto[]) => void,
): ModelProto => {
  const model = restore(ModelProtoSchema, graph.preserved.model)
  model.irVersion = BigInt(graph.preserved.irVersion)
  writeOpsets(model, graph.opsets)
  if (producer !== undefined) writeProducer(model, producer)
  const proto = model.graph ?? create(GraphProtoSchema)
  model.graph = proto
  if (graph.name !== '') proto.name = graph.name
  for (const node of graph.nodes) {
    if (isSparse(node)) proto.sparseInitializer.push(writeSparse(node))
    else proto.node.push(writeNode(node))
  }
  addInitializers(proto.initializer)
  proto.input = writeInputs(graph, proto)
  proto.output = graph.outputs.map(writeValueInfo)
  proto.valueInfo = [...writeInnerValues(graph, proto.valueInfo, shapes)]
  return model
}

const isSparse = (node: Node): boolean =>
  isOp(node, Opaque) && node.attrs.domain === sparseInitializer.domain && node.attrs.opType === sparseInitializer.opType

const writeSparse = (node: Node): SparseTensorProto => {
  const proto = restore(SparseTensorProtoSchema, isOp(node, Opaque) ? node.attrs.payload : undefined)
  if (proto.values !== undefined) proto.values.name = node.outputs[0] ?? ''
  return proto
}

/** Before IR version 4 every initializer is an input too; the order is that of the source, new ones follow. */
const writeInputs = (graph: Graph, proto: GraphProto): ValueInfoProto[] => {
  const inputs = graph.inputs.map(writeValueInfo)
  if (graph.preserved.irVersion >= 4) return inputs
  const declared = new Map(proto.input.map((info) => [info.name, info]))
  const written = new Map(inputs.map((info) => [info.name, info]))
  for (const { name } of proto.initializer) {
    const tensor = graph.constants.get(name)
    if (tensor === undefined) continue
    written.set(name, declareConstant(name, tensorType(tensor.dtype, tensor.shape), declared.get(name)))
  }
  const order = new Set([...declared.keys(), ...written.keys()])
  return [...order].flatMap((name) => written.get(name) ?? [])
}

const writeOpsets = (model: ModelProto, opsets: ReadonlyMap<string, number>): void => {
  const listed = new Set<string>()
  for (const entry of model.opsetImport) {
    const version = opsets.get(domainOf(entry.domain))
    if (version !== undefined && Number(entry.version) !== version) entry.version = BigInt(version)
    listed.add(domainOf(entry.domain))
  }
  for (const [domain, version] of opsets) {
    if (!listed.has(domain)) {
      model.opsetImport.push(create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }))
    }
  }
}

const sourceProducer = 'chasec.source_producer'

/** Names chasec as the producer and keeps who made the source as metadata, once. */
const writeProducer = (model: ModelProto, version: string): void => {
  const source = `${model.producerName} ${model.producerVersion}`.trim()
  const noted = model.metadataProps.some(({ key }) => key === sourceProducer)
  if (source !== '' && !noted && model.producerName !== 'chasec') {
    model.metadataProps.push(create(StringStringEntryProtoSchema, { key: sourceProducer, value: source }))
  }
  model.producerName = 'chasec'
  model.producerVersion = version
}
