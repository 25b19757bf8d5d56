/**
 * Kernels over the rows of a matrix of floats `[rows, columns]`, each a single pass. Columns are taken in blocks of 16, 4
 * and, where there are fewer, 1, so any number of them is computed in full.
 */
import {
  type Body,
  define,
  equal,
  type Expr,
  type WasmFunction,
  int,
  type Int,
  type Lanes,
  minus,
  over,
  plus,
  single,
  smaller,
  times,
  vector,
} from './assembler.ts'

export const bytes = (count: Int): Int => times(count, int(4))

/** Calls `body` for blocks of columns: the address offset of the block in a row, as wide as `width` times the lanes. */
export const columnBlocks = (
  b: Body,
  columns: Int,
  body: <K extends 'f32' | 'v128'>(offset: Int, lanes: Lanes<K>, width: number) => void,
): void => {
  const wide = b.int(times(over(columns, int(16)), int(16)))
  const narrow = b.int(times(over(columns, int(4)), int(4)))
  b.loop(int(0), wide, 16, (c) => body(b.int(bytes(c)), vector, 4))
  b.loop(wide, narrow, 4, (c) => body(b.int(bytes(c)), vector, 1))
  b.loop(narrow, columns, 1, (c) => body(b.int(bytes(c)), single, 1))
}

/** The same for results that may be computed twice: less than four columns are taken with those before them. */
const overlappingBlocks: typeof columnBlocks = (b, columns, body) => {
  const wide = b.int(times(over(columns, int(16)), int(16)))
  const narrow = b.int(times(over(columns, int(4)), int(4)))
  b.loop(int(0), wide, 16, (c) => body(b.int(bytes(c)), vector, 4))
  b.loop(wide, narrow, 4, (c) => body(b.int(bytes(c)), vector, 1))
  b.when(narrow, () => {
    b.loop(narrow, columns, 4, () => body(b.int(bytes(minus(columns, int(4)))), vector, 1))
  })
  b.when(equal(narrow, int(0)), () => {
    b.loop(int(0), columns, 1, (c) => body(b.int(bytes(c)), single, 1))
  })
}

/** Rows that are summed before the sum is added to the total: keeps rounding errors small for many rows. */
const chunk = 256

/**
 * A kernel of `inputs` matrices, then `vectors` vectors, then `outputs` vectors, rows, columns: each output is the column
 * sums of one of the expressions that `terms` makes of the elements.
 */
const summing = (
  name: string,
  inputs: number,
  vectors: number,
  outputs: number,
  terms: <K extends 'f32' | 'v128'>(
    lanes: Lanes<K>,
    elements: ReadonlyArray<Expr<K>>,
    coefficients: ReadonlyArray<Expr<K>>,
  ) => ReadonlyArray<Expr<K>>,
): WasmFunction =>
  define(name, inputs + vectors + outputs + 2, (b, parameter) => {
    const rows = parameter(inputs + vectors + outputs)
    const columns = parameter(inputs + vectors + outputs + 1)
    const stride = b.int(bytes(columns))
    overlappingBlocks(b, columns, (offset, lanes, width) => {
      const places = Array.from({ length: width }, (_, w) => w)
      const totals = places.map(() => Array.from({ length: outputs }, () => b.lane(lanes)))
      const sums = places.map(() => Array.from({ length: outputs }, () => b.lane(lanes)))
      const coefficients = places.map((w) =>
        Array.from({ length: vectors }, (_, v) => {
          const local = b.lane(lanes)
          b.set(local, lanes.load(plus(parameter(inputs + v), offset), 16 * w))
          return local
        }),
      )
      const addresses = Array.from({ length: inputs }, (_, i) => b.int(plus(parameter(i), offset)))
      for (const total of totals.flat()) b.set(total, lanes.zero)
      b.loop(int(0), rows, chunk, (first) => {
        for (const sum of sums.flat()) b.set(sum, lanes.zero)
        b.loop(first, smaller(plus(first, int(chunk)), rows), 1, () => {
          for (const w of places) {
            const elements = addresses.map((address) => lanes.load(address, 16 * w))
            for (const [o, term] of terms(lanes, elements, coefficients[w] ?? []).entries()) {
              const sum = sums[w]?.[o]
              if (sum) b.set(sum, lanes.add(sum, term))
            }
          }
          for (const address of addresses) b.set(address, plus(address, stride))
        })
        for (const [w, block] of sums.entries()) {
          for (const [o, sum] of block.entries()) {
            const total = totals[w]?.[o]
            if (total) b.set(total, lanes.add(total, sum))
          }
        }
      })
      for (const [w, block] of totals.entries()) {
        for (const [o, total] of block.entries()) {
          b.put(lanes.store(plus(parameter(inputs + vectors + o), offset), total, 16 * w))
        }
      }
    })
  })

