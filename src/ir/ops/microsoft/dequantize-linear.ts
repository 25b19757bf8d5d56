import { defineOp } from '../../op.ts'
import { DequantizeLinear as Standard, type DequantizeLinearAttributes } from '../dequantize-linear.ts'

/** `DequantizeLinear` for types that the standard one takes in later versions only. */
export const DequantizeLinear = defineOp<'com.microsoft.DequantizeLinear', DequantizeLinearAttributes>({
  ...Standard,
  name: 'com.microsoft.DequantizeLinear',
  versions: [1, 1],
})
