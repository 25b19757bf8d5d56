import type { Graph } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { elements } from '../ir/tensor.ts'
import { elementMask, type Mask, type Masks } from './mask.ts'
import { readersOfWeights } from './weights.ts'

/** The masks that the weights of a graph's layers carry already: an element is masked where it is zero. O(weights). */
export const zerosOf = (graph: Graph): Masks => {
  const out = new Map<ValueId, Mask>()
  for (const [name, [layer]] of readersOfWeights(graph)) {
    if (layer === undefined) continue
    const values = elements(layer.tensor)
    let kept: Uint8Array | undefined
    for (let i = 0; i < values.length; i++) {
      if (values[i] !== 0) continue
      kept ??= new Uint8Array(values.length).fill(1)
      kept[i] = 0
    }
    if (kept !== undefined) out.set(name, elementMask(layer.tensor.shape, kept))
  }
  return out
}
