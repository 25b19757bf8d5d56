import { int, string } from '../attributes.ts'
import { forEachIndex, stridesOf } from '../evaluate.ts'
import { type Run, type ScatterAttributes, scattering } from '../families/scattering.ts'
import { integersOf } from '../tensor.ts'
import { normalizeAxis } from '../type.ts'

export interface ScatterElementsAttributes extends ScatterAttributes {
  readonly axis: number
}

/** Each update written at its own place, moved along `axis` to where the index says. */
export const ScatterElements = scattering<'ScatterElements', ScatterElementsAttributes>(
  'ScatterElements',
  { axis: int(0), reduction: string('none', 'add', 'mul', 'max', 'min') },
  (ctx, data, indices) => {
    const picked = integersOf(indices)
    const axis = normalizeAxis(ctx.attrs.axis, data.shape.length)
    if (picked === undefined || axis === undefined) return undefined
    const size = data.shape[axis] ?? 0
    if (picked.some((i) => i < -size || i >= size)) return undefined
    const strides = stridesOf(data.shape)
    const runs: Run[] = []
    forEachIndex(indices.shape, (index, flat) => {
      const i = picked[flat] ?? 0
      const along = i < 0 ? i + size : i
      const to = strides.reduce((at, stride, a) => at + (a === axis ? along : (index[a] ?? 0)) * stride, 0)
      runs.push({ from: flat, to, count: 1 })
    })
    return runs
  },
)
