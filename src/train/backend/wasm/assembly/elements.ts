/** Kernels over arrays of floats, element by element. A unit is {@link PIECE} elements. */
import { FLOAT, Lanes, whole } from './lanes'

/** Elements in a unit. */
const PIECE: i32 = 1024

/** `y = x` where it is positive, else 0; what is no number stays so. */
export function relu(_part: i32, begin: i32, end: i32, x: usize, y: usize, size: i32): void {
  const last = min(size, end * PIECE)
  let i = begin * PIECE
  for (const inFours = whole(last, 4); i < inFours; i += 4) {
    const at = <usize>i * FLOAT
    v128.store(y + at, f32x4.max(v128.load(x + at), Lanes.zeros()))
  }
  for (; i < last; i++) {
    const at = <usize>i * FLOAT
    Lanes.store(y + at, f32x4.max(Lanes.load(x + at, true), Lanes.zeros()), true)
  }
}

/** `c = a + b`. */
export function add(_part: i32, begin: i32, end: i32, a: usize, b: usize, c: usize, size: i32): void {
  const last = min(size, end * PIECE)
  let i = begin * PIECE
  for (const inFours = whole(last, 4); i < inFours; i += 4) {
    const at = <usize>i * FLOAT
    v128.store(c + at, f32x4.add(v128.load(a + at), v128.load(b + at)))
  }
  for (; i < last; i++) {
    const at = <usize>i * FLOAT
    Lanes.store(c + at, f32x4.add(Lanes.load(a + at, true), Lanes.load(b + at, true)), true)
  }
}

/** `dx = dy` where `y` is positive, else 0. */
export function reluGradient(_part: i32, begin: i32, end: i32, dy: usize, y: usize, dx: usize, size: i32): void {
  const last = min(size, end * PIECE)
  let i = begin * PIECE
  for (const inFours = whole(last, 4); i < inFours; i += 4) {
    const at = <usize>i * FLOAT
    v128.store(dx + at, Lanes.wherePositive(v128.load(y + at), v128.load(dy + at)))
  }
  for (; i < last; i++) {
    const at = <usize>i * FLOAT
    Lanes.store(dx + at, Lanes.wherePositive(Lanes.load(y + at, true), Lanes.load(dy + at, true)), true)
  }
}

/** `dx = dy` where `x` is between the two `bounds`, else 0. */
export function clipGradient(
  _part: i32,
  begin: i32,
  end: i32,
  dy: usize,
  x: usize,
  bounds: usize,
  dx: usize,
  size: i32,
): void {
  const low = Lanes.spread(bounds)
  const high = Lanes.spread(bounds + FLOAT)
  const last = min(size, end * PIECE)
  let i = begin * PIECE
  for (const inFours = whole(last, 4); i < inFours; i += 4) {
    const at = <usize>i * FLOAT
    v128.store(dx + at, Inside.of(v128.load(x + at), low, high, v128.load(dy + at)))
  }
  for (; i < last; i++) {
    const at = <usize>i * FLOAT
    Lanes.store(dx + at, Inside.of(Lanes.load(x + at, true), low, high, Lanes.load(dy + at, true)), true)
  }
}

class Inside {
  @inline
  static of(x: v128, low: v128, high: v128, value: v128): v128 {
    return Lanes.wherePositive(f32x4.sub(x, low), Lanes.wherePositive(f32x4.sub(high, x), value))
  }
}
