/**
 * What a node does, as far as it takes time, as the terms of a sum: `Σ coefficient · term` is its time. There is one list of
 * terms for each kernel of ONNX Runtime's CPU provider; a table has the coefficients (`table.ts`).
 *
 * Convolutions in two dimensions are computed in blocks of channels (`nchwc_transformer.cc` and `snchwc.cpp` of ONNX Runtime):
 * outputs in blocks of as many as a vector holds, four blocks at a time, inputs in blocks too. Fewer inputs than one block are
 * read as they lie, at a lower speed; numbers of inputs that are no multiple of 4 take the slower way of other convolutions.
 */

/** A convolution: how many channels, and what it does for each input and output. */
export interface Convolution {
  readonly kind: 'convolution'
  readonly inputs: number
  readonly outputs: number
  readonly groups: number
  readonly window: WindowWork
}

/** What a convolution does for each pair of channels; batches are counted in. */
export interface WindowWork {
  /** Whether blocks of channels are made for it: two dimensions of float32, not transposed. */
  readonly isBlocked: boolean
  /** Places of the kernel. */
  readonly size: number
  readonly isStrided: boolean
  /** Positions on the input and on the output. */
  readonly read: number
  readonly made: number
  /** Rows of the output. */
  readonly rows: number
  /** Pairs of an output position and a place of the kernel of which the row lies on the input. */
  readonly all: number
  /** Those of positions that are computed in threes, and one by one, as at the left and right edge. */
  readonly three: number
  readonly one: number
}

/** `batch` products of matrices `[rows, inner]` and `[inner, columns]`, the second of which may be a constant. */
export interface Product {
  readonly kind: 'product'
  readonly batch: number
  readonly rows: number
  readonly inner: number
  readonly columns: number
  readonly isConstant: boolean
}

/** Anything else: an operator that reads and makes so many elements. */
export interface Pointwise {
  readonly kind: 'elements'
  readonly op: string
  readonly elements: number
}

export type Work = Convolution | Product | Pointwise

/** The terms of one kernel. */
export interface Terms {
  readonly kernel: string
  readonly terms: ReadonlyArray<number>
}

/** Channels in a block: floats in a vector; 1 where nothing is computed in blocks. */
export type Block = 1 | 8 | 16

/** ONNX Runtime reads blocks of channels where there is a multiple of this many. */
const channelAlignment = 4

/** Blocks of outputs that are computed together. */
const outputBlocks = 4

/** Positions of a row that are computed together, and those that are where fewer are left. */
const [positions, fewer] = [6, 3]

/** Elements that the caches of a core hold. */
const nearElements = 2 ** 18

/** Input channels that a kernel of size 1 adds up before it stores. */
const pointwiseInputs = 128

export const termsOf = (work: Work, block: Block): Terms => {
  if (work.kind === 'elements') return elementsTerms(work)
  return work.kind === 'product' ? productTerms(work, block) : convolutionTerms(work, block)
}

const elementsTerms = ({ op, elements }: Pointwise): Terms => ({
  kernel: op,
  terms: [elements, Math.max(0, elements - nearElements), 1],
})

const productTerms = ({ batch, rows, inner, columns, isConstant }: Product, block: Block): Terms => {
  const padded = roundUp(columns, block)
  const kernel = rows === 1 ? 'vector product' : isConstant ? 'product' : 'computed product'
  const work = batch * rows * inner
  return {
    kernel,
    terms: [work * padded, batch * Math.ceil(rows / positions) * inner * padded, work, batch * rows * columns, 1],
  }
}

/** How a convolution is computed. */
export const kernelOf = ({ inputs, outputs, groups, window }: Convolution, block: Block): string => {
  const { isStrided, size } = window
  const isBlocked = window.isBlocked && block > 1
  if (groups > 1) {
    if (inputs === groups && outputs === groups) {
      return isBlocked && outputs % channelAlignment === 0 ? 'depthwise' : 'plain depthwise'
    }
    const isWhole = (inputs / groups) % block === 0 && (outputs / groups) % block === 0
    return isBlocked && isWhole ? 'blocked' : 'plain grouped'
  }
  if (isBlocked && inputs < block) return size === 1 ? 'direct pointwise' : 'direct'
  if (!isBlocked || inputs % channelAlignment !== 0) return size === 1 ? 'plain pointwise' : 'plain'
  if (size > 1) return 'blocked'
  return isStrided ? 'strided pointwise' : 'pointwise'
}

/** Whether the tensors around a kernel have to be in the order of ONNX: each input and output that is not is reordered. */
export const isPlain = (kernel: string): boolean => kernel.startsWith('plain')

