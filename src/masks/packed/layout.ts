/** What a layout of packed masks has to say: which tensors it is made of, and the way from a mask to them and back. */
import * as E from 'fp-ts/lib/Either.js'
import type { DType } from '../../ir/dtype.ts'
import { type Dense, elements, tensorOf } from '../../ir/tensor.ts'
import { sizeOf } from '../../ir/type.ts'

/** The tensors of one weight by the last part of their names, `shape` not among them. */
export type Parts = ReadonlyMap<string, Dense>

/** What is wrong with a part. */
export interface Misfit {
  readonly part: string
  readonly expected: string
  readonly found: string
}

/** One way to store a mask in less than a byte for each element. */
export interface PackedLayout {
  /** As people call it. */
  readonly name: string
  /** The part that no other layout has. */
  readonly key: string
  /** Parts that must be there besides, and those that may be. */
  readonly required: ReadonlyArray<string>
  readonly optional: ReadonlyArray<string>
  /** One byte (0 or 1) for each element of a weight of this shape, row-major. */
  readonly unpack: (parts: Parts, shape: ReadonlyArray<number>) => E.Either<Misfit, Uint8Array>
}

/** The parts that stand for the bytes of a mask; undefined where the layout cannot hold them. */
export type Pack = (kept: Uint8Array, shape: ReadonlyArray<number>) => Parts | undefined

export const misfit = (part: string, expected: string, found: string): E.Either<Misfit, never> =>
  E.left({ part, expected, found })

/** A weight as a matrix: axis 0, and all others together. A vector is one row. */
export const matrixOf = (shape: ReadonlyArray<number>): readonly [rows: number, columns: number] =>
  shape.length < 2 ? [1, sizeOf(shape)] : [shape[0] ?? 1, sizeOf(shape.slice(1))]

const integers: ReadonlySet<DType> = new Set<DType>([
  ...(['uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'uint64', 'int64'] as const),
])

/** The numbers of a part with so many axes, all from `least` to `most`. */
export const indicesIn = (
  parts: Parts,
  part: string,
  least: number,
  most: number,
  axes = 1,
): E.Either<Misfit, ReadonlyArray<number>> => {
  const tensor = parts.get(part)
  const expected = `whole numbers from ${least} to ${most}`
  if (tensor === undefined || !integers.has(tensor.dtype)) {
    return misfit(part, expected, tensor === undefined ? 'none' : tensor.dtype)
  }
  if (tensor.shape.length !== axes) {
    return misfit(part, axes === 1 ? 'a list' : `${axes} axes`, shapeText(tensor.shape))
  }
  const numbers = Array.from(elements(tensor), Number)
  const wrong = numbers.find((x) => !(Number.isSafeInteger(x) && x >= least && x <= most))
  return wrong === undefined ? E.right(numbers) : misfit(part, expected, `${wrong}`)
}

/** Indices in the smallest unsigned type that holds them. */
export const indexTensor = (shape: ReadonlyArray<number>, values: ReadonlyArray<number>): Dense => {
  const largest = values.reduce((most, x) => Math.max(most, x), 0)
  return tensorOf(largest < 2 ** 8 ? 'uint8' : largest < 2 ** 16 ? 'uint16' : 'uint32', shape, values)
}

/** Whether numbers rise, each above the one before. */
export const isRising = (values: ReadonlyArray<number>): boolean =>
  values.every((x, i) => i === 0 || x > (values[i - 1] ?? Infinity))

export const shapeText = (shape: ReadonlyArray<number>): string => `[${shape.join(',')}]`
