import * as E from 'fp-ts/lib/Either.js'
import { isWide } from '../dtype.ts'
import { generate, numbersOf } from '../evaluate.ts'
import { notDefined } from '../families/half-precision.ts'
import { targetShape } from '../families/movement.ts'
import { tensorInput } from '../infer.ts'
import { outputShape } from '../links.ts'
import { defineOp, type InferContext } from '../op.ts'
import { isKnownElement } from '../sizes.ts'
import { numbersIn, tensorOf } from '../tensor.ts'
import { type Dim, isStatic, sizeOf, tensorType, unknownDim } from '../type.ts'

/** Start, limit and step where they are known. */
const boundsOf = (ctx: InferContext<unknown>): ReadonlyArray<Dim | undefined> =>
  [0, 1, 2].map((port) => {
    const tensor = ctx.constant(port)
    if (tensor === undefined) return ctx.content(port)?.[0]
    return sizeOf(tensor.shape) === 1 ? numbersIn(tensor)?.[0] : undefined
  })

/** `start, start + delta, ..` up to but not including `limit`, from three scalars of one type. */
export const Range = defineOp<'Range', Record<never, never>>({
  name: 'Range',
  versions: [11, Infinity],
  float32: notDefined,
  schema: {},
  inferTypes: (ctx) => {
    const type = tensorInput(ctx, 0)
    if (E.isLeft(type)) return type
    const [start, limit, delta] = boundsOf(ctx)
    const vector = (length: Dim) => E.right([tensorType(type.right.dtype, [length])])
    if (delta === 0) return E.left('a delta of 0')
    if (isStatic(start) && isStatic(limit) && isStatic(delta))
      return vector(Math.max(0, Math.ceil((limit - start) / delta)))
    const counts = start === 0 && delta === 1 && limit !== undefined && !isStatic(limit) && isKnownElement(limit)
    return vector(counts ? limit : unknownDim(ctx.outputNames[0] ?? '', 0))
  },
  contents: (ctx) => {
    const [length] = outputShape(ctx) ?? []
    const [start, , delta] = boundsOf(ctx)
    if (!isStatic(length) || !isStatic(start) || !isStatic(delta)) return undefined
    return Array.from({ length }, (_, i) => start + i * delta)
  },
  links: 'opaque',
  evaluate: (ctx, [start, , delta]) => {
    const shape = targetShape(ctx)
    if (!start || !delta || !shape) return undefined
    const [first = 0] = numbersOf(start)
    const [step = 0] = numbersOf(delta)
    const last = first + step * sizeOf(shape)
    if (isWide(start.dtype) && ![first, step, last].every(Number.isSafeInteger)) return undefined
    if (sizeOf(shape) === 0) return [tensorOf(start.dtype, shape, [])]
    return [generate(start.dtype, shape, (_index, i) => first + i * step)]
  },
})