/** Whether a kernel reads what is in front of it in the order of ONNX. */
export const readsPlain = (kernel: string): boolean => isPlain(kernel) || kernel.startsWith('direct')

const convolutionTerms = (c: Convolution, block: Block): Terms => {
  const kernel = kernelOf(c, block)
  const { inputs, outputs, groups, window } = c
  const { size, made, read, rows, all, three, one } = window
  if (isPlain(kernel)) {
    // A product of the weights and of what the kernel covers, which is written out before, where it is larger than 1.
    const [covered, outsOfGroup] = [made * inputs * size, outputs / groups]
    const products = covered * outsOfGroup
    const sixths = covered * Math.ceil(outsOfGroup / positions)
    const weights = (inputs / groups) * size * outputs
    return { kernel, terms: [products, sixths, covered, weights, read * inputs, made * outputs, groups - 1, 1] }
  }
  const outs = roundUp(outputs, block)
  if (kernel === 'depthwise')
    return { kernel, terms: [all, three, one, made, read, rows].map((x) => x * outs).concat(1) }
  const isDirect = kernel.startsWith('direct')
  const ins = isDirect ? inputs : roundUp(inputs / groups, block)
  const sets = Math.ceil(outputs / groups / block / outputBlocks) * groups
  const stores = isDirect ? 1 : Math.ceil(ins / (size === 1 ? pointwiseInputs : block))
  return {
    kernel,
    terms: [
      all * ins * outs,
      all * ins * sets,
      three * ins * sets,
      one * ins * sets,
      one * ins * outs,
      made * outs,
      made * outs * stores,
      size * ins * outs,
      rows * ins * sets,
      1,
    ],
  }
}

/** How a window moves along one axis: places of the kernel, steps between positions and between places, padding in front. */
export interface WindowAxis {
  readonly from: number
  readonly to: number
  readonly size: number
  readonly step: number
  readonly gap: number
  readonly before: number
}

/** The work of a window, spatial axes in order. */
export const windowWork = (batch: number, axes: ReadonlyArray<WindowAxis>, isBlocked: boolean): WindowWork => {
  const [read, made, size] = [
    axes.map(({ from }) => from),
    axes.map(({ to }) => to),
    axes.map((axis) => axis.size),
  ].map((sizes) => sizes.reduce((p, x) => p * x, 1))
  const [width] = axes.slice(-1)
  const base = {
    isBlocked: isBlocked && axes.length === 2,
    size: size ?? 1,
    isStrided: axes.some(({ step }) => step > 1),
    read: batch * (read ?? 1),
    made: batch * (made ?? 1),
    rows: (batch * (made ?? 1)) / Math.max(1, width?.to ?? 1),
  }
  // A kernel of one place takes all positions as one row.
  const isOneRow = base.size === 1 && !base.isStrided
  const to = isOneRow ? (made ?? 1) : (width?.to ?? 1)
  const inside = isOneRow || width === undefined ? to : insideOf(width)
  const rest = inside % positions
  const places = axes.slice(0, -1).reduce((p, axis) => p * placesOf(axis), 1)
  const perPosition = batch * (isOneRow ? 1 : places * (width?.size ?? 1))
  return {
    ...base,
    all: perPosition * to,
    three: perPosition * (rest - (rest % fewer)),
    one: perPosition * ((rest % fewer) + to - inside),
  }
}

/** Pairs of a position along an axis and a place of the kernel that lies on the input. */
const placesOf = ({ from, to, size, step, gap, before }: WindowAxis): number => {
  let sum = 0
  for (let place = 0; place < size; place++) sum += positionsWithin(place * gap - before, from, step, to)
  return sum
}

/** Positions of which all places of the kernel lie on the input. */
const insideOf = ({ from, to, size, step, gap, before }: WindowAxis): number => {
  const first = Math.max(0, Math.ceil(before / step))
  const last = Math.min(to - 1, Math.floor((from - 1 - (size - 1) * gap + before) / step))
  return Math.max(0, last - first + 1)
}

/** How many of `0, 1, … count - 1` are taken to `[0, end)` by `offset + step · i`. */
const positionsWithin = (offset: number, end: number, step: number, count: number): number => {
  const first = Math.max(0, Math.ceil(-offset / step))
  const last = Math.min(count - 1, Math.floor((end - 1 - offset) / step))
  return Math.max(0, last - first + 1)
}

const roundUp = (x: number, multiple: number): number => Math.ceil(x / multiple) * multiple
