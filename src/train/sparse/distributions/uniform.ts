import type { LayerShape } from './layer-shape.ts'

/** The same density for every layer. */
export const uniform = (layers: ReadonlyArray<LayerShape>, density: number): ReadonlyArray<number> =>
  layers.map(() => density)
