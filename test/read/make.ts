/** ONNX files for tests, from as little as a test is about. */
import { readdirSync, readFileSync } from 'node:fs'
import { create, type DescMessage, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf'
import * as E from 'fp-ts/lib/Either.js'
import { renderError } from '../../src/ir/failure.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { type DType } from '../../src/ir/dtype.ts'
import type { Shape } from '../../src/ir/type.ts'
import { tensorType } from '../../src/ir/type.ts'
import { decode, encode } from '../../src/onnx/codec.ts'
import {
  AttributeProto_AttributeType as Type,
  type GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProtoSchema,
  type TensorProtoSchema,
  type ValueInfoProto,
} from '../../src/onnx/onnx_pb.ts'
import { createValueInfo } from '../../src/onnx/value-info.ts'
import type { ReadError } from '../../src/read/error.ts'
import { readModelBytes, type ReadOptions } from '../../src/read/model.ts'

/** What a message is made of, not yet a message: it can be spread. */
type Init<Desc extends DescMessage> = Exclude<MessageInitShape<Desc>, MessageShape<Desc>>

export type GraphInit = Init<typeof GraphProtoSchema>
export type NodeInit = Init<typeof NodeProtoSchema>
export type TensorInit = Init<typeof TensorProtoSchema>
export type ModelInit = Init<typeof ModelProtoSchema>

export const FLOAT = 1
export const INT64 = 7

export const info = (name: string, shape: Shape = [2], dtype: DType = 'float32'): ValueInfoProto =>
  createValueInfo(name, tensorType(dtype, shape))

export const node = (opType: string, input: string[], output: string[], more: NodeInit = {}): NodeInit => ({
  opType,
  input,
  output,
  ...more,
})

/** A float32 tensor in raw_data. */
export const floats = (name: string, values: ReadonlyArray<number>, more: TensorInit = {}): TensorInit => ({
  name,
  dims: [BigInt(values.length)],
  dataType: FLOAT,
  rawData: new Uint8Array(Float32Array.from(values).buffer),
  ...more,
})

/** An attribute that holds a graph. */
export const subgraph = (name: string, g: GraphInit): { name: string; type: typeof Type.GRAPH; g: GraphInit } => ({
  name,
  type: Type.GRAPH,
  g,
})

export const modelBytes = (graph: GraphInit, model: ModelInit = {}): Uint8Array =>
  encode(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: [{ domain: '', version: 17n }],
      graph: { name: 'g', ...graph },
      ...model,
    }),
  )

export const read = (bytes: Uint8Array, options?: ReadOptions): Graph => {
  const graph = readModelBytes(bytes, options)
  if (E.isLeft(graph)) throw new Error(renderError(graph.left))
  return graph.right
}

export const readFailure = (bytes: Uint8Array, options?: ReadOptions): ReadError => {
  const graph = readModelBytes(bytes, options)
  if (E.isRight(graph)) throw new Error('the model was read')
  return graph.left
}

export const parse = (bytes: Uint8Array): ModelProto => {
  const model = decode(ModelProtoSchema, bytes)
  if (E.isLeft(model)) throw new Error(model.left)
  return model.right
}

/** A view of a file's bytes that is no Buffer. */
export const fileBytes = (path: string | URL): Uint8Array => new Uint8Array(readFileSync(path))

/** The exporter-made graphs of the repository, by name. */
export const exporterModels = (): ReadonlyArray<readonly [string, Uint8Array]> => {
  const folder = new URL('../models/', import.meta.url)
  return readdirSync(folder)
    .filter((name) => name.endsWith('.onnx'))
    .sort()
    .map((name) => [name, fileBytes(new URL(name, folder))] as const)
}
