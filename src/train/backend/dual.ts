/**
 * Device operations that carry derivatives along (forward mode): whatever is computed by them of tensors that have a derivative has
 * one too, by the rule of each operation. A gradient that is computed so comes with its own derivative, exact but for rounding.
 */
import type { Backend } from './backend.ts'
import { composedOps } from './ops/fused.ts'
import type { BasicOps, Binary, ConvolutionOps, DeviceOps, PoolSteps, Unary } from './ops/types.ts'
import { scoped } from './scope.ts'
import type { Tensor } from './tensor.ts'

export interface Dual {
  /** The same backend, with operations that carry derivatives along. */
  readonly backend: Backend
  /** Gives a tensor a derivative, of its shape, which it takes over: it is disposed with the tensor. */
  readonly attach: (tensor: Tensor, derivative: Tensor) => void
  /** The derivative of a tensor, which stays the tensor's; undefined where it is 0. */
  readonly derivativeOf: (tensor: Tensor) => Tensor | undefined
}

export const dualBackend = (backend: Backend): Dual => {
  const { core, ops } = backend
  const known = new WeakMap<Tensor, Tensor>()
  const derivativeOf: Dual['derivativeOf'] = (tensor) => known.get(tensor)
  const attach: Dual['attach'] = (tensor, derivative) => {
    known.set(tensor, core.keep(derivative))
    const dispose = tensor.dispose.bind(tensor)
    tensor.dispose = () => {
      derivative.dispose()
      dispose()
    }
  }
  const carry: Carry = (y, derivative) => {
    const found = scoped(core, derivative, (tensor) => [tensor])
    if (found !== undefined) attach(y, found)
    return y
  }
  const basic = dualBasicOps(ops, derivativeOf, carry)
  const all = { ...basic, ...dualConvolutionOps(ops, derivativeOf, carry), ...composedOps(basic) }
  return { backend: { ...backend, ops: all }, attach, derivativeOf }
}

/** Gives a result its derivative, a tensor made for it alone. */
type Carry = (y: Tensor, derivative: () => Tensor | undefined) => Tensor

type DerivativeOf = Dual['derivativeOf']

/** The derivative by x at x, y the result; absent: 0 everywhere. */
const slopes: { readonly [Kernel in Unary]?: (k: DeviceOps, t: Tensor, x: Tensor, y: Tensor) => Tensor } = {
  Abs: (k, t, x) => k.mul(t, k.unary('Sign', x)),
  Cos: (k, t, x) => k.unary('Neg', k.mul(t, k.unary('Sin', x))),
  Erf: (k, t, x) => k.affine(k.mul(t, k.unary('Exp', k.unary('Neg', k.unary('Square', x)))), 2 / Math.sqrt(Math.PI), 0),
  Exp: (k, t, _x, y) => k.mul(t, y),
  Identity: (k, t) => k.unary('Identity', t),
  Log: (k, t, x) => k.div(t, x),
  Neg: (k, t) => k.unary('Neg', t),
  Reciprocal: (k, t, _x, y) => k.unary('Neg', k.mul(t, k.unary('Square', y))),
  Relu: (k, t, _x, y) => k.reluGradient(t, y),
  Rsqrt: (k, t, _x, y) => k.affine(k.mul(t, k.mul(y, k.unary('Square', y))), -0.5, 0),
  Sigmoid: (k, t, _x, y) => k.mul(t, k.mul(y, k.affine(y, -1, 1))),
  Sin: (k, t, x) => k.mul(t, k.unary('Cos', x)),
  Softplus: (k, t, x) => k.mul(t, k.unary('Sigmoid', x)),
  Sqrt: (k, t, _x, y) => k.affine(k.div(t, y), 0.5, 0),
  Square: (k, t, x) => k.affine(k.mul(t, x), 2, 0),
  Tanh: (k, t, _x, y) => k.mul(t, k.affine(k.unary('Square', y), -1, 1)),
}

type Two = (k: DeviceOps, a: Tensor, b: Tensor, y: Tensor) => Tensor

