/**
 * Kernels over the rows of a matrix of floats `[rows, columns]`. Up to three columns that are left behind blocks of four are
 * computed with those before them, a second time; where there are fewer than four in all, one by one.
 */
import { FLOAT, Lanes, VECTOR, whole } from './lanes'

/** Rows that are summed before their sum is added to the total: keeps rounding errors small for many rows. */
const CHUNK: i32 = 256

// What is summed of every column: `x`, `(x - mean)²`, or `dy` and `dy · (x - mean)`.
const ITSELF: i32 = 0
const SQUARES: i32 = 1
const PRODUCTS: i32 = 2

/** Sums over a chunk of rows. `what`, `wide` and `single` are constants where these are called. */
class Sums {
  /** `sum` with the term of one row added. */
  @inline
  static plus(what: i32, x: v128, mean: v128, sum: v128): v128 {
    if (what == ITSELF) return f32x4.add(sum, x)
    const centred = f32x4.sub(x, mean)
    return Lanes.multiplyAdd(centred, centred, sum)
  }

  /** Of sixteen columns (`wide`), four, or one (`single`). All addresses are those of the first of them. */
  @inline
  static ofBlock(
    what: i32,
    wide: bool,
    single: bool,
    dy: usize,
    x: usize,
    mean: usize,
    sums: usize,
    products: usize,
    rows: i32,
    stride: usize,
  ): void {
    let s0 = Lanes.zeros()
    let s1 = Lanes.zeros()
    let s2 = Lanes.zeros()
    let s3 = Lanes.zeros()
    let p0 = Lanes.zeros()
    let p1 = Lanes.zeros()
    let p2 = Lanes.zeros()
    let p3 = Lanes.zeros()
    const m0 = what == ITSELF ? Lanes.zeros() : Lanes.load(mean, single)
    const m1 = what == ITSELF || !wide ? Lanes.zeros() : v128.load(mean, VECTOR)
    const m2 = what == ITSELF || !wide ? Lanes.zeros() : v128.load(mean, 2 * VECTOR)
    const m3 = what == ITSELF || !wide ? Lanes.zeros() : v128.load(mean, 3 * VECTOR)
    for (let row = 0; row < rows; row++) {
      if (what == PRODUCTS) {
        const d0 = Lanes.load(dy, single)
        s0 = f32x4.add(s0, d0)
        p0 = Lanes.multiplyAdd(d0, f32x4.sub(Lanes.load(x, single), m0), p0)
        if (wide) {
          const d1 = v128.load(dy, VECTOR)
          s1 = f32x4.add(s1, d1)
          p1 = Lanes.multiplyAdd(d1, f32x4.sub(v128.load(x, VECTOR), m1), p1)
          const d2 = v128.load(dy, 2 * VECTOR)
          s2 = f32x4.add(s2, d2)
          p2 = Lanes.multiplyAdd(d2, f32x4.sub(v128.load(x, 2 * VECTOR), m2), p2)
          const d3 = v128.load(dy, 3 * VECTOR)
          s3 = f32x4.add(s3, d3)
          p3 = Lanes.multiplyAdd(d3, f32x4.sub(v128.load(x, 3 * VECTOR), m3), p3)
        }
        dy += stride
      } else {
        s0 = Sums.plus(what, Lanes.load(x, single), m0, s0)
        if (wide) {
          s1 = Sums.plus(what, v128.load(x, VECTOR), m1, s1)
          s2 = Sums.plus(what, v128.load(x, 2 * VECTOR), m2, s2)
          s3 = Sums.plus(what, v128.load(x, 3 * VECTOR), m3, s3)
        }
      }
      x += stride
    }
    Lanes.store(sums, s0, single)
    if (wide) {
      v128.store(sums, s1, VECTOR)
      v128.store(sums, s2, 2 * VECTOR)
      v128.store(sums, s3, 3 * VECTOR)
    }
    if (what != PRODUCTS) return
    Lanes.store(products, p0, single)
    if (wide) {
      v128.store(products, p1, VECTOR)
      v128.store(products, p2, 2 * VECTOR)
      v128.store(products, p3, 3 * VECTOR)
    }
  }

