/** What a layer takes as it is and in parts, by a table of costs: nanoseconds. */
import { type CostTable, predict } from '../../cost/table.ts'
import { type Convolution, isPlain, termsOf, type Work } from '../../cost/work.ts'

/** A layer in parts: how many, what each reads, and whether channels are put in another order in front and behind. */
export interface Plan {
  readonly parts: number
  readonly inputs: number
  readonly isMovedBefore: boolean
  readonly isMovedBehind: boolean
}

/** The sizes of a product of matrices. */
export interface Sizes {
  readonly rows: number
  readonly inputs: number
  readonly outputs: number
  /** Threads that it is computed on. */
  readonly threads: number
}

const timeOf = (work: Work, table: CostTable): number => predict(termsOf(work, table.block), table) ?? NaN

/** An operator that reads and writes so many elements together; what is not in the table takes as much as an addition. */
const moving = (op: string, elements: number, table: CostTable): number =>
  timeOf({ kind: 'elements', op: op in table.kernels ? op : 'Add', elements }, table)

/**
 * Elements that are moved within caches, and what each further one takes: a nanosecond, ten to twenty times what tables say, as
 * measured where other programs use the memory as well (`npm run bench -- lowering`).
 */
const [nearElements, farElement] = [2 ** 19, 1]

const movingFar = (op: string, elements: number, table: CostTable): number =>
  moving(op, elements, table) + farElement * Math.max(0, elements - nearElements)

export const productTime = ({ rows, inputs, outputs, threads }: Sizes, table: CostTable): number =>
  timeOf({ kind: 'product', batch: 1, rows, inner: inputs, columns: outputs, isConstant: true }, table) / threads

/**
 * A batch of products, with what turns rows into columns, puts them in order and back. Threads share the products and what is
 * gathered; what is turned, one of them turns.
 */
export const batchTime = ({ rows, inputs, outputs, threads }: Sizes, plan: Plan, table: CostTable): number => {
  const { parts, inputs: inner, isMovedBefore, isMovedBehind } = plan
  const one = { kind: 'product', batch: parts, inner, isConstant: false } as const
  const columns = outputs / parts
  const product =
    rows === 1 ? timeOf({ ...one, rows: 1, columns }, table) : timeOf({ ...one, rows: columns, columns: rows }, table)
  const turned =
    rows === 1
      ? 0
      : movingFar('Transpose', 2 * rows * inputs, table) + movingFar('Transpose', 2 * rows * outputs, table)
  const before = isMovedBefore ? movingFar('Gather', rows * (inputs + parts * inner), table) : 0
  const behind = isMovedBehind ? movingFar('Gather', 2 * rows * outputs, table) : 0
  // Sizes are told anew, and a bias may be added.
  return (product + before + behind) / threads + turned + views * moving('Add', 0, table)
}

/** Nodes around a batch that tell sizes only. */
const views = 4

export const convolutionTime = (work: Convolution, table: CostTable): number => timeOf(work, table)

/**
 * A convolution in groups. Channels are put in another order as ONNX has them, so that blocks of them are taken apart and made again;
 * and what the convolution computes while it stores, a sum and an activation, comes behind.
 */
export const groupedTime = (work: Convolution, plan: Plan, table: CostTable): number => {
  const { parts, inputs, isMovedBefore, isMovedBehind } = plan
  const grouped: Convolution = { ...work, inputs: parts * inputs, groups: parts }
  const { kernel } = termsOf(grouped, table.block)
  const [read, gathered] = [work.window.read * work.inputs, work.window.read * parts * inputs]
  const made = work.window.made * work.outputs
  const reordered = (elements: number): number =>
    moving('ReorderInput', 2 * elements, table) + moving('ReorderOutput', 2 * elements, table)
  const isOrdered = isPlain(kernel)
  // Whole images are moved, which is slow only where there are more of them then.
  const copied = farElement * Math.max(0, gathered - read - nearElements / 2)
  const before = isMovedBefore ? moving('Gather', read + gathered, table) + copied : 0
  const behind = isMovedBehind
    ? moving('Gather', 2 * made, table) + moving('Relu', 2 * made, table) + moving('Add', 3 * made, table)
    : 0
  return (
    timeOf(grouped, table) +
    before +
    behind +
    (isMovedBefore || isOrdered ? reordered(Math.max(read, gathered)) : 0) +
    (isMovedBehind || isOrdered ? reordered(made) : 0)
  )
}
