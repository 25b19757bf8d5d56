/** How a number of weights is shared out among the layers that are left of a network. */
import { apportion } from './apportion.ts'
import { densitiesOf } from './distribution.ts'
import { survivingLayers } from './network.ts'
import { capacitiesOf, type Work } from './workspace.ts'

/** The distribution on the shapes that survive, for as many weights as the policy's density makes of the dense network. */
export const survivingDensities = ({ state, layers, removed, total }: Work): ReadonlyArray<number> => {
  const shapes = survivingLayers(state.network, removed).filter((layer) => layer.exempt !== true)
  const capacity = capacitiesOf(layers).reduce((n, size) => n + size, 0)
  const density = capacity === 0 ? 0 : Math.min(1, (state.policy.density * total) / capacity)
  return densitiesOf(state.policy.distribution, shapes, density)
}

/** Weights of every layer in proportion to its share by the distribution, within these bounds. */
export const sharesOf = (
  work: Work,
  target: number,
  low: ReadonlyArray<number>,
  high: ReadonlyArray<number>,
): ReadonlyArray<number> => {
  const densities = survivingDensities(work)
  const wish = capacitiesOf(work.layers).map((size, l) => size * (densities[l] ?? 0))
  return apportion(target, wish, low, high)
}
