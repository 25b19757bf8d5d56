/**
 * The device operations that lowering is written in: TensorFlow.js kernels by name, on tensors of any rank. Images are
 * `[N, H, W, C]`. What a backend has a faster kernel of its own for is composed for all others.
 */
import type { Tensor } from '../tensor.ts'

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

/** Steps and padding along height and width; no dilation. */
export interface Steps {
  readonly strides: readonly [height: number, width: number]
  readonly pads: readonly [top: number, bottom: number, left: number, right: number]
}

export interface PoolSteps extends Steps {
  readonly size: readonly [height: number, width: number]
}

type Shape4 = readonly [number, number, number, number]

/** Filters are `[height, width, inputs, outputs]`, depthwise ones `[height, width, inputs, multiplier]`. */
export interface ConvolutionOps {
  readonly conv: (x: Tensor, filter: Tensor, steps: Steps) => Tensor
  readonly convInputGradient: (dy: Tensor, filter: Tensor, inputShape: Shape4, steps: Steps) => Tensor
  readonly convFilterGradient: (x: Tensor, dy: Tensor, filterShape: Shape4, steps: Steps) => Tensor
  readonly depthwise: (x: Tensor, filter: Tensor, steps: Steps) => Tensor
  readonly depthwiseInputGradient: (dy: Tensor, filter: Tensor, inputShape: Shape4, steps: Steps) => Tensor
  readonly depthwiseFilterGradient: (x: Tensor, dy: Tensor, filterShape: Shape4, steps: Steps) => Tensor
  /** The largest of each window, padding left out. */
  readonly maxPool: (x: Tensor, steps: PoolSteps) => Tensor
  readonly maxPoolGradient: (dy: Tensor, x: Tensor, y: Tensor, steps: PoolSteps) => Tensor
  /** The mean of each window; without padding. */
  readonly averagePool: (x: Tensor, steps: PoolSteps) => Tensor
  readonly averagePoolGradient: (dy: Tensor, x: Tensor, steps: PoolSteps) => Tensor
}

/** Operations on the columns of a matrix `[P, C]` with vectors of length C. */
export interface ColumnOps {
  /** Sum of every column. */
  readonly columnSums: (rows: Tensor) => Tensor
  /** Mean and population variance of every column. */
  readonly columnMoments: (rows: Tensor) => readonly [mean: Tensor, variance: Tensor]
  /** `rows · factor + term`, column by column. */
  readonly scaleColumns: (rows: Tensor, factor: Tensor, term: Tensor) => Tensor
  /** Column sums of `dy` and of `dy · (rows - mean)`. */
  readonly columnProducts: (dy: Tensor, rows: Tensor, mean: Tensor) => readonly [sum: Tensor, product: Tensor]
  /** `dy · a + rows · b + c`, column by column. */
  readonly combineColumns: (dy: Tensor, rows: Tensor, a: Tensor, b: Tensor, c: Tensor) => Tensor
}

/** Columns normalised by their own statistics. */
export interface Normalized {
  readonly y: Tensor
  readonly mean: Tensor
  /** Population variance. */
  readonly variance: Tensor
  /** What the gradient reads besides what was given. */
  readonly saved: ReadonlyArray<Tensor>
  readonly gradient: (dy: Tensor) => readonly [x: Tensor, scale: Tensor, shift: Tensor]
}

/** `rows` is a matrix `[P, C]`, `x` of any rank `[.., C]`; vectors have length C. */
export interface FusedOps extends Pick<ColumnOps, 'columnSums' | 'scaleColumns'> {
  /** `(x - mean) / √(variance + ε) · scale + shift` with mean and variance of each column, all but the last axis rows. */
  readonly normalizeColumns: (x: Tensor, scale: Tensor, shift: Tensor, epsilon: number) => Normalized
  /** `dy` where `y` is positive, else 0. */
  readonly reluGradient: (dy: Tensor, y: Tensor) => Tensor
  /** `dy` where `min < x < max`, else 0. */
  readonly clipGradient: (dy: Tensor, x: Tensor, min: number, max: number) => Tensor
}

export interface DeviceOps extends BasicOps, ConvolutionOps, FusedOps {}
