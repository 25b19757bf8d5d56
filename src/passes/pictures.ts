/** Where the weights of a layer are that are not zero, small enough to look at. */
import * as E from 'fp-ts/lib/Either.js'
import type { Graph } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { isKnownFull, scan } from '../ir/scan.ts'
import { sizeOf } from '../ir/type.ts'
import type { Masks } from '../masks/mask.ts'
import { blockLayout, type Layer, readersOfWeights } from '../masks/weights.ts'
import { applyMasks, type MaskError } from './apply-masks.ts'

/** The weight of a layer seen from afar: output channels down, the input channels of each across. */
export interface Picture {
  readonly outputs: number
  /** Input channels that one output channel reads. */
  readonly inputs: number
  /** Fraction of all weights that are not zero. */
  readonly density: number
  readonly rows: number
  readonly columns: number
  /** Fractions for each cell, row by row. */
  readonly cells: Float64Array
}

/** Cells along an axis, at most. */
const finest = 32

/** Elements that are looked at of a whole network; layers beyond are left out, in order, so that a report costs little. */
const mostElements = 2 ** 28

export type Pictures = ReadonlyMap<ValueId, Picture>

/**
 * Pictures of the layers of `model` under `masks`, by the names of their weights. Fails where a mask does not fit. O(weights), read
 * in pieces.
 */
export const picturesOf = (model: Graph, masks: Masks): E.Either<MaskError, Pictures> => {
  const masked = applyMasks(model, masks)
  if (E.isLeft(masked)) return masked
  const out = new Map<ValueId, Picture>()
  let left = mostElements
  for (const [weight, [layer]] of readersOfWeights(masked.right)) {
    if (layer === undefined) continue
    left -= sizeOf(layer.tensor.shape)
    if (left < 0) break
    out.set(weight, pictureOf(layer))
  }
  return E.right(out)
}

const pictureOf = (layer: Layer): Picture => {
  const { tensor, outputs, inputsPerGroup: inputs, contraction } = layer
  const { columns: across, block, outputOf, inputOf } = blockLayout(layer)
  const [rows, columns] = [Math.min(outputs, finest), Math.min(inputs, finest)]
  if (isKnownFull(tensor))
    return { outputs, inputs, density: 1, rows, columns, cells: new Float64Array(rows * columns).fill(1) }
  const cells = new Float64Array(rows * columns)
  const sizes = new Float64Array(rows * columns)
  const cellOf = (row: number, column: number): number => {
    const down = Math.floor((outputOf(row, column) * rows) / outputs)
    return down * columns + Math.floor(((inputOf(row, column) % inputs) * columns) / inputs)
  }
  /** Columns of a row whose blocks begin another cell, and the number of columns. */
  const boundsOf = (row: number): ReadonlyArray<number> => {
    const bounds: number[] = []
    for (let column = 0, last = -1; column < across; column++) {
      const cell = cellOf(row, column)
      if (cell !== last) bounds.push(column)
      last = cell
    }
    return [...bounds, across]
  }
  const weights = sizeOf(tensor.shape)
  let kept = 0
  let bounds: ReadonlyArray<number> = []
  for (const { first, end, values } of weights === 0 ? [] : scan(tensor)) {
    for (let row = first, start = 0; row < end; row++, start += across * block) {
      // Of one group all rows have the same.
      if (row === 0 || contraction.groups > 1) bounds = boundsOf(row)
      for (let b = 1; b < bounds.length; b++) {
        const [from, to] = [bounds[b - 1] ?? 0, bounds[b] ?? 0]
        const cell = cellOf(row, from)
        const count = nonZerosIn(values, start + from * block, start + to * block)
        sizes[cell] = (sizes[cell] ?? 0) + (to - from) * block
        cells[cell] = (cells[cell] ?? 0) + count
        kept += count
      }
    }
  }
  return {
    outputs,
    inputs,
    density: weights === 0 ? 1 : kept / weights,
    rows,
    columns,
    cells: cells.map((n, at) => (sizes[at] === 0 ? 0 : n / (sizes[at] ?? 1))),
  }
}

const nonZerosIn = (values: Float32Array | Float64Array, from: number, end: number): number => {
  let count = 0
  for (let k = from; k < end; k++) if (values[k] !== 0) count += 1
  return count
}
