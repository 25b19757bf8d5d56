import * as E from 'fp-ts/lib/Either.js'
import { optionalFloats, string } from '../attributes.ts'
import { isReal } from '../families/elementwise.ts'
import { notDefined } from '../families/half-precision.ts'
import { movedType } from '../families/movement.ts'
import { resample, scaledSize } from '../families/resampling.ts'
import { inputShape, sameIndex } from '../links.ts'
import { defineOp, type InferContext } from '../op.ts'
import { numbersIn } from '../tensor.ts'
import { isStatic, unknownDim } from '../type.ts'

export interface UpsampleAttributes {
  readonly mode: 'nearest' | 'linear'
  /** An input since opset 9. */
  readonly scales: ReadonlyArray<number> | undefined
}

const scalesOf = (ctx: InferContext<UpsampleAttributes>): ReadonlyArray<number> | undefined => {
  const tensor = ctx.constant(1)
  return ctx.attrs.scales ?? (tensor && numbersIn(tensor))
}

/** Resamples every axis by a factor of at least 1; place `o` of the output lies at `o / scale`. */
export const Upsample = defineOp<'Upsample', UpsampleAttributes>({
  name: 'Upsample',
  versions: [7, 9],
  float32: { ...notDefined, inputs: [1] },
  schema: { mode: string('nearest', 'linear'), scales: optionalFloats },
  inferTypes: (ctx) =>
    movedType(ctx, (from) => {
      const scales = scalesOf(ctx)
      const name = ctx.outputNames[0] ?? ''
      return E.right(
        from.map((dim, axis) => {
          const scale = scales?.[axis]
          if (scale === 1) return dim
          const scaled = scale !== undefined && isStatic(dim) ? scaledSize(dim, scale) : undefined
          return scaled ?? unknownDim(name, axis)
        }),
      )
    }),
  links: (ctx) => {
    const scales = scalesOf(ctx)
    return (inputShape(ctx, 0) ?? []).flatMap((dim, axis) =>
      isStatic(dim) && scales?.[axis] === 1 ? [sameIndex(0, axis, 0, axis)] : [],
    )
  },
  constant: (ctx, [x]) => (isReal(ctx) || ctx.attrs.mode === 'nearest' ? (x ?? undefined) : undefined),
  identity: (ctx) => (inputShape(ctx, 0) && scalesOf(ctx)?.every((scale) => scale === 1) ? 0 : undefined),
  evaluate: (ctx, [x]) => {
    const scales = scalesOf(ctx)
    if (!x || !scales) return undefined
    const axes = x.shape.flatMap((from, axis) => {
      const scale = scales[axis] ?? 1
      const to = scaledSize(from, scale)
      return to === undefined ? [] : [{ from, to, scale, start: 0, end: 1 }]
    })
    if (axes.length < x.shape.length) return undefined
    const y = resample(x, axes, {
      mode: ctx.attrs.mode,
      coordinates: 'asymmetric',
      nearest: 'simple',
      cubic: 0,
      excludeOutside: false,
      extrapolation: 0,
    })
    return y && [y]
  },
})
