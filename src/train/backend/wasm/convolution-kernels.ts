/** Gradients of convolutions over images `[N, H, W, C]`, tap by tap, without moving anything. */
import {
  bits,
  type Body,
  define,
  equal,
  type Expr,
  type WasmFunction,
  int,
  type Int,
  type Lanes,
  larger,
  minus,
  over,
  plus,
  single,
  smaller,
  times,
  vector,
} from './assembler.ts'
import { bytes, columnBlocks } from './column-kernels.ts'

/** The parameters of all kernels here after their three addresses. */
const names = [
  'batch',
  'height',
  'width',
  'channels',
  'rows',
  'columns',
  'outputs',
  'kernelHeight',
  'kernelWidth',
  'strideHeight',
  'strideWidth',
  'top',
  'left',
] as const

export type Geometry = Readonly<Record<(typeof names)[number], number>>

/** The numbers of a geometry in the order of the parameters. */
export const geometryParameters = (geometry: Geometry): ReadonlyArray<number> => names.map((name) => geometry[name])

type Parameters = Readonly<Record<(typeof names)[number], Int>>

const parametersFrom = (first: number, parameter: (index: number) => Int): Parameters => {
  const of = (name: (typeof names)[number]): Int => parameter(first + names.indexOf(name))
  return {
    batch: of('batch'),
    height: of('height'),
    width: of('width'),
    channels: of('channels'),
    rows: of('rows'),
    columns: of('columns'),
    outputs: of('outputs'),
    kernelHeight: of('kernelHeight'),
    kernelWidth: of('kernelWidth'),
    strideHeight: of('strideHeight'),
    strideWidth: of('strideWidth'),
    top: of('top'),
    left: of('left'),
  }
}

/** Rounds up; also right for a negative numerator, where it gives at most 0. */
const overUp = (a: Int, b: Int): Int => over(plus(a, minus(b, int(1))), b)

/** What one tap sees of one row of the output: where it starts in the image and in the output, and how many places. */
interface Run {
  readonly image: Int
  readonly output: Int
  readonly count: Int
  /** Index of the tap in the filter, by rows. */
  readonly tap: Int
}

/**
 * Every row of the output with every tap, places that read padding left out. Image and output places are counted in
 * pixels.
 */
const forEachRun = (b: Body, p: Parameters, body: (run: Run) => void): void => {
  b.loop(int(0), p.batch, 1, (n) => {
    b.loop(int(0), p.rows, 1, (row) => {
      const begin = b.int(minus(p.top, times(row, p.strideHeight)))
      const end = b.int(smaller(p.kernelHeight, plus(p.height, begin)))
      b.loop(larger(int(0), begin), end, 1, (kh) => {
        const imageRow = b.int(plus(times(n, p.height), minus(kh, begin)))
        b.loop(int(0), p.kernelWidth, 1, (kw) => {
          const shift = b.int(minus(kw, p.left))
          const first = b.int(larger(int(0), overUp(minus(int(0), shift), p.strideWidth)))
          // The last place whose column is inside: column · stride + shift <= width - 1.
          const inside = minus(minus(p.width, int(1)), shift)
          const last = b.int(smaller(p.columns, plus(over(plus(inside, p.strideWidth), p.strideWidth), int(0))))
          body({
            image: b.int(plus(times(imageRow, p.width), times(first, p.strideWidth), shift)),
            output: b.int(plus(times(plus(times(n, p.rows), row), p.columns), first)),
            count: b.int(minus(last, first)),
            tap: b.int(plus(times(kh, p.kernelWidth), kw)),
          })
        })
      })
    })
  })
}

/**
 * `filter[tap, i, o] += Σ image[.., i] · dy[.., o]`: blocks of four inputs by eight outputs stay in registers along a row.
 * Outputs that are left of four or more are computed with those before them, which get nothing added again. Parameters:
 * image, dy, filter (zero before), geometry.
 */
