import { defineOp } from '../../op.ts'
import { QuantizeLinear as Standard, type QuantizeLinearAttributes } from '../quantize-linear.ts'

/** `QuantizeLinear` for types that the standard one takes in later versions only. */
export const QuantizeLinear = defineOp<'com.microsoft.QuantizeLinear', QuantizeLinearAttributes>({
  ...Standard,
  name: 'com.microsoft.QuantizeLinear',
  versions: [1, 1],
})