/** What the derivatives of both operands, `t`, add to that of the result; absent: nothing. */
const shares: {
  readonly [Kernel in Binary]?: readonly [first: (t: Tensor) => Two, second: (t: Tensor) => Two]
} = {
  Add: [(t) => (k, _a, _b, y) => widened(k, t, y), (t) => (k, _a, _b, y) => widened(k, t, y)],
  Sub: [(t) => (k, _a, _b, y) => widened(k, t, y), (t) => (k, _a, _b, y) => k.unary('Neg', widened(k, t, y))],
  Multiply: [(t) => (k, _a, b) => k.mul(t, b), (t) => (k, a) => k.mul(a, t)],
  RealDiv: [(t) => (k, _a, b) => k.div(t, b), (t) => (k, _a, b, y) => k.unary('Neg', k.div(k.mul(y, t), b))],
  Pow: [
    (t) => (k, a, b) => k.mul(t, k.mul(b, k.binary('Pow', a, k.affine(b, 1, -1)))),
    (t) => (k, a, _b, y) => k.mul(t, k.mul(y, k.unary('Log', a))),
  ],
  Maximum: [
    (t) => (k, a, b) => k.mul(t, k.toFloat(k.binary('GreaterEqual', a, b))),
    (t) => (k, a, b) => k.mul(t, k.toFloat(k.binary('Less', a, b))),
  ],
  Minimum: [
    (t) => (k, a, b) => k.mul(t, k.toFloat(k.binary('LessEqual', a, b))),
    (t) => (k, a, b) => k.mul(t, k.toFloat(k.binary('Greater', a, b))),
  ],
}

/** A derivative in the shape of the result that its operand was widened to. */
const widened = (k: DeviceOps, t: Tensor, y: Tensor): Tensor =>
  t.shape.length === y.shape.length && t.shape.every((size, axis) => size === y.shape[axis])
    ? k.unary('Identity', t)
    : k.add(t, k.zeros(y.shape))

const sumOf = (k: DeviceOps, a: Tensor | undefined, b: Tensor | undefined): Tensor | undefined =>
  a === undefined || b === undefined ? (a ?? b) : k.add(a, b)

const dualBasicOps = (k: DeviceOps, derivativeOf: DerivativeOf, carry: Carry): BasicOps => {
  const linear = (x: Tensor, f: (x: Tensor) => Tensor): Tensor =>
    carry(f(x), () => {
      const t = derivativeOf(x)
      return t && f(t)
    })
  const binary = (kernel: Binary, a: Tensor, b: Tensor): Tensor => {
    const y = k.binary(kernel, a, b)
    const [first, second] = shares[kernel] ?? []
    return carry(y, () => {
      const [ta, tb] = [derivativeOf(a), derivativeOf(b)]
      return sumOf(k, ta && first?.(ta)(k, a, b, y), tb && second?.(tb)(k, a, b, y))
    })
  }
  return {
    unary: (kernel, x) => {
      const y = k.unary(kernel, x)
      return carry(y, () => {
        const t = derivativeOf(x)
        return t && slopes[kernel]?.(k, t, x, y)
      })
    },
    binary,
    add: (a, b) => binary('Add', a, b),
    sub: (a, b) => binary('Sub', a, b),
    mul: (a, b) => binary('Multiply', a, b),
    div: (a, b) => binary('RealDiv', a, b),
    affine: (x, factor, term) =>
      carry(k.affine(x, factor, term), () => {
        const t = derivativeOf(x)
        return t && k.affine(t, factor, 0)
      }),
    clip: (x, min, max) =>
      carry(k.clip(x, min, max), () => {
        const t = derivativeOf(x)
        return t && k.clipGradient(t, x, min, max)
      }),
    scalar: k.scalar,
    tensor: k.tensor,
    bools: k.bools,
    zeros: k.zeros,
    toFloat: (x) => linear(x, k.toFloat),
    reshape: (x, shape) => linear(x, (one) => k.reshape(one, shape)),
    transpose: (x, order) => linear(x, (one) => k.transpose(one, order)),
    sum: (x, axes, keepAxes) => linear(x, (one) => k.sum(one, axes, keepAxes)),
    max: (x, axes, keepAxes) =>
      carry(k.max(x, axes, keepAxes), () => {
        const t = derivativeOf(x)
        if (t === undefined) return undefined
        // The mean over the largest elements.
        const hits = k.toFloat(k.binary('Equal', x, k.max(x, axes, true)))
        return k.div(k.sum(k.mul(hits, t), axes, keepAxes), k.sum(hits, axes, keepAxes))
      }),
    matMul: (a, b, transposeA, transposeB) =>
      carry(k.matMul(a, b, transposeA, transposeB), () => {
        const [ta, tb] = [derivativeOf(a), derivativeOf(b)]
        return sumOf(k, ta && k.matMul(ta, b, transposeA, transposeB), tb && k.matMul(a, tb, transposeA, transposeB))
      }),
    pad: (x, pads, value) =>
      carry(k.pad(x, pads, value), () => {
        const t = derivativeOf(x)
        return t && k.pad(t, pads, 0)
      }),
    slice: (x, begin, size) => linear(x, (one) => k.slice(one, begin, size)),
    concat: (xs, axis) =>
      carry(k.concat(xs, axis), () => {
        if (xs.every((x) => derivativeOf(x) === undefined)) return undefined
        return k.concat(
          xs.map((x) => derivativeOf(x) ?? k.zeros(x.shape)),
          axis,
        )
      }),
    gather: (x, indices, axis) => linear(x, (one) => k.gather(one, indices, axis)),
    select: (condition, a, b) =>
      carry(k.select(condition, a, b), () => {
        const [ta, tb] = [derivativeOf(a), derivativeOf(b)]
        if (ta === undefined && tb === undefined) return undefined
        return k.select(condition, ta ?? k.zeros(a.shape), tb ?? k.zeros(b.shape))
      }),
  }
}

