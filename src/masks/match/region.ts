/** Where the elements of a tensor in a file are in a constant of the graph. */
import { sizeOf } from '../../ir/type.ts'

export interface Strided {
  readonly offset: number
  /** In elements, one for each axis of the region. */
  readonly strides: ReadonlyArray<number>
}

/** A box of elements that are the same parameters in both: element `i` is at `offset + Σ i[a]·strides[a]` in either. */
export interface Region {
  readonly shape: ReadonlyArray<number>
  readonly to: Strided
  readonly from: Strided
}

export type LayoutKind =
  /** The axes of both are the same, but for axes of size 1; a size 1 in the mask stands for all indices. */
  | 'same'
  /** Inputs and outputs change places. */
  | 'transposed'
  /** TensorFlow's `[kernel.., in, out]`. */
  | 'tensorflow'
  /** One element for each output channel. */
  | 'channels'
  /** Any other order of the axes, as values or a map tell it. */
  | 'permuted'
  /** Rows of several parameters in one constant, of one in several, or in another order. */
  | 'rows'
  /** Gates in ONNX's order. */
  | 'gates'

export interface Layout {
  readonly kind: LayoutKind
  /** For people, where the kind does not say it all. */
  readonly text?: string
  readonly regions: ReadonlyArray<Region>
}

/** Whether a region is all of two tensors of `size` elements, each of which is at the same place in both. */
export const isWhole = ({ shape, to, from }: Region, size: number): boolean => {
  if (to.offset !== 0 || from.offset !== 0 || sizeOf(shape) !== size) return false
  return shape.every((d, axis) => {
    const stride = sizeOf(shape.slice(axis + 1))
    return d === 1 || (to.strides[axis] === stride && from.strides[axis] === stride)
  })
}

/** Calls `visit` with the positions of every pair of elements that a region puts together. */
export const forEachPair = ({ shape, to, from }: Region, visit: (to: number, from: number) => void): void => {
  const size = sizeOf(shape)
  const rank = shape.length
  const index = new Int32Array(rank)
  let [a, b] = [to.offset, from.offset]
  for (let n = 0; n < size; n++) {
    visit(a, b)
    for (let axis = rank - 1; axis >= 0; axis--) {
      const [d, s, t] = [shape[axis] ?? 1, to.strides[axis] ?? 0, from.strides[axis] ?? 0]
      index[axis] = (index[axis] ?? 0) + 1
      a += s
      b += t
      if ((index[axis] ?? 0) < d) break
      index[axis] = 0
      a -= s * d
      b -= t * d
    }
  }
}