/** A kernel of `inputs` matrices, `vectors` vectors, the output matrix, rows, columns: `term` makes every element. */
const mapping = (
  name: string,
  inputs: number,
  vectors: number,
  term: <K extends 'f32' | 'v128'>(
    lanes: Lanes<K>,
    elements: ReadonlyArray<Expr<K>>,
    coefficients: ReadonlyArray<Expr<K>>,
  ) => Expr<K>,
): WasmFunction =>
  define(name, inputs + vectors + 3, (b, parameter) => {
    const [rows, columns] = [parameter(inputs + vectors + 1), parameter(inputs + vectors + 2)]
    const stride = b.int(bytes(columns))
    overlappingBlocks(b, columns, (offset, lanes, width) => {
      const places = Array.from({ length: width }, (_, w) => w)
      const coefficients = places.map((w) =>
        Array.from({ length: vectors }, (_, v) => {
          const local = b.lane(lanes)
          b.set(local, lanes.load(plus(parameter(inputs + v), offset), 16 * w))
          return local
        }),
      )
      const addresses = Array.from({ length: inputs }, (_, i) => b.int(plus(parameter(i), offset)))
      const to = b.int(plus(parameter(inputs + vectors), offset))
      b.loop(int(0), rows, 1, () => {
        for (const w of places) {
          const elements = addresses.map((address) => lanes.load(address, 16 * w))
          b.put(lanes.store(to, term(lanes, elements, coefficients[w] ?? []), 16 * w))
        }
        for (const address of [...addresses, to]) b.set(address, plus(address, stride))
      })
    })
  })

/** A kernel of two arrays, numbers for all elements, the output, size: `term` makes every element. */
const elementwise = (
  name: string,
  term: <K extends 'f32' | 'v128'>(lanes: Lanes<K>, a: Expr<K>, b: Expr<K>, numbers: Int) => Expr<K>,
): WasmFunction =>
  define(name, 5, (b, parameter) => {
    const [first, second, numbers, out, size] = [0, 1, 2, 3, 4].map(parameter)
    if (!first || !second || !numbers || !out || !size) return
    const even = b.int(times(over(size, int(4)), int(4)))
    const each = <K extends 'f32' | 'v128'>(from: Int, to: Int, lanes: Lanes<K>): void =>
      b.loop(from, to, lanes.count, (i) => {
        const offset = b.int(bytes(i))
        const value = term(lanes, lanes.load(plus(first, offset)), lanes.load(plus(second, offset)), numbers)
        b.put(lanes.store(plus(out, offset), value))
      })
    each(int(0), even, vector)
    each(even, size, single)
  })

const at = <T>(values: ReadonlyArray<T>, index: number): T => {
  const value = values[index]
  if (value === undefined) throw new Error(`chasec: internal invariant broken: operand ${index} of a kernel.`)
  return value
}

export const columnKernels: ReadonlyArray<WasmFunction> = [
  summing('columnSums', 1, 0, 1, (_lanes, [x]) => (x ? [x] : [])),
  summing('columnSquares', 1, 1, 1, (lanes, [x], [mean]) => {
    if (x === undefined || mean === undefined) return []
    return [lanes.mul(lanes.sub(x, mean), lanes.sub(x, mean))]
  }),
  summing('columnProducts', 2, 1, 2, (lanes, [dy, x], [mean]) => {
    if (dy === undefined || x === undefined || mean === undefined) return []
    return [dy, lanes.mul(dy, lanes.sub(x, mean))]
  }),
  mapping('scaleColumns', 1, 2, (lanes, elements, coefficients) =>
    lanes.add(lanes.mul(at(elements, 0), at(coefficients, 0)), at(coefficients, 1)),
  ),
  mapping('combineColumns', 2, 3, (lanes, elements, coefficients) =>
    lanes.add(
      lanes.add(lanes.mul(at(elements, 0), at(coefficients, 0)), lanes.mul(at(elements, 1), at(coefficients, 1))),
      at(coefficients, 2),
    ),
  ),
  elementwise('reluGradient', (lanes, dy, y) => lanes.wherePositive(y, dy)),
  elementwise('clipGradient', (lanes, dy, x, bounds) => {
    const [min, max] = [lanes.spread(bounds), lanes.spread(bounds, 4)]
    return lanes.wherePositive(lanes.sub(x, min), lanes.wherePositive(lanes.sub(max, x), dy))
  }),
]
