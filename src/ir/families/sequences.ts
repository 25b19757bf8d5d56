/**
 * Sequences of tensors. They have no axes, so nothing is followed through one; where it is known what a sequence holds, what reads it
 * reads its members instead (scalar replacement of aggregates).
 */
import type { Schema } from '../attributes.ts'
import { makeNode } from '../make-node.ts'
import type { InferContext, NodeContext, OpDef, Rewrite, SequenceMember, ValueId } from '../op.ts'
import { Identity } from '../ops/identity.ts'
import { Slice } from '../ops/slice.ts'
import { Squeeze } from '../ops/squeeze.ts'
import { int64s, type Tensor } from '../tensor.ts'
import { isAnonymous, type TensorType, tensorType, unknownDim, unknownType, type ValueType } from '../type.ts'
import { integersOn } from './movement.ts'

/** What an operator of sequences says besides its name and attributes. */
export type SequenceUse<A> = Pick<OpDef<string, A>, 'inferTypes' | 'members' | 'ofMembers'>

/** An operator that makes or reads a sequence. */
export const sequenceOp = <const Name extends string, A>(
  name: Name,
  schema: Schema<A>,
  use: SequenceUse<A>,
): OpDef<Name, A> => ({
  name,
  versions: [11, Infinity],
  schema,
  links: 'opaque',
  keptFor: () => 'it is not known what a sequence holds',
  float32: { because: 'it makes or reads a sequence' },
  ...use,
})

/** What is known of each member of the sequence on an input port. */
export const memberOn = (ctx: InferContext<unknown>, port: number): TensorType | undefined => {
  const type = ctx.inputs[port]
  return type?.kind === 'other' ? type.member : undefined
}

/** A sequence of which this is known of each member. */
export const sequenceOf = (member: TensorType | undefined): ValueType =>
  member === undefined ? unknownType : { ...unknownType, member }

/** What is known of values of all of these types, `name` being the sequence that they are members of. */
export const sharedType = (types: ReadonlyArray<ValueType | undefined>, name: ValueId): TensorType | undefined => {
  const [first, ...others] = types
  if (first?.kind !== 'tensor') return undefined
  let { shape } = first
  for (const type of others) {
    if (type?.kind !== 'tensor' || type.dtype !== first.dtype) return undefined
    const other = type.shape
    shape =
      shape?.length === other?.length
        ? shape?.map((dim, axis) => (dim === other?.[axis] ? dim : unknownDim(name, axis)))
        : undefined
  }
  return tensorType(first.dtype, shape)
}

/** The type of a member that is taken out as the value `name`. Members may differ in sizes that have no name. */
export const typeOfMember = (member: TensorType | undefined, name: ValueId): ValueType =>
  member === undefined
    ? unknownType
    : tensorType(
        member.dtype,
        member.shape?.map((dim, axis) => (isAnonymous(dim) ? unknownDim(name, axis) : dim)),
      )

/** Members of a sequence that is looked into: of an axis that is split, or a loop that was unrolled, there may be any number. */
export const mostMembers = 1024

/**
 * The place in a sequence of `length` that a scalar on input port `port` names, which counts from the end where it is negative; `absent`
 * where there is none. Undefined where it is computed, or not from 0 to `last`.
 */
export const placeOn = (
  ctx: NodeContext<unknown>,
  port: number,
  length: number,
  absent: number,
  last = length - 1,
): number | undefined => {
  const isAbsent = (ctx.node.inputs[port] ?? '') === ''
  const given = isAbsent ? absent : integersOn(ctx, port)?.[0]
  if (given === undefined) return undefined
  const place = given < 0 && !isAbsent ? given + length : given
  return place >= 0 && place <= last ? place : undefined
}

/** What makes a member of a sequence the value `output`. */
export const taken = (
  { opset }: NodeContext<unknown>,
  { value, part }: SequenceMember,
  output: ValueId,
  fresh: (hint: string) => ValueId,
): Rewrite => {
  const constants = new Map<ValueId, Tensor>()
  if (part === undefined) return { nodes: [makeNode(Identity, [value], [output])], constants }
  const put = (what: string, number: number): ValueId => {
    const name = fresh(`${output}_${what}`)
    constants.set(name, int64s([number]))
    return name
  }
  const axes = [part.axis]
  const axis = put('axis', part.axis)
  const bounds = [put('start', part.start), put('end', part.end), axis]
  if (!part.isDropped) return { nodes: [makeNode(Slice, [value, ...bounds], [output])], constants }
  const whole = fresh(`${output}_whole`)
  const squeeze =
    opset < 13 ? makeNode(Squeeze, [whole], [output], { axes }) : makeNode(Squeeze, [whole, axis], [output])
  return { nodes: [makeNode(Slice, [value, ...bounds], [whole]), squeeze], constants }
}
