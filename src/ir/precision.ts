/** How exact values can be, by the float types that their numbers pass through. */
import { memoized } from './analysis.ts'
import { type DType, isFloat } from './dtype.ts'
import { type Graph, readsOf } from './graph.ts'

/** Bits of the significand, the leading one included. */
const significands: Partial<Record<DType, number>> = { bfloat16: 8, float16: 11, float32: 24, float64: 53 }

const coarser = (a: DType, b: DType): DType => ((significands[b] ?? 0) < (significands[a] ?? 0) ? b : a)

/**
 * For each computed float value the coarsest float type among its own and those of the computed values it depends on.
 * Constants count with the values made from them: a weight that is stored in float16 and cast is as exact as any.
 * Integers end the dependence: a size is exact whatever its tensor holds.
 */
export const coarsestTypes: (graph: Graph) => ReadonlyMap<string, DType> = memoized((graph) => {
  const coarsest = new Map<string, DType>()
  for (const node of graph.nodes) {
    const before = readsOf(node).flatMap((input) => coarsest.get(input) ?? [])
    for (const output of node.outputs) {
      const type = graph.types.get(output)
      if (type?.kind !== 'tensor' || !isFloat(type.dtype)) continue
      coarsest.set(output, before.reduce(coarser, type.dtype))
    }
  }
  return coarsest
})
