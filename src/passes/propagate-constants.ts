import * as E from 'fp-ts/lib/Either.js'
import { freshNames } from '../ir/analysis.ts'
import { contextOf, type Graph, withParts } from '../ir/graph.ts'
import type { Node, ValueId } from '../ir/op.ts'
import { opOf } from '../ir/registry.ts'
import { type Tensor, tensorOf } from '../ir/tensor.ts'
import { sameType, tensorType } from '../ir/type.ts'
import { axesOf, propagateConstants as constantsOf } from './channel-elimination/analyse.ts'
import { trackingOf } from './channel-elimination/tracking.ts'
import type { Pass } from './pass.ts'

/**
 * A value of which every channel is constant, read where broadcasting applies, is read as a constant of shape
 * `[1, .., C, .., 1]` instead. So the branch that computed it dies: a dead residual branch becomes a bias or nothing.
 *
 * Guard: the reading node's output types stay as they are, so the value took no part in their size.
 */
export const propagateConstants: Pass = { name: 'propagate-constants', run: (graph) => E.right(propagate(graph)) }

const propagate = (graph: Graph): Graph => {
  const constants = new Map<ValueId, Tensor>(graph.constants)
  const types = new Map(graph.types)
  const fresh = freshNames(graph)
  const made = new Map<ValueId, ValueId | undefined>()
  const stand = (value: ValueId): ValueId | undefined => {
    if (made.has(value)) return made.get(value)
    const tensor = graph.constants.has(value) ? undefined : channelConstant(graph, value)
    const name = tensor === undefined ? undefined : fresh(`${value}_constant`)
    made.set(value, name)
    if (tensor !== undefined && name !== undefined) {
      constants.set(name, tensor)
      types.set(name, tensorType(tensor.dtype, tensor.shape))
    }
    return name
  }
  let changed = false
  const nodes = graph.nodes.map((node): Node => {
    const op = opOf(node)
    let current = node
    node.inputs.forEach((input, port) => {
      if (input === '' || op.broadcasts?.(port) !== true) return
      const name = stand(input)
      if (name === undefined) return
      const next = { ...current, inputs: current.inputs.map((i, p) => (p === port ? name : i)) }
      if (keepsTypes(graph, next, types, constants)) current = next
    })
    changed ||= current !== node
    return current
  })
  if (!changed) return graph
  const used = new Set(nodes.flatMap((node) => node.inputs))
  for (const name of made.values()) if (name !== undefined && !used.has(name)) constants.delete(name)
  return withParts(graph, { nodes, constants })
}

const channelConstant = (graph: Graph, value: ValueId): Tensor | undefined => {
  const type = graph.types.get(value)
  if (type?.kind !== 'tensor') return undefined
  const [facts, tracking] = [constantsOf(graph), trackingOf(graph)]
  for (const axis of axesOf(graph, value).keys()) {
    // Along an axis on which channels are not told apart one number stands for all.
    const known = facts.known(value, axis)
    const one = typeof known === 'number' && !tracking.tracked(value, axis)
    const values = one ? [known] : facts.along(value, axis)
    if (values === undefined || values.length === 0 || values.some(Number.isNaN)) continue
    const shape = (type.shape ?? []).map((_, a) => (a === axis ? values.length : 1))
    return tensorOf(type.dtype, shape, values)
  }
  return undefined
}

const keepsTypes = (
  graph: Graph,
  node: Node,
  types: Graph['types'],
  constants: ReadonlyMap<ValueId, Tensor>,
): boolean => {
  const ctx = contextOf({ ...graph, types, constants }, node)
  const inferred = opOf(node).inferTypes(ctx)
  return (
    E.isRight(inferred) &&
    inferred.right.every((type, i) => {
      const before = ctx.outputs[i]
      return before !== undefined && sameType(type, before)
    })
  )
}
