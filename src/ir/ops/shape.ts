import * as E from 'fp-ts/lib/Either.js'
import { int, optionalInt } from '../attributes.ts'
import { keptSize } from '../families/movement.ts'
import { gatherOperands } from '../gather-operands.ts'
import { tensorInput } from '../infer.ts'
import { inputShape } from '../links.ts'
import { makeNode } from '../make-node.ts'
import { defineOp, type InferContext } from '../op.ts'
import { int64s } from '../tensor.ts'
import { isStatic, tensorType, unknownDim } from '../type.ts'
import { Add } from './add.ts'

export interface ShapeAttributes {
  /** First axis, and the one after the last; negative ones count from the end. Since opset 15. */
  readonly start: number
  readonly end: number | undefined
}

const part = <T>(ctx: InferContext<ShapeAttributes>, shape: ReadonlyArray<T>): ReadonlyArray<T> =>
  shape.slice(ctx.attrs.start, ctx.attrs.end)

/** The first opset whose Add takes integers and broadcasts as all later ones do. */
const firstAdd = 7

/**
 * The sizes of axes `start .. end` as int64. What reads a size must see that of the model as it was: where static axes
 * shrink, what they lost is added again. Sizes that are known are folded, and shapes that only copy sizes are rewritten,
 * so that few are left.
 */
export const Shape = defineOp<'Shape', ShapeAttributes>({
  name: 'Shape',
  versions: [1, Infinity],
  schema: { start: int(0), end: optionalInt },
  inferTypes: (ctx) => {
    const type = tensorInput(ctx, 0)
    if (E.isLeft(type)) return type
    const { shape } = type.right
    const length = shape === undefined ? unknownDim(ctx.outputNames[0] ?? '', 0) : part(ctx, shape).length
    return E.right([tensorType('int64', [length])])
  },
  contents: (ctx) => {
    const shape = inputShape(ctx, 0)
    return shape && part(ctx, shape)
  },
  links: (ctx) => (ctx.opset < firstAdd ? 'opaque' : []),
  ignores: (ctx, _port, axis) => isStatic(inputShape(ctx, 0)?.[axis]),
  shrink: (s) => {
    const lost = (inputShape(s, 0) ?? []).map((size, axis) =>
      isStatic(size) ? size - keptSize(s.keptInput(0, axis), size) : 0,
    )
    const amounts = part(s, lost)
    if (amounts.every((amount) => amount === 0)) return gatherOperands(s)
    const [output = ''] = s.node.outputs
    const [left, added] = [s.fresh(`${output}_left`), s.fresh(`${output}_lost`)]
    return {
      nodes: [{ ...s.node, outputs: [left] }, makeNode(Add, [left, added], s.node.outputs)],
      constants: new Map([[added, int64s(amounts)]]),
    }
  },
  evaluate: (ctx, [x]) => x && [int64s(part(ctx, x.shape))],
})
