import { type Graph, withParts } from '../../ir/graph.ts'
import { invariant } from '../../ir/failure.ts'
import { tensorOf } from '../../ir/tensor.ts'
import type { Arrays } from './executor.ts'

/** The executor's graph with new values of parameters and running statistics; all other constants stay. */
export const graphWithParameters = (graph: Graph, arrays: Arrays): Graph => {
  const constants = new Map(graph.constants)
  for (const [name, values] of arrays) {
    const before = constants.get(name)
    invariant(before !== undefined, `no constant ${name}`)
    constants.set(name, tensorOf('float32', before.shape, values))
  }
  return withParts(graph, { constants })
}
