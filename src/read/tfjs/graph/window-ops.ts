/** TensorFlow's convolutions, poolings and normalisations, with what grappler fuses behind them. */
import * as E from 'fp-ts/lib/Either.js'
import { isStatic } from '../../../ir/type.ts'
import type { Builder } from '../builder.ts'
import { activations, leakyRelu, prelu } from '../emit/activation.ts'
import { batchNormalization, biasAdd, matMul } from '../emit/matrix.ts'
import {
  averagePool,
  convolution,
  depthwise,
  kernelOf,
  maxPool,
  transposedConvolution,
  type Window,
} from '../emit/window.ts'
import type { Operand } from '../operand.ts'
import { binary, type Call, type Lowered, type Lowering, one, ternary, unary } from './call.ts'

/** Of an attribute with an entry for each axis those between the batch and the channels. */
const inner = (entries: ReadonlyArray<number>, rank: number): ReadonlyArray<number> =>
  entries.length === rank + 2 ? entries.slice(1, -1) : Array.from({ length: rank }, () => 1)

/** The window of a node over `kernel`; or why it is none that is translated. */
const windowOf = ({ attrs }: Call, kernel: ReadonlyArray<number>): E.Either<string, Window> => {
  const format = attrs.text('data_format', 'NHWC')
  if (format.startsWith('NC')) return E.left(`data_format ${format}`)
  const padding = attrs.text('padding', 'VALID')
  const explicit = attrs.ints('explicit_paddings').slice(2, -2)
  const shared = {
    kernel,
    strides: inner(attrs.ints('strides'), kernel.length),
    dilations: inner(attrs.ints('dilations'), kernel.length),
    channels: 'last' as const,
  }
  switch (padding) {
    case 'SAME':
      return E.right({ ...shared, padding: 'same' })
    case 'VALID':
      return E.right({ ...shared, padding: 'valid' })
    case 'EXPLICIT': {
      const [begins, ends] = [0, 1].map((side) => explicit.filter((_, i) => i % 2 === side))
      return E.right({ ...shared, padding: [...(begins ?? []), ...(ends ?? [])] })
    }
    default:
      return E.left(`padding ${padding}`)
  }
}

const filterWindow = (call: Call, filter: Operand): E.Either<string, Window> => {
  const kernel = kernelOf(call.b, filter)
  return kernel === undefined || kernel.length === 0 ? E.left('a filter of unknown size') : windowOf(call, kernel)
}

type Convolve = typeof convolution

/** What follows a fused product: a bias, and an activation function. */
const fused = ({ b, attrs, inputs }: Call, product: (bias: Operand | undefined) => Operand): Lowered => {
  const ops = attrs.texts('fused_ops')
  const rest = inputs.slice(2)
  const hasBias = ops[0] === 'BiasAdd'
  const [activation, ...more] = hasBias ? ops.slice(1) : ops
  const [first, second] = rest
  if (hasBias && first === undefined) return E.left('no bias')
  if (more.length > 0) return E.left(`fused ${ops.join(', ')}`)
  const x = product(hasBias ? first : undefined)
  if (activation === undefined) return one(x)
  if (activation === 'LeakyRelu') return one(leakyRelu(b, x, attrs.float('leakyrelu_alpha', Math.fround(0.2))))
  if (activation === 'Prelu') {
    const alpha = hasBias ? second : first
    return alpha === undefined ? E.left('no alpha') : one(prelu(b, x, alpha))
  }
  const apply = activations.get(activation.toLowerCase())
  return apply === undefined ? E.left(`fused ${activation}`) : one(apply(b, x))
}

const convolving = (convolve: Convolve): Lowering =>
  binary((call, x, filter) => {
    const window = filterWindow(call, filter)
    return E.isLeft(window) ? window : one(convolve(call.b, x, filter, undefined, window.right))
  })

const fusedConvolving = (convolve: Convolve): Lowering =>
  binary((call, x, filter) => {
    const window = filterWindow(call, filter)
    return E.isLeft(window) ? window : fused(call, (bias) => convolve(call.b, x, filter, bias, window.right))
  })

