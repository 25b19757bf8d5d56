/** Operators that write updates into a copy of their first input. */
import * as E from 'fp-ts/lib/Either.js'
import { bitsOf } from '../dtype.ts'
import { movedType } from '../families/movement.ts'
import type { Schema } from '../attributes.ts'
import { defineOp, type NodeContext, type OpDef } from '../op.ts'
import { type Dense, dense } from '../tensor.ts'

export interface ScatterAttributes {
  /** How updates combine with what is there. Since opset 16. */
  readonly reduction: 'none' | 'add' | 'mul' | 'max' | 'min'
}

/** Where a run of update elements goes: `count` elements from `from` on to `to` on. */
export interface Run {
  readonly from: number
  readonly to: number
  readonly count: number
}

/**
 * The type of the data; the places written to depend on the indices, so that no axis is linked. `runs` is undefined
 * where an index is out of range. Reductions are not evaluated.
 */
export const scattering = <const Name extends string, A extends ScatterAttributes>(
  name: Name,
  schema: Schema<A>,
  runs: (ctx: NodeContext<A>, data: Dense, indices: Dense) => ReadonlyArray<Run> | undefined,
): OpDef<Name, A> =>
  defineOp<Name, A>({
    name,
    versions: [11, Infinity],
    schema,
    inferTypes: (ctx) => movedType(ctx, (from) => E.right(from)),
    links: 'opaque',
    evaluate: (ctx, [data, indices, updates]) => {
      if (!data || !indices || !updates || ctx.attrs.reduction !== 'none') return undefined
      const width = bitsOf(data.dtype) / 8
      const moved = runs(ctx, data, indices)
      if (data.strings || width < 1 || moved === undefined) return undefined
      const out = Uint8Array.from(data.bytes)
      for (const { from, to, count } of moved) {
        out.set(updates.bytes.subarray(from * width, (from + count) * width), to * width)
      }
      return [dense(data.dtype, data.shape, out)]
    },
  })
