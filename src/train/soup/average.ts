/** The mean of networks that differ in their weights alone. */
import * as E from 'fp-ts/lib/Either.js'
import { sameTensor } from '../../ir/equal.ts'
import { type Graph, withParts } from '../../ir/graph.ts'
import type { ValueId } from '../../ir/op.ts'
import { float32View, materialize, type Tensor, tensorOf } from '../../ir/tensor.ts'
import { type Ingredient, type Some, soupError, type SoupError } from './ingredients.ts'

/**
 * The graph whose float32 constants are the mean of those of the ingredients, `(1/n) Σ w_i`, summed in float64 and rounded
 * once: running statistics too, and what is the same in all stays the same tensor. A masked weight is 0 in all, and stays 0.
 * Of one ingredient it is the graph itself. The ingredients have the same nodes, names and shapes.
 *
 * Errors: a weight that is no finite number.
 */
export const averageOf = ([first, ...others]: Some<Ingredient>): E.Either<SoupError, Graph> => {
  if (others.length === 0) return E.right(first.graph)
  const constants = new Map<ValueId, Tensor>(first.graph.constants)
  for (const [name, tensor] of first.graph.constants) {
    if (tensor.dtype !== 'float32') continue
    const found = others.map(({ graph }) => graph.constants.get(name) ?? tensor)
    if (found.every((other) => sameTensor(tensor, other))) continue
    const arrays = [tensor, ...found].map((one) => float32View(materialize(one)))
    const wrong = arrays.findIndex((array) => !array.every(Number.isFinite))
    if (wrong >= 0) {
      const help = 'Leave this network out: its training went wrong.'
      const subject = `${[first, ...others][wrong]?.name ?? ''}, ${name}`
      return E.left(soupError(subject, 'finite numbers', 'others', help))
    }
    constants.set(name, tensorOf('float32', tensor.shape, meanOf(arrays)))
  }
  return E.right(withParts(first.graph, { constants }))
}

const meanOf = (arrays: ReadonlyArray<Float32Array>): Float64Array => {
  const sums = new Float64Array(arrays[0]?.length ?? 0)
  for (const array of arrays) for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] ?? 0) + (array[i] ?? 0)
  return sums.map((sum) => sum / arrays.length)
}
