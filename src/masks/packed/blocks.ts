/** Blocks of a matrix that are kept or masked as a whole. */
import * as E from 'fp-ts/lib/Either.js'
import { int64s } from '../../ir/tensor.ts'
import { sizeOf } from '../../ir/type.ts'
import { onesIn } from '../mask.ts'
import {
  indexTensor,
  indicesIn,
  isRising,
  matrixOf,
  misfit,
  type Pack,
  type PackedLayout,
  shapeText,
} from './layout.ts'

/** Sizes of blocks that are looked for, along either axis. */
const blockSizes = [64, 32, 16, 8, 4, 2, 1] as const

/**
 * `crow_indices`, `[R / h + 1]`, `col_indices`, `[blocks]`, and `blocksize`, int64 `[h, w]`: which blocks of `h` rows and `w` columns of
 * the matrix are kept, as of PyTorch's BSR tensors: of rows of blocks where each begins among the indices, and the columns of
 * blocks, rising in each. Without `blocksize` blocks are single elements (CSR).
 */
export const blocks: PackedLayout = {
  name: 'blocks',
  key: 'crow_indices',
  required: ['col_indices'],
  optional: ['blocksize'],
  unpack: (parts, shape) => {
    const [rows, columns] = matrixOf(shape)
    const size = parts.has('blocksize') ? indicesIn(parts, 'blocksize', 1, Number.MAX_SAFE_INTEGER) : E.right([1, 1])
    if (E.isLeft(size)) return size
    const [height = 1, width = 1] = size.right
    if (size.right.length !== 2 || rows % height !== 0 || columns % width !== 0) {
      return misfit('blocksize', `rows and columns that divide ${rows} and ${columns}`, shapeText(size.right))
    }
    const count = sizeOf(parts.get('col_indices')?.shape ?? [])
    const begins = indicesIn(parts, 'crow_indices', 0, count)
    if (E.isLeft(begins)) return begins
    const starts = begins.right
    const isWhole = starts.length === rows / height + 1 && starts[0] === 0 && starts.at(-1) === count
    if (!isWhole || starts.some((x, i) => i > 0 && x < (starts[i - 1] ?? 0))) {
      const expected = `${rows / height + 1} numbers from 0 to ${count}, none below the one before`
      return misfit('crow_indices', expected, `${starts.length} numbers`)
    }
    const found = indicesIn(parts, 'col_indices', 0, columns / width - 1)
    if (E.isLeft(found)) return found
    const out = new Uint8Array(sizeOf(shape))
    for (let row = 0; row < rows / height; row++) {
      const own = found.right.slice(starts[row], starts[row + 1])
      if (!isRising(own)) return misfit('col_indices', 'columns that rise in every row', shapeText(own))
      for (const column of own) {
        for (let r = row * height; r < (row + 1) * height; r++) {
          out.fill(1, r * columns + column * width, r * columns + (column + 1) * width)
        }
      }
    }
    return E.right(out)
  },
}

/** See {@link PackedLayout}: the way there. */
export const packBlocks: Pack = (kept, shape) => {
  const [rows, columns] = matrixOf(shape)
  const count = onesIn(kept)
  let best: { readonly size: readonly [number, number]; readonly found: Found; readonly cost: number } | undefined
  for (const height of blockSizes) {
    for (const width of blockSizes) {
      if (rows % height !== 0 || columns % width !== 0) continue
      // Parts of larger blocks, and more indices than bytes of a bitmask, are never the smallest.
      if (best !== undefined && best.size[0] >= height && best.size[1] >= width) continue
      if (8 * count > kept.length * height * width) continue
      const found = wholeBlocks(kept, rows, columns, height, width)
      if (found === undefined) continue
      const cost = found.columns.length + found.starts.length
      if (best === undefined || cost < best.cost) best = { size: [height, width], found, cost }
    }
  }
  if (best === undefined) return undefined
  const { starts, columns: indices } = best.found
  return new Map([
    ['crow_indices', indexTensor([starts.length], starts)],
    ['col_indices', indexTensor([indices.length], indices)],
    ['blocksize', int64s(best.size)],
  ])
}

interface Found {
  readonly starts: ReadonlyArray<number>
  readonly columns: ReadonlyArray<number>
}

/** The blocks that are kept; undefined where one is kept in part. */
const wholeBlocks = (
  kept: Uint8Array,
  rows: number,
  columns: number,
  height: number,
  width: number,
): Found | undefined => {
  const starts = [0]
  const found: number[] = []
  for (let row = 0; row < rows; row += height) {
    for (let column = 0; column < columns; column += width) {
      const first = kept[row * columns + column]
      for (let r = row; r < row + height; r++) {
        for (let c = column; c < column + width; c++) if (kept[r * columns + c] !== first) return undefined
      }
      if (first === 1) found.push(column / width)
    }
    starts.push(found.length)
  }
  return { starts, columns: found }
}
