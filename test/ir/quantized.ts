/** Operands of samples of quantized operators: integers, their scales and zero points. */
import type { DType } from '../../src/ir/dtype.ts'
import { constant, input, type Operand } from './helpers.ts'

const rangeOf = (dtype: DType): readonly [number, number] => (dtype === 'uint8' ? [0, 255] : [-128, 127])

export const integers = (shape: ReadonlyArray<number>, dtype: DType = 'uint8'): Operand =>
  input(shape, { dtype, range: rangeOf(dtype) })

/** An initializer of integers. */
export const weight = (shape: ReadonlyArray<number>, dtype: DType = 'int8'): Operand =>
  constant(shape, { dtype, range: dtype === 'int32' ? [-5000, 5000] : rangeOf(dtype) })

const vector = (values: ReadonlyArray<number>): ReadonlyArray<number> => (values.length === 1 ? [] : [values.length])

export const scale = (...values: ReadonlyArray<number>): Operand => constant(vector(values), { values })

export const zero = (dtype: DType, ...values: ReadonlyArray<number>): Operand =>
  constant(vector(values), { dtype, values })
