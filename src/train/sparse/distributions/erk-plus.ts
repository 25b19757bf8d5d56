import { erk } from './erk.ts'
import { type LayerShape, sizesOf, totalOf } from './layer-shape.ts'

/**
 * ERK with the classifier at density `last`; the other layers share what is left of the budget. The authors' code takes
 * that as a fraction of all weights and so keeps too few; here it is a fraction of the other layers' weights.
 */
export const erkPlus = (layers: ReadonlyArray<LayerShape>, density: number, last: number): ReadonlyArray<number> => {
  const classifier = sizesOf(layers).at(-1) ?? 0
  const others = layers.slice(0, -1)
  const rest = totalOf(others)
  const left = Math.max(0, density * totalOf(layers) - last * classifier)
  return [...erk(others, rest === 0 ? 0 : Math.min(1, left / rest)).densities, last]
}
