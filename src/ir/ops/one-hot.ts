import * as E from 'fp-ts/lib/Either.js'
import { int } from '../attributes.ts'
import { move, numbersOf } from '../evaluate.ts'
import { targetShape } from '../families/movement.ts'
import { tensorInput } from '../infer.ts'
import { shapeOf } from '../links.ts'
import { defineOp, type InferContext } from '../op.ts'
import { elements, isNumeric } from '../tensor.ts'
import { normalizeAxis, tensorType, unknownDim } from '../type.ts'

export interface OneHotAttributes {
  /** Where the new axis of size `depth` goes. */
  readonly axis: number
}

/** The constant depth, of any numeric type. */
const depthOf = (ctx: InferContext<unknown>): number | undefined => {
  const tensor = ctx.constant(1)
  return tensor && isNumeric(tensor.dtype) ? Number(elements(tensor)[0]) : undefined
}

/** `values = [off, on]`: on where the place along the new axis is the index, off elsewhere. */
export const OneHot = defineOp<'OneHot', OneHotAttributes>({
  name: 'OneHot',
  versions: [9, Infinity],
  schema: { axis: int(-1) },
  inferTypes: (ctx) => {
    const values = tensorInput(ctx, 2)
    if (E.isLeft(values)) return values
    const from = shapeOf(ctx.inputs[0])
    if (from === undefined) return E.right([tensorType(values.right.dtype, undefined)])
    const axis = normalizeAxis(ctx.attrs.axis, from.length + 1)
    if (axis === undefined) return E.left(`axis ${ctx.attrs.axis} for indices of rank ${from.length}`)
    const depth = depthOf(ctx) ?? unknownDim(ctx.outputNames[0] ?? '', axis)
    return E.right([tensorType(values.right.dtype, [...from.slice(0, axis), depth, ...from.slice(axis)])])
  },
  links: 'opaque',
  evaluate: (ctx, [indices, , values]) => {
    const shape = targetShape(ctx)
    const axis = shape && normalizeAxis(ctx.attrs.axis, shape.length)
    if (!indices || !values || !shape || axis === undefined || !isNumeric(indices.dtype)) return undefined
    const depth = shape[axis] ?? 0
    const inner = shape.slice(axis + 1).reduce((n, d) => n * d, 1)
    const picked = numbersOf(indices)
    let flat = 0
    const y = move(values, shape, () => {
      const place = Math.floor(flat / inner) % depth
      const i = picked[Math.floor(flat / (inner * depth)) * inner + (flat % inner)] ?? 0
      flat += 1
      return (i < 0 ? i + depth : i) === place ? 1 : 0
    })
    return y && [y]
  },
})
