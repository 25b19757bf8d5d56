/**
 * Convolutions of images `[N, H, W, C]`, as sums over the taps and channels that lie behind an output: a block of eight
 * outputs, or of four, for a tile of four pixels stays in registers while its filter, packed so that it is read from front to
 * back, goes by.
 */
import { FLOAT, Lanes, VECTOR, whole } from './lanes'

/** The first output that is computed in a block of four instead of eight. */
function endOfEights(outputs: i32): i32 {
  return whole(outputs + 3, 8)
}

/**
 * A filter as `[block of outputs, tap, channel, output in block]`; what is missing in the last block is left alone. Steps
 * lead from one element of the filter to the next along an axis, in elements; they may be negative. A unit is an output.
 */
export function packFilter(
  _part: i32,
  begin: i32,
  end: i32,
  filter: usize,
  packed: usize,
  kernelHeight: i32,
  kernelWidth: i32,
  channels: i32,
  outputs: i32,
  rowStep: i32,
  columnStep: i32,
  channelStep: i32,
  outputStep: i32,
): void {
  const terms = kernelHeight * kernelWidth * channels
  for (let o = begin; o < end; o++) {
    const width = o < endOfEights(outputs) ? 8 : 4
    const block = whole(o, width)
    let to = packed + <usize>(block * terms + o - block) * FLOAT
    for (let row = 0; row < kernelHeight; row++) {
      for (let column = 0; column < kernelWidth; column++) {
        let from = filter + <usize>(o * outputStep + row * rowStep + column * columnStep) * FLOAT
        for (let channel = 0; channel < channels; channel++) {
          store<f32>(to, load<f32>(from))
          to += <usize>width * FLOAT
          from += <usize>channelStep * FLOAT
        }
      }
    }
  }
}

/** Outputs of a tile of pixels. `four` (or one) pixels and `wide` (eight, or four outputs) are constants where it is called. */
class Tile {
  /** Stores what is valid of four outputs. */
  @inline
  static store(to: usize, sum: v128, valid: i32): void {
    if (valid >= 4) v128.store(to, sum)
    else {
      if (valid > 0) v128.store_lane<f32>(to, sum, 0)
      if (valid > 1) v128.store_lane<f32>(to, sum, 1, FLOAT)
      if (valid > 2) v128.store_lane<f32>(to, sum, 2, 2 * FLOAT)
    }
  }

  /**
   * `rows` of the kernel, of `terms` each, that lie one after the other in the image too; `skip` bytes lead to the next
   * row's. `p` is where the pixels begin, `to` where their outputs go, of which `valid` are stored.
   */
  @inline
  static convolve(
    four: bool,
    wide: bool,
    p0: usize,
    p1: usize,
    p2: usize,
    p3: usize,
    to0: usize,
    to1: usize,
    to2: usize,
    to3: usize,
    filter: usize,
    rows: i32,
    terms: i32,
    skip: usize,
    valid: i32,
  ): void {
    let a0 = Lanes.zeros()
    let a1 = Lanes.zeros()
    let a2 = Lanes.zeros()
    let a3 = Lanes.zeros()
    let b0 = Lanes.zeros()
    let b1 = Lanes.zeros()
    let b2 = Lanes.zeros()
    let b3 = Lanes.zeros()
    for (let row = 0; row < rows; row++) {
      for (let term = 0; term < terms; term++) {
        const a = v128.load(filter)
        const b = wide ? v128.load(filter, VECTOR) : a
        filter += wide ? 2 * VECTOR : VECTOR
        const x0 = Lanes.spread(p0)
        a0 = Lanes.multiplyAdd(x0, a, a0)
        if (wide) b0 = Lanes.multiplyAdd(x0, b, b0)
        p0 += FLOAT
        if (four) {
          const x1 = Lanes.spread(p1)
          a1 = Lanes.multiplyAdd(x1, a, a1)
          if (wide) b1 = Lanes.multiplyAdd(x1, b, b1)
          p1 += FLOAT
          const x2 = Lanes.spread(p2)
          a2 = Lanes.multiplyAdd(x2, a, a2)
          if (wide) b2 = Lanes.multiplyAdd(x2, b, b2)
          p2 += FLOAT
          const x3 = Lanes.spread(p3)
          a3 = Lanes.multiplyAdd(x3, a, a3)
          if (wide) b3 = Lanes.multiplyAdd(x3, b, b3)
          p3 += FLOAT
        }
      }
      p0 += skip
      p1 += skip
      p2 += skip
      p3 += skip
    }
    Tile.store(to0, a0, valid)
    if (wide) Tile.store(to0 + VECTOR, b0, valid - 4)
    if (!four) return
    Tile.store(to1, a1, valid)
    if (wide) Tile.store(to1 + VECTOR, b1, valid - 4)
    Tile.store(to2, a2, valid)
    if (wide) Tile.store(to2 + VECTOR, b2, valid - 4)
    Tile.store(to3, a3, valid)
    if (wide) Tile.store(to3 + VECTOR, b3, valid - 4)
  }
}

