import { type Layer, sizeOfLayer } from '../network.ts'

/** What a distribution looks at. Layers come in the order in which data passes them; the last one is the classifier. */
export type LayerShape = Pick<Layer, 'shape' | 'outputAxis' | 'inputAxis'>

export const sizesOf = (layers: ReadonlyArray<LayerShape>): ReadonlyArray<number> => layers.map(sizeOfLayer)

export const totalOf = (layers: ReadonlyArray<LayerShape>): number => sizesOf(layers).reduce((n, size) => n + size, 0)
