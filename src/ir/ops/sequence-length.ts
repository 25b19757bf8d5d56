import * as E from 'fp-ts/lib/Either.js'
import { sequenceOp } from '../families/sequences.ts'
import { makeNode } from '../make-node.ts'
import { int64s } from '../tensor.ts'
import { tensorType } from '../type.ts'
import { Identity } from './identity.ts'

/** How many members the sequence on input 0 has: a scalar. */
export const SequenceLength = sequenceOp<'SequenceLength', Record<never, never>>(
  'SequenceLength',
  {},
  {
    inferTypes: () => E.right([tensorType('int64', [])]),
    ofMembers: (ctx, members, fresh) => {
      const [output = ''] = ctx.node.outputs
      const length = fresh(`${output}_length`)
      const constants = new Map([[length, int64s([members.length], [])]])
      return { nodes: [makeNode(Identity, [length], [output])], constants }
    },
  },
)
