/**
 * Gradients of convolutions and of pooling over images `[N, H, W, C]`, tap by tap, without moving anything. Filter gradients
 * sum along a row of the output before they add to what the rows before it gave.
 */
import { FLOAT, Lanes, VECTOR, whole } from './lanes'

/** What one tap sees of a row of the output: places whose column lies inside of the image. */
class Run {
  /** The first of them. `shift` is the column of the image that the first place reads. */
  @inline
  static first(shift: i32, stride: i32): i32 {
    return max(0, (stride - 1 - shift) / stride)
  }

  /** The one behind the last: its column is `place · stride + shift`, at most `width - 1`. */
  @inline
  static end(shift: i32, stride: i32, width: i32, columns: i32): i32 {
    return min(columns, (width - 1 - shift + stride) / stride)
  }
}

/** Up to four inputs by eight outputs of a tap's filter. The flags and `inputs` are constants where it is called. */
class FilterBlock {
  @inline
  static plus(to: usize, sum: v128, last: v128, masked: bool, single: bool): void {
    Lanes.store(to, f32x4.add(Lanes.load(to, single), masked ? Lanes.wherePositive(last, sum) : sum), single)
  }

  @inline
  static sum(
    inputs: i32,
    wide: bool,
    single: bool,
    masked: bool,
    x: usize,
    dy: usize,
    filter: usize,
    count: i32,
    step: usize,
    outputPixel: usize,
    last: v128,
  ): void {
    let a0 = Lanes.zeros()
    let a1 = Lanes.zeros()
    let a2 = Lanes.zeros()
    let a3 = Lanes.zeros()
    let b0 = Lanes.zeros()
    let b1 = Lanes.zeros()
    let b2 = Lanes.zeros()
    let b3 = Lanes.zeros()
    for (let i = 0; i < count; i++) {
      const a = Lanes.load(dy, single)
      const b = wide ? v128.load(dy, VECTOR) : a
      const x0 = Lanes.spread(x)
      a0 = Lanes.multiplyAdd(x0, a, a0)
      if (wide) b0 = Lanes.multiplyAdd(x0, b, b0)
      if (inputs > 1) {
        const x1 = v128.load_splat<f32>(x, FLOAT)
        a1 = Lanes.multiplyAdd(x1, a, a1)
        if (wide) b1 = Lanes.multiplyAdd(x1, b, b1)
      }
      if (inputs > 2) {
        const x2 = v128.load_splat<f32>(x, 2 * FLOAT)
        a2 = Lanes.multiplyAdd(x2, a, a2)
        if (wide) b2 = Lanes.multiplyAdd(x2, b, b2)
      }
      if (inputs > 3) {
        const x3 = v128.load_splat<f32>(x, 3 * FLOAT)
        a3 = Lanes.multiplyAdd(x3, a, a3)
        if (wide) b3 = Lanes.multiplyAdd(x3, b, b3)
      }
      x += step
      dy += outputPixel
    }
    FilterBlock.plus(filter, a0, last, masked, single)
    if (wide) FilterBlock.plus(filter + VECTOR, b0, last, masked, single)
    if (inputs > 1) {
      filter += outputPixel
      FilterBlock.plus(filter, a1, last, masked, single)
      if (wide) FilterBlock.plus(filter + VECTOR, b1, last, masked, single)
    }
    if (inputs > 2) {
      filter += outputPixel
      FilterBlock.plus(filter, a2, last, masked, single)
      if (wide) FilterBlock.plus(filter + VECTOR, b2, last, masked, single)
    }
    if (inputs > 3) {
      filter += outputPixel
      FilterBlock.plus(filter, a3, last, masked, single)
      if (wide) FilterBlock.plus(filter + VECTOR, b3, last, masked, single)
    }
  }

  /** The same for all outputs; those left of four or more get nothing added that they have (`last` is 0 there). */
  @inline
  static outputs(
    inputs: i32,
    x: usize,
    dy: usize,
    filter: usize,
    count: i32,
    step: usize,
    outputs: i32,
    last: v128,
  ): void {
    const pixel = <usize>outputs * FLOAT
    let at: usize = 0
    for (const end = <usize>whole(outputs, 8) * FLOAT; at < end; at += 2 * VECTOR) {
      FilterBlock.sum(inputs, true, false, false, x, dy + at, filter + at, count, step, pixel, last)
    }
    for (const end = <usize>whole(outputs, 4) * FLOAT; at < end; at += VECTOR) {
      FilterBlock.sum(inputs, false, false, false, x, dy + at, filter + at, count, step, pixel, last)
    }
    if (at == pixel) return
    if (outputs > 4) {
      at = pixel - VECTOR
      FilterBlock.sum(inputs, false, false, true, x, dy + at, filter + at, count, step, pixel, last)
      return
    }
    for (; at < pixel; at += FLOAT) {
      FilterBlock.sum(inputs, false, true, false, x, dy + at, filter + at, count, step, pixel, last)
    }
  }
}

