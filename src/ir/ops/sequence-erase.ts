import * as E from 'fp-ts/lib/Either.js'
import { memberOn, placeOn, sequenceOf, sequenceOp } from '../families/sequences.ts'

/** The sequence on input 0 without the member at the place on input 1, the last where there is none. */
export const SequenceErase = sequenceOp<'SequenceErase', Record<never, never>>(
  'SequenceErase',
  {},
  {
    inferTypes: (ctx) => E.right([sequenceOf(memberOn(ctx, 0))]),
    members: (ctx, membersOn) => {
      const members = membersOn(0)
      const place = members && placeOn(ctx, 1, members.length, members.length - 1)
      return place === undefined ? undefined : members?.toSpliced(place, 1)
    },
  },
)
