import type { Graph } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { elements, pieces, type Tensor } from '../ir/tensor.ts'
import { type Mask, type Masks, nonZeroMask } from './mask.ts'
import { readersOfWeights } from './weights.ts'

/** The masks that the weights of a graph's layers carry already: an element is masked where it is zero. O(weights). */
export const zerosOf = (graph: Graph): Masks => {
  const out = new Map<ValueId, Mask>()
  for (const [name, [layer]] of readersOfWeights(graph)) {
    if (layer !== undefined && holdsZero(layer.tensor)) out.set(name, nonZeroMask(layer.tensor))
  }
  return out
}

const holdsZero = (tensor: Tensor): boolean => {
  for (const { rows } of pieces(tensor)) if (elements(rows).some((value) => Number(value) === 0)) return true
  return false
}
