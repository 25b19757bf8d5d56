/** Where the weights of a layer are that are not zero, small enough to look at. */
import * as E from 'fp-ts/lib/Either.js'
import type { Graph } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { elements, pieces } from '../ir/tensor.ts'
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
  const { tensor, outputs, inputsPerGroup: inputs } = layer
  const { columns: across, block, outputOf, inputOf } = blockLayout(layer)
  const [rows, columns] = [Math.min(outputs, finest), Math.min(inputs, finest)]
  const cells = new Float64Array(rows * columns)
  const sizes = new Float64Array(rows * columns)
  let kept = 0
  let row = 0
  let column = 0
  let within = 0
  let cell = 0
  const enter = (): void => {
    const down = Math.floor((outputOf(row, column) * rows) / outputs)
    cell = down * columns + Math.floor(((inputOf(row, column) % inputs) * columns) / inputs)
    sizes[cell] = (sizes[cell] ?? 0) + block
  }
  if (sizeOf(tensor.shape) > 0) enter()
  for (const piece of pieces(tensor)) {
    for (const value of elements(piece.rows)) {
      if (within === block) {
        within = 0
        column += 1
        if (column === across) [row, column] = [row + 1, 0]
        enter()
      }
      within += 1
      if (Number(value) === 0) continue
      kept += 1
      cells[cell] = (cells[cell] ?? 0) + 1
    }
  }
  const weights = sizeOf(tensor.shape)
  return {
    outputs,
    inputs,
    density: weights === 0 ? 1 : kept / weights,
    rows,
    columns,
    cells: cells.map((n, at) => (sizes[at] === 0 ? 0 : n / (sizes[at] ?? 1))),
  }
}
