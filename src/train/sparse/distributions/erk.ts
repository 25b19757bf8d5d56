import { type LayerShape, sizesOf } from './layer-shape.ts'
import { type Scaled, scaleToBudget } from './scaled.ts'

/** Erdős-Rényi with kernels: density proportional to the sum of all dimensions over their product. */
export const erk = (layers: ReadonlyArray<LayerShape>, density: number): Scaled => {
  const sizes = sizesOf(layers)
  const raw = layers.map(({ shape }, l) => {
    const size = sizes[l] ?? 0
    return size === 0 ? 0 : shape.reduce((n, d) => n + d, 0) / size
  })
  return scaleToBudget(raw, sizes, density)
}
