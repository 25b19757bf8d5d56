import * as E from 'fp-ts/lib/Either.js'
import { forEachIndex } from '../evaluate.ts'
import { tensorInput } from '../infer.ts'
import { defineOp } from '../op.ts'
import { elements, int64s, isNumeric } from '../tensor.ts'
import { tensorType, unknownDim } from '../type.ts'

/** Indices of all elements other than zero, one column each: `[rank, count]`. */
export const NonZero = defineOp<'NonZero', Record<never, never>>({
  name: 'NonZero',
  versions: [9, Infinity],
  schema: {},
  inferTypes: (ctx) => {
    const type = tensorInput(ctx, 0)
    if (E.isLeft(type)) return type
    const name = ctx.outputNames[0] ?? ''
    return E.right([tensorType('int64', [type.right.shape?.length ?? unknownDim(name, 0), unknownDim(name, 1)])])
  },
  links: 'opaque',
  evaluate: (_ctx, [x]) => {
    // Runtimes differ on what a scalar gives.
    if (!x || !isNumeric(x.dtype) || x.shape.length === 0) return undefined
    const values = elements(x)
    const columns: number[][] = []
    forEachIndex(x.shape, (index, flat) => {
      if (Number(values[flat]) !== 0) columns.push([...index])
    })
    const rows = x.shape.map((_, axis) => columns.map((column) => column[axis] ?? 0))
    return [int64s(rows.flat(), [x.shape.length, columns.length])]
  },
})
