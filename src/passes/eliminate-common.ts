import * as E from 'fp-ts/lib/Either.js'
import { fixedNames } from '../ir/analysis.ts'
import type { RawAttribute, RawAttributes } from '../ir/attributes.ts'
import { digestOf } from '../ir/digest.ts'
import { type Graph, withParts } from '../ir/graph.ts'
import type { Node, ValueId } from '../ir/op.ts'
import { encodeAttributes, isOpaque, opOf } from '../ir/registry.ts'
import { sameTensor } from '../ir/equal.ts'
import { materialize } from '../ir/tensor.ts'
import { isAnonymous, unknownType } from '../ir/type.ts'
import type { Pass } from './pass.ts'

/**
 * Computes once what several nodes compute alike: same operator, same attributes, same inputs (constants by name, see
 * `share-constants`). Readers of the later node's outputs read those of the earlier one.
 *
 * Guards: opaque nodes are never merged, they may be random, nor are operators with a seed; a node with an output whose name is fixed stays; so does
 * one whose outputs are declared in more detail than those of the earlier node.
 */
export const eliminateCommon: Pass = { name: 'eliminate-common', run: (graph) => E.right(withoutCommon(graph)) }

const withoutCommon = (graph: Graph): Graph => {
  const fixed = fixedNames(graph)
  const replaced = new Map<ValueId, ValueId>()
  const known = new Map<string, Node[]>()
  const nodes: Node[] = []
  for (const given of graph.nodes) {
    const node = given.inputs.some((name) => replaced.has(name))
      ? { ...given, inputs: given.inputs.map((name) => replaced.get(name) ?? name) }
      : given
    if (isOpaque(node) || 'seed' in opOf(node).schema) {
      nodes.push(node)
      continue
    }
    const attributes = encodeAttributes(node)
    const key = keyOf(node, attributes)
    const alike = known.get(key) ?? []
    known.set(key, alike)
    const first = alike.find((other) => sameAttributes(encodeAttributes(other), attributes))
    if (first === undefined) alike.push(node)
    const stays =
      first === undefined ||
      node.outputs.some((name, i) => fixed.has(name) || !isKnown(graph, name, first.outputs[i] ?? ''))
    if (stays) nodes.push(node)
    else node.outputs.forEach((name, i) => name !== '' && replaced.set(name, first.outputs[i] ?? ''))
  }
  if (replaced.size === 0) return graph
  const hints = new Map([...graph.hints].filter(([name]) => !replaced.has(name)))
  return withParts(graph, { nodes, hints })
}

/** Equal for nodes that compute alike, and for hardly any others. */
const keyOf = (node: Node, attributes: RawAttributes): string =>
  JSON.stringify([
    node.op,
    node.inputs,
    node.outputs.map((name) => name === ''),
    [...attributes].map(([name, raw]) => [name, raw.kind, textOf(raw)]),
  ])

const textOf = (raw: RawAttribute): string =>
  raw.kind === 'tensor' ? digestOf(materialize(raw.value).bytes) : String(raw.value)

const sameAttributes = (a: RawAttributes, b: RawAttributes): boolean =>
  a.size === b.size &&
  [...a].every(([name, x]) => {
    const y = b.get(name)
    return y !== undefined && sameAttribute(x, y)
  })

const sameAttribute = (a: RawAttribute, b: RawAttribute): boolean => {
  if (a.kind === 'tensor') return b.kind === 'tensor' && sameTensor(a.value, b.value)
  if (Array.isArray(a.value)) {
    const { value } = b
    return Array.isArray(value) && a.value.length === value.length && a.value.every((x, i) => Object.is(x, value[i]))
  }
  return Object.is(a.value, b.value)
}

/** Whether everything that is known of the type of `name` is known of `other` too. */
const isKnown = (graph: Graph, name: ValueId, other: ValueId): boolean => {
  const a = graph.types.get(name) ?? unknownType
  const b = graph.types.get(other) ?? unknownType
  if (a.kind === 'other') return a.encoded === undefined
  if (b.kind === 'other' || a.dtype !== b.dtype) return false
  if (a.shape === undefined) return true
  return a.shape.length === b.shape?.length && a.shape.every((dim, axis) => isAnonymous(dim) || dim === b.shape?.[axis])
}
