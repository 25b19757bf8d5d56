/** Products and transposes of small matrices, many at a time. */
import { define, type WasmFunction, int, type Int, type Lanes, over, plus, single, times, vector } from './assembler.ts'
import { bytes } from './column-kernels.ts'

/**
 * `c[b] = a[b] · b[b]` for `batch` matrices, `c` is `[m, n]` and `b` `[k, n]` by rows; the elements of `a` lie `aRow` and
 * `aColumn` apart, so that it may be transposed. Blocks of four by eight stay in registers. Parameters: a, b, c, batch, m,
 * n, k, aRow, aColumn, and how far apart the matrices of a and of b are, all in elements.
 */
const product = define('matrixProduct', 11, (b, parameter) => {
  const [aBase, bBase, cBase, batch] = [parameter(0), parameter(1), parameter(2), parameter(3)]
  const [m, n, k] = [parameter(4), parameter(5), parameter(6)]
  const aRow = b.int(bytes(parameter(7)))
  const aColumn = b.int(bytes(parameter(8)))
  const [aStep, bStep] = [b.int(bytes(parameter(9))), b.int(bytes(parameter(10)))]
  const row = b.int(bytes(n))
  const end = (total: Int, size: number): Int => times(over(total, int(size)), int(size))
  const [rowEnd, wideEnd, narrowEnd] = [b.int(end(m, 4)), b.int(end(n, 8)), b.int(end(n, 4))]
  b.loop(int(0), batch, 1, (at) => {
    const left = b.int(plus(aBase, times(at, aStep)))
    const right = b.int(plus(bBase, times(at, bStep)))
    const out = b.int(plus(cBase, times(at, m, row)))
    const block = <K extends 'f32' | 'v128'>(i: Int, rows: number, j: Int, lanes: Lanes<K>, vectors: number): void => {
      const first = b.int(plus(left, times(i, aRow)))
      const lefts = Array.from({ length: rows }, (_, r) => b.int(plus(first, times(int(r), aRow))))
      const from = b.int(plus(right, bytes(j)))
      const sums = lefts.map(() => Array.from({ length: vectors }, () => b.lane(lanes)))
      const rights = Array.from({ length: vectors }, () => b.lane(lanes))
      const x = b.lane(lanes)
      for (const sum of sums.flat()) b.set(sum, lanes.zero)
      b.loop(int(0), k, 1, () => {
        for (const [v, local] of rights.entries()) b.set(local, lanes.load(from, 16 * v))
        for (const [r, block] of sums.entries()) {
          const address = lefts[r]
          if (!address) continue
          b.set(x, lanes.spread(address))
          b.set(address, plus(address, aColumn))
          for (const [v, sum] of block.entries()) {
            const local = rights[v]
            if (local) b.set(sum, lanes.add(sum, lanes.mul(x, local)))
          }
        }
        b.set(from, plus(from, row))
      })
      const to = b.int(plus(out, times(i, row), bytes(j)))
      for (const block of sums) {
        for (const [v, sum] of block.entries()) b.put(lanes.store(to, sum, 16 * v))
        b.set(to, plus(to, row))
      }
    }
    const allColumns = (i: Int, rows: number): void => {
      b.loop(int(0), wideEnd, 8, (j) => block(i, rows, j, vector, 2))
      b.loop(wideEnd, narrowEnd, 4, (j) => block(i, rows, j, vector, 1))
      b.loop(narrowEnd, n, 1, (j) => block(i, rows, j, single, 1))
    }
    b.loop(int(0), rowEnd, 4, (i) => allColumns(i, 4))
    b.loop(rowEnd, m, 1, (i) => allColumns(i, 1))
  })
})

/** `y[b] = x[b]ᵀ` for `batch` matrices of `rows` by `columns`. Parameters: x, y, batch, rows, columns. */
const transposed = define('transposeMatrices', 5, (b, parameter) => {
  const [x, y, batch, rows, columns] = [0, 1, 2, 3, 4].map(parameter)
  if (!x || !y || !batch || !rows || !columns) return
  const size = b.int(bytes(times(rows, columns)))
  const [rowBytes, columnBytes] = [b.int(bytes(columns)), b.int(bytes(rows))]
  b.loop(int(0), batch, 1, (at) => {
    const base = b.int(plus(x, times(at, size)))
    const to = b.int(plus(y, times(at, size)))
    b.loop(int(0), columns, 1, (c) => {
      const from = b.int(plus(base, bytes(c)))
      const end = b.int(plus(to, columnBytes))
      b.loop(to, end, 4, (address) => {
        b.put(single.store(address, single.load(from)))
        b.set(from, plus(from, rowBytes))
      })
      b.set(to, end)
    })
  })
})

export const matrixKernels: ReadonlyArray<WasmFunction> = [product, transposed]
