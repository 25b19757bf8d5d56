import * as E from 'fp-ts/lib/Either.js'
import { fixedNames } from '../ir/analysis.ts'
import { digestOf } from '../ir/digest.ts'
import { type Graph, withParts } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { sameTensor } from '../ir/equal.ts'
import { pieces, type Tensor } from '../ir/tensor.ts'
import type { Pass } from './pass.ts'

/**
 * Keeps one of several constants with the same type and the same bytes, the first in graph order; readers of the others
 * read that one. Constants whose names are fixed stay, and so do the defaults of inputs, which callers may replace.
 * Only constants that share their type and shape with another one are looked into, each once; those that are held as smaller
 * ones stay, since what reads them may be made for what they are held as.
 */
export const shareConstants: Pass = { name: 'share-constants', run: (graph) => E.right(withShared(graph)) }

const withShared = (graph: Graph): Graph => {
  const replaced = new Map<ValueId, ValueId>()
  const candidates = [...graph.constants].filter(([, tensor]) => tensor.tag !== 'Held')
  for (const alike of groupBy(candidates, typeKey)) {
    for (const likely of groupBy(alike, startKey)) {
      for (const equal of groupBy(likely, digestKey)) replaceEqual(graph, equal, replaced)
    }
  }
  if (replaced.size === 0) return graph
  const constants = new Map([...graph.constants].filter(([name]) => !replaced.has(name)))
  const nodes = graph.nodes.map((node) =>
    node.inputs.some((name) => replaced.has(name))
      ? { ...node, inputs: node.inputs.map((name) => replaced.get(name) ?? name) }
      : node,
  )
  return withParts(graph, { nodes, constants })
}

type Named = readonly [name: ValueId, tensor: Tensor]

/** Groups of at least two, in order. */
const groupBy = (named: Iterable<Named>, key: (tensor: Tensor) => string): ReadonlyArray<ReadonlyArray<Named>> => {
  const groups = new Map<string, Named[]>()
  for (const entry of named) {
    const at = key(entry[1])
    const group = groups.get(at)
    if (group) group.push(entry)
    else groups.set(at, [entry])
  }
  return [...groups.values()].filter((group) => group.length > 1)
}

const typeKey = (tensor: Tensor): string => `${tensor.dtype}[${tensor.shape.join(',')}]`

/** Weights that differ at all differ in their first bytes nearly always. */
const startKey = (tensor: Tensor): string => {
  for (const { rows } of pieces(tensor, startBytes)) return digestOf(rows.bytes.subarray(0, startBytes))
  return ''
}

const startBytes = 256

const digests = new WeakMap<Tensor, string>()

const digestKey = (tensor: Tensor): string => {
  const digest = digests.get(tensor) ?? Array.from(pieces(tensor), ({ rows }) => digestOf(rows.bytes)).join()
  digests.set(tensor, digest)
  return digest
}

/** Notes which of the constants in `group` another one before it stands for. */
const replaceEqual = (graph: Graph, group: ReadonlyArray<Named>, replaced: Map<ValueId, ValueId>): void => {
  const distinct: Named[] = []
  for (const [name, tensor] of group) {
    const first = distinct.find(([, other]) => sameTensor(tensor, other))
    if (first === undefined) distinct.push([name, tensor])
    else if (!fixedNames(graph).has(name)) replaced.set(name, first[0])
  }
}
