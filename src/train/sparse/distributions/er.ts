import { type LayerShape, sizesOf } from './layer-shape.ts'
import { type Scaled, scaleToBudget } from './scaled.ts'

/** Erdős-Rényi: density proportional to (inputs + outputs) / (inputs · outputs), whatever the kernel. */
export const er = (layers: ReadonlyArray<LayerShape>, density: number): Scaled =>
  scaleToBudget(
    layers.map(({ shape, inputAxis, outputAxis }) => {
      const [inputs, outputs] = [shape[inputAxis] ?? 0, shape[outputAxis] ?? 0]
      return inputs * outputs === 0 ? 0 : (inputs + outputs) / (inputs * outputs)
    }),
    sizesOf(layers),
    density,
  )
