/**
 * Masks: which elements of a weight count. The masked model is the model with every masked weight multiplied by its
 * mask. A weight without a mask is kept whole.
 */
import { invariant } from '../ir/failure.ts'
import type { ValueId } from '../ir/op.ts'
import { elements as elementsOf, gather, pieces, type Tensor } from '../ir/tensor.ts'
import { sizeOf } from '../ir/type.ts'

/**
 * The mask of one weight: an element is kept when `elements` keeps it, every axis keeps its index, and `within` is not zero
 * there. Whole channels take one byte each in `axes`, whatever the size of the weight; `elements` is there only where single
 * weights are masked; `within` takes no memory of the mask, and is read whenever that is. 1 is kept, 0 is masked; nothing else
 * occurs. Never written to after it was made.
 */
export interface Mask {
  readonly shape: ReadonlyArray<number>
  /** One byte per element of the weight, row-major; undefined keeps all. */
  readonly elements: Uint8Array | undefined
  /** Per axis one byte per index; undefined keeps all. */
  readonly axes: ReadonlyArray<Uint8Array | undefined>
  /** A tensor of the shape of the weight, mostly the weight itself; undefined keeps all. */
  readonly within?: Tensor | undefined
}

/** Masks by the name of the constant that holds the weight. */
export type Masks = ReadonlyMap<ValueId, Mask>

export const noMasks: Masks = new Map()

/** The mask that keeps everything. */
export const wholeMask = (shape: ReadonlyArray<number>): Mask => ({
  shape,
  elements: undefined,
  axes: shape.map(() => undefined),
})

/** A mask from one byte (0 or 1) per element, row-major. */
export const elementMask = (shape: ReadonlyArray<number>, kept: Uint8Array): Mask => {
  invariant(kept.length === sizeOf(shape), `${kept.length} bytes mask a weight of shape [${shape.join(',')}]`)
  return { ...wholeMask(shape), elements: kept }
}

/** A mask from one byte (0 or 1) per index along `axis`. */
export const axisMask = (shape: ReadonlyArray<number>, axis: number, kept: Uint8Array): Mask => {
  invariant(kept.length === shape[axis], `${kept.length} bytes mask axis ${axis} of shape [${shape.join(',')}]`)
  return { ...wholeMask(shape), axes: shape.map((_, a) => (a === axis ? kept : undefined)) }
}

/** The mask that keeps what is not zero in `tensor`. */
export const nonZeroMask = (tensor: Tensor): Mask => ({ ...wholeMask(tensor.shape), within: tensor })

