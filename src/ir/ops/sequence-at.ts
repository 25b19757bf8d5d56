import * as E from 'fp-ts/lib/Either.js'
import { memberOn, placeOn, sequenceOp, taken, typeOfMember } from '../families/sequences.ts'

/** The member of the sequence on input 0 at the place on input 1. */
export const SequenceAt = sequenceOp<'SequenceAt', Record<never, never>>(
  'SequenceAt',
  {},
  {
    inferTypes: (ctx) => E.right([typeOfMember(memberOn(ctx, 0), ctx.outputNames[0] ?? '')]),
    ofMembers: (ctx, members, fresh) => {
      const member = members[placeOn(ctx, 1, members.length, -1) ?? -1]
      return member && taken(ctx, member, ctx.node.outputs[0] ?? '', fresh)
    },
  },
)
