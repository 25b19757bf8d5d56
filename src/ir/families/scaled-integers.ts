/** A product of integers as the real numbers that it stands for, of the nodes that runtimes fuse. */
import type { ValueId } from '../op.ts'
import { Add } from '../ops/add.ts'
import { Cast } from '../ops/cast.ts'
import { MatMulInteger } from '../ops/mat-mul-integer.ts'
import { Mul } from '../ops/mul.ts'
import type { Parts } from './composition.ts'

/** An operand: integers, their scale, and what stands for zero, `''` for 0. */
export interface ScaledIntegers {
  readonly value: ValueId
  readonly scale: ValueId
  readonly zero: ValueId
}

/** Number of `float32` in ONNX's TensorProto.DataType. */
const float32 = 1

/** `(A - zero) (B - zero) · (scale of A · scale of B) + bias`; a bias of `''` is none. */
export const scaledProduct = (p: Parts, a: ScaledIntegers, b: ScaledIntegers, bias: ValueId): ValueId => {
  const zeros = b.zero !== '' ? [a.zero, b.zero] : a.zero !== '' ? [a.zero] : []
  const sums = p.node(MatMulInteger, [a.value, b.value, ...zeros])
  const product = p.node(Mul, [p.node(Cast, [sums], { to: float32 }), p.node(Mul, [a.scale, b.scale])])
  return bias === '' ? product : p.node(Add, [product, bias])
}
