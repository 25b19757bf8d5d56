/**
 * The residual stream of a transformer whose blocks begin with a normalisation: values that are added up and read by nothing but
 * normalisations over their last axis. Whatever basis such a value is in, and whether it is centred, only those see.
 */
import { fixedNames, onlyReader, soleProducer, usersOf } from '../../ir/analysis.ts'
import { type Graph, labelOf } from '../../ir/graph.ts'
import type { Node, ValueId } from '../../ir/op.ts'
import { Add, LayerNormalization, RMSNormalization } from '../../ir/ops/index.ts'
import { isOp } from '../../ir/registry.ts'
import { sizeOf } from '../../ir/type.ts'

/** A normalisation of a stream: `x / √(mean(x²) + epsilon) · scale + bias`, x less its mean where it `centres`. */
export interface Norm {
  readonly node: Node
  readonly epsilon: number
  readonly centres: boolean
  readonly scale: ValueId
  readonly bias: ValueId | undefined
}

export interface StreamValue {
  readonly value: ValueId
  /** Channels: the size of the last axis. */
  readonly size: number
  readonly centres: boolean
  readonly norms: ReadonlyArray<Norm>
}

export interface Stream {
  /** Values that normalisations read, in graph order. */
  readonly values: ReadonlyMap<ValueId, StreamValue>
  /** Additions that make them, by the value that each is a part of. */
  readonly adds: ReadonlyMap<Node, StreamValue>
  /** Values that normalisations read and that are no part of it, and why. */
  readonly left: ReadonlyArray<{ readonly value: ValueId; readonly reason: string }>
}

/** The size of the last axis of a float32 value, where it is known. */
export const widthOf = (graph: Graph, value: ValueId): number | undefined => {
  const type = graph.types.get(value)
  const size = type?.kind === 'tensor' && type.dtype === 'float32' ? type.shape?.at(-1) : undefined
  return typeof size === 'number' ? size : undefined
}

const normOf = (graph: Graph, node: Node): Norm | undefined => {
  if (!isOp(node, LayerNormalization) && !isOp(node, RMSNormalization)) return undefined
  const [x = '', scale = '', bias = ''] = node.inputs
  const type = graph.types.get(x)
  const rank = type?.kind === 'tensor' ? type.shape?.length : undefined
  const size = widthOf(graph, x)
  const isLast = node.attrs.axis === -1 || node.attrs.axis + 1 === rank
  const parameters = [scale, ...(bias === '' ? [] : [bias])].map((name) => graph.constants.get(name))
  const fits = parameters.every(
    (tensor) => tensor?.dtype === 'float32' && [1, size].includes(sizeOf(tensor.shape)) && tensor.shape.length <= 1,
  )
  if (size === undefined || !isLast || !fits || node.outputs.slice(1).some((name) => name !== '')) return undefined
  const centres = isOp(node, LayerNormalization)
  return { node, epsilon: node.attrs.epsilon, centres, scale, bias: bias === '' ? undefined : bias }
}

/** The stream of `graph`, in which normalisations are nodes of their own; without values where there is none. */
export const findStream = (graph: Graph): Stream => {
  const values = new Map<ValueId, StreamValue>()
  const left = new Map<ValueId, string>()
  for (const node of graph.nodes) {
    const norm = normOf(graph, node)
    const [value = ''] = node.inputs
    if (norm === undefined) continue
    const known = values.get(value)
    const size = widthOf(graph, value) ?? 0
    if (known !== undefined && known.centres !== norm.centres) left.set(value, 'it is normalised in two ways')
    values.set(value, { value, size, centres: norm.centres, norms: [...(known?.norms ?? []), norm] })
  }
  for (const value of left.keys()) values.delete(value)
  for (;;) {
    const adds = addsOf(graph, values)
    const out = [...values.values()].flatMap((one) => {
      const reason = whyNot(graph, one, adds) ?? oddOperand(graph, one, values, adds)
      return reason === undefined ? [] : [[one.value, reason] as const]
    })
    const alone = out.length > 0 ? out : unlinked(values, adds)
    if (alone.length === 0) {
      return { values, adds, left: [...left].map(([value, reason]) => ({ value, reason })) }
    }
    for (const [value, reason] of alone) {
      left.set(value, reason)
      values.delete(value)
    }
  }
}

/** Why a value cannot be in another basis. */
const whyNot = (graph: Graph, one: StreamValue, adds: ReadonlyMap<Node, StreamValue>): string | undefined => {
  if (soleProducer(graph, one.value) === undefined) return 'it is an input of the model, or one of several results'
  if (fixedNames(graph).has(one.value)) return 'it is an output of the model, or a subgraph reads it'
  const norms = new Set(one.norms.map(({ node }) => node))
  const other = (usersOf(graph).get(one.value) ?? []).find((user) => !norms.has(user) && !adds.has(user))
  return other === undefined
    ? undefined
    : `${labelOf(other)} reads it, which is neither a normalisation nor part of the stream`
}

/** Why what is added up to a value cannot be brought into another basis. */
const oddOperand = (
  graph: Graph,
  one: StreamValue,
  values: ReadonlyMap<ValueId, StreamValue>,
  adds: ReadonlyMap<Node, StreamValue>,
): string | undefined => {
  for (const [node, owner] of adds) {
    if (owner !== one) continue
    for (const operand of node.inputs) {
      const tensor = graph.constants.get(operand)
      const fits =
        tensor === undefined ? widthOf(graph, operand) === one.size : [1, one.size].includes(tensor.shape.at(-1) ?? 1)
      if (!fits || (tensor !== undefined && tensor.dtype !== 'float32'))
        return `${labelOf(node)} adds what has another size`
      if (values.get(operand)?.centres === true && !one.centres)
        return `${labelOf(node)} joins streams that are normalised in two ways`
    }
  }
  return undefined
}

/** Additions from values of the stream back, as far as nothing else reads their sums. */
const addsOf = (graph: Graph, values: ReadonlyMap<ValueId, StreamValue>): ReadonlyMap<Node, StreamValue> => {
  const adds = new Map<Node, StreamValue>()
  for (const one of values.values()) {
    const waiting = [one.value]
    for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
      const node = soleProducer(graph, value)
      if (!isOp(node, Add)) continue
      adds.set(node, one)
      for (const operand of node.inputs) {
        const isInside = !values.has(operand) && onlyReader(graph, operand) === node
        if (isInside && widthOf(graph, operand) === one.size) waiting.push(operand)
      }
    }
  }
  return adds
}

/** Values that are added to no other one: what a normalisation reads of them is no stream. */
const unlinked = (
  values: ReadonlyMap<ValueId, StreamValue>,
  adds: ReadonlyMap<Node, StreamValue>,
): ReadonlyArray<readonly [ValueId, string]> => {
  const linked = new Set<ValueId>()
  for (const [node, one] of adds) {
    for (const operand of node.inputs) {
      const from = values.get(operand)
      if (from === undefined || from.size !== one.size) continue
      linked.add(operand)
      linked.add(one.value)
    }
  }
  return [...values.keys()].flatMap((value) =>
    linked.has(value)
      ? []
      : [
          [
            value,
            'it is not added to another value that is normalised (a block that ends with a normalisation?)',
          ] as const,
        ],
  )
}
