import { string } from '../attributes.ts'
import { stridesOf } from '../evaluate.ts'
import { type Run, type ScatterAttributes, scattering } from '../families/scattering.ts'
import { integersOf } from '../tensor.ts'
import { sizeOf } from '../type.ts'

/** Slices of the data replaced at the places that the vectors along the last axis of the indices name. */
export const ScatterND = scattering<'ScatterND', ScatterAttributes>(
  'ScatterND',
  { reduction: string('none', 'add', 'mul', 'max', 'min') },
  (_ctx, data, indices) => {
    const picked = integersOf(indices)
    const depth = indices.shape.at(-1) ?? 0
    if (picked === undefined) return undefined
    const strides = stridesOf(data.shape)
    const count = sizeOf(data.shape.slice(depth))
    const runs: Run[] = []
    for (let k = 0; k < sizeOf(indices.shape.slice(0, -1)); k++) {
      let to = 0
      for (let a = 0; a < depth; a++) {
        const size = data.shape[a] ?? 0
        const i = picked[k * depth + a] ?? 0
        if (i < -size || i >= size) return undefined
        to += (i < 0 ? i + size : i) * (strides[a] ?? 0)
      }
      runs.push({ from: k * count, to, count })
    }
    return runs
  },
)
