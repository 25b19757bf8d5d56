import * as E from 'fp-ts/lib/Either.js'
import { type Graph, makeGraph, type ValueInfo, withParts } from '../ir/graph.ts'
import type { Node, ValueId } from '../ir/op.ts'
import { isOpaque } from '../ir/registry.ts'
import { isStatic, normalizeAxis, sameType, tensorType, unknownDim, type ValueType } from '../ir/type.ts'
import type { Pass } from './pass.ts'
import type { Crossing, OpaqueNode, Subgraphs } from './subgraphs.ts'

/**
 * Sizes of what goes into bodies and comes out of them, where they are known on the other side: exporters seldom declare them, and
 * without them no channel can be told from another. A state has a size in all steps where it has it at first and the body, told so,
 * makes it again: all sizes are assumed, and those that are not made again are dropped until the rest holds (a greatest fixed
 * point). Of a step that never comes nothing is concluded: what is behind a node is of the sizes of both.
 */
export const inferCarriedTypes = (subgraphs: Subgraphs): Pass => ({
  name: 'infer-carried-types',
  run: (graph) => {
    let current = graph
    for (const [at, node] of graph.nodes.entries()) {
      if (!isOpaque(node) || node.attrs.defines.length === 0) continue
      const next = inferAround(current, node, subgraphs)
      if (next === undefined) continue
      // What is behind a node that has been told more knows more itself.
      const made = makeGraph({ ...current, nodes: current.nodes.with(at, next.node), hints: next.hints })
      if (E.isRight(made)) current = made.right
    }
    return E.right(current)
  },
})

interface Told {
  readonly node: Node
  readonly hints: ReadonlyMap<ValueId, ValueType>
}

const inferAround = (graph: Graph, node: OpaqueNode, subgraphs: Subgraphs): Told | undefined => {
  const crossings = subgraphs.crossings(node, graph)
  const opened = crossings && subgraphs.open(node, graph)
  if (crossings === undefined || opened === undefined) return undefined
  const bodies = opened.map((one) => ({ ...one, graph: withInputs(one.graph, graph, node, crossings, subgraphs) }))
  const isTold = bodies.some((one, i) => one.graph !== opened[i]?.graph)
  const closed = isTold ? subgraphs.close(node, graph, bodies) : node
  const known = bodies.map((body) => told(body.graph, subgraphs))
  const hints = new Map(graph.hints)
  for (const { into, out, along } of crossings) {
    const name = node.outputs[out?.port ?? -1] ?? ''
    if (out === undefined || name === '') continue
    const inside = known.map(({ types, outputs }) => types.get(outputs[out.index]?.name ?? ''))
    const first = into === undefined ? [] : [graph.types.get(node.inputs[into.port] ?? '')]
    const made = commonType([...first, ...inside], name)
    const whole = along === undefined ? made : stackedType(made, along, name)
    const [now, type] = [graph.types.get(name), whole && moreOf(graph.types.get(name), whole)]
    if (type !== undefined && (now === undefined || !sameType(now, type))) hints.set(name, type)
  }
  const isLearnt = [...hints].some(([name, type]) => graph.hints.get(name) !== type)
  return closed === node && !isLearnt ? undefined : { node: closed, hints }
}

/** A graph of which the nodes with bodies are told sizes. */
const told = (graph: Graph, subgraphs: Subgraphs): Graph => {
  const run = inferCarriedTypes(subgraphs).run(graph)
  return E.isRight(run) ? run.right : graph
}

