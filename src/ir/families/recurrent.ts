/** Constructor for recurrent operators, of which only the types are modelled. */
import * as E from 'fp-ts/lib/Either.js'
import { int, optionalFloat, optionalFloats, optionalInt, optionalStrings, type Schema, string } from '../attributes.ts'
import { sharedDtype } from '../infer.ts'
import { shapeOf } from '../links.ts'
import { defineOp, type OpDef } from '../op.ts'
import { type Dim, isStatic, type Shape, tensorType, unknownDim } from '../type.ts'

export interface RecurrentAttributes {
  readonly activation_alpha: ReadonlyArray<number> | undefined
  readonly activation_beta: ReadonlyArray<number> | undefined
  readonly activations: ReadonlyArray<string> | undefined
  readonly clip: number | undefined
  readonly direction: 'forward' | 'reverse' | 'bidirectional'
  readonly hidden_size: number | undefined
  /** 0: time is axis 0 and batch axis 1; 1: batch first. */
  readonly layout: number
}

export const recurrentSchema: Schema<RecurrentAttributes> = {
  activation_alpha: optionalFloats,
  activation_beta: optionalFloats,
  activations: optionalStrings,
  clip: optionalFloat,
  direction: string('forward', 'reverse', 'bidirectional'),
  hidden_size: optionalInt,
  layout: int(0),
}

/**
 * `x[T,N,I]`, recurrent weights `R[D,gates·H,H]` on port 2; outputs all states `[T,D,N,H]` and then `states` times the
 * last one, `[D,N,H]`. With `layout` 1 the batch comes first everywhere but in the weights.
 */
export const recurrent = <const Name extends string, A extends RecurrentAttributes>(
  name: Name,
  states: number,
  schema: Schema<A>,
): OpDef<Name, A> =>
  defineOp<Name, A>({
    name,
    versions: [7, Infinity],
    schema,
    inferTypes: (ctx) => {
      const dtype = sharedDtype(ctx, [0, 1, 2])
      if (E.isLeft(dtype)) return dtype
      const [name0 = ''] = ctx.outputNames
      const shape = shapeOf(ctx.inputs[0])
      if (shape !== undefined && shape.length !== 3) return E.left(`input has rank ${shape.length}`)
      const [first = unknownDim(name0, 0), second = unknownDim(name0, 1)] = shape ?? []
      const [time, batch] = ctx.attrs.layout === 0 ? [first, second] : [second, first]
      const directions: Dim = ctx.attrs.direction === 'bidirectional' ? 2 : 1
      const read = shapeOf(ctx.inputs[2])?.[2]
      const hidden: Dim = ctx.attrs.hidden_size ?? (isStatic(read) ? read : unknownDim(name0, 3))
      const all: Shape = ctx.attrs.layout === 0 ? [time, directions, batch, hidden] : [batch, time, directions, hidden]
      const last: Shape = ctx.attrs.layout === 0 ? [directions, batch, hidden] : [batch, directions, hidden]
      const finals = Array.from({ length: states }, () => tensorType(dtype.right, last))
      return E.right([tensorType(dtype.right, all), ...finals])
    },
    links: 'opaque',
  })
