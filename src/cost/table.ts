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

/** Nanoseconds of a node. */
export interface Time {
  /** What grows with the sizes, what is reordered around the node counted. */
  readonly work: number
  /** What the node takes besides, however small it is. */
  readonly node: number
}

/** Nanoseconds of a kernel, of what stands in the table for it; undefined where nothing does. */
export const predict = ({ kernel, terms }: Terms, table: CostTable): number | undefined => {
  const time = kernelTime(kernel, terms, table)
  return time && time.work + time.node
}

/** What a node takes, as if all around it were in blocks of channels; undefined where the table does not say. */
export const timeOf = (work: Work, table: CostTable): Time | undefined => {
  const { kernel, terms } = termsOf(work, table.block)
  const own = kernelTime(kernel, terms, table)
  if (own === undefined || work.kind !== 'convolution') return own
  const { read, made } = work.window
  const before = readsPlain(kernel) ? elementsTime(reorderings.out, 2 * read * work.inputs, table) : none
  const behind = isPlain(kernel) ? elementsTime(reorderings.in, 2 * made * work.outputs, table) : none
  return sumOf([own, before, behind])
}

export const sumOf = (times: ReadonlyArray<Time>): Time =>
  times.reduce((sum, { work, node }) => ({ work: sum.work + work, node: sum.node + node }), none)

const none: Time = { work: 0, node: 0 }

const kernelTime = (kernel: string, terms: ReadonlyArray<number>, table: CostTable): Time | undefined => {
  const coefficients = table.kernels[kernel]
  if (coefficients === undefined) return undefined
  const all = terms.reduce((sum, term, i) => sum + term * (coefficients[i] ?? 0), 0)
  // The last term is 1 for all kernels.
  const node = coefficients.at(-1) ?? 0
  return { work: all - node, node }
}

/** Nanoseconds of a multiply-accumulate of a large product of matrices: what work is compared with. */
export const timeOfMacs = (table: CostTable): number => {
  const [rows, inner, columns] = [1024, 1024, 1024]
  const time = timeOf({ kind: 'product', batch: 1, rows, inner, columns, isConstant: true }, table)
  return (time?.work ?? 1) / (rows * inner * columns)
}

/** The names under which reordering is in a table, as if they were operators. */
export const reorderings = { in: 'ReorderInput', out: 'ReorderOutput' } as const

/** What an operator takes that reads and makes so many elements; as much as an addition for one that is not in the table. */
export const elementsTime = (op: string, elements: number, table: CostTable): Time => {
  const terms = termsOf({ kind: 'elements', op, elements }, table.block).terms
  return kernelTime(op, terms, table) ?? kernelTime('Add', terms, table) ?? none
}
