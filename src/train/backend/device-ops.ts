/**
 * The device operations that lowering is written in: TensorFlow.js kernels by name, on tensors of any rank. Images are
 * `[N, H, W, C]`. What a backend has a faster kernel of its own for is composed here for all others.
 */
import type { Core, Tensor } from './backend.ts'
import { type ConvolutionOps, convolutionOps } from './convolution-ops.ts'
import { type FusedOps, fusedOps } from './fused-ops.ts'

/** Kernels of one tensor. */
export type Unary =
  | 'Abs'
  | 'Ceil'
  | 'Cos'
  | 'Erf'
  | 'Exp'
  | 'Floor'
  | 'Identity'
  | 'Log'
  | 'LogicalNot'
  | 'Neg'
  | 'Reciprocal'
  | 'Relu'
  | 'Round'
  | 'Rsqrt'
  | 'Sigmoid'
  | 'Sign'
  | 'Sin'
  | 'Softplus'
  | 'Sqrt'
  | 'Square'
  | 'Tanh'

/** Kernels of two tensors that broadcast. The comparisons give booleans. */
export type Binary =
  | 'Add'
  | 'Equal'
  | 'Greater'
  | 'GreaterEqual'
  | 'Less'
  | 'LessEqual'
  | 'LogicalAnd'
  | 'LogicalOr'
  | 'Maximum'
  | 'Minimum'
  | 'Multiply'
  | 'Pow'
  | 'RealDiv'
  | 'Sub'

export interface BasicOps {
  readonly unary: (kernel: Unary, x: Tensor) => Tensor
  readonly binary: (kernel: Binary, a: Tensor, b: Tensor) => Tensor
  readonly add: (a: Tensor, b: Tensor) => Tensor
  readonly sub: (a: Tensor, b: Tensor) => Tensor
  readonly mul: (a: Tensor, b: Tensor) => Tensor
  readonly div: (a: Tensor, b: Tensor) => Tensor
  /** `x · factor + term`, both numbers. */
  readonly affine: (x: Tensor, factor: number, term: number) => Tensor
  readonly clip: (x: Tensor, min: number, max: number) => Tensor
  readonly scalar: (value: number) => Tensor
  readonly tensor: (values: Float32Array | Int32Array, shape: ReadonlyArray<number>) => Tensor
  readonly bools: (values: Uint8Array, shape: ReadonlyArray<number>) => Tensor
  readonly zeros: (shape: ReadonlyArray<number>) => Tensor
  readonly toFloat: (x: Tensor) => Tensor
  readonly reshape: (x: Tensor, shape: ReadonlyArray<number>) => Tensor
  readonly transpose: (x: Tensor, order: ReadonlyArray<number>) => Tensor
  readonly sum: (x: Tensor, axes: ReadonlyArray<number>, keepAxes: boolean) => Tensor
  readonly max: (x: Tensor, axes: ReadonlyArray<number>, keepAxes: boolean) => Tensor
  /** Products of matrices `[.., m, k] · [.., k, n]`, the leading axes broadcast. */
  readonly matMul: (a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean) => Tensor
  readonly pad: (x: Tensor, pads: ReadonlyArray<readonly [number, number]>, value: number) => Tensor
  readonly slice: (x: Tensor, begin: ReadonlyArray<number>, size: ReadonlyArray<number>) => Tensor
  readonly concat: (xs: ReadonlyArray<Tensor>, axis: number) => Tensor
  readonly gather: (x: Tensor, indices: Int32Array, axis: number) => Tensor
  /** `condition` (booleans) chooses between `a` and `b`; all three have the same shape. */
  readonly select: (condition: Tensor, a: Tensor, b: Tensor) => Tensor
}

export interface DeviceOps extends BasicOps, ConvolutionOps, FusedOps {}

export const deviceOps = (core: Core, backend: string): DeviceOps => {
  const basic = basicOps(core)
  return { ...basic, ...convolutionOps(core, basic, backend), ...fusedOps(core, basic, backend) }
}

const basicOps = (core: Core): BasicOps => {
  const engine = core.engine()
  const unary = (kernel: Unary, x: Tensor): Tensor => engine.runKernel(kernel, { x })
  const binary = (kernel: Binary, a: Tensor, b: Tensor): Tensor => engine.runKernel(kernel, { a, b })
  const scalar = (value: number): Tensor => core.scalar(value)
  const matMul: BasicOps['matMul'] = (a, b, transposeA = false, transposeB = false) =>
    engine.runKernel('BatchMatMul', { a, b }, { transposeA, transposeB })
  const reduced =
    (kernel: string, attribute: string): BasicOps['sum'] =>
    (x, axes, keepAxes) =>
      engine.runKernel(kernel, { x }, { [attribute]: [...axes], keepDims: keepAxes })
  return {
    unary,
    binary,
    add: (a, b) => binary('Add', a, b),
    sub: (a, b) => binary('Sub', a, b),
    mul: (a, b) => binary('Multiply', a, b),
    div: (a, b) => binary('RealDiv', a, b),
    affine: (x, factor, term) => {
      const scaled = factor === 1 ? x : binary('Multiply', x, scalar(factor))
      return term === 0 && scaled !== x ? scaled : binary('Add', scaled, scalar(term))
    },
    clip: (x, clipValueMin, clipValueMax) => engine.runKernel('ClipByValue', { x }, { clipValueMin, clipValueMax }),
    scalar,
    tensor: (values, shape) => core.tensor(values, [...shape], values instanceof Int32Array ? 'int32' : 'float32'),
    bools: (values, shape) => core.tensor(values, [...shape], 'bool'),
    zeros: (shape) => core.zeros([...shape]),
    toFloat: (x) =>
      x.dtype === 'float32' ? unary('Identity', x) : engine.runKernel('Cast', { x }, { dtype: 'float32' }),
    reshape: (x, shape) => engine.runKernel('Reshape', { x }, { shape: [...shape] }),
    transpose: (x, order) => engine.runKernel('Transpose', { x }, { perm: [...order] }),
    sum: reduced('Sum', 'axis'),
    max: reduced('Max', 'reductionIndices'),
    matMul,
    pad: (x, pads, constantValue) =>
      engine.runKernel('PadV2', { x }, { paddings: pads.map((p) => [...p]), constantValue }),
    slice: (x, begin, size) => engine.runKernel('Slice', { x }, { begin: [...begin], size: [...size] }),
    concat: (xs, axis) => core.concat([...xs], axis),
    gather: (x, indices, axis) =>
      engine.runKernel('GatherV2', { x, indices: core.tensor1d(indices, 'int32') }, { axis, batchDims: 0 }),
    select: (condition, t, e) => engine.runKernel('Select', { condition, t, e }),
  }
}