/** 1 in the last `count` lanes, fewer than four, 0 in the others. */
function lastLanes(count: i32): v128 {
  if (count == 1) return f32x4(0, 0, 0, 1)
  if (count == 2) return f32x4(0, 0, 1, 1)
  return f32x4(0, 1, 1, 1)
}

/** `filter[tap, i, o] += Σ image[.., i] · dy[.., o]`; a unit is a tap's filter for up to four inputs. */
export function convFilterGradient(
  _part: i32,
  begin: i32,
  end: i32,
  image: usize,
  dy: usize,
  filter: usize,
  batch: i32,
  height: i32,
  width: i32,
  channels: i32,
  rows: i32,
  columns: i32,
  outputs: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  strideHeight: i32,
  strideWidth: i32,
  top: i32,
  left: i32,
): void {
  const pixel = <usize>channels * FLOAT
  const step = <usize>strideWidth * pixel
  const outputPixel = <usize>outputs * FLOAT
  const last = lastLanes(outputs % 4)
  const inputBlocks = (channels + 3) / 4
  for (let n = 0; n < batch; n++) {
    for (let row = 0; row < rows; row++) {
      for (let tap = begin / inputBlocks; tap * inputBlocks < end; tap++) {
        const kernelRow = tap / kernelWidth
        const y = row * strideHeight - top + kernelRow
        if (y < 0 || y >= height) continue
        const shift = tap - kernelRow * kernelWidth - left
        const first = Run.first(shift, strideWidth)
        const count = Run.end(shift, strideWidth, width, columns) - first
        const x = image + <usize>((n * height + y) * width + first * strideWidth + shift) * pixel
        const d = dy + <usize>((n * rows + row) * columns + first) * outputPixel
        const lastInput = min(channels, (end - tap * inputBlocks) * 4)
        for (let input = max(0, begin - tap * inputBlocks) * 4; input < lastInput; input += 4) {
          const from = x + <usize>input * FLOAT
          const to = filter + <usize>(tap * channels + input) * outputPixel
          const inputs = channels - input
          if (inputs >= 4) FilterBlock.outputs(4, from, d, to, count, step, outputs, last)
          else if (inputs == 3) FilterBlock.outputs(3, from, d, to, count, step, outputs, last)
          else if (inputs == 2) FilterBlock.outputs(2, from, d, to, count, step, outputs, last)
          else FilterBlock.outputs(1, from, d, to, count, step, outputs, last)
        }
      }
    }
  }
}

/** Four channels, or one, of a depthwise convolution's run. */
class Depthwise {
  @inline
  static filter(single: bool, x: usize, dy: usize, to: usize, count: i32, step: usize, pixel: usize): void {
    let sum = Lanes.zeros()
    for (let i = 0; i < count; i++) {
      sum = Lanes.multiplyAdd(Lanes.load(x, single), Lanes.load(dy, single), sum)
      x += step
      dy += pixel
    }
    Lanes.store(to, f32x4.add(Lanes.load(to, single), sum), single)
  }

  @inline
  static input(single: bool, x: usize, dy: usize, from: usize, count: i32, step: usize, pixel: usize): void {
    const weight = Lanes.load(from, single)
    for (let i = 0; i < count; i++) {
      Lanes.store(x, Lanes.multiplyAdd(Lanes.load(dy, single), weight, Lanes.load(x, single)), single)
      x += step
      dy += pixel
    }
  }
}

/**
 * `filter[tap, c] += Σ image[.., c] · dy[.., c]` for depthwise convolutions with one output per input; a unit is four
 * channels.
 */
export function depthwiseFilterGradient(
  _part: i32,
  begin: i32,
  end: i32,
  image: usize,
  dy: usize,
  filter: usize,
  batch: i32,
  height: i32,
  width: i32,
  channels: i32,
  rows: i32,
  columns: i32,
  _outputs: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  strideHeight: i32,
  strideWidth: i32,
  top: i32,
  left: i32,
): void {
  const pixel = <usize>channels * FLOAT
  const step = <usize>strideWidth * pixel
  for (let n = 0; n < batch; n++) {
    for (let row = 0; row < rows; row++) {
      for (let tap = 0; tap < kernelHeight * kernelWidth; tap++) {
        const kernelRow = tap / kernelWidth
        const y = row * strideHeight - top + kernelRow
        if (y < 0 || y >= height) continue
        const shift = tap - kernelRow * kernelWidth - left
        const first = Run.first(shift, strideWidth)
        const count = Run.end(shift, strideWidth, width, columns) - first
        const x = image + <usize>((n * height + y) * width + first * strideWidth + shift) * pixel
        const d = dy + <usize>((n * rows + row) * columns + first) * pixel
        const to = filter + <usize>tap * pixel
        let channel = begin * 4
        const last = min(channels, end * 4)
        for (; channel + 4 <= last; channel += 4) {
          const at = <usize>channel * FLOAT
          Depthwise.filter(false, x + at, d + at, to + at, count, step, pixel)
        }
        for (; channel < last; channel++) {
          const at = <usize>channel * FLOAT
          Depthwise.filter(true, x + at, d + at, to + at, count, step, pixel)
        }
      }
    }
  }
}