  /** Of chunks `begin` to `end`, each a row of `sums` and `products`. */
  @inline
  static ofChunks(
    what: i32,
    begin: i32,
    end: i32,
    dy: usize,
    x: usize,
    mean: usize,
    sums: usize,
    products: usize,
    rows: i32,
    columns: i32,
  ): void {
    const stride = <usize>columns * FLOAT
    for (let chunk = begin; chunk < end; chunk++) {
      const from = <usize>(chunk * CHUNK) * stride
      const to = <usize>chunk * stride
      const count = min(CHUNK, rows - chunk * CHUNK)
      const chunkDy = dy + from
      const chunkX = x + from
      const chunkSums = sums + to
      const chunkProducts = products + to
      let at: usize = 0
      for (const end = <usize>whole(columns, 16) * FLOAT; at < end; at += 4 * VECTOR) {
        Sums.ofBlock(
          what,
          true,
          false,
          chunkDy + at,
          chunkX + at,
          mean + at,
          chunkSums + at,
          chunkProducts + at,
          count,
          stride,
        )
      }
      if (columns < 4) {
        for (; at < stride; at += FLOAT) {
          Sums.ofBlock(
            what,
            false,
            true,
            chunkDy + at,
            chunkX + at,
            mean + at,
            chunkSums + at,
            chunkProducts + at,
            count,
            stride,
          )
        }
      } else {
        for (; at < stride; at += VECTOR) {
          at = min(at, stride - VECTOR)
          Sums.ofBlock(
            what,
            false,
            false,
            chunkDy + at,
            chunkX + at,
            mean + at,
            chunkSums + at,
            chunkProducts + at,
            count,
            stride,
          )
        }
      }
    }
  }
}

/** `sums[chunk] = Σ x` over the rows of a chunk, which is a unit. */
export function columnSums(_part: i32, begin: i32, end: i32, x: usize, sums: usize, rows: i32, columns: i32): void {
  Sums.ofChunks(ITSELF, begin, end, 0, x, 0, sums, 0, rows, columns)
}

/** `sums[chunk] = Σ (x - mean)²` over the rows of a chunk, which is a unit. */
export function columnSquares(
  _part: i32,
  begin: i32,
  end: i32,
  x: usize,
  mean: usize,
  sums: usize,
  rows: i32,
  columns: i32,
): void {
  Sums.ofChunks(SQUARES, begin, end, 0, x, mean, sums, 0, rows, columns)
}

/** `sums[chunk] = Σ dy` and `products[chunk] = Σ dy · (x - mean)` over the rows of a chunk, which is a unit. */
export function columnProducts(
  _part: i32,
  begin: i32,
  end: i32,
  dy: usize,
  x: usize,
  mean: usize,
  sums: usize,
  products: usize,
  rows: i32,
  columns: i32,
): void {
  Sums.ofChunks(PRODUCTS, begin, end, dy, x, mean, sums, products, rows, columns)
}

/** The sums of all chunks, the first chunk's first; a unit is a column. */
export function addChunks(
  _part: i32,
  begin: i32,
  end: i32,
  sums: usize,
  total: usize,
  chunks: i32,
  columns: i32,
): void {
  for (let column = begin; column < end; column++) {
    const at = <usize>column * FLOAT
    let sum: f32 = 0
    for (let chunk = 0; chunk < chunks; chunk++) sum += load<f32>(sums + <usize>(chunk * columns) * FLOAT + at)
    store<f32>(total + at, sum)
  }
}

/** One number for each element. `wide` (sixteen columns, or four) and `single` are constants where these are called. */
class Rows {
  /** `x · factor + term`. */
  @inline
  static scale(
    wide: bool,
    single: bool,
    x: usize,
    factor: usize,
    term: usize,
    y: usize,
    rows: i32,
    stride: usize,
  ): void {
    const f0 = Lanes.load(factor, single)
    const t0 = Lanes.load(term, single)
    const f1 = wide ? v128.load(factor, VECTOR) : f0
    const t1 = wide ? v128.load(term, VECTOR) : t0
    const f2 = wide ? v128.load(factor, 2 * VECTOR) : f0
    const t2 = wide ? v128.load(term, 2 * VECTOR) : t0
    const f3 = wide ? v128.load(factor, 3 * VECTOR) : f0
    const t3 = wide ? v128.load(term, 3 * VECTOR) : t0
    for (let row = 0; row < rows; row++) {
      Lanes.store(y, Lanes.multiplyAdd(Lanes.load(x, single), f0, t0), single)
      if (wide) {
        v128.store(y, Lanes.multiplyAdd(v128.load(x, VECTOR), f1, t1), VECTOR)
        v128.store(y, Lanes.multiplyAdd(v128.load(x, 2 * VECTOR), f2, t2), 2 * VECTOR)
        v128.store(y, Lanes.multiplyAdd(v128.load(x, 3 * VECTOR), f3, t3), 3 * VECTOR)
      }
      x += stride
      y += stride
    }
  }

