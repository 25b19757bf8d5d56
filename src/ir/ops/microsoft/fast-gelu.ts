import * as E from 'fp-ts/lib/Either.js'
import { composition } from '../../families/composition.ts'
import { type NoAttributes, unary } from '../../families/elementwise.ts'
import type { OpDef } from '../../op.ts'
import { Add } from '../add.ts'

type FastGeluOp = OpDef<'com.microsoft.FastGelu', NoAttributes>

const biasless: FastGeluOp = unary(
  'com.microsoft.FastGelu',
  [1, 1],
  (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  { accurateTo: Math.abs },
)

const biased: FastGeluOp = composition('com.microsoft.FastGelu', [1, 1], {}, (p) =>
  E.right([p.node(biasless, [p.node(Add, [p.input(0), p.input(1)])])]),
)

const formOf = (ctx: { readonly inputs: ReadonlyArray<unknown> }): FastGeluOp =>
  ctx.inputs[1] === undefined ? biasless : biased

/** GELU by tanh, of `x + bias`; a bias is added in front of it. */
export const FastGelu: FastGeluOp = {
  ...biasless,
  inferTypes: (ctx) => formOf(ctx).inferTypes(ctx),
  links: (ctx) => {
    const { links } = formOf(ctx)
    return links === 'opaque' ? links : links(ctx)
  },
  simplify: (ctx, fresh) => formOf(ctx).simplify?.(ctx, fresh),
  evaluate: (ctx, inputs) => formOf(ctx).evaluate?.(ctx, inputs),
}
