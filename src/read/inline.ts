/** Tensors in parts of a model that are kept as bytes: their data must not stay in files that the copy will not have. */
import { clearField } from '@bufbuild/protobuf'
import * as E from 'fp-ts/lib/Either.js'
import { materialize } from '../ir/tensor.ts'
import {
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type SparseTensorProto,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from '../onnx/onnx_pb.ts'
import type { ReadError } from './error.ts'
import type { ExternalReader } from './external.ts'
import { readTensor } from './tensor.ts'

/** Every tensor of a model but the initializers of its graph. */
const nestedTensors = (model: ModelProto): ReadonlyArray<TensorProto> => {
  const tensors: TensorProto[] = []
  const graphs: GraphProto[] = []
  const addSparse = ({ values, indices }: SparseTensorProto): void => {
    for (const tensor of [values, indices]) if (tensor !== undefined) tensors.push(tensor)
  }
  const addAttribute = (attribute: AttributeProto): void => {
    if (attribute.t !== undefined) tensors.push(attribute.t)
    if (attribute.g !== undefined) graphs.push(attribute.g)
    if (attribute.sparseTensor !== undefined) addSparse(attribute.sparseTensor)
    for (const tensor of attribute.tensors) tensors.push(tensor)
    for (const graph of attribute.graphs) graphs.push(graph)
    attribute.sparseTensors.forEach(addSparse)
  }
  const addNodes = (nodes: ReadonlyArray<NodeProto>): void => {
    for (const { attribute } of nodes) attribute.forEach(addAttribute)
  }
  for (const { attributeProto, node } of model.functions) {
    attributeProto.forEach(addAttribute)
    addNodes(node)
  }
  for (const { initialization, algorithm } of model.trainingInfo) {
    for (const graph of [initialization, algorithm]) if (graph !== undefined) graphs.push(graph)
  }
  addNodes(model.graph?.node ?? [])
  model.graph?.sparseInitializer.forEach(addSparse)
  // The list grows while it is walked: nested graphs are appended.
  for (const graph of graphs) {
    for (const tensor of graph.initializer) tensors.push(tensor)
    graph.sparseInitializer.forEach(addSparse)
    addNodes(graph.node)
  }
  return tensors
}

/** Moves external data of every tensor but the graph's initializers into the messages of `model`, which it changes. */
export const inlineNestedTensors = (
  model: ModelProto,
  external: ExternalReader | undefined,
): E.Either<ReadError, void> => {
  for (const proto of nestedTensors(model)) {
    if (proto.dataLocation !== TensorProto_DataLocation.EXTERNAL) continue
    const tensor = readTensor(proto, `tensor ${proto.name || 'of an attribute'}`, external)
    if (E.isLeft(tensor)) return tensor
    proto.rawData = materialize(tensor.right).bytes
    proto.externalData = []
    clearField(proto, TensorProtoSchema.field.dataLocation)
  }
  return E.right(undefined)
}
