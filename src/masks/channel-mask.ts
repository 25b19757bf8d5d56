/** Masks of whole channels of a layer. */
import { axisMask, elementMask, type Mask } from './mask.ts'
import { blockLayout, type Layer } from './weights.ts'

/**
 * The mask that keeps the output channels `kept` of a layer whole, one byte for each of its `outputs`. They lie along
 * one axis of the weight, except in a grouped transposed convolution, whose weight `[C, M/groups, ...]` counts them within
 * a group: channel `o` is column `o mod M/groups` in the rows of group `floor(o / (M/groups))`.
 */
export const channelMask = (layer: Layer, kept: Uint8Array): Mask => {
  const { contraction: c, tensor } = layer
  if (c.groups === 1 || c.grouped === 'input') return axisMask(tensor.shape, c.weightOutputAxis, kept)
  return blockMask(layer, (output) => kept[output] === 1)
}

/** The mask that keeps what a layer reads of the input channels `kept`, one byte for each of its `inputs`. */
export const inputMask = (layer: Layer, kept: Uint8Array): Mask => {
  const { contraction: c, tensor } = layer
  if (c.groups === 1 || c.grouped === 'output') return axisMask(tensor.shape, c.weightInputAxis, kept)
  return blockMask(layer, (_, input) => kept[input] === 1)
}

const blockMask = (layer: Layer, keeps: (output: number, input: number) => boolean): Mask => {
  const { rows, columns, block, outputOf, inputOf } = blockLayout(layer)
  const out = new Uint8Array(rows * columns * block)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (!keeps(outputOf(row, column), inputOf(row, column))) continue
      const start = (row * columns + column) * block
      out.fill(1, start, start + block)
    }
  }
  return elementMask(layer.tensor.shape, out)
}
