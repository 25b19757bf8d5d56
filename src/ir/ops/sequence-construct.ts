import * as E from 'fp-ts/lib/Either.js'
import { sequenceOf, sequenceOp, sharedType } from '../families/sequences.ts'

/** A sequence of all inputs. */
export const SequenceConstruct = sequenceOp<'SequenceConstruct', Record<never, never>>(
  'SequenceConstruct',
  {},
  {
    inferTypes: (ctx) => E.right([sequenceOf(sharedType(ctx.inputs, ctx.outputNames[0] ?? ''))]),
    members: (ctx) => ctx.node.inputs.map((value) => ({ value })),
  },
)
