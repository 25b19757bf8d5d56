/** NodeProto to node: of a known operator where everything about it is understood, else opaque. */
import * as E from 'fp-ts/lib/Either.js'
import { qualified, unqualified } from '../ir/domain.ts'
import { type Node } from '../ir/op.ts'
import { Opaque } from '../ir/ops/opaque.ts'
import { makeNode } from '../ir/make-node.ts'
import { decodeAttributes, findOp } from '../ir/registry.ts'
import { encode, remainder, without } from '../onnx/codec.ts'
import { domainOf } from '../onnx/conventions.ts'
import { AttributeProtoSchema, type NodeProto, NodeProtoSchema } from '../onnx/onnx_pb.ts'
import { modelledAttributeFields, readAttributes } from './attributes.ts'
import { functionKey } from './functions.ts'
import { scopeOf, subgraphsOf } from './captures.ts'
import type { ReadError } from './error.ts'
import type { ExternalReader } from './external.ts'

export interface NodeReader {
  /** Imported version of each operator domain. */
  readonly opsets: ReadonlyMap<string, number>
  /** Domain and name of the model's own functions, as {@link functionKey} writes them. */
  readonly functions: ReadonlySet<string>
  readonly external: ExternalReader | undefined
}

/** How errors name a node. */
export const describeNode = (proto: NodeProto): string =>
  `${proto.opType} ${proto.name || (proto.output.find((o) => o !== '') ?? '')}`.trim()

/** The node kept as it is. */
export const opaqueNode = (proto: NodeProto, reason: string): Node => {
  const { domain, opType, name, input, output } = proto
  const payload = encode(NodeProtoSchema, proto)
  return makeNode(Opaque, input, output, { domain, opType, payload, reason, ...scopeOf(subgraphsOf(proto)) }, name)
}

/** The operator of a node and its attributes, or as a string why the compiler does not look into it. */
const understand = (
  proto: NodeProto,
  reader: NodeReader,
): E.Either<ReadError, { readonly op: string; readonly attrs: unknown } | string> => {
  const { domain, opType, overload } = proto
  if (reader.functions.has(functionKey(domain, opType, overload)) || overload !== '') {
    return E.right('it calls a function of the model')
  }
  const from = domainOf(domain)
  const op = findOp(qualified(from, opType))
  if (op === undefined || op.name === Opaque.name || unqualified(op.name).opType !== opType) {
    return E.right(
      from === '' ? `operator ${opType} is not known` : `operator ${opType} of domain ${from} is not known`,
    )
  }
  // Other domains are in their first version where a model does not import them: ONNX Runtime's optimizer leaves that out.
  const opset = reader.opsets.get(from) ?? (from === '' ? undefined : 1)
  if (opset === undefined) return E.right('the model does not import the default operator domain')
  if (opset < op.versions[0] || opset > op.versions[1]) return E.right(`${opType} of opset ${opset} is not known`)
  if (subgraphsOf(proto).length > 0) return E.right('it has subgraphs')
  const raw = readAttributes(proto.attribute, describeNode(proto), reader.external)
  if (E.isLeft(raw)) return raw
  if (typeof raw.right === 'string') return E.right(raw.right)
  const attrs = decodeAttributes(op, raw.right)
  return E.right(E.isLeft(attrs) ? attrs.left : { op: op.name, attrs: attrs.right })
}

/** What the IR does not model of a known node: doc strings, metadata, unknown fields, of its attributes too. */
const metaOf = (proto: NodeProto): Uint8Array | undefined => {
  const { field } = NodeProtoSchema
  const known = [field.input, field.output, field.name, field.opType, field.attribute]
  const rest = without(
    NodeProtoSchema,
    proto,
    domainOf(proto.domain) === '' && proto.domain !== '' ? known : [...known, field.domain],
  )
  rest.attribute = proto.attribute
    .filter((attribute) => {
      const names = [...modelledAttributeFields, AttributeProtoSchema.field.name]
      return remainder(AttributeProtoSchema, attribute, names) !== undefined
    })
    .map((attribute) => without(AttributeProtoSchema, attribute, modelledAttributeFields))
  return remainder(NodeProtoSchema, rest, [])
}

/** A node of a known operator, or an opaque one that says why. Errors: a tensor attribute whose data is wrong. */
export const readNode = (proto: NodeProto, reader: NodeReader): E.Either<ReadError, Node> => {
  const known = understand(proto, reader)
  if (E.isLeft(known)) return known
  if (typeof known.right === 'string') return E.right(opaqueNode(proto, known.right))
  const meta = metaOf(proto)
  return E.right({
    ...known.right,
    inputs: proto.input,
    outputs: proto.output,
    name: proto.name,
    ...(meta && { meta }),
  })
}
