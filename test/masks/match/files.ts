/** Masks and weights as entries of a file, for tests of matching. */
import * as E from 'fp-ts/lib/Either.js'
import type { DType } from '../../../src/ir/dtype.ts'
import { renderError } from '../../../src/ir/failure.ts'
import type { Graph } from '../../../src/ir/graph.ts'
import { dense, type Tensor, tensorOf } from '../../../src/ir/tensor.ts'
import { sizeOf } from '../../../src/ir/type.ts'
import type { FileEntry } from '../../../src/masks/file-entry.ts'
import { expandMask } from '../../../src/masks/mask.ts'
import { type MaskFileError, type Matching, matchMasks, type MatchOptions } from '../../../src/masks/match/index.ts'
import { normals, uniforms } from '../../inflate.ts'

export type Numbers = ReadonlyArray<number>

export const entry = (name: string, shape: Numbers, values: Numbers, dtype: DType = 'bool'): FileEntry => {
  const tensor = dtype === 'bool' ? dense(dtype, shape, Uint8Array.from(values)) : tensorOf(dtype, shape, values)
  return { name, size: tensor.bytes.length, decode: () => E.right(tensor) }
}

/** Seeded 0 and 1, both among them. */
export const bits = (shape: Numbers, seed = 1): Numbers => {
  const uniform = uniforms(seed)
  return Array.from({ length: sizeOf(shape) }, (_, i) => (i === 1 ? 0 : i === 2 ? 1 : Number(uniform() < 0.6)))
}

/** A mask of seeded 0 and 1. */
export const maskEntry = (name: string, shape: Numbers, seed = 1): FileEntry => entry(name, shape, bits(shape, seed))

/** Seeded normal numbers, as float32 holds them. */
export const reals = (shape: Numbers, seed = 1): Numbers => {
  const normal = normals(uniforms(seed))
  return Array.from({ length: sizeOf(shape) }, () => Math.fround(normal()))
}

export const real = (shape: Numbers, seed = 1): Tensor => tensorOf('float32', shape, reals(shape, seed))

/** The elements of `values[rows, columns]` in the order of its transpose. */
export const turned = (values: Numbers, [rows = 0, columns = 0]: Numbers): Numbers =>
  Array.from({ length: rows * columns }, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)] ?? NaN)

export const matched = (graph: Graph, entries: ReadonlyArray<FileEntry>, options: MatchOptions = {}): Matching => {
  const matching = matchMasks(entries, graph, options)
  if (E.isLeft(matching)) throw new Error(renderError(matching.left))
  return matching.right
}

export const refusal = (graph: Graph, entries: ReadonlyArray<FileEntry>, options: MatchOptions = {}): MaskFileError => {
  const matching = matchMasks(entries, graph, options)
  if (E.isRight(matching)) throw new Error('no failure')
  return matching.left
}

/** Which elements of a constant are kept. */
export const keptOf = ({ masks }: Matching, name: string): Numbers | undefined => {
  const mask = masks.get(name)
  return mask === undefined ? undefined : [...expandMask(mask)]
}

export const waysOf = ({ assignments }: Matching): ReadonlyArray<string> => assignments.map(({ way }) => way)
