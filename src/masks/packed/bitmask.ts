/** A bit for each element: the layout that holds every mask. */
import * as E from 'fp-ts/lib/Either.js'
import { dense } from '../../ir/tensor.ts'
import { sameShape, sizeOf } from '../../ir/type.ts'
import { matrixOf, misfit, type Pack, type PackedLayout, shapeText } from './layout.ts'

/**
 * `bitmask`, uint8 `[rows, ⌈columns / 8⌉]`: of each row of the matrix a bit for each column, low bits first, what is left of the
 * last byte 0. For matrices that is what `sparse-bitmask` and `sparse-24-bitmask` of compressed-tensors store; of tensors of more axes,
 * whose rows are those of the last axis there, both are read.
 */
export const bitmask: PackedLayout = {
  name: 'bitmask',
  key: 'bitmask',
  required: [],
  optional: [],
  unpack: (parts, shape) => {
    const tensor = parts.get('bitmask')
    const last = shape.at(-1) ?? 1
    const choices = [matrixOf(shape), [sizeOf(shape.slice(0, -1)), last] as const]
    const stored = choices.map(([rows, columns]) => [rows, Math.ceil(columns / 8)])
    const nested = [...shape.slice(0, -1), Math.ceil(last / 8)]
    const found = tensor?.shape ?? []
    // Bits of the last axis have as many axes as the weight; what is a matrix holds its rows.
    const at = stored.findIndex((one) => sameShape(one, found))
    const [rows, columns] = choices[at < 0 || sameShape(nested, found) ? 1 : at] ?? [0, 0]
    if (tensor?.dtype !== 'uint8' || (at < 0 && !sameShape(nested, found))) {
      const expected = `uint8 ${stored.map(shapeText).join(' or ')} of a weight ${shapeText(shape)}`
      return misfit('bitmask', expected, `${tensor?.dtype ?? 'none'} ${shapeText(found)}`)
    }
    const width = Math.ceil(columns / 8)
    const out = new Uint8Array(sizeOf(shape))
    for (let row = 0; row < rows; row++) {
      for (let byte = 0; byte < width; byte++) {
        const bits = tensor.bytes[row * width + byte] ?? 0
        const count = Math.min(8, columns - 8 * byte)
        if (bits >> count !== 0) return misfit('bitmask', 'no bits behind the end of a row', `some in row ${row}`)
        for (let k = 0; k < count; k++) out[row * columns + 8 * byte + k] = (bits >> k) & 1
      }
    }
    return E.right(out)
  },
}

/** See {@link PackedLayout}: the way there. */
export const packBitmask: Pack = (kept, shape) => {
  const [rows, columns] = matrixOf(shape)
  const width = Math.ceil(columns / 8)
  const bytes = new Uint8Array(rows * width)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = row * width + (column >> 3)
      if (kept[row * columns + column] === 1) bytes[at] = (bytes[at] ?? 0) | (1 << (column & 7))
    }
  }
  return new Map([['bitmask', dense('uint8', [rows, width], bytes)]])
}
