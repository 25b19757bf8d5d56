/** Declared types of values: written as they were read where they still hold, corrected where they do not. */
import type { Graph, ValueInfo } from '../ir/graph.ts'
import { type Dim, isAnonymous, sameType, tensorType, type TensorType, unknownDim, type ValueType } from '../ir/type.ts'
import { isOpaque } from '../ir/registry.ts'
import { type ValueInfoProto, ValueInfoProtoSchema } from '../onnx/onnx_pb.ts'
import { readType, retype, writeType } from '../onnx/types.ts'
import { createValueInfo } from '../onnx/value-info.ts'
import { restore } from './restore.ts'

/** Sets the declared type of `proto`, unless it is that already. */
const withType = (proto: ValueInfoProto, type: ValueType): ValueInfoProto => {
  if (sameType(readType(proto.type, proto.name), type)) return proto
  const next = proto.type === undefined ? writeType(type) : retype(proto.type, type)
  if (next !== undefined) proto.type = next
  return proto
}

/** An input or output as the graph declares it. */
export const writeValueInfo = ({ name, type, meta }: ValueInfo): ValueInfoProto => {
  if (meta === undefined) return createValueInfo(name, type)
  const proto = restore(ValueInfoProtoSchema, meta)
  proto.name = name
  return withType(proto, type)
}

/** A constant that has to be declared like an input, as `declared` declares it where that is given. */
export const declareConstant = (
  name: string,
  type: TensorType,
  declared: ValueInfoProto | undefined,
): ValueInfoProto => (declared === undefined ? createValueInfo(name, type) : withType(declared, type))

const symbolsOf = (type: ValueType): ReadonlyArray<string> =>
  type.kind === 'tensor'
    ? (type.shape ?? []).filter((dim) => typeof dim === 'string' && !isAnonymous(dim)).map(String)
    : []

/** Symbols that the file declares, and those of them that now stand for several sizes, or for one that is known and one that is not. */
interface Symbols {
  readonly declared: ReadonlySet<string>
  readonly contradicted: ReadonlySet<string>
}

const symbolsIn = (graph: Graph, declarations: ReadonlyArray<readonly [string, ValueType]>): Symbols => {
  const declared = new Set<string>()
  const sizes = new Map<string, Dim>()
  const contradicted = new Set<string>()
  for (const [name, type] of declarations) {
    for (const symbol of symbolsOf(type)) declared.add(symbol)
    const current = graph.types.get(name)
    if (type.kind !== 'tensor' || current?.kind !== 'tensor' || type.shape?.length !== current.shape?.length) continue
    for (const [axis, dim] of (type.shape ?? []).entries()) {
      const size = current.shape?.[axis]
      if (typeof dim !== 'string' || size === undefined) continue
      if (sizes.has(dim) && sizes.get(dim) !== size) contradicted.add(dim)
      sizes.set(dim, size)
    }
  }
  return { declared, contradicted }
}

/** What to declare for the value `name`, declared as `declared` in the source and known to be `current`. */
const reconcile = (name: string, declared: ValueType, current: ValueType, symbols: Symbols): ValueType => {
  if (declared.kind !== 'tensor' || current.kind !== 'tensor') return declared
  if (declared.shape === undefined || current.shape === undefined) return tensorType(current.dtype, declared.shape)
  const before = declared.shape.length === current.shape.length ? declared.shape : undefined
  const shape = current.shape.map((dim, axis): Dim => {
    const old = before?.[axis]
    if (typeof dim === 'number') return typeof old === 'string' && !symbols.contradicted.has(old) ? old : dim
    return old ?? (symbols.declared.has(dim) ? dim : unknownDim(name, axis))
  })
  return tensorType(current.dtype, shape)
}

/**
 * The declarations of inner values that are still there. Of values that the source did not declare, those that nodes with bodies
 * make are declared, since their sizes are found nowhere else; with `all`, every one of which the shape is known.
 */
export const writeInnerValues = (
  graph: Graph,
  declarations: ReadonlyArray<ValueInfoProto>,
  all: boolean,
): ReadonlyArray<ValueInfoProto> => {
  const inner = declarations.map((proto) => [proto, readType(proto.type, proto.name)] as const)
  const outer = [...graph.inputs, ...graph.outputs].map(({ name, type }) => [name, type] as const)
  const symbols = symbolsIn(graph, [...outer, ...inner.map(([{ name }, type]) => [name, type] as const)])
  const written = inner.flatMap(([proto, declared]) => {
    const current = graph.types.get(proto.name)
    return current === undefined ? [] : [withType(proto, reconcile(proto.name, declared, current, symbols))]
  })
  const known = new Set([...graph.inputs, ...graph.outputs, ...declarations].map(({ name }) => name))
  const made = graph.nodes.flatMap((node) =>
    all || (isOpaque(node) && node.attrs.defines.length > 0) ? node.outputs : [],
  )
  return [
    ...written,
    ...made.flatMap((name) => {
      const type = known.has(name) ? undefined : graph.types.get(name)
      const shape = type?.kind === 'tensor' ? type.shape : undefined
      const tells = all ? shape !== undefined : shape?.some((dim) => typeof dim === 'number') === true
      return type !== undefined && tells ? [createValueInfo(name, type)] : []
    }),
  ]
}
