/**
 * Classes that cover others. Where an operator merges or splits axes, an index on the coarse side (a head, a place within
 * heads) covers the indices on the fine side that are made from it: when it goes, they go. A fine index goes only with one
 * that covers it, by itself only where the operators around it say so.
 */

/** The fine indices of a link that all have to do with one coarse axis, or with several: one of these is enough. */
export interface Covering {
  /** For each fine index its id; -1 for one that has nothing to do with a coarse axis. */
  readonly fine: Int32Array
  /** For each way to go and each fine index the id that covers it; -1 for none. */
  readonly ways: ReadonlyArray<Int32Array>
  /** Whether a fine index cannot go by itself. Else it merely goes when one that covers it goes. */
  readonly isBound: boolean
  /** The node that has it so, where that is worth saying. */
  readonly boundBy?: string | undefined
}

/** The same between classes. A *cell* is a fine index of a covering. */
export interface Covers {
  readonly cells: number
  /** The class of a cell. */
  readonly fineOf: (cell: number) => number
  readonly isBound: (cell: number) => boolean
  readonly boundBy: (cell: number) => string | undefined
  /** The classes that cover a cell. */
  readonly waysOf: (cell: number) => Int32Array
  /** The cells of a class. */
  readonly cellsOf: (at: number) => Int32Array
  /** The cells that a class covers. */
  readonly coveredBy: (at: number) => Int32Array
}

/** `classes` is the number of classes, `classOf` the class of an id. */
export const coversOf = (coverings: ReadonlyArray<Covering>, classOf: Int32Array, classes: number): Covers => {
  const fine: number[] = []
  const bound: number[] = []
  const binders: Array<string | undefined> = []
  const ways: Array<readonly [cell: number, at: number]> = []
  for (const covering of coverings) {
    covering.fine.forEach((id, i) => {
      if (id < 0) return
      const covered = covering.ways.flatMap((way) => ((way[i] ?? -1) < 0 ? [] : [classOf[way[i] ?? 0] ?? 0]))
      if (covered.length === 0 && !covering.isBound) return
      const cell = fine.length
      fine.push(classOf[id] ?? 0)
      bound.push(covering.isBound ? 1 : 0)
      binders.push(covering.boundBy)
      for (const at of covered) ways.push([cell, at])
    })
  }
  const waysOf = grouped(ways, fine.length)
  const coveredBy = grouped(
    ways.map(([cell, at]) => [at, cell] as const),
    classes,
  )
  const cellsOf = grouped(
    fine.map((at, cell) => [at, cell] as const),
    classes,
  )
  return {
    cells: fine.length,
    fineOf: (cell) => fine[cell] ?? 0,
    isBound: (cell) => bound[cell] === 1,
    boundBy: (cell) => binders[cell],
    waysOf,
    cellsOf,
    coveredBy,
  }
}

/** The values of each key. */
const grouped = (pairs: ReadonlyArray<readonly [number, number]>, keys: number): ((key: number) => Int32Array) => {
  const starts = new Int32Array(keys + 1)
  for (const [key] of pairs) starts[key + 1] = (starts[key + 1] ?? 0) + 1
  for (let key = 0; key < keys; key++) starts[key + 1] = (starts[key + 1] ?? 0) + (starts[key] ?? 0)
  const values = new Int32Array(pairs.length)
  const next = starts.slice()
  for (const [key, value] of pairs) {
    values[next[key] ?? 0] = value
    next[key] = (next[key] ?? 0) + 1
  }
  return (key) => values.subarray(starts[key], starts[key + 1])
}
