/** Constant fan-in: as many weights kept of each neuron, but of those that have none. */
import * as E from 'fp-ts/lib/Either.js'
import { dense } from '../../ir/tensor.ts'
import { sameShape, sizeOf } from '../../ir/type.ts'
import {
  indexTensor,
  indicesIn,
  isRising,
  matrixOf,
  misfit,
  type Pack,
  type PackedLayout,
  shapeText,
} from './layout.ts'

/**
 * `fan_in_indices`, `[A, K]`, and, where neurons are gone, `active_neuron_idx`, bool `[R]`: of each of the A neurons (rows of the matrix)
 * that are active the columns of the K weights that are kept, rising; the others keep none. What the condensed layers of SRigL
 * (arXiv 2305.02299) compute from. Without `active_neuron_idx` all are.
 */
export const fanIn: PackedLayout = {
  name: 'constant fan-in',
  key: 'fan_in_indices',
  required: [],
  optional: ['active_neuron_idx'],
  unpack: (parts, shape) => {
    const [rows, columns] = matrixOf(shape)
    const active = activeRows(parts, rows)
    if (E.isLeft(active)) return active
    const found = parts.get('fan_in_indices')?.shape ?? []
    const count = found[1] ?? 0
    if (!sameShape(found, [active.right.length, count])) {
      return misfit('fan_in_indices', `[${active.right.length}, K], a row for each neuron`, shapeText(found))
    }
    const indices = indicesIn(parts, 'fan_in_indices', 0, columns - 1, 2)
    if (E.isLeft(indices)) return indices
    const out = new Uint8Array(sizeOf(shape))
    for (const [i, row] of active.right.entries()) {
      const own = indices.right.slice(i * count, (i + 1) * count)
      if (!isRising(own)) return misfit('fan_in_indices', 'columns that rise in every row', shapeText(own))
      for (const column of own) out[row * columns + column] = 1
    }
    return E.right(out)
  },
}

/** See {@link PackedLayout}: the way there. */
export const packFanIn: Pack = (kept, shape) => {
  const [rows, columns] = matrixOf(shape)
  const active = new Uint8Array(rows)
  const indices: number[] = []
  let count: number | undefined
  for (let row = 0; row < rows; row++) {
    const before = indices.length
    for (let column = 0; column < columns; column++) if (kept[row * columns + column] === 1) indices.push(column)
    const own = indices.length - before
    if (own === 0) continue
    if (count !== undefined && own !== count) return undefined
    ;[active[row], count] = [1, own]
  }
  if (count === undefined) return undefined
  const parts = new Map([['fan_in_indices', indexTensor([indices.length / count, count], indices)]])
  if (active.includes(0)) parts.set('active_neuron_idx', dense('bool', [rows], active))
  return parts
}

const activeRows = (parts: Parameters<PackedLayout['unpack']>[0], rows: number): ReturnType<typeof indicesIn> => {
  const tensor = parts.get('active_neuron_idx')
  const all = Array.from({ length: rows }, (_, row) => row)
  if (tensor === undefined) return E.right(all)
  if (tensor.dtype !== 'bool' || !sameShape(tensor.shape, [rows]) || tensor.bytes.some((byte) => byte > 1)) {
    return misfit('active_neuron_idx', `bool [${rows}]`, `${tensor.dtype} ${shapeText(tensor.shape)}`)
  }
  return E.right(all.filter((row) => tensor.bytes[row] === 1))
}
