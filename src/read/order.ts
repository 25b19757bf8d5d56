/** Topological order. */
import * as E from 'fp-ts/lib/Either.js'
import { labelOf, readsOf } from '../ir/graph.ts'
import type { Node, ValueId } from '../ir/op.ts'
import { closestName } from '../ir/closest.ts'
import { type ReadError, readError } from './error.ts'

const undefinedValue = (node: Node, value: ValueId, names: Iterable<ValueId>): ReadError => {
  const near = closestName(value, names)
  const help = near === undefined ? undefined : `The closest name is ${near}.`
  return readError('undefined-value', `${labelOf(node)}, input ${value}`, 'a value of the graph', 'none', help)
}

/**
 * `nodes` so that every value is defined before it is read; nodes that are in order stay where they are. `available`
 * are the values that no node defines. Errors: a value defined twice, one that nothing defines, a cycle.
 */
export const sortNodes = (
  nodes: ReadonlyArray<Node>,
  available: ReadonlySet<ValueId>,
): E.Either<ReadError, ReadonlyArray<Node>> => {
  const producer = new Map<ValueId, number>()
  for (const [index, node] of nodes.entries()) {
    for (const output of node.outputs) {
      if (output === '') continue
      if (available.has(output) || producer.has(output)) {
        const subject = `${labelOf(node)}, output ${output}`
        return E.left(readError('duplicate-name', subject, 'a name of its own', 'a second definition'))
      }
      producer.set(output, index)
    }
  }
  const waiting = new Int32Array(nodes.length)
  const readers = new Map<ValueId, number[]>()
  for (const [index, node] of nodes.entries()) {
    for (const input of new Set(readsOf(node))) {
      if (available.has(input)) continue
      if (!producer.has(input)) return E.left(undefinedValue(node, input, [...available, ...producer.keys()]))
      waiting[index] = (waiting[index] ?? 0) + 1
      const known = readers.get(input)
      if (known) known.push(index)
      else readers.set(input, [index])
    }
  }
  const sorted: Node[] = []
  const done = new Uint8Array(nodes.length)
  for (let index = 0; index < nodes.length; index++) {
    // Nodes before `index` that waited for this one follow it at once; the queue grows while it is walked.
    const queue = waiting[index] === 0 ? [index] : []
    for (const at of queue) {
      const node = nodes[at]
      if (node === undefined || done[at]) continue
      done[at] = 1
      sorted.push(node)
      for (const output of node.outputs) {
        for (const reader of readers.get(output) ?? []) {
          waiting[reader] = (waiting[reader] ?? 0) - 1
          if (waiting[reader] === 0 && reader <= index) queue.push(reader)
        }
      }
    }
  }
  if (sorted.length < nodes.length) return E.left(cycleOf(nodes, producer, done))
  return E.right(sorted)
}

/** Names the values of one cycle: from a node that was not reached, backwards through values that were not defined. */
const cycleOf = (nodes: ReadonlyArray<Node>, producer: ReadonlyMap<ValueId, number>, done: Uint8Array): ReadError => {
  const path: ValueId[] = []
  const seenAt = new Map<number, number>()
  let at = done.indexOf(0)
  for (;;) {
    const start = seenAt.get(at)
    if (start !== undefined) {
      const values = path.slice(start).reverse()
      const shown = values.length > 8 ? [...values.slice(0, 8), '...'] : values
      return readError('cycle', `values ${shown.join(', ')}`, 'no value that depends on itself', 'a cycle of nodes')
    }
    seenAt.set(at, path.length)
    const node = nodes[at]
    const blocked = node && readsOf(node).find((name) => done[producer.get(name) ?? at] === 0 && producer.has(name))
    path.push(blocked ?? '')
    at = producer.get(blocked ?? '') ?? at
  }
}