/** A body that is told the sizes of what it reads. */
const withInputs = (
  body: Graph,
  graph: Graph,
  node: OpaqueNode,
  crossings: ReadonlyArray<Crossing>,
  subgraphs: Subgraphs,
): Graph => {
  const given = new Map<number, ValueType>()
  for (const { into, out, along } of crossings) {
    const type = into && graph.types.get(node.inputs[into.port] ?? '')
    const slice = along === undefined ? type : slicedType(type, along)
    // Of a state only numbers are made again: a size without one is another in the next step.
    const inside = out === undefined ? slice : commonType([slice], '')
    if (into !== undefined && inside !== undefined) given.set(into.index, inside)
  }
  for (;;) {
    const inputs = body.inputs.map((input, k): ValueInfo => {
      const type = given.get(k)
      const more = type && moreOf(input.type, type)
      return more === undefined || sameType(more, input.type) ? input : { ...input, type: more }
    })
    if (inputs.every((input, k) => input === body.inputs[k])) return body
    const made = makeGraph({ ...body, inputs })
    if (E.isLeft(made)) return body
    const { types } = told(made.right, subgraphs)
    let isKept = true
    for (const { into, out } of crossings) {
      if (into === undefined || out === undefined) continue
      const type = given.get(into.index)
      const next = types.get(body.outputs[out.index]?.name ?? '')
      const common = type && commonType([type, next], '')
      if (type === undefined || (common !== undefined && sameType(staticPart(type), staticPart(common)))) continue
      isKept = false
      if (common === undefined) given.delete(into.index)
      else given.set(into.index, common)
    }
    if (isKept) return withParts(body, { inputs })
  }
}

/** A type of which only sizes that are numbers are told apart. */
const staticPart = (type: ValueType): ValueType =>
  type.kind === 'tensor'
    ? tensorType(
        type.dtype,
        type.shape?.map((dim) => (isStatic(dim) ? dim : '?')),
      )
    : type

/** The sizes that all of some tensors have; undefined where their ranks are not known, or not the same. */
const commonType = (types: ReadonlyArray<ValueType | undefined>, name: string): ValueType | undefined => {
  const [first] = types
  if (first?.kind !== 'tensor' || first.shape === undefined) return undefined
  let { shape } = first
  for (const type of types) {
    if (type?.kind !== 'tensor' || type.dtype !== first.dtype || type.shape?.length !== shape.length) return undefined
    const other = type.shape
    shape = shape.map((dim, axis) => (isStatic(dim) && dim === other[axis] ? dim : unknownDim(name, axis)))
  }
  return tensorType(first.dtype, shape)
}

/** A type with the sizes that another one of the same value knows besides; undefined where they contradict each other. */
const moreOf = (type: ValueType | undefined, other: ValueType): ValueType | undefined => {
  if (other.kind !== 'tensor' || other.shape === undefined) return undefined
  if (type?.kind !== 'tensor') return type === undefined || type.encoded === undefined ? other : undefined
  if (type.dtype !== other.dtype) return undefined
  const { shape } = type
  if (shape === undefined) return other
  if (shape.length !== other.shape.length) return undefined
  const more = shape.map((dim, axis) => {
    const size = other.shape?.[axis]
    return isStatic(dim) || !isStatic(size) ? dim : size
  })
  return more.some((dim, axis) => isStatic(other.shape?.[axis]) && dim !== other.shape[axis])
    ? undefined
    : tensorType(type.dtype, more)
}

/** The type of one slice. */
const slicedType = (type: ValueType | undefined, along: number): ValueType | undefined => {
  const shape = type?.kind === 'tensor' ? type.shape : undefined
  const axis = shape && normalizeAxis(along, shape.length)
  if (type?.kind !== 'tensor' || shape === undefined || axis === undefined) return undefined
  return tensorType(type.dtype, shape.toSpliced(axis, 1))
}

/** The type of slices one behind another. */
const stackedType = (type: ValueType | undefined, along: number, name: string): ValueType | undefined => {
  const shape = type?.kind === 'tensor' ? type.shape : undefined
  const axis = shape && normalizeAxis(along, shape.length + 1)
  if (type?.kind !== 'tensor' || shape === undefined || axis === undefined) return undefined
  const dims = shape.map((dim, a) => (isStatic(dim) ? dim : unknownDim(name, a < axis ? a : a + 1)))
  return tensorType(type.dtype, dims.toSpliced(axis, 0, unknownDim(name, axis)))
}
