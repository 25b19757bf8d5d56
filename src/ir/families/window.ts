/** Sliding windows: output sizes, padding and reference evaluation shared by convolutions and pooling. */
import * as E from 'fp-ts/lib/Either.js'
import { forEachIndex, numbersOf, stridesOf } from '../evaluate.ts'
import { derivedDim } from '../infer.ts'
import { type Dense, tensorOf } from '../tensor.ts'
import { type Dim, isStatic, type Shape, sizeOf } from '../type.ts'

export interface Window {
  readonly auto_pad: 'NOTSET' | 'SAME_UPPER' | 'SAME_LOWER' | 'VALID'
  readonly dilations: ReadonlyArray<number> | undefined
  readonly kernel_shape: ReadonlyArray<number> | undefined
  /** Begins of all spatial axes, then ends. */
  readonly pads: ReadonlyArray<number> | undefined
  readonly strides: ReadonlyArray<number> | undefined
}

/** Whether no output position ever reads padding. */
export const isUnpadded = (w: Window, kernel: Shape): boolean => {
  if (w.auto_pad === 'VALID') return true
  if (w.auto_pad === 'NOTSET') return w.pads === undefined || w.pads.every((p) => p === 0)
  return kernel.every((k) => k === 1)
}

/** Padding at the begin and end of one spatial axis; undefined when it depends on an unknown size. */
export const padsOf = (w: Window, axis: number, size: Dim, kernel: Dim): readonly [number, number] | undefined => {
  const rank = w.pads === undefined ? 0 : w.pads.length / 2
  if (w.auto_pad === 'VALID') return [0, 0]
  if (w.auto_pad === 'NOTSET') return [w.pads?.[axis] ?? 0, w.pads?.[axis + rank] ?? 0]
  if (!isStatic(size) || !isStatic(kernel)) return undefined
  const stride = w.strides?.[axis] ?? 1
  const extent = (kernel - 1) * (w.dilations?.[axis] ?? 1) + 1
  const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + extent - size)
  const small = Math.floor(total / 2)
  return w.auto_pad === 'SAME_UPPER' ? [small, total - small] : [total - small, small]
}

/** The pads of a window with zeros around its input counted in; undefined with automatic padding, which depends on the input. */
export const withPadding = (w: Window, padding: ReadonlyArray<number>): ReadonlyArray<number> | undefined => {
  if (w.auto_pad !== 'NOTSET' && w.auto_pad !== 'VALID') return undefined
  const own = w.auto_pad === 'VALID' ? undefined : w.pads
  return padding.map((p, i) => p + (own?.[i] ?? 0))
}

/** Output sizes along the spatial axes. `ceil` rounds up as pooling with `ceil_mode` does. */
export const windowOutput = (w: Window, spatial: Shape, kernel: Shape, ceil = false): E.Either<string, Shape> => {
  const out: Dim[] = []
  for (const [axis, size] of spatial.entries()) {
    const extent = kernel[axis]
    if (extent === undefined) return E.left(`no kernel size for spatial axis ${axis}`)
    const stride = w.strides?.[axis] ?? 1
    const dilation = w.dilations?.[axis] ?? 1
    const pads = padsOf(w, axis, size, extent)
    if (pads === undefined || w.auto_pad === 'SAME_UPPER' || w.auto_pad === 'SAME_LOWER') {
      // Runtimes disagree on what automatic padding is for a dilated window.
      if (dilation !== 1) return E.left(`auto_pad ${w.auto_pad} with dilation ${dilation}`)
      out.push(derivedDim(`same/${stride}`, [size], (n) => Math.ceil(n / stride)))
      continue
    }
    const [begin, end] = pads
    const dim = derivedDim(
      `window${ceil ? '^' : ''}(${stride},${dilation},${begin},${end})`,
      [size, extent],
      (n, k) => {
        const span = n + begin + end - ((k - 1) * dilation + 1)
        const count = (ceil ? Math.ceil(span / stride) : Math.floor(span / stride)) + 1
        // A window may not start in the padding at the end.
        return ceil && (count - 1) * stride >= n + begin ? count - 1 : count
      },
    )
    if (isStatic(dim) && dim < 0) return E.left(`spatial axis ${axis} of size ${size} is smaller than its kernel`)
    out.push(dim)
  }
  return E.right(out)
}

/** Convolution by definition, any number of spatial axes. */
export const convolve = (
  x: Dense,
  w: Dense,
  b: Dense | undefined,
  window: Window,
  groups: number,
): Dense | undefined => {
  const kernel = w.shape.slice(2)
  const spatial = x.shape.slice(2)
  const sizes = windowOutput(window, spatial, kernel)
  if (E.isLeft(sizes)) return undefined
  const shape = [x.shape[0] ?? 0, w.shape[0] ?? 0, ...sizes.right.map(Number)]
  const begins = spatial.map((size, a) => padsOf(window, a, size, kernel[a] ?? 1)?.[0] ?? 0)
  const [xs, ws] = [numbersOf(x), numbersOf(w)]
  const bs = b && numbersOf(b)
  const xStrides = stridesOf(x.shape)
  const perGroup = w.shape[1] ?? 0
  const outsPerGroup = (w.shape[0] ?? 0) / groups
  const taps = sizeOf(kernel)
  const out = new Float64Array(sizeOf(shape))
  forEachIndex(shape, (index, flat) => {
    const o = index[1] ?? 0
    const group = Math.floor(o / outsPerGroup)
    let sum = bs?.[o] ?? 0
    forEachIndex(kernel, (tap, t) => {
      let at = (index[0] ?? 0) * (xStrides[0] ?? 0)
      for (let a = 0; a < kernel.length; a++) {
        const p =
          (index[a + 2] ?? 0) * (window.strides?.[a] ?? 1) -
          (begins[a] ?? 0) +
          (tap[a] ?? 0) * (window.dilations?.[a] ?? 1)
        if (p < 0 || p >= (spatial[a] ?? 0)) return
        at += p * (xStrides[a + 2] ?? 0)
      }
      for (let c = 0; c < perGroup; c++) {
        sum += (xs[at + (group * perGroup + c) * (xStrides[1] ?? 0)] ?? 0) * (ws[(o * perGroup + c) * taps + t] ?? 0)
      }
    })
    out[flat] = sum
  })
  return tensorOf(x.dtype, shape, out)
}
