/** The neurons of a layer, and how many weights each has where all have as many. */
import { type Layer, sizeOfLayer } from './network.ts'

/** Positions of the weights that make each output channel, ascending. */
export const rowsOf = ({ shape, outputAxis }: Pick<Layer, 'shape' | 'outputAxis'>): ReadonlyArray<Int32Array> => {
  const rows = shape[outputAxis] ?? 0
  const inner = sizeOfLayer({ shape: shape.slice(outputAxis + 1) })
  const outer = sizeOfLayer({ shape: shape.slice(0, outputAxis) })
  return Array.from({ length: rows }, (_, row) =>
    Int32Array.from({ length: outer * inner }, (_, j) => (Math.floor(j / inner) * rows + row) * inner + (j % inner)),
  )
}

/** Weights of each of `neurons` that share a layer's weights at `density` evenly; the rest of the division is left out. */
export const fanInOf = (layer: Pick<Layer, 'shape'>, density: number, neurons: number): number =>
  Math.max(1, Math.floor(Math.floor(sizeOfLayer(layer) * density) / Math.max(1, neurons)))