  @inline
  static combined(dy: v128, a: v128, x: v128, b: v128, c: v128): v128 {
    return f32x4.add(Lanes.multiplyAdd(x, b, f32x4.mul(dy, a)), c)
  }

  /** `dy · a + x · b + c`. */
  @inline
  static combine(
    wide: bool,
    single: bool,
    dy: usize,
    x: usize,
    a: usize,
    b: usize,
    c: usize,
    dx: usize,
    rows: i32,
    stride: usize,
  ): void {
    const a0 = Lanes.load(a, single)
    const b0 = Lanes.load(b, single)
    const c0 = Lanes.load(c, single)
    const a1 = wide ? v128.load(a, VECTOR) : a0
    const b1 = wide ? v128.load(b, VECTOR) : b0
    const c1 = wide ? v128.load(c, VECTOR) : c0
    const a2 = wide ? v128.load(a, 2 * VECTOR) : a0
    const b2 = wide ? v128.load(b, 2 * VECTOR) : b0
    const c2 = wide ? v128.load(c, 2 * VECTOR) : c0
    const a3 = wide ? v128.load(a, 3 * VECTOR) : a0
    const b3 = wide ? v128.load(b, 3 * VECTOR) : b0
    const c3 = wide ? v128.load(c, 3 * VECTOR) : c0
    for (let row = 0; row < rows; row++) {
      Lanes.store(dx, Rows.combined(Lanes.load(dy, single), a0, Lanes.load(x, single), b0, c0), single)
      if (wide) {
        const v1 = Rows.combined(v128.load(dy, VECTOR), a1, v128.load(x, VECTOR), b1, c1)
        v128.store(dx, v1, VECTOR)
        const v2 = Rows.combined(v128.load(dy, 2 * VECTOR), a2, v128.load(x, 2 * VECTOR), b2, c2)
        v128.store(dx, v2, 2 * VECTOR)
        const v3 = Rows.combined(v128.load(dy, 3 * VECTOR), a3, v128.load(x, 3 * VECTOR), b3, c3)
        v128.store(dx, v3, 3 * VECTOR)
      }
      dy += stride
      x += stride
      dx += stride
    }
  }
}

/** `y = x · factor + term`, column by column; a unit is a row. */
export function scaleColumns(
  _part: i32,
  begin: i32,
  end: i32,
  x: usize,
  factor: usize,
  term: usize,
  y: usize,
  columns: i32,
): void {
  const stride = <usize>columns * FLOAT
  const rows = end - begin
  x += <usize>begin * stride
  y += <usize>begin * stride
  let at: usize = 0
  for (const last = <usize>whole(columns, 16) * FLOAT; at < last; at += 4 * VECTOR) {
    Rows.scale(true, false, x + at, factor + at, term + at, y + at, rows, stride)
  }
  if (columns < 4) {
    for (; at < stride; at += FLOAT) Rows.scale(false, true, x + at, factor + at, term + at, y + at, rows, stride)
  } else {
    for (; at < stride; at += VECTOR) {
      at = min(at, stride - VECTOR)
      Rows.scale(false, false, x + at, factor + at, term + at, y + at, rows, stride)
    }
  }
}

/** `dx = dy · a + x · b + c`, column by column; a unit is a row. */
export function combineColumns(
  _part: i32,
  begin: i32,
  end: i32,
  dy: usize,
  x: usize,
  a: usize,
  b: usize,
  c: usize,
  dx: usize,
  columns: i32,
): void {
  const stride = <usize>columns * FLOAT
  const rows = end - begin
  dy += <usize>begin * stride
  x += <usize>begin * stride
  dx += <usize>begin * stride
  let at: usize = 0
  for (const last = <usize>whole(columns, 16) * FLOAT; at < last; at += 4 * VECTOR) {
    Rows.combine(true, false, dy + at, x + at, a + at, b + at, c + at, dx + at, rows, stride)
  }
  if (columns < 4) {
    for (; at < stride; at += FLOAT) {
      Rows.combine(false, true, dy + at, x + at, a + at, b + at, c + at, dx + at, rows, stride)
    }
  } else {
    for (; at < stride; at += VECTOR) {
      at = min(at, stride - VECTOR)
      Rows.combine(false, false, dy + at, x + at, a + at, b + at, c + at, dx + at, rows, stride)
    }
  }
}