const filterGradient = define('convFilterGradient', 3 + names.length, (b, parameter) => {
  const [image, dy, filter] = [parameter(0), parameter(1), parameter(2)]
  const p = parametersFrom(3, parameter)
  const pixel = b.int(bytes(p.channels))
  const step = b.int(times(pixel, p.strideWidth))
  const outputPixel = b.int(bytes(p.outputs))
  const blocks = (total: Int, size: number): Int => times(over(total, int(size)), int(size))
  const inputEnd = b.int(blocks(p.channels, 4))
  const wideEnd = b.int(blocks(p.outputs, 8))
  const narrowEnd = b.int(blocks(p.outputs, 4))
  const inputsLeft = b.int(minus(p.channels, inputEnd))
  const outputsLeft = b.int(minus(p.outputs, narrowEnd))
  const last = b.lane(vector)
  for (const [count, lanes] of [bits(0, 0, 0, 0), bits(0, 0, 0, 1), bits(0, 0, 1, 1), bits(0, 1, 1, 1)].entries()) {
    b.when(equal(outputsLeft, int(count)), () => b.set(last, lanes))
  }
  forEachRun(b, p, ({ image: place, output, count, tap }) => {
    const x0 = b.int(plus(image, times(place, pixel)))
    const dy0 = b.int(plus(dy, times(output, outputPixel)))
    const tapFilter = b.int(plus(filter, times(tap, pixel, p.outputs)))
    const block = <K extends 'f32' | 'v128'>(
      i: Int,
      inputs: number,
      o: Int,
      lanes: Lanes<K>,
      vectors: number,
      counts?: Expr<K>,
    ): void => {
      const x = b.int(plus(x0, bytes(i)))
      const d = b.int(plus(dy0, bytes(o)))
      const sums = Array.from({ length: inputs }, () => Array.from({ length: vectors }, () => b.lane(lanes)))
      const ds = Array.from({ length: vectors }, () => b.lane(lanes))
      const xi = b.lane(lanes)
      for (const sum of sums.flat()) b.set(sum, lanes.zero)
      b.loop(int(0), count, 1, () => {
        for (const [v, local] of ds.entries()) b.set(local, lanes.load(d, 16 * v))
        for (const [row, block] of sums.entries()) {
          b.set(xi, lanes.spread(x, 4 * row))
          for (const [v, sum] of block.entries()) {
            const local = ds[v]
            if (local) b.set(sum, lanes.add(sum, lanes.mul(xi, local)))
          }
        }
        b.set(x, plus(x, step))
        b.set(d, plus(d, outputPixel))
      })
      const to = b.int(plus(tapFilter, times(i, outputPixel), bytes(o)))
      for (const block of sums) {
        for (const [v, sum] of block.entries()) {
          const term = counts === undefined ? sum : lanes.wherePositive(counts, sum)
          b.put(lanes.store(to, lanes.add(lanes.load(to, 16 * v), term), 16 * v))
        }
        b.set(to, plus(to, outputPixel))
      }
    }
    const allOutputs = (i: Int, inputs: number): void => {
      b.loop(int(0), wideEnd, 8, (o) => block(i, inputs, o, vector, 2))
      b.loop(wideEnd, narrowEnd, 4, (o) => block(i, inputs, o, vector, 1))
      b.when(narrowEnd, () => {
        b.when(outputsLeft, () => block(i, inputs, minus(p.outputs, int(4)), vector, 1, last))
      })
      b.when(equal(narrowEnd, int(0)), () => {
        b.loop(int(0), p.outputs, 1, (o) => block(i, inputs, o, single, 1))
      })
    }
    b.loop(int(0), inputEnd, 4, (i) => allOutputs(i, 4))
    for (const inputs of [1, 2, 3]) b.when(equal(inputsLeft, int(inputs)), () => allOutputs(inputEnd, inputs))
  })
})

/**
 * `filter[tap, c] += Σ image[.., c] · dy[.., c]` for depthwise convolutions with one output per input. Parameters: image,
 * dy, filter (zero before), geometry.
 */
const depthwiseFilterGradient = define('depthwiseFilterGradient', 3 + names.length, (b, parameter) => {
  const [image, dy, filter] = [parameter(0), parameter(1), parameter(2)]
  const p = parametersFrom(3, parameter)
  const pixel = b.int(bytes(p.channels))
  const step = b.int(times(pixel, p.strideWidth))
  forEachRun(b, p, ({ image: place, output, count, tap }) => {
    columnBlocks(b, p.channels, (offset, lanes, width) => {
      const x = b.int(plus(image, times(place, pixel), offset))
      const d = b.int(plus(dy, times(output, pixel), offset))
      const sums = Array.from({ length: width }, () => b.lane(lanes))
      for (const sum of sums) b.set(sum, lanes.zero)
      b.loop(int(0), count, 1, () => {
        for (const [w, sum] of sums.entries()) {
          b.set(sum, lanes.add(sum, lanes.mul(lanes.load(x, 16 * w), lanes.load(d, 16 * w))))
        }
        b.set(x, plus(x, step))
        b.set(d, plus(d, pixel))
      })
      const to = b.int(plus(filter, times(tap, pixel), offset))
      for (const [w, sum] of sums.entries()) b.put(lanes.store(to, lanes.add(lanes.load(to, 16 * w), sum), 16 * w))
    })
  })
})

