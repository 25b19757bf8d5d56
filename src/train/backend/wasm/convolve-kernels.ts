/**
 * Convolutions of images `[N, H, W, C]`, as sums over the taps and channels that lie behind an output: a block of outputs
 * for a tile of pixels stays in registers while its filter, packed so that it is read from front to back, goes by.
 */
import {
  type Body,
  choose,
  copy,
  define,
  type WasmFunction,
  int,
  type Int,
  larger,
  less,
  type Local,
  minus,
  over,
  plus,
  single,
  smaller,
  storeLane,
  times,
  vector,
  type Vector,
} from './assembler.ts'
import { bytes } from './column-kernels.ts'

/** Outputs in a wide block, and in the narrow one that the last four or fewer outputs are computed in. */
const wide = 8
const narrow = 4

/** Elements of a packed filter of so many terms (taps times channels) and outputs. */
export const packedSize = (terms: number, outputs: number): number => terms * Math.ceil(outputs / narrow) * narrow

/** The first output that is not computed in a wide block. */
const wideEndOf = (outputs: Int): Int => times(over(plus(outputs, int(narrow - 1)), int(wide)), int(wide))

const packNames = [
  'filter',
  'packed',
  'kernelHeight',
  'kernelWidth',
  'channels',
  'outputs',
  'rowStep',
  'columnStep',
  'channelStep',
  'outputStep',
] as const

const convolveNames = [
  'image',
  'packed',
  'out',
  'scratch',
  'batch',
  'height',
  'width',
  'channels',
  'top',
  'left',
  'paddedHeight',
  'paddedWidth',
  'rows',
  'columns',
  'outputs',
  'kernelHeight',
  'kernelWidth',
  'strideHeight',
  'strideWidth',
  'outImage',
  'outRow',
  'outColumn',
  'padded',
] as const

type Named<Name extends string, T> = Readonly<Record<Name, T>>

/** The address of the first tap's first element, and how far apart neighbours lie, in elements; these may be negative. */
export type Packing = Named<(typeof packNames)[number], number>

/**
 * `scratch` holds one image with its padding, zero at first; the image is not copied there where `padded` is 0, and the
 * padded sizes are then its own. Padding may be negative. `out...` are the distances between neighbours in the output, in
 * elements.
 */
export type Convolution = Named<(typeof convolveNames)[number], number>

export const packingParameters = (packing: Packing): ReadonlyArray<number> => packNames.map((name) => packing[name])

export const convolutionParameters = (convolution: Convolution): ReadonlyArray<number> =>
  convolveNames.map((name) => convolution[name])

/** Looks parameters up by name. */
const named =
  <Name extends string>(names: ReadonlyArray<Name>, parameter: (index: number) => Int) =>
  (name: Name): Int =>
    parameter(names.indexOf(name))

/** A filter as `[block of outputs, tap, channel, output in block]`; what is missing in the last block is left alone. */
const packFilter = define('packFilter', packNames.length, (b, parameter) => {
  const p = named(packNames, parameter)
  const terms = b.int(times(p('kernelHeight'), p('kernelWidth'), p('channels')))
  const wideEnd = b.int(wideEndOf(p('outputs')))
  const [rowStep, columnStep, channelStep] = [
    b.int(bytes(p('rowStep'))),
    b.int(bytes(p('columnStep'))),
    b.int(bytes(p('channelStep'))),
  ]
  const inBlocks = (from: Int, to: Int, width: number): void =>
    b.loop(from, to, 1, (o) => {
      const block = b.int(times(over(o, int(width)), int(width)))
      const target = b.int(plus(p('packed'), bytes(times(block, terms)), bytes(minus(o, block))))
      const first = b.int(plus(p('filter'), bytes(times(o, p('outputStep')))))
      b.loop(int(0), p('kernelHeight'), 1, (kh) => {
        b.loop(int(0), p('kernelWidth'), 1, (kw) => {
          const source = b.int(plus(first, times(kh, rowStep), times(kw, columnStep)))
          b.loop(int(0), p('channels'), 1, () => {
            b.put(single.store(target, single.load(source)))
            b.set(target, plus(target, int(4 * width)))
            b.set(source, plus(source, channelStep))
          })
        })
      })
    })
  inBlocks(int(0), wideEnd, wide)
  inBlocks(wideEnd, p('outputs'), narrow)
})

/** Sums that are computed together: outputs of as many pixels as there are addresses, `vectors` times four of each. */
interface Tile {
  /** Where the pixels' first terms lie; moved. */
  readonly pixels: ReadonlyArray<Local<'i32'>>
  readonly filter: Local<'i32'>
  readonly vectors: number
}

/** Pixels in a tile. */
const together = 4

/** Terms in a row of the kernel lie one after the other in the image too; `skip` bytes lead to the next row's. */
const sumTile = (
  b: Body,
  { pixels, filter, vectors }: Tile,
  rows: Int,
  terms: Int,
  skip: Int,
): ReadonlyArray<ReadonlyArray<Local<'v128'>>> => {
  const sums = pixels.map(() => Array.from({ length: vectors }, () => b.lane(vector)))
  const weights = Array.from({ length: vectors }, () => b.lane(vector))
  const x = b.lane(vector)
  for (const sum of sums.flat()) b.set(sum, vector.zero)
  b.loop(int(0), rows, 1, () => {
    b.loop(int(0), terms, 1, () => {
      for (const [v, weight] of weights.entries()) b.set(weight, vector.load(filter, 16 * v))
      b.set(filter, plus(filter, int(16 * vectors)))
      for (const [i, pixel] of pixels.entries()) {
        b.set(x, vector.spread(pixel))
        b.set(pixel, plus(pixel, int(4)))
        for (const [v, weight] of weights.entries()) {
          const sum = sums[i]?.[v]
          if (sum) b.set(sum, vector.add(sum, vector.mul(x, weight)))
        }
      }
    })
    for (const pixel of pixels) b.set(pixel, plus(pixel, skip))
  })
  return sums
}