const dualConvolutionOps = (k: DeviceOps, derivativeOf: DerivativeOf, carry: Carry): ConvolutionOps => {
  const bilinear = (a: Tensor, b: Tensor, f: (a: Tensor, b: Tensor) => Tensor): Tensor =>
    carry(f(a, b), () => {
      const [ta, tb] = [derivativeOf(a), derivativeOf(b)]
      return sumOf(k, ta && f(ta, b), tb && f(a, tb))
    })
  const linear = (x: Tensor, f: (x: Tensor) => Tensor): Tensor =>
    carry(f(x), () => {
      const t = derivativeOf(x)
      return t && f(t)
    })
  return {
    conv: (x, filter, steps) => bilinear(x, filter, (a, b) => k.conv(a, b, steps)),
    convInputGradient: (dy, filter, shape, steps) =>
      bilinear(dy, filter, (a, b) => k.convInputGradient(a, b, shape, steps)),
    convFilterGradient: (x, dy, shape, steps) => bilinear(x, dy, (a, b) => k.convFilterGradient(a, b, shape, steps)),
    depthwise: (x, filter, steps) => bilinear(x, filter, (a, b) => k.depthwise(a, b, steps)),
    depthwiseInputGradient: (dy, filter, shape, steps) =>
      bilinear(dy, filter, (a, b) => k.depthwiseInputGradient(a, b, shape, steps)),
    depthwiseFilterGradient: (x, dy, shape, steps) =>
      bilinear(x, dy, (a, b) => k.depthwiseFilterGradient(a, b, shape, steps)),
    maxPool: (x, steps) => {
      const y = k.maxPool(x, steps)
      return carry(y, () => {
        const t = derivativeOf(x)
        return t && ofLargest(k, t, x, y, steps)
      })
    },
    maxPoolGradient: (dy, x, y, steps) => linear(dy, (one) => k.maxPoolGradient(one, x, y, steps)),
    averagePool: (x, steps) => linear(x, (one) => k.averagePool(one, steps)),
    averagePoolGradient: (dy, x, steps) => linear(dy, (one) => k.averagePoolGradient(one, x, steps)),
  }
}

/** Smaller than every activation. */
const lowest = -3.4e38

/** Of every window the mean of `t` over the places where `x` is the largest, `y`. */
const ofLargest = (k: DeviceOps, t: Tensor, x: Tensor, y: Tensor, { size, strides, pads }: PoolSteps): Tensor => {
  const [top, bottom, left, right] = pads
  const border = [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ] as const
  const [padded, moved] = [k.pad(x, border, lowest), k.pad(t, border, 0)]
  const [height, width] = size
  const channels = x.shape[3] ?? 1
  const steps = { strides, pads: [0, 0, 0, 0] } as const
  let [sum, count] = [k.zeros(y.shape), k.zeros(y.shape)]
  for (let place = 0; place < height * width; place++) {
    // A filter that takes the one place of every window.
    const one = new Float32Array(height * width * channels).fill(1, place * channels, (place + 1) * channels)
    const filter = k.tensor(one, [height, width, channels, 1])
    const hits = k.toFloat(k.binary('Equal', k.depthwise(padded, filter, steps), y))
    sum = k.add(sum, k.mul(hits, k.depthwise(moved, filter, steps)))
    count = k.add(count, hits)
  }
  return k.div(sum, count)
}
