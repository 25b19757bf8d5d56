import * as E from 'fp-ts/lib/Either.js'
import { memberOn, placeOn, sequenceOf, sequenceOp, sharedType } from '../families/sequences.ts'

/** The sequence on input 0 with the tensor on input 1 at the place on input 2, at the end where there is none. */
export const SequenceInsert = sequenceOp<'SequenceInsert', Record<never, never>>(
  'SequenceInsert',
  {},
  {
    inferTypes: (ctx) => {
      const types = [memberOn(ctx, 0), ctx.inputs[1]]
      return E.right([sequenceOf(sharedType(types, ctx.outputNames[0] ?? ''))])
    },
    members: (ctx, membersOn) => {
      const [members, value = ''] = [membersOn(0), ctx.node.inputs[1]]
      const place = members && placeOn(ctx, 2, members.length, members.length, members.length)
      return place === undefined ? undefined : members?.toSpliced(place, 0, { value })
    },
  },
)