/** How far a full result reaches over the output of a transposed convolution, by axis; undefined where a size is not known. */
const surplusOf = (
  b: Builder,
  x: Operand,
  { kernel, strides, dilations }: Window,
  sizes: ReadonlyArray<number>,
): ReadonlyArray<number> | undefined => {
  const from = b.shapeOf(x)?.slice(1)
  const surplus = kernel.map((size, axis) => {
    const [length, stride = 1, dilation = 1, to] = [from?.[axis], strides[axis], dilations[axis], sizes[axis]]
    return isStatic(length) && to !== undefined ? (length - 1) * stride + (size - 1) * dilation + 1 - to : NaN
  })
  return surplus.some(Number.isNaN) ? undefined : surplus
}

const backpropagation: Lowering = ternary((call, sizes, filter, x) => {
  const window = filterWindow(call, filter)
  if (E.isLeft(window)) return window
  if (typeof window.right.padding !== 'string') return E.left('explicit padding')
  const target = call.b.contentsOf(sizes)?.slice(1, -1)
  const known = target?.every(isStatic) ? target.map(Number) : undefined
  const surplus = known && surplusOf(call.b, x, window.right, known)
  if (surplus === undefined) return E.left('an output of unknown height or width')
  return one(transposedConvolution(call.b, x, filter, undefined, window.right, surplus))
})

const pooling = (pool: typeof maxPool): Lowering =>
  unary((call, x) => {
    const sizes = call.attrs.ints('ksize')
    const strides = call.attrs.ints('strides')
    if ([sizes, strides].some((list) => list.length < 3 || list[0] !== 1 || list.at(-1) !== 1)) {
      return E.left('windows over the batch or the channels')
    }
    const window = windowOf(call, sizes.slice(1, -1))
    return E.isLeft(window) ? window : one(pool(call.b, x, window.right))
  })

const normalization: Lowering = ({ b, attrs, inputs: [x, scale, offset, mean, variance] }) => {
  if (x === undefined || scale === undefined || offset === undefined || mean === undefined || variance === undefined) {
    return E.left('no statistics')
  }
  if (attrs.bool('is_training', false)) return E.left('statistics of the batch (is_training)')
  const format = attrs.text('data_format', 'NHWC')
  if (format.startsWith('NC')) return E.left(`data_format ${format}`)
  const epsilon = attrs.float('epsilon', 0.001)
  return one(batchNormalization(b, x, [scale, offset, mean, variance], epsilon, 'last'))
}

const product: Lowering = binary(({ b, attrs }, x, y) =>
  one(matMul(b, x, y, attrs.bool('transpose_a', false), attrs.bool('transpose_b', false))),
)

const batchProduct: Lowering = binary(({ b, attrs }, x, y) =>
  one(matMul(b, x, y, attrs.bool('adj_x', false), attrs.bool('adj_y', false))),
)

const fusedProduct: Lowering = binary((call, x, y) => {
  const { b, attrs } = call
  return fused(call, (bias) => {
    const plain = matMul(b, x, y, attrs.bool('transpose_a', false), attrs.bool('transpose_b', false))
    return bias === undefined ? plain : biasAdd(b, plain, bias)
  })
})

const bias: Lowering = binary(({ b, attrs }, x, amount) =>
  one(biasAdd(b, x, amount, attrs.text('data_format', 'NHWC').startsWith('NC') ? 'first' : 'last')),
)

export const windowOps: ReadonlyArray<readonly [string, Lowering]> = [
  ['Conv2D', convolving(convolution)],
  ['Conv3D', convolving(convolution)],
  ['_FusedConv2D', fusedConvolving(convolution)],
  ['DepthwiseConv2dNative', convolving(depthwise)],
  ['DepthwiseConv2d', convolving(depthwise)],
  ['FusedDepthwiseConv2dNative', fusedConvolving(depthwise)],
  ['Conv2DBackpropInput', backpropagation],
  ['MaxPool', pooling(maxPool)],
  ['MaxPool3D', pooling(maxPool)],
  ['AvgPool', pooling(averagePool)],
  ['AvgPool3D', pooling(averagePool)],
  ['FusedBatchNorm', normalization],
  ['FusedBatchNormV2', normalization],
  ['FusedBatchNormV3', normalization],
  ['MatMul', product],
  ['_FusedMatMul', fusedProduct],
  ['BatchMatMul', batchProduct],
  ['BatchMatMulV2', batchProduct],
  ['BiasAdd', bias],
  ['BiasAddV1', bias],
]
