/** N of M: as many kept in every group of neighbours along an axis. */
import * as E from 'fp-ts/lib/Either.js'
import { int64s } from '../../ir/tensor.ts'
import { sameShape, sizeOf } from '../../ir/type.ts'
import { indexTensor, indicesIn, isRising, misfit, type Pack, type PackedLayout, shapeText } from './layout.ts'

/** Groups that are looked for. */
const groupSizes = [4, 8, 16, 32, 64, 2] as const

/**
 * `group_indices`, `[before, groups, after, N]`, and `group`, int64 `[M, axis]`: of each M neighbours along an axis of the weight, of which M
 * divides the size, the places from 0 of the N that are kept, rising. `before` and `after` are the sizes of the axes in front of it and
 * behind it, multiplied.
 */
export const groups: PackedLayout = {
  name: 'N:M groups',
  key: 'group_indices',
  required: ['group'],
  optional: [],
  unpack: (parts, shape) => {
    const given = indicesIn(parts, 'group', 0, Number.MAX_SAFE_INTEGER)
    if (E.isLeft(given)) return given
    const [size = 0, axis = -1] = given.right
    const length = shape[axis] ?? -1
    if (given.right.length !== 2 || size < 1 || length < 0 || length % size !== 0) {
      const expected = `the size of a group and an axis of ${shapeText(shape)} that it divides`
      return misfit('group', expected, shapeText(given.right))
    }
    const places = placesOf(shape, axis, size)
    const found = parts.get('group_indices')?.shape ?? []
    const count = found.at(-1) ?? -1
    if (!sameShape(found, [...places.shape, count])) {
      return misfit('group_indices', `${shapeText([...places.shape])} and N`, shapeText(found))
    }
    const indices = indicesIn(parts, 'group_indices', 0, size - 1, 4)
    if (E.isLeft(indices)) return indices
    const out = new Uint8Array(sizeOf(shape))
    for (let group = 0; group < places.count; group++) {
      const own = indices.right.slice(group * count, (group + 1) * count)
      if (!isRising(own)) return misfit('group_indices', 'places that rise in every group', shapeText(own))
      for (const index of own) out[places.at(group, index)] = 1
    }
    return E.right(out)
  },
}

/** See {@link PackedLayout}: the way there. */
export const packGroups: Pack = (kept, shape) => {
  if (kept.length === 0) return undefined
  let best: { readonly size: number; readonly axis: number; readonly indices: ReadonlyArray<number> } | undefined
  for (const [axis, length] of shape.entries()) {
    for (const size of groupSizes) {
      if (length === 0 || length % size !== 0) continue
      const indices = evenIndices(kept, shape, axis, size)
      if (indices !== undefined && (best === undefined || indices.length < best.indices.length)) {
        best = { size, axis, indices }
      }
    }
  }
  if (best === undefined) return undefined
  const { size, axis, indices } = best
  const places = placesOf(shape, axis, size)
  const tensor = indexTensor([...places.shape, indices.length / places.count], indices)
  return new Map([
    ['group_indices', tensor],
    ['group', int64s([size, axis])],
  ])
}

/** The groups of neighbours along an axis, and where the elements of each are. */
const placesOf = (shape: ReadonlyArray<number>, axis: number, size: number) => {
  const [before, after] = [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis + 1))]
  const along = (shape[axis] ?? 0) / size
  return {
    shape: [before, along, after],
    count: before * along * after,
    at: (group: number, index: number): number => {
      const [outer, inner] = [Math.floor(group / after), group % after]
      return (outer * size + index) * after + inner
    },
  }
}

/** The places kept in all groups, one group after the other; undefined where groups keep unequal numbers, or all of theirs. */
const evenIndices = (
  kept: Uint8Array,
  shape: ReadonlyArray<number>,
  axis: number,
  size: number,
): ReadonlyArray<number> | undefined => {
  const places = placesOf(shape, axis, size)
  const out: number[] = []
  let each: number | undefined
  for (let group = 0; group < places.count; group++) {
    const before = out.length
    for (let index = 0; index < size; index++) if (kept[places.at(group, index)] === 1) out.push(index)
    each ??= out.length
    if (each === size || out.length - before !== each) return undefined
  }
  return out
}
