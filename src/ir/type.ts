import type { DType } from './dtype.ts'

/**
 * One dimension: a size, or a symbol. Equal symbols are equal sizes. A symbol that starts with `?` names a size that
 * nothing else is known about; it is unique to the value and axis it was made for and is not written to files.
 */
export type Dim = number | string

export type Shape = ReadonlyArray<Dim>

/** A tensor's element type and shape. `shape` is undefined when even the rank is unknown. */
export interface TensorType {
  readonly kind: 'tensor'
  readonly dtype: DType
  readonly shape: Shape | undefined
}

/**
 * A type the compiler does not look into (sequence, optional, map, sparse tensor, or nothing known). `encoded` is the
 * serialised ONNX TypeProto where the file declared one.
 */
export interface OtherType {
  readonly kind: 'other'
  readonly encoded: Uint8Array | undefined
  /** Of a sequence that is made in the graph: what is known of each of its members. */
  readonly member?: TensorType
}

export type ValueType = TensorType | OtherType

export const unknownType: OtherType = { kind: 'other', encoded: undefined }

export const tensorType = (dtype: DType, shape: Shape | undefined): TensorType => ({ kind: 'tensor', dtype, shape })

/** The symbol for an unknown size, unique to the value `value` and its axis. */
export const unknownDim = (value: string, axis: number): Dim => `?${value}.${axis}`

export const isStatic = (dim: Dim | undefined): dim is number => typeof dim === 'number'

export const isAnonymous = (dim: Dim): boolean => typeof dim === 'string' && dim.startsWith('?')

export const staticShape = (shape: Shape | undefined): ReadonlyArray<number> | undefined => {
  if (shape === undefined) return undefined
  const out: number[] = []
  for (const dim of shape) {
    if (typeof dim !== 'number') return undefined
    out.push(dim)
  }
  return out
}

/** Number of elements of a static shape; 1 for a scalar. */
export const sizeOf = (shape: ReadonlyArray<number>): number => shape.reduce((n, d) => n * d, 1)

export const sameShape = (a: Shape | undefined, b: Shape | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && a.length === b.length && a.every((d, i) => d === b[i]))

export const sameType = (a: ValueType, b: ValueType): boolean => {
  if (a === b) return true
  if (a.kind === 'tensor') return b.kind === 'tensor' && a.dtype === b.dtype && sameShape(a.shape, b.shape)
  if (b.kind !== 'other' || a.encoded !== b.encoded) return false
  return a.member === undefined || b.member === undefined ? a.member === b.member : sameType(a.member, b.member)
}

/** Axes of the value with the most axes; what nobody trains or runs is not looked into. */
export const rankLimit = 256

/** Whether two types cannot both be of one value; symbols, and what is not known, fit everything. */
export const contradict = (a: ValueType, b: ValueType): boolean => {
  if (a.kind === 'other' || b.kind === 'other') return false
  if (a.dtype !== b.dtype) return true
  const [x, y] = [a.shape, b.shape]
  if (x === undefined || y === undefined) return false
  return x.length !== y.length || x.some((dim, axis) => isStatic(dim) && isStatic(y[axis]) && dim !== y[axis])
}

/** `axis` counted from the front; ONNX allows -rank .. rank-1. Undefined when out of range. */
export const normalizeAxis = (axis: number, rank: number): number | undefined => {
  const at = axis < 0 ? axis + rank : axis
  return at >= 0 && at < rank ? at : undefined
}

/** `float32[N,3,224,224]`; anonymous sizes print as `?`. */
export const printType = (type: ValueType): string =>
  type.kind === 'other'
    ? '?'
    : `${type.dtype}${type.shape === undefined ? '[*]' : `[${type.shape.map((d) => (isAnonymous(d) ? '?' : d)).join(',')}]`}`
