/** The device operations that every backend has as kernels of TensorFlow.js. */
import type { Core, Tensor } from '../tensor.ts'
import type { BasicOps, Binary, Unary } from './types.ts'

export const basicOps = (core: Core): BasicOps => {
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
