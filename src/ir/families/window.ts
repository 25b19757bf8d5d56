/** Sliding windows: output sizes, padding and reference evaluation shared by convolutions and pooling. */
import * as E from 'fp-ts/lib/Either.js'
import { forEachIndex, numbersOf, stridesOf } from '../evaluate.ts'
import { derivedDim } from '../infer.ts'
import type { Sampling } from '../op.ts'
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

/** What a window reads along each spatial axis; undefined where automatic padding depends on an unknown size. */
export const samplingOf = (
  w: Window,
  spatial: Shape,
  kernel: ReadonlyArray<number>,
): ReadonlyArray<Sampling> | undefined => {
  const axes = kernel.flatMap((size, axis) => {
    const pads = padsOf(w, axis, spatial[axis] ?? '', size)
    if (pads === undefined) return []
    return [{ size, step: w.strides?.[axis] ?? 1, gap: w.dilations?.[axis] ?? 1, before: pads[0], after: pads[1] }]
  })
  return axes.length === kernel.length ? axes : undefined
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

/** Per index along `axis` of a tensor the number of its run: neighbours are in one where their slices are equal. */
const runsAlong = (xs: Float64Array | Float32Array, shape: ReadonlyArray<number>, axis: number): Int32Array => {
  const size = shape[axis] ?? 0
  const inner = sizeOf(shape.slice(axis + 1))
  const outer = sizeOf(shape.slice(0, axis))
  const runs = new Int32Array(size)
  let equal = size - 1
  for (let o = 0; o < outer && equal > 0; o++) {
    for (let i = 1; i < size; i++) {
      if (runs[i] === 1) continue
      const start = (o * size + i) * inner
      for (let at = start; at < start + inner; at++) {
        if (xs[at] === xs[at - inner]) continue
        runs[i] = 1
        equal -= 1
        break
      }
    }
  }
  for (let i = 1; i < size; i++) runs[i] = (runs[i] ?? 0) + (runs[i - 1] ?? 0)
  return runs
}

/**
 * Which windows along one spatial axis differ in what they read: `first[group[o]]` is the first window that reads the same
 * as window `o`. A constant that met padding varies near the border only, so a few windows stand for all.
 */
export interface Windows {
  readonly first: ReadonlyArray<number>
  readonly group: Int32Array
}

/** The windows of `x` along each spatial axis; undefined where they do not fit. `ceil` rounds their number up as pooling does. */
export const distinctWindows = (
  x: Dense,
  w: Window,
  kernel: ReadonlyArray<number>,
  ceil = false,
): ReadonlyArray<Windows> | undefined => {
  const counts = windowOutput(w, x.shape.slice(2), kernel, ceil)
  if (E.isLeft(counts)) return undefined
  const xs = numbersOf(x)
  return counts.right.map((count, axis) => windowsAlong(xs, x.shape, axis, Number(count), kernel[axis] ?? 1, w))
}

const windowsAlong = (
  xs: Float64Array | Float32Array,
  shape: ReadonlyArray<number>,
  axis: number,
  count: number,
  extent: number,
  w: Window,
): Windows => {
  const size = shape[axis + 2] ?? 0
  const runs = runsAlong(xs, shape, axis + 2)
  const [begin, end] = padsOf(w, axis, size, extent) ?? [0, 0]
  const [stride, dilation] = [w.strides?.[axis] ?? 1, w.dilations?.[axis] ?? 1]
  const known = new Map<string, number>()
  const first: number[] = []
  const group = new Int32Array(count)
  for (let o = 0; o < count; o++) {
    let key = ''
    for (let t = 0; t < extent; t++) {
      const at = o * stride - begin + t * dilation
      // What is beyond the padding counts otherwise than padding where positions are counted.
      key += at >= size + end ? 'x,' : at < 0 || at >= size ? 'p,' : `${runs[at] ?? 0},`
    }
    const found = known.get(key) ?? first.length
    if (found === first.length) {
      known.set(key, found)
      first.push(o)
    }
    group[o] = found
  }
  return { first, group }
}

/** Per position of a tensor whose spatial sizes are those of `axes`, the place of its window among the distinct ones. */
export const windowPlaces = (axes: ReadonlyArray<Windows>): Int32Array => {
  const strides = stridesOf(axes.map(({ first }) => first.length))
  const places = new Int32Array(sizeOf(axes.map(({ group }) => group.length)))
  forEachIndex(
    axes.map(({ group }) => group.length),
    (index, flat) => {
      let at = 0
      for (let a = 0; a < index.length; a++) at += (axes[a]?.group[index[a] ?? 0] ?? 0) * (strides[a] ?? 0)
      places[flat] = at
    },
  )
  return places
}

/** Windows that are computed together: their patches fit the processor's cache. */
const patchColumns = 256

/**
 * Convolution by definition, any number of spatial axes. Of windows that read the same only one is computed; a channel that
 * is zero in all of them costs nothing.
 */
export const convolve = (
  x: Dense,
  w: Dense,
  b: Dense | undefined,
  window: Window,
  groups: number,
): Dense | undefined => {
  const kernel = w.shape.slice(2)
  const spatial = x.shape.slice(2)
  const axes = distinctWindows(x, window, kernel)
  if (axes === undefined) return undefined
  const sizes = axes.map(({ group }) => group.length)
  const [batch, outputs] = [x.shape[0] ?? 0, w.shape[0] ?? 0]
  const [xs, ws, bs] = [numbersOf(x), numbersOf(w), b && numbersOf(b)]
  const places = windowPlaces(axes)
  const counts = axes.map(({ first }) => first.length)
  const [columns, positions, taps] = [sizeOf(counts), places.length, sizeOf(kernel)]
  const [perGroup, outsPerGroup, plane] = [w.shape[1] ?? 0, outputs / groups, sizeOf(spatial)]
  const sources = tapSources(window, spatial, kernel, axes)
  const isFinite = ws.every(Number.isFinite)
  const patches = new Float64Array(perGroup * taps * Math.min(patchColumns, columns))
  const rows = new Int32Array(perGroup * taps)
  const sums = new Float64Array(outsPerGroup * columns)
  const out = new Float64Array(batch * outputs * positions)
  for (let part = 0; part < batch * groups; part++) {
    const [n, g] = [Math.floor(part / groups), part % groups]
    for (let o = 0; o < outsPerGroup; o++) sums.fill(bs?.[g * outsPerGroup + o] ?? 0, o * columns, (o + 1) * columns)
    for (let start = 0; start < columns; start += patchColumns) {
      const width = Math.min(patchColumns, columns - start)
      let used = 0
      for (let c = 0; c < perGroup; c++) {
        const base = (n * perGroup * groups + g * perGroup + c) * plane
        for (let t = 0; t < taps; t++) {
          let isZero = isFinite
          for (let u = 0; u < width; u++) {
            const source = sources[t * columns + start + u] ?? -1
            const value = source < 0 ? 0 : (xs[base + source] ?? 0)
            patches[used * width + u] = value
            if (value !== 0) isZero = false
          }
          if (!isZero) rows[used++] = c * taps + t
        }
      }
      for (let o = 0; o < outsPerGroup; o++) {
        const weights = (g * outsPerGroup + o) * perGroup * taps
        addRows(sums, o * columns + start, width, patches, rows, used, ws, weights)
      }
    }
    for (let o = 0; o < outsPerGroup; o++) {
      const [to, from] = [((n * groups + g) * outsPerGroup + o) * positions, o * columns]
      for (let p = 0; p < positions; p++) out[to + p] = sums[from + (places[p] ?? 0)] ?? 0
    }
  }
  return tensorOf(x.dtype, [batch, outputs, ...sizes], out)
}

/** For tap `t` and distinct window `u`, at `t · windows + u`, the place that is read in a channel; -1 for padding. */
const tapSources = (
  w: Window,
  spatial: ReadonlyArray<number>,
  kernel: ReadonlyArray<number>,
  axes: ReadonlyArray<Windows>,
): Int32Array => {
  const begins = spatial.map((size, a) => padsOf(w, a, size, kernel[a] ?? 1)?.[0] ?? 0)
  const strides = stridesOf(spatial)
  const counts = axes.map(({ first }) => first.length)
  const columns = sizeOf(counts)
  const sources = new Int32Array(sizeOf(kernel) * columns)
  forEachIndex(kernel, (tap, t) => {
    forEachIndex(counts, (index, u) => {
      let source = 0
      for (let a = 0; a < kernel.length; a++) {
        const o = axes[a]?.first[index[a] ?? 0] ?? 0
        const at = o * (w.strides?.[a] ?? 1) - (begins[a] ?? 0) + (tap[a] ?? 0) * (w.dilations?.[a] ?? 1)
        if (at < 0 || at >= (spatial[a] ?? 0)) source = -Infinity
        source += at * (strides[a] ?? 0)
      }
      sources[t * columns + u] = Math.max(-1, source)
    })
  })
  return sources
}

/** `sums[at + u] += Σ_r weights[first + rows[r]] · patches[r, u]` for `u < width`, four rows at a time. */
const addRows = (
  sums: Float64Array,
  at: number,
  width: number,
  patches: Float64Array,
  rows: Int32Array,
  used: number,
  weights: Float64Array | Float32Array,
  first: number,
): void => {
  let r = 0
  for (; r + 3 < used; r += 4) {
    const w0 = weights[first + (rows[r] ?? 0)] ?? 0
    const w1 = weights[first + (rows[r + 1] ?? 0)] ?? 0
    const w2 = weights[first + (rows[r + 2] ?? 0)] ?? 0
    const w3 = weights[first + (rows[r + 3] ?? 0)] ?? 0
    const p0 = r * width
    const [p1, p2, p3] = [p0 + width, p0 + 2 * width, p0 + 3 * width]
    for (let u = 0; u < width; u++) {
      sums[at + u] =
        (sums[at + u] ?? 0) +
        w0 * (patches[p0 + u] ?? 0) +
        w1 * (patches[p1 + u] ?? 0) +
        w2 * (patches[p2 + u] ?? 0) +
        w3 * (patches[p3 + u] ?? 0)
    }
  }
  for (; r < used; r++) {
    const weight = weights[first + (rows[r] ?? 0)] ?? 0
    for (let u = 0; u < width; u++) sums[at + u] = (sums[at + u] ?? 0) + weight * (patches[r * width + u] ?? 0)
  }
}
