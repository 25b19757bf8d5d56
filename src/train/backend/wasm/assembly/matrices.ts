/** Products and transposes of small matrices, many at a time. */
import { FLOAT, Lanes, VECTOR, whole } from './lanes'

/** Up to four rows by eight columns of a product, which stay in registers. The flags are constants where it is called. */
class Block {
  @inline
  static product(
    four: bool,
    wide: bool,
    single: bool,
    left: usize,
    right: usize,
    out: usize,
    k: i32,
    leftRow: usize,
    leftColumn: usize,
    row: usize,
  ): void {
    let a0 = Lanes.zeros()
    let a1 = Lanes.zeros()
    let a2 = Lanes.zeros()
    let a3 = Lanes.zeros()
    let b0 = Lanes.zeros()
    let b1 = Lanes.zeros()
    let b2 = Lanes.zeros()
    let b3 = Lanes.zeros()
    let left1 = left + leftRow
    let left2 = left1 + leftRow
    let left3 = left2 + leftRow
    for (let i = 0; i < k; i++) {
      const a = Lanes.load(right, single)
      const b = wide ? v128.load(right, VECTOR) : a
      const x0 = Lanes.spread(left)
      a0 = Lanes.multiplyAdd(x0, a, a0)
      if (wide) b0 = Lanes.multiplyAdd(x0, b, b0)
      left += leftColumn
      if (four) {
        const x1 = Lanes.spread(left1)
        a1 = Lanes.multiplyAdd(x1, a, a1)
        if (wide) b1 = Lanes.multiplyAdd(x1, b, b1)
        left1 += leftColumn
        const x2 = Lanes.spread(left2)
        a2 = Lanes.multiplyAdd(x2, a, a2)
        if (wide) b2 = Lanes.multiplyAdd(x2, b, b2)
        left2 += leftColumn
        const x3 = Lanes.spread(left3)
        a3 = Lanes.multiplyAdd(x3, a, a3)
        if (wide) b3 = Lanes.multiplyAdd(x3, b, b3)
        left3 += leftColumn
      }
      right += row
    }
    Lanes.store(out, a0, single)
    if (wide) v128.store(out, b0, VECTOR)
    if (!four) return
    Lanes.store(out + row, a1, single)
    if (wide) v128.store(out + row, b1, VECTOR)
    Lanes.store(out + 2 * row, a2, single)
    if (wide) v128.store(out + 2 * row, b2, VECTOR)
    Lanes.store(out + 3 * row, a3, single)
    if (wide) v128.store(out + 3 * row, b3, VECTOR)
  }

  /** The same of all columns. */
  @inline
  static rows(
    four: bool,
    left: usize,
    right: usize,
    out: usize,
    n: i32,
    k: i32,
    leftRow: usize,
    leftColumn: usize,
    row: usize,
  ): void {
    let at: usize = 0
    for (const end = <usize>whole(n, 8) * FLOAT; at < end; at += 2 * VECTOR) {
      Block.product(four, true, false, left, right + at, out + at, k, leftRow, leftColumn, row)
    }
    for (const end = <usize>whole(n, 4) * FLOAT; at < end; at += VECTOR) {
      Block.product(four, false, false, left, right + at, out + at, k, leftRow, leftColumn, row)
    }
    for (; at < row; at += FLOAT) {
      Block.product(four, false, true, left, right + at, out + at, k, leftRow, leftColumn, row)
    }
  }
}

/**
 * `c[b] = a[b] · b[b]` for matrices of which `c` is `[m, n]` and `b` `[k, n]` by rows; the elements of `a` lie `aRow` and
 * `aColumn` apart, so that it may be transposed; `aStep` and `bStep` lie between matrices, all in elements. A unit is up to
 * four rows of one of them.
 */
export function matrixProduct(
  _part: i32,
  begin: i32,
  end: i32,
  a: usize,
  b: usize,
  c: usize,
  m: i32,
  n: i32,
  k: i32,
  aRow: i32,
  aColumn: i32,
  aStep: i32,
  bStep: i32,
): void {
  const row = <usize>n * FLOAT
  const leftRow = <usize>aRow * FLOAT
  const leftColumn = <usize>aColumn * FLOAT
  const bands = (m + 3) / 4
  for (let unit = begin; unit < end; unit++) {
    const at = unit / bands
    let i = (unit - at * bands) * 4
    let left = a + <usize>(at * aStep) * FLOAT + <usize>i * leftRow
    const right = b + <usize>(at * bStep) * FLOAT
    let out = c + <usize>(at * m + i) * row
    if (i + 4 <= m) {
      Block.rows(true, left, right, out, n, k, leftRow, leftColumn, row)
      continue
    }
    for (; i < m; i++) {
      Block.rows(false, left, right, out, n, k, leftRow, leftColumn, row)
      left += leftRow
      out += row
    }
  }
}

/** `y[b] = x[b]ᵀ` for matrices of `rows` by `columns`; a unit is a column of one of them. */
export function transposeMatrices(_part: i32, begin: i32, end: i32, x: usize, y: usize, rows: i32, columns: i32): void {
  for (let unit = begin; unit < end; unit++) {
    const at = unit / columns
    let from = x + <usize>(at * rows * columns + unit - at * columns) * FLOAT
    const to = y + <usize>(unit * rows) * FLOAT
    for (let row = 0; row < rows; row++) {
      store<f32>(to + <usize>row * FLOAT, load<f32>(from))
      from += <usize>columns * FLOAT
    }
  }
}