const convolve = define('convolve', convolveNames.length, (b, parameter) => {
  const p = named(convolveNames, parameter)
  const pixel = b.int(bytes(p('channels')))
  const row = b.int(times(p('paddedWidth'), pixel))
  const terms = b.int(times(p('kernelWidth'), p('channels')))
  const skip = b.int(minus(row, bytes(terms)))
  const allTerms = b.int(times(p('kernelHeight'), terms))
  const places = b.int(times(p('rows'), p('columns')))
  // From one place of the output to the next in its row, and from the last in a row to the first in the next one.
  const lastColumn = b.int(minus(p('columns'), int(1)))
  const inStep = b.int(times(p('strideWidth'), pixel))
  const inWrap = b.int(minus(times(p('strideHeight'), row), times(lastColumn, inStep)))
  const outStep = b.int(bytes(p('outColumn')))
  const outWrap = b.int(minus(bytes(p('outRow')), times(lastColumn, outStep)))
  const inTiles = b.int(times(over(places, int(together)), int(together)))
  const wideEnd = b.int(wideEndOf(p('outputs')))
  const fullEnd = b.int(times(over(p('outputs'), int(wide)), int(wide)))
  const source = b.int(int(0))

  const [firstRow, endRow] = [larger(int(0), p('top')), smaller(p('paddedHeight'), plus(p('height'), p('top')))]
  const firstColumn = b.int(larger(int(0), p('left')))
  const endColumn = smaller(p('paddedWidth'), plus(p('width'), p('left')))
  const columnsInside = b.int(larger(int(0), minus(endColumn, firstColumn)))
  const imageRow = b.int(times(p('width'), pixel))
  const padImage = (from: Int): void =>
    b.loop(firstRow, endRow, 1, (y) => {
      const to = plus(p('scratch'), times(y, row), times(firstColumn, pixel))
      const inside = plus(from, times(minus(y, p('top')), imageRow), times(minus(firstColumn, p('left')), pixel))
      b.put(copy(to, inside, times(columnsInside, pixel)))
    })

  /** Outputs from `o` on of all places: `width` of them, of which the first `valid` are stored if that is given. */
  const block = (out: Int, o: Int, width: number, valid?: Int): void => {
    const first = b.int(plus(p('packed'), bytes(times(o, allTerms))))
    const [column, from, to] = [b.int(int(0)), b.int(source), b.int(plus(out, bytes(o)))]
    const tile = (size: number): void => {
      const pixels = Array.from({ length: size }, () => b.int(int(0)))
      const targets = Array.from({ length: size }, () => b.int(int(0)))
      for (const [i, address] of pixels.entries()) {
        const target = targets[i]
        if (!target) continue
        b.set(address, from)
        b.set(target, to)
        b.set(column, plus(column, int(1)))
        const inRow = b.int(less(column, p('columns')))
        b.set(from, plus(from, choose(inStep, inWrap, inRow)))
        b.set(to, plus(to, choose(outStep, outWrap, inRow)))
        b.set(column, choose(column, int(0), inRow))
      }
      const sums = sumTile(b, { pixels, filter: b.int(first), vectors: width / 4 }, p('kernelHeight'), terms, skip)
      for (const [i, target] of targets.entries()) store(target, sums[i] ?? [], valid)
    }
    b.loop(int(0), inTiles, together, () => tile(together))
    b.loop(inTiles, places, 1, () => tile(1))
  }

  const store = (target: Int, sums: ReadonlyArray<Vector>, valid: Int | undefined): void => {
    const whole = valid === undefined ? sums : sums.slice(0, -1)
    for (const [v, sum] of whole.entries()) b.put(vector.store(target, sum, 16 * v))
    const rest = sums[whole.length]
    if (valid === undefined || rest === undefined) return
    for (let lane = 0; lane < 4; lane++) {
      const place = 4 * whole.length + lane
      b.when(less(int(place), valid), () => b.put(storeLane(target, rest, lane, 16 * whole.length)))
    }
  }

  b.loop(int(0), p('batch'), 1, (n) => {
    b.set(source, plus(p('image'), times(n, p('height'), imageRow)))
    b.when(p('padded'), () => {
      padImage(source)
      b.set(source, p('scratch'))
    })
    const out = b.int(plus(p('out'), bytes(times(n, p('outImage')))))
    b.loop(int(0), fullEnd, wide, (o) => block(out, o, wide))
    b.loop(fullEnd, wideEnd, wide, (o) => block(out, o, wide, minus(p('outputs'), o)))
    b.loop(wideEnd, p('outputs'), narrow, (o) => block(out, o, narrow, minus(p('outputs'), o)))
  })
})

export const convolveKernels: ReadonlyArray<WasmFunction> = [packFilter, convolve]
