import * as E from 'fp-ts/lib/Either.js'
import { sameAxes } from '../links.ts'
import { defineOp } from '../op.ts'

/** `y = x`, of any type. */
export const Identity = defineOp<'Identity', Record<never, never>>({
  name: 'Identity',
  versions: [1, Infinity],
  schema: {},
  inferTypes: (ctx) => {
    const [type] = ctx.inputs
    return type === undefined ? E.left('input 0 is missing') : E.right([type])
  },
  contents: (ctx) => ctx.content(0),
  links: (ctx) => sameAxes(ctx),
  constant: (_ctx, [x]) => x ?? undefined,
  identity: () => 0,
  total: true,
  isView: true,
  evaluate: (_ctx, [x]) => x && [x],
})