/** `image[.., c] += dy[.., c] · filter[tap, c]`, the way back of the same convolutions; a unit is an image. */
export function depthwiseInputGradient(
  _part: i32,
  begin: i32,
  end: i32,
  image: usize,
  dy: usize,
  filter: usize,
  _batch: i32,
  height: i32,
  width: i32,
  channels: i32,
  rows: i32,
  columns: i32,
  _outputs: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  strideHeight: i32,
  strideWidth: i32,
  top: i32,
  left: i32,
): void {
  const pixel = <usize>channels * FLOAT
  const step = <usize>strideWidth * pixel
  for (let n = begin; n < end; n++) {
    for (let row = 0; row < rows; row++) {
      for (let tap = 0; tap < kernelHeight * kernelWidth; tap++) {
        const kernelRow = tap / kernelWidth
        const y = row * strideHeight - top + kernelRow
        if (y < 0 || y >= height) continue
        const shift = tap - kernelRow * kernelWidth - left
        const first = Run.first(shift, strideWidth)
        const count = Run.end(shift, strideWidth, width, columns) - first
        const x = image + <usize>((n * height + y) * width + first * strideWidth + shift) * pixel
        const d = dy + <usize>((n * rows + row) * columns + first) * pixel
        const from = filter + <usize>tap * pixel
        let at: usize = 0
        for (const last = <usize>whole(channels, 4) * FLOAT; at < last; at += VECTOR) {
          Depthwise.input(false, x + at, d + at, from + at, count, step, pixel)
        }
        for (; at < pixel; at += FLOAT) Depthwise.input(true, x + at, d + at, from + at, count, step, pixel)
      }
    }
  }
}

/** Four channels, or one, of a pooling window. */
class Window {
  /** Gives what is left of `dy` to the first element that is the largest; `from` is the window's first, in bytes. */
  @inline
  static give(
    single: bool,
    image: usize,
    largest: usize,
    dy: usize,
    gradient: usize,
    from: usize,
    rows: i32,
    columns: i32,
    imageRow: usize,
    pixel: usize,
  ): void {
    const value = Lanes.load(largest, single)
    let rest = Lanes.load(dy, single)
    for (let row = 0; row < rows; row++) {
      let at = from + <usize>row * imageRow
      for (let column = 0; column < columns; column++) {
        const hit = v128.and(rest, f32x4.eq(Lanes.load(image + at, single), value))
        rest = f32x4.sub(rest, hit)
        Lanes.store(gradient + at, f32x4.add(Lanes.load(gradient + at, single), hit), single)
        at += pixel
      }
    }
  }
}

/**
 * The gradient of the largest element of each window goes to the first element that equals it; `gradient` is zero before. A
 * unit is an image.
 */
export function maxPoolGradient(
  _part: i32,
  begin: i32,
  end: i32,
  image: usize,
  largest: usize,
  dy: usize,
  gradient: usize,
  _batch: i32,
  height: i32,
  width: i32,
  channels: i32,
  rows: i32,
  columns: i32,
  _outputs: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  strideHeight: i32,
  strideWidth: i32,
  top: i32,
  left: i32,
): void {
  const pixel = <usize>channels * FLOAT
  const imageRow = <usize>width * pixel
  for (let n = begin; n < end; n++) {
    for (let row = 0; row < rows; row++) {
      const above = row * strideHeight - top
      const firstRow = max(0, above)
      const windowRows = min(height, above + kernelHeight) - firstRow
      for (let column = 0; column < columns; column++) {
        const before = column * strideWidth - left
        const firstColumn = max(0, before)
        const windowColumns = min(width, before + kernelWidth) - firstColumn
        const from = <usize>((n * height + firstRow) * width + firstColumn) * pixel
        const place = <usize>((n * rows + row) * columns + column) * pixel
        let at: usize = 0
        for (const last = <usize>whole(channels, 4) * FLOAT; at < last; at += VECTOR) {
          Window.give(
            false,
            image,
            largest + place + at,
            dy + place + at,
            gradient,
            from + at,
            windowRows,
            windowColumns,
            imageRow,
            pixel,
          )
        }
        for (; at < pixel; at += FLOAT) {
          Window.give(
            true,
            image,
            largest + place + at,
            dy + place + at,
            gradient,
            from + at,
            windowRows,
            windowColumns,
            imageRow,
            pixel,
          )
        }
      }
    }
  }
}
