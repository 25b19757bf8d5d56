import * as E from 'fp-ts/lib/Either.js'
import { optionalInt } from '../attributes.ts'
import { dtypes } from '../dtype.ts'
import { sequenceOf, sequenceOp } from '../families/sequences.ts'
import { tensorType } from '../type.ts'

export interface SequenceEmptyAttributes {
  /** Number of the element type in ONNX's TensorProto.DataType, from 1; float32 where absent. */
  readonly dtype: number | undefined
}

/** A sequence without members. */
export const SequenceEmpty = sequenceOp<'SequenceEmpty', SequenceEmptyAttributes>(
  'SequenceEmpty',
  { dtype: optionalInt },
  {
    inferTypes: ({ attrs }) => {
      const dtype = dtypes[(attrs.dtype ?? 1) - 1]
      return E.right([sequenceOf(dtype && tensorType(dtype, undefined))])
    },
    members: () => [],
  },
)