/** The places of an output in their order: each step leads to the next one, from the end of a row to the next row. */
class Walk {
  @inline
  static next(at: usize, isLast: bool, step: usize, wrap: usize): usize {
    return at + select<usize>(wrap, step, isLast)
  }
}

/** All places of a block of outputs. */
class Block {
  @inline
  static convolve(
    wide: bool,
    source: usize,
    out: usize,
    filter: usize,
    places: i32,
    columns: i32,
    inStep: usize,
    inWrap: usize,
    outStep: usize,
    outWrap: usize,
    rows: i32,
    terms: i32,
    skip: usize,
    valid: i32,
  ): void {
    let column = 1
    let from = source
    let to = out
    let left = places
    for (; left >= 4; left -= 4) {
      const p0 = from
      const to0 = to
      let last = column == columns
      const p1 = Walk.next(p0, last, inStep, inWrap)
      const to1 = Walk.next(to0, last, outStep, outWrap)
      column = last ? 1 : column + 1
      last = column == columns
      const p2 = Walk.next(p1, last, inStep, inWrap)
      const to2 = Walk.next(to1, last, outStep, outWrap)
      column = last ? 1 : column + 1
      last = column == columns
      const p3 = Walk.next(p2, last, inStep, inWrap)
      const to3 = Walk.next(to2, last, outStep, outWrap)
      column = last ? 1 : column + 1
      last = column == columns
      from = Walk.next(p3, last, inStep, inWrap)
      to = Walk.next(to3, last, outStep, outWrap)
      column = last ? 1 : column + 1
      Tile.convolve(true, wide, p0, p1, p2, p3, to0, to1, to2, to3, filter, rows, terms, skip, valid)
    }
    for (; left > 0; left--) {
      Tile.convolve(false, wide, from, 0, 0, 0, to, 0, 0, 0, filter, rows, terms, skip, valid)
      const last = column == columns
      from = Walk.next(from, last, inStep, inWrap)
      to = Walk.next(to, last, outStep, outWrap)
      column = last ? 1 : column + 1
    }
  }
}

/**
 * A convolution; a unit is an image. `scratch` holds one image with its padding for each part, zero at first; where `padded`
 * is 0 nothing is copied there, and the padded sizes are the image's own. Padding may be negative. `outImage`, `outRow` and
 * `outColumn` lie between neighbours in the output, in elements.
 */
export function convolve(
  part: i32,
  begin: i32,
  end: i32,
  image: usize,
  packed: usize,
  out: usize,
  scratch: usize,
  height: i32,
  width: i32,
  channels: i32,
  top: i32,
  left: i32,
  paddedHeight: i32,
  paddedWidth: i32,
  rows: i32,
  columns: i32,
  outputs: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  strideHeight: i32,
  strideWidth: i32,
  outImage: i32,
  outRow: i32,
  outColumn: i32,
  padded: i32,
): void {
  const pixel = <usize>channels * FLOAT
  const row = <usize>paddedWidth * pixel
  const terms = kernelWidth * channels
  const skip = row - <usize>terms * FLOAT
  const allTerms = kernelHeight * terms
  const places = rows * columns
  const inStep = <usize>strideWidth * pixel
  const inWrap = <usize>strideHeight * row - <usize>(columns - 1) * inStep
  const outStep = <usize>outColumn * FLOAT
  const outWrap = <usize>outRow * FLOAT - <usize>(columns - 1) * outStep
  const eights = endOfEights(outputs)
  const imageRow = <usize>width * pixel
  const ownScratch = scratch + <usize>(part * paddedHeight) * row
  const firstRow = max(0, top)
  const endRow = min(paddedHeight, height + top)
  const firstColumn = max(0, left)
  const inside = <usize>max(0, min(paddedWidth, width + left) - firstColumn) * pixel
  for (let n = begin; n < end; n++) {
    let source = image + <usize>(n * height) * imageRow
    if (padded) {
      for (let y = firstRow; y < endRow; y++) {
        const to = ownScratch + <usize>y * row + <usize>firstColumn * pixel
        memory.copy(to, source + <usize>(y - top) * imageRow + <usize>(firstColumn - left) * pixel, inside)
      }
      source = ownScratch
    }
    const to = out + <usize>(n * outImage) * FLOAT
    let o = 0
    for (; o < eights; o += 8) {
      const filter = packed + <usize>(o * allTerms) * FLOAT
      Block.convolve(
        true,
        source,
        to + <usize>o * FLOAT,
        filter,
        places,
        columns,
        inStep,
        inWrap,
        outStep,
        outWrap,
        kernelHeight,
        terms,
        skip,
        outputs - o,
      )
    }
    for (; o < outputs; o += 4) {
      const filter = packed + <usize>(o * allTerms) * FLOAT
      Block.convolve(
        false,
        source,
        to + <usize>o * FLOAT,
        filter,
        places,
        columns,
        inStep,
        inWrap,
        outStep,
        outWrap,
        kernelHeight,
        terms,
        skip,
        outputs - o,
      )
    }
  }
}
