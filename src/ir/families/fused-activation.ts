/** Activations that ONNX Runtime has fused into the operator before them, told by their names. */
import * as E from 'fp-ts/lib/Either.js'
import type { OpDef, ValueId } from '../op.ts'
import { Clip } from '../ops/clip.ts'
import { Elu } from '../ops/elu.ts'
import { HardSigmoid } from '../ops/hard-sigmoid.ts'
import { LeakyRelu } from '../ops/leaky-relu.ts'
import { Relu } from '../ops/relu.ts'
import { Sigmoid } from '../ops/sigmoid.ts'
import { Softplus } from '../ops/softplus.ts'
import { Softsign } from '../ops/softsign.ts'
import { Tanh } from '../ops/tanh.ts'
import { tensorOf } from '../tensor.ts'
import type { Parts } from './composition.ts'

const plain: ReadonlyMap<string, OpDef<string, object>> = new Map<string, OpDef<string, object>>([
  ['Relu', Relu],
  ['Sigmoid', Sigmoid],
  ['Softplus', Softplus],
  ['Softsign', Softsign],
  ['Tanh', Tanh],
])

/** `value` behind the activation called `name`, with its parameters in their order; without a name, `value`. */
export const activated = (
  parts: Parts,
  value: ValueId,
  name: string,
  parameters: ReadonlyArray<number | undefined>,
  opset: number,
): E.Either<string, ValueId> => {
  if (name === '') return E.right(value)
  const op = plain.get(name)
  if (op !== undefined) return E.right(parts.node(op, [value]))
  const [alpha, beta] = parameters
  if (alpha === undefined) return E.left(`activation ${name} without a parameter`)
  if (name === 'LeakyRelu') return E.right(parts.node(LeakyRelu, [value], { alpha }))
  if (name === 'Elu') return E.right(parts.node(Elu, [value], { alpha }))
  if (beta === undefined) return E.left(`activation ${name} with one parameter`)
  if (name === 'HardSigmoid') return E.right(parts.node(HardSigmoid, [value], { alpha, beta }))
  if (name !== 'Clip') return E.left(`activation ${name}`)
  if (opset < 11) return E.right(parts.node(Clip, [value], { min: alpha, max: beta }))
  const type = parts.type(value)
  const dtype = type.kind === 'tensor' ? type.dtype : 'float32'
  const bounds = [alpha, beta].map((bound) => parts.constant(tensorOf(dtype, [], [bound])))
  return E.right(parts.node(Clip, [value, ...bounds]))
}
