import { type LayerShape, sizesOf, totalOf } from './layer-shape.ts'

/**
 * The first layer dense, the classifier at `last` or the overall density, whichever is more, and one density for all
 * others, such that `density` of all weights are kept. The authors' code divides what is left by the weights of all
 * layers and so keeps too few; here it is divided by those of the others.
 */
export const uniformPlus = (
  layers: ReadonlyArray<LayerShape>,
  density: number,
  last: number,
): ReadonlyArray<number> => {
  const sizes = sizesOf(layers)
  const [first = 0, end] = [sizes[0], layers.length - 1]
  const classifier = end === 0 ? 0 : (sizes[end] ?? 0)
  const classifierDensity = Math.max(last, density)
  const others = totalOf(layers) - first - classifier
  const budget = density * totalOf(layers) - first - classifierDensity * classifier
  const rest = others === 0 ? 0 : Math.min(1, Math.max(0, budget / others))
  return layers.map((_, l) => (l === 0 ? 1 : l === end ? classifierDensity : rest))
}
