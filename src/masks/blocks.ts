/** Blocks of a weight seen as a matrix, output channels by what each is made of: the units that block-sparse kernels skip. */
import type { WeightRows } from './weights.ts'

/** So many output channels by so many weights of each, in the order of {@link WeightRows}. */
export interface Block {
  readonly rows: number
  readonly columns: number
}

/** `32x16` as 32 rows of 16 columns; undefined where it says something else. */
export const parseBlock = (text: string): Block | undefined => {
  const [, rows = NaN, columns = NaN] = (/^(\d{1,5})x(\d{1,5})$/.exec(text) ?? []).map(Number)
  return rows >= 1 && columns >= 1 ? { rows, columns } : undefined
}

export interface BlockGrid {
  /** Blocks in all, those at the edges that are cut off included. */
  readonly count: number
  /** The block in which a weight lies, counted row by row. */
  readonly blockOf: (row: number, place: number) => number
}

export const gridOf = ({ rows, length }: Pick<WeightRows, 'rows' | 'length'>, block: Block): BlockGrid => {
  const across = Math.ceil(length / block.columns)
  return {
    count: Math.ceil(rows / block.rows) * across,
    blockOf: (row, place) => Math.floor(row / block.rows) * across + Math.floor(place / block.columns),
  }
}
