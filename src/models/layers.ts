/** Layers that several models share. Each gives the name of its output, which is its own name. */
import type { ValueId } from '../ir/op.ts'
import { Add } from '../ir/ops/add.ts'
import { BatchNormalization } from '../ir/ops/batch-normalization.ts'
import { Conv } from '../ir/ops/conv.ts'
import { Flatten } from '../ir/ops/flatten.ts'
import { Gemm } from '../ir/ops/gemm.ts'
import { GlobalAveragePool } from '../ir/ops/global-average-pool.ts'
import { MatMul } from '../ir/ops/mat-mul.ts'
import { MaxPool } from '../ir/ops/max-pool.ts'
import { Relu } from '../ir/ops/relu.ts'
import { type Initial, kaimingNormal, ones, uniform, zeros } from './initial.ts'
import { type Network, outputName } from './network.ts'

export interface ConvolutionShape {
  readonly inputs: number
  readonly outputs: number
  /** Height and width of the kernel. */
  readonly kernel: number
  /** Absent: 1. */
  readonly stride?: number
  /** Absent: what keeps the size of the image at stride 1. */
  readonly padding?: number
  /** Absent: 1. */
  readonly groups?: number
}

export interface Initials {
  readonly weight?: Initial
  /** Absent: the layer has no bias. */
  readonly bias?: Initial
}

/** `name.weight` is `[outputs, inputs / groups, kernel, kernel]`, by default Kaiming normal. */
export const convolution = (
  network: Network,
  name: string,
  x: ValueId,
  { inputs, outputs, kernel, stride = 1, padding = (kernel - 1) / 2, groups = 1 }: ConvolutionShape,
  { weight = kaimingNormal, bias }: Initials = {},
): ValueId => {
  const operands = [x, network.parameter(`${name}.weight`, [outputs, inputs / groups, kernel, kernel], weight)]
  if (bias !== undefined) operands.push(network.parameter(`${name}.bias`, [outputs], bias))
  return network.node(Conv, name, operands, {
    dilations: [1, 1],
    group: groups,
    kernel_shape: [kernel, kernel],
    pads: [padding, padding, padding, padding],
    strides: [stride, stride],
  })
}

/** Scale 1, shift 0 and running statistics of a standard normal input; they move by a tenth at each step. */
export const batchNormalization = (network: Network, name: string, x: ValueId, channels: number): ValueId =>
  network.node(BatchNormalization, name, [
    x,
    network.parameter(`${name}.weight`, [channels], ones),
    network.parameter(`${name}.bias`, [channels], zeros),
    network.parameter(`${name}.running_mean`, [channels], zeros),
    network.parameter(`${name}.running_var`, [channels], ones),
  ])

export const relu = (network: Network, name: string, x: ValueId): ValueId => network.node(Relu, name, [x])

export const maxPool = (
  network: Network,
  name: string,
  x: ValueId,
  { kernel, stride, padding }: { readonly kernel: number; readonly stride: number; readonly padding: number },
): ValueId =>
  network.node(MaxPool, name, [x], {
    kernel_shape: [kernel, kernel],
    pads: [padding, padding, padding, padding],
    strides: [stride, stride],
  })

/** The mean of each channel over the image: `[N, C, H, W]` to `[N, C]`. */
export const pooled = (network: Network, x: ValueId): ValueId =>
  network.node(Flatten, 'flatten', [network.node(GlobalAveragePool, 'avgpool', [x])])

/** What PyTorch gives a linear layer unless told otherwise: weight and bias uniform within `1 / √inputs`. */
export const uniformLinear = (inputs: number): Required<Initials> => ({
  weight: uniform(1 / Math.sqrt(inputs)),
  bias: uniform(1 / Math.sqrt(inputs)),
})

/** `x · weightᵀ + bias` of a matrix `[N, inputs]`; `name.weight` is `[outputs, inputs]`. */
export const linear = (
  network: Network,
  name: string,
  x: ValueId,
  [inputs, outputs]: readonly [inputs: number, outputs: number],
  { weight, bias }: Required<Initials>,
  output: ValueId = name,
): ValueId => {
  const operands = [
    x,
    network.parameter(`${name}.weight`, [outputs, inputs], weight),
    network.parameter(`${name}.bias`, [outputs], bias),
  ]
  return network.node(Gemm, name, operands, { transB: 1 }, output)
}

/** The last layer, whose output is the model's. */
export const classifier = (
  network: Network,
  name: string,
  x: ValueId,
  sizes: readonly [inputs: number, classes: number],
  initials: Required<Initials>,
): ValueId => linear(network, name, x, sizes, initials, outputName)

/** `x · weight + bias` over the last axis, whatever the rank; `name.weight` is `[inputs, outputs]`. */
export const tokenLinear = (
  network: Network,
  name: string,
  x: ValueId,
  [inputs, outputs]: readonly [inputs: number, outputs: number],
  { weight, bias }: Required<Initials>,
): ValueId => {
  const product = network.node(MatMul, `${name}.matmul`, [
    x,
    network.parameter(`${name}.weight`, [inputs, outputs], weight),
  ])
  return network.node(Add, name, [product, network.parameter(`${name}.bias`, [outputs], bias)])
}
