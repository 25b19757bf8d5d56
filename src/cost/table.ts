/** What the terms of work cost on one machine: coefficients in nanoseconds, measured by `chasec tune`. */
import { type Block, isPlain, readsPlain, type Terms, termsOf, type Work } from './work.ts'

export interface CostTable {
  /** What it was measured on, and by what command. */
  readonly about: string
  /** Channels in a block of ONNX Runtime's convolutions: floats in a vector. */
  readonly block: Block
  /** Threads of one operator. */
  readonly threads: number
  /** Of each kernel and operator the coefficients of its terms, nanoseconds. */
  readonly kernels: Readonly<Record<string, ReadonlyArray<number>>>
}

/** Nanoseconds of a kernel; undefined where nothing stands in the table for it. */
export const predict = ({ kernel, terms }: Terms, table: CostTable): number | undefined =>
  table.kernels[kernel]?.reduce((sum, coefficient, i) => sum + coefficient * (terms[i] ?? 0), 0)

/**
 * Nanoseconds of a node that grow with its sizes, as if all around it were in blocks of channels: what is reordered for it
 * is counted, what a node takes however small it is is not. Undefined where the table does not say.
 */
export const workTime = (work: Work, table: CostTable): number | undefined => {
  const { kernel, terms } = termsOf(work, table.block)
  const own = predict({ kernel, terms: growing(terms) }, table)
  if (own === undefined || work.kind !== 'convolution') return own
  const { read, made } = work.window
  const before = readsPlain(kernel) ? reorderTime('ReorderOutput', read * work.inputs, table) : 0
  const behind = isPlain(kernel) ? reorderTime('ReorderInput', made * work.outputs, table) : 0
  return own + before + behind
}

/** Nanoseconds of a kernel or operator however small what it works on is. */
export const leastTimeOf = (kernel: string, table: CostTable): number => table.kernels[kernel]?.at(-1) ?? 0

/** The operators that reorder what convolutions in blocks of channels read and make. */
export const reorderings = ['ReorderInput', 'ReorderOutput'] as const

/** The time of reading so many elements and writing them in another order. */
const reorderTime = (op: (typeof reorderings)[number], elements: number, table: CostTable): number =>
  workTime({ kind: 'elements', op, elements: 2 * elements }, table) ?? 0

/** The last term of all kernels is 1: what a node takes however small it is. */
const growing = (terms: ReadonlyArray<number>): ReadonlyArray<number> => terms.slice(0, -1)

/** Nanoseconds of a multiply-accumulate of a large product of matrices: what work is compared with. */
export const timeOfMacs = (table: CostTable): number => {
  const [rows, inner, columns] = [1024, 1024, 1024]
  const time = workTime({ kind: 'product', batch: 1, rows, inner, columns, isConstant: true }, table)
  return (time ?? 1) / (rows * inner * columns)
}
