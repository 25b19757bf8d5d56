/** A model of which some nodes stand in local functions, read again: calls, nested ones too, and attributes handed down. */
import { create } from '@bufbuild/protobuf'
import { lower } from '../../src/export/lower.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { encode } from '../../src/onnx/codec.ts'
import {
  AttributeProtoSchema,
  type FunctionProto,
  FunctionProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
} from '../../src/onnx/onnx_pb.ts'
import { scopeOf, subgraphsOf } from '../../src/read/captures.ts'
import { readModelBytes } from '../../src/read/model.ts'
import { parse } from '../read/make.ts'
import { orThrow } from './differential.ts'

const domain = 'local'

const readBy = (node: NodeProto): ReadonlyArray<string> =>
  [...node.input, ...scopeOf(subgraphsOf(node)).captures].filter((name) => name !== '')

/** The most nodes that one call stands for. */
const mostNodes = 6

export const throughFunctions = (graph: Graph, uniform: () => number): Graph => {
  const parsed = parse(orThrow(lower(graph)).model)
  const body = parsed.graph
  if (body === undefined) throw new Error('a model was written without a graph')
  const functions: FunctionProto[] = []
  // What is made of constants may be masked, by a name that a function would hide.
  const constant = new Set(body.initializer.map(({ name }) => name))
  for (const node of body.node)
    if (readBy(node).every((name) => constant.has(name))) node.output.forEach((name) => constant.add(name))

  /** `nodes` with some of them behind calls; `wanted` are the names that are read after them. */
  const enclose = (nodes: ReadonlyArray<NodeProto>, wanted: ReadonlySet<string>, depth: number): NodeProto[] => {
    const out: NodeProto[] = []
    for (let at = 0; at < nodes.length;) {
      const most = uniform() < 0.5 ? 1 : 1 + Math.floor(uniform() * mostNodes)
      const kept = nodes.slice(at, at + most).findIndex(({ output }) => output.some((name) => constant.has(name)))
      const count = kept < 0 ? most : Math.max(1, kept)
      const inner = nodes.slice(at, at + count)
      at += count
      if (count === 1) {
        out.push(...inner)
        continue
      }
      const made = new Set(inner.flatMap(({ output }) => output))
      const later = new Set([...wanted, ...nodes.slice(at).flatMap(readBy)])
      const input = [...new Set(inner.flatMap(readBy))].filter((name) => !made.has(name))
      const output = [...made].filter((name) => name !== '' && later.has(name))
      if (output.length > 0) out.push(call(inner, input, output, depth))
    }
    return out
  }

  const call = (inner: ReadonlyArray<NodeProto>, input: string[], output: string[], depth: number): NodeProto => {
    const handed = inner.flatMap((node) => node.attribute).filter(({ g, graphs }) => !g && graphs.length === 0)
    // What refers to an attribute of the function around has to be handed down.
    const chosen = handed.filter(({ refAttrName }) => refAttrName !== '' || uniform() < 0.3)
    const referred = new Map(chosen.map((attribute, i) => [attribute, `handed${depth}_${i}`]))
    const references = inner.map((node) =>
      create(NodeProtoSchema, {
        ...node,
        attribute: node.attribute.map((attribute) => {
          const refAttrName = referred.get(attribute)
          const { name, type } = attribute
          return refAttrName === undefined ? attribute : create(AttributeProtoSchema, { name, type, refAttrName })
        }),
      }),
    )
    const name = `f${functions.length}`
    const proto = create(FunctionProtoSchema, { name, domain, input, output, attribute: [...referred.values()] })
    functions.push(proto)
    proto.node = depth < 2 ? enclose(references, new Set(output), depth + 1) : references
    proto.opsetImport = opsets
    const attribute = [...referred].map(([given, as]) => create(AttributeProtoSchema, { ...given, name: as }))
    return create(NodeProtoSchema, { opType: name, domain, input, output, attribute, name: `call_${name}` })
  }

  const opsets = [...parsed.opsetImport, create(OperatorSetIdProtoSchema, { domain, version: 1n })]
  const wanted = new Set(body.output.map(({ name }) => name))
  body.node = enclose(body.node, wanted, 0)
  const left = new Set(body.node.flatMap(({ output }) => output))
  body.valueInfo = body.valueInfo.filter(({ name }) => left.has(name))
  parsed.functions = functions
  parsed.opsetImport = opsets
  return orThrow(readModelBytes(encode(ModelProtoSchema, parsed)))
}