/**
 * `image[.., c] += dy[.., c] · filter[tap, c]`, the way back of the same convolutions. Parameters: image (zero before),
 * dy, filter, geometry.
 */
const depthwiseInputGradient = define('depthwiseInputGradient', 3 + names.length, (b, parameter) => {
  const [image, dy, filter] = [parameter(0), parameter(1), parameter(2)]
  const p = parametersFrom(3, parameter)
  const pixel = b.int(bytes(p.channels))
  const step = b.int(times(pixel, p.strideWidth))
  forEachRun(b, p, ({ image: place, output, count, tap }) => {
    columnBlocks(b, p.channels, (offset, lanes, width) => {
      const x = b.int(plus(image, times(place, pixel), offset))
      const d = b.int(plus(dy, times(output, pixel), offset))
      const from = plus(filter, times(tap, pixel), offset)
      const weights = Array.from({ length: width }, (_, w) => {
        const local = b.lane(lanes)
        b.set(local, lanes.load(from, 16 * w))
        return local
      })
      b.loop(int(0), count, 1, () => {
        for (const [w, weight] of weights.entries()) {
          const product = lanes.mul(lanes.load(d, 16 * w), weight)
          b.put(lanes.store(x, lanes.add(lanes.load(x, 16 * w), product), 16 * w))
        }
        b.set(x, plus(x, step))
        b.set(d, plus(d, pixel))
      })
    })
  })
})

/**
 * The gradient of the largest element of each window goes to the first element that equals it. Parameters: image,
 * largest, dy, gradient of the image (zero before), geometry.
 */
const maxPoolGradient = define('maxPoolGradient', 4 + names.length, (b, parameter) => {
  const [image, largest, dy, gradient] = [parameter(0), parameter(1), parameter(2), parameter(3)]
  const p = parametersFrom(4, parameter)
  const pixel = b.int(bytes(p.channels))
  const [y, d] = [b.int(largest), b.int(dy)]
  b.loop(int(0), p.batch, 1, (n) => {
    b.loop(int(0), p.rows, 1, (row) => {
      const above = b.int(minus(times(row, p.strideHeight), p.top))
      const [firstRow, lastRow] = [b.int(larger(int(0), above)), b.int(smaller(p.height, plus(above, p.kernelHeight)))]
      b.loop(int(0), p.columns, 1, (column) => {
        const before = b.int(minus(times(column, p.strideWidth), p.left))
        const firstColumn = b.int(larger(int(0), before))
        const lastColumn = b.int(smaller(p.width, plus(before, p.kernelWidth)))
        columnBlocks(b, p.channels, (offset, lanes, width) => {
          const found = Array.from({ length: width }, () => b.lane(lanes))
          const rests = Array.from({ length: width }, () => b.lane(lanes))
          const hit = b.lane(lanes)
          for (const [w, rest] of rests.entries()) {
            b.set(rest, lanes.load(plus(d, offset), 16 * w))
            const value = found[w]
            if (value) b.set(value, lanes.load(plus(y, offset), 16 * w))
          }
          b.loop(firstRow, lastRow, 1, (r) => {
            const place = plus(times(plus(times(n, p.height), r), p.width), firstColumn)
            const from = b.int(plus(times(place, pixel), offset))
            b.loop(firstColumn, lastColumn, 1, () => {
              const to = plus(gradient, from)
              for (const [w, rest] of rests.entries()) {
                const value = found[w]
                if (!value) continue
                b.set(hit, lanes.whereEqual(lanes.load(plus(image, from), 16 * w), value, rest))
                b.set(rest, lanes.sub(rest, hit))
                b.put(lanes.store(to, lanes.add(lanes.load(to, 16 * w), hit), 16 * w))
              }
              b.set(from, plus(from, pixel))
            })
          })
        })
        b.set(y, plus(y, pixel))
        b.set(d, plus(d, pixel))
      })
    })
  })
})

export const convolutionKernels: ReadonlyArray<WasmFunction> = [
  filterGradient,
  depthwiseFilterGradient,
  depthwiseInputGradient,
  maxPoolGradient,
]
