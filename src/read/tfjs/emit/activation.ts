/** Activation functions, by the names that Keras and TensorFlow give them. */
import { Elu } from '../../../ir/ops/elu.ts'
import { Erf } from '../../../ir/ops/erf.ts'
import { HardSigmoid } from '../../../ir/ops/hard-sigmoid.ts'
import { LeakyRelu } from '../../../ir/ops/leaky-relu.ts'
import { LogSoftmax } from '../../../ir/ops/log-softmax.ts'
import { PRelu } from '../../../ir/ops/p-relu.ts'
import { Relu } from '../../../ir/ops/relu.ts'
import { Selu } from '../../../ir/ops/selu.ts'
import { Sigmoid } from '../../../ir/ops/sigmoid.ts'
import { Softmax } from '../../../ir/ops/softmax.ts'
import { Softplus } from '../../../ir/ops/softplus.ts'
import { Softsign } from '../../../ir/ops/softsign.ts'
import { Tanh } from '../../../ir/ops/tanh.ts'
import type { Builder } from '../builder.ts'
import { axisIn, type Operand } from '../operand.ts'
import { add, clip, combine, map, mul, number } from './elementwise.ts'

type Activation = (b: Builder, x: Operand) => Operand

/** Softmax, or its logarithm, along an axis counted from the front or the back. */
export const softmax = (b: Builder, op: typeof Softmax | typeof LogSoftmax, x: Operand, axis = -1): Operand => {
  const rank = b.rankOf(x)
  if (rank === undefined) return b.computed(b.node(Softmax, [b.last(x)], { axis }))
  const at = axisIn(b.layoutOf(x), axis < 0 ? axis + rank : axis, rank)
  return op.name === 'Softmax' ? map(b, Softmax, x, { axis: at }) : map(b, LogSoftmax, x, { axis: at })
}

export const leakyRelu = (b: Builder, x: Operand, alpha: number): Operand => map(b, LeakyRelu, x, { alpha })

export const prelu = (b: Builder, x: Operand, alpha: Operand): Operand => combine(b, PRelu, [x, alpha])

const gelu: Activation = (b, x) => {
  const erf = map(b, Erf, mul(b, x, number(b, x, Math.SQRT1_2)))
  return mul(b, mul(b, x, number(b, x, 0.5)), add(b, erf, number(b, x, 1)))
}

/** Those that need no other parameters. */
export const activations: ReadonlyMap<string, Activation> = new Map<string, Activation>([
  ['linear', (_b, x) => x],
  ['elu', (b, x) => map(b, Elu, x)],
  ['selu', (b, x) => map(b, Selu, x)],
  ['relu', (b, x) => map(b, Relu, x)],
  ['relu6', (b, x) => clip(b, x, 0, 6)],
  ['sigmoid', (b, x) => map(b, Sigmoid, x)],
  ['hard_sigmoid', (b, x) => map(b, HardSigmoid, x, { alpha: Math.fround(0.2), beta: 0.5 })],
  ['softplus', (b, x) => map(b, Softplus, x)],
  ['softsign', (b, x) => map(b, Softsign, x)],
  ['tanh', (b, x) => map(b, Tanh, x)],
  ['softmax', (b, x) => softmax(b, Softmax, x)],
  ['log_softmax', (b, x) => softmax(b, LogSoftmax, x)],
  ['swish', (b, x) => mul(b, x, map(b, Sigmoid, x))],
  ['mish', (b, x) => mul(b, x, map(b, Tanh, map(b, Softplus, x)))],
  ['gelu', gelu],
])
