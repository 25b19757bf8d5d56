/** Floats four at a time. What is inlined is in classes, since decorators stand at their methods only. */

/** A float, in bytes. */
export const FLOAT: usize = 4

/** A vector of four floats, in bytes. */
export const VECTOR: usize = 16

/** The largest multiple of `size` that is not above `count`. */
export function whole(count: i32, size: i32): i32 {
  return count - (count % size)
}

/**
 * Where fewer than four floats are left, `single` loads and stores one, and the other lanes compute along: it is a constant
 * wherever these are called, so nothing is asked at run time.
 */
export class Lanes {
  @inline
  static load(address: usize, single: bool): v128 {
    return single ? v128.load_zero<f32>(address) : v128.load(address)
  }

  @inline
  static store(address: usize, value: v128, single: bool): void {
    if (single) v128.store_lane<f32>(address, value, 0)
    else v128.store(address, value)
  }

  /** The float at an address, in every lane. */
  @inline
  static spread(address: usize): v128 {
    return v128.load_splat<f32>(address)
  }

  @inline
  static zeros(): v128 {
    return f32x4.splat(0)
  }

  /** `a · b + c`: rounded once where the build has relaxed SIMD and the processor fuses, else twice. */
  @inline
  static multiplyAdd(a: v128, b: v128, c: v128): v128 {
    return ASC_FEATURE_RELAXED_SIMD ? f32x4.relaxed_madd(a, b, c) : f32x4.add(c, f32x4.mul(a, b))
  }

  /** `value` in the lanes where `test` is positive, 0 in the others. */
  @inline
  static wherePositive(test: v128, value: v128): v128 {
    return v128.and(value, f32x4.gt(test, Lanes.zeros()))
  }
}
