import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { optionalFloat } from '../attributes.ts'
import { isFloat, isWide } from '../dtype.ts'
import { broadcastElements, numbersOf } from '../evaluate.ts'
import { finite, isReal } from '../families/elementwise.ts'
import { tensorInput } from '../infer.ts'
import { sameAxes } from '../links.ts'
import { defineOp, type InferContext } from '../op.ts'
import { type Dense, elements, isNumeric } from '../tensor.ts'
import { uniformValue } from '../slices.ts'

export interface ClipAttributes {
  readonly min: number | undefined
  readonly max: number | undefined
}

/** A bound on port `port`, or the attribute it was before opset 11; `absent` without one, undefined where not constant. */
const bound = (ctx: InferContext<ClipAttributes>, port: 1 | 2, absent: number): number | undefined => {
  if (ctx.opset < 11) return (port === 1 ? ctx.attrs.min : ctx.attrs.max) ?? absent
  if (ctx.inputs[port] === undefined) return absent
  const tensor = ctx.constant(port)
  return tensor && uniformValue(tensor)
}

/** `min(max(x, min), max)`; the bounds are scalars, attributes before opset 11. */
export const Clip = defineOp<'Clip', ClipAttributes>({
  name: 'Clip',
  versions: [6, Infinity],
  schema: { min: optionalFloat, max: optionalFloat },
  inferTypes: (ctx) =>
    pipe(
      tensorInput(ctx, 0),
      E.map((type) => [type]),
    ),
  links: (ctx) => sameAxes(ctx),
  constant: (ctx, [x]) => {
    const [low, high] = [bound(ctx, 1, -Infinity), bound(ctx, 2, Infinity)]
    if (!isReal(ctx) || typeof x !== 'number' || low === undefined || high === undefined) return undefined
    return finite(Math.min(Math.max(x, low), high))
  },
  total: true,
  evaluate: (ctx, [x, min, max]) => {
    if (!x || !isNumeric(x.dtype)) return undefined
    const y = isWide(x.dtype) ? clipWide(x, min, max) : clipNumbers(ctx, x, min, max)
    return y && [y]
  },
})

const clipWide = (x: Dense, min: Dense | undefined, max: Dense | undefined): Dense | undefined => {
  const [low, high] = [firstBigInt(min), firstBigInt(max)]
  return broadcastElements(x.dtype, [x], Number, (v) => {
    const raised = low !== undefined && v < low ? low : v
    return high !== undefined && raised > high ? high : raised
  })
}

const firstBigInt = (tensor: Dense | undefined): bigint | undefined => {
  const value = tensor && elements(tensor)[0]
  return typeof value === 'bigint' ? value : undefined
}

const clipNumbers = (
  ctx: InferContext<ClipAttributes>,
  x: Dense,
  min: Dense | undefined,
  max: Dense | undefined,
): Dense | undefined => {
  if (ctx.opset < 11 && !isFloat(x.dtype)) return undefined
  const low = min === undefined ? bound(ctx, 1, -Infinity) : numbersOf(min)[0]
  const high = max === undefined ? bound(ctx, 2, Infinity) : numbersOf(max)[0]
  if (low === undefined || high === undefined) return undefined
  return broadcastElements(x.dtype, [x], (v) => Math.min(Math.max(v, low), high))
}
