import * as E from 'fp-ts/lib/Either.js'
import { int, optionalInt } from '../attributes.ts'
import { memberOn, sequenceOp, taken } from '../families/sequences.ts'
import { makeNode } from '../make-node.ts'
import type { Node, ValueId } from '../op.ts'
import { int64s, type Tensor } from '../tensor.ts'
import { isAnonymous, normalizeAxis, tensorType, unknownDim, unknownType } from '../type.ts'
import { Concat } from './concat.ts'
import { Unsqueeze } from './unsqueeze.ts'

export interface ConcatFromSequenceAttributes {
  /** Required; counted from the end when negative. */
  readonly axis: number | undefined
  /** 1: along a new axis, which is there in the output. */
  readonly new_axis: number
}

/** Parts of values that are put together again: each is a node, which the sequence does without. */
const mostParts = 32

/** The members of a sequence one after another along an axis. */
export const ConcatFromSequence = sequenceOp<'ConcatFromSequence', ConcatFromSequenceAttributes>(
  'ConcatFromSequence',
  { axis: optionalInt, new_axis: int(0) },
  {
    inferTypes: (ctx) => {
      const [member, name = ''] = [memberOn(ctx, 0), ctx.outputNames[0]]
      if (member === undefined) return E.right([unknownType])
      const isNew = ctx.attrs.new_axis === 1
      const rank = member.shape && member.shape.length + (isNew ? 1 : 0)
      const axis = rank === undefined ? undefined : normalizeAxis(ctx.attrs.axis ?? rank, rank)
      if (rank !== undefined && axis === undefined) return E.left(`axis ${ctx.attrs.axis ?? 'none'} of rank ${rank}`)
      const shape =
        axis === undefined ? undefined : member.shape?.toSpliced(axis, isNew ? 0 : 1, unknownDim(name, axis))
      const sized = shape?.map((dim, a) => (isAnonymous(dim) ? unknownDim(name, a) : dim))
      return E.right([tensorType(member.dtype, sized)])
    },
    ofMembers: (ctx, members, fresh) => {
      const [{ axis, new_axis }, output = ''] = [ctx.attrs, ctx.node.outputs[0]]
      if (members.length === 0 || axis === undefined) return undefined
      if (members.filter(({ part }) => part !== undefined).length > mostParts) return undefined
      const constants = new Map<ValueId, Tensor>()
      const nodes: Node[] = []
      const axes = new_axis === 1 && ctx.opset >= 13 ? fresh(`${output}_axes`) : ''
      if (axes !== '') constants.set(axes, int64s([axis]))
      const inputs = members.map((member) => {
        let at = member.value
        if (member.part !== undefined) {
          at = fresh(`${output}_part`)
          const part = taken(ctx, member, at, fresh)
          nodes.push(...part.nodes)
          for (const [name, tensor] of part.constants) constants.set(name, tensor)
        }
        if (new_axis !== 1) return at
        const wide = fresh(`${output}_row`)
        nodes.push(
          axes === '' ? makeNode(Unsqueeze, [at], [wide], { axes: [axis] }) : makeNode(Unsqueeze, [at, axes], [wide]),
        )
        return wide
      })
      return { nodes: [...nodes, makeNode(Concat, inputs, [output], { axis }, ctx.node.name)], constants }
    },
  },
)
