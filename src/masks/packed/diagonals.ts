/** Whole diagonals of a matrix. */
import * as E from 'fp-ts/lib/Either.js'
import { int64s } from '../../ir/tensor.ts'
import { indicesIn, isRising, misfit, type Pack, type PackedLayout, shapeText } from './layout.ts'

/**
 * `diagonals`, `[K]`: which diagonals of a matrix `[R, C]` are kept, as column minus row, rising: the offsets of SciPy's `dia_matrix`. One
 * that goes on at the other side, as of DynaDiag (arXiv 2506.11449), is two.
 */
export const diagonals: PackedLayout = {
  name: 'diagonals',
  key: 'diagonals',
  required: [],
  optional: [],
  unpack: (parts, shape) => {
    const [rows = 0, columns = 0] = shape
    if (shape.length !== 2) return misfit('shape', 'that of a matrix', shapeText(shape))
    const offsets = indicesIn(parts, 'diagonals', 1 - rows, columns - 1)
    if (E.isLeft(offsets)) return offsets
    if (!isRising(offsets.right)) return misfit('diagonals', 'offsets that rise', shapeText(offsets.right))
    const out = new Uint8Array(rows * columns)
    for (const offset of offsets.right) {
      for (let row = Math.max(0, -offset); row < Math.min(rows, columns - offset); row++) {
        out[row * columns + row + offset] = 1
      }
    }
    return E.right(out)
  },
}

/** See {@link PackedLayout}: the way there. */
export const packDiagonals: Pack = (kept, shape) => {
  const [rows = 0, columns = 0] = shape
  if (shape.length !== 2 || rows === 0 || columns === 0) return undefined
  const counts = new Uint32Array(rows + columns - 1)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = column - row + rows - 1
      counts[at] = (counts[at] ?? 0) + (kept[row * columns + column] ?? 0)
    }
  }
  const offsets: number[] = []
  for (const [i, count] of counts.entries()) {
    const offset = i - rows + 1
    if (count === 0) continue
    if (count !== Math.min(rows, columns - offset) - Math.max(0, -offset)) return undefined
    offsets.push(offset)
  }
  return new Map([['diagonals', int64s(offsets)]])
}