const both = (a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined => {
  if (a === undefined || b === undefined || a === b) return a ?? b
  return a.map((kept, i) => kept & (b[i] ?? 0))
}

/** Keeps what both masks of a weight keep. Shares what only one of them has. */
export const intersectMask = (a: Mask, b: Mask): Mask => {
  invariant(
    a.shape.length === b.shape.length && a.shape.every((d, i) => d === b.shape[i]),
    `masks of shapes [${a.shape.join(',')}] and [${b.shape.join(',')}] for one weight`,
  )
  const isOne = a.within === undefined || b.within === undefined || a.within === b.within
  return {
    shape: a.shape,
    elements: both(a.elements, isOne ? b.elements : both(b.elements, b.within && nonZeros(b.within))),
    axes: a.axes.map((kept, i) => both(kept, b.axes[i])),
    within: a.within ?? b.within,
  }
}

/** One byte per element: 0 where it is zero. */
const nonZeros = (tensor: Tensor): Uint8Array => {
  const out = new Uint8Array(sizeOf(tensor.shape))
  let at = 0
  for (const { rows } of pieces(tensor)) {
    for (const value of elementsOf(rows)) out[at++] = Number(value) === 0 ? 0 : 1
  }
  return out
}

/** Keeps what both sets of masks keep. */
export const intersectMasks = (a: Masks, b: Masks): Masks => {
  if (b.size === 0) return a
  const out = new Map(a)
  for (const [name, mask] of b) {
    const known = out.get(name)
    out.set(name, known === undefined ? mask : intersectMask(known, mask))
  }
  return out
}

/** One byte per element, row-major: 1 kept, 0 masked. Not to be written to; the mask's own bytes where it has no axes. */
export const expandMask = (mask: Mask): Uint8Array => {
  const given = both(mask.elements, mask.within && nonZeros(mask.within))
  if (given !== undefined && mask.axes.every((kept) => kept === undefined)) return given
  const isOwn = given !== undefined && given !== mask.elements
  const out = isOwn ? given : (given?.slice() ?? new Uint8Array(sizeOf(mask.shape)).fill(1))
  const [rows, ...others] = mask.axes
  const inner = mask.shape.length === 0 ? 1 : sizeOf(mask.shape.slice(1))
  // All rows have the same along the other axes.
  const row = others.some((kept) => kept !== undefined) ? maskAxes(mask.shape.slice(1), others) : undefined
  for (let start = 0, i = 0; start < out.length; start += inner, i++) {
    if (rows?.[i] === 0) out.fill(0, start, start + inner)
    else if (row !== undefined && given === undefined) out.set(row, start)
    else if (row !== undefined) for (let k = 0; k < inner; k++) out[start + k] = (out[start + k] ?? 0) & (row[k] ?? 0)
  }
  return out
}

/** One byte per element of what the axes keep. */
const maskAxes = (shape: Mask['shape'], axes: Mask['axes']): Uint8Array => {
  const out = new Uint8Array(sizeOf(shape)).fill(1)
  for (const [axis, kept] of axes.entries()) {
    if (kept === undefined) continue
    const inner = sizeOf(shape.slice(axis + 1))
    const period = inner * kept.length
    for (const [i, keep] of kept.entries()) {
      if (keep === 1) continue
      for (let start = i * inner; start < out.length; start += period) out.fill(0, start, start + inner)
    }
  }
  return out
}

/** What a mask says of the rows (indices along axis 0) from `first` to before `end`; a scalar is one row. */
export const maskRows = (mask: Mask, first: number, end: number): Mask => {
  const { shape, elements, axes, within } = mask
  if (shape.length === 0) return mask
  const inner = sizeOf(shape.slice(1))
  return {
    shape: [end - first, ...shape.slice(1)],
    elements: elements?.subarray(first * inner, end * inner),
    axes: axes.map((kept, axis) => (axis === 0 ? kept?.subarray(first, end) : kept)),
    within:
      within &&
      gather(
        within,
        0,
        Int32Array.from({ length: end - first }, (_, i) => first + i),
      ),
  }
}

/** Whether an element, by its row-major index, is kept; undefined where the mask is what is not zero in a tensor. */
export const keptReader = ({ shape, elements, axes, within }: Mask): ((index: number) => boolean) | undefined => {
  if (within !== undefined) return undefined
  const ofAxes = axes.flatMap((kept, axis) =>
    kept === undefined ? [] : [{ kept, inner: sizeOf(shape.slice(axis + 1)), size: shape[axis] ?? 1 }],
  )
  return (index) =>
    elements?.[index] !== 0 && ofAxes.every(({ kept, inner, size }) => kept[Math.floor(index / inner) % size] !== 0)
}

/** How many elements a mask keeps. */
export const keptCount = (mask: Mask): number => {
  if (mask.elements === undefined && mask.within === undefined) {
    return mask.shape.reduce((n, d, axis) => {
      const kept = mask.axes[axis]
      return n * (kept === undefined ? d : onesIn(kept))
    }, 1)
  }
  return onesIn(expandMask(mask))
}

/** How many of some bytes, each 0 or 1, are 1. */
export const onesIn = (bytes: Uint8Array): number => {
  let count = 0
  for (let i = 0; i < bytes.length; i++) count += bytes[i] ?? 0
  return count
}

/** Whether two masks of a weight keep the same elements. */
export const sameMask = (a: Mask, b: Mask): boolean => {
  if (a === b) return true
  const [x, y] = [expandMask(a), expandMask(b)]
  return x.length === y.length && x.every((kept, i) => kept === y[i])
}
