/** Operators of one tensor that compute every element from the element at the same place. */
import * as E from 'fp-ts/lib/Either.js'
import type { OpDef } from '../../../ir/op.ts'
import * as ir from '../../../ir/ops/index.ts'
import { elements, type Tensor as Constant } from '../../../ir/tensor.ts'
import type { Tensor } from '../../backend/tensor.ts'
import type { DeviceOps, Unary } from '../../backend/ops/types.ts'
import { fixed, layoutOr, type Lowering, lowering, oneToOne, type Site } from '../lowering.ts'

/** A function and the gradient of its argument. */
interface Differentiable {
  readonly y: (k: DeviceOps, x: Tensor) => Tensor
  readonly dx: (k: DeviceOps, dy: Tensor, x: Tensor, y: Tensor) => Tensor
}

const elementwise = <Name extends string, A>(op: OpDef<Name, A>, functionOf: (attrs: A) => Differentiable): Lowering =>
  lowering(op, (site) => {
    const { y, dx } = functionOf(site.attrs)
    const layout = layoutOr(site, 0)
    return E.right(
      oneToOne(
        layout,
        layout,
        (x) => y(site.ops, x),
        (dy, x, result) => dx(site.ops, dy, x, result),
      ),
    )
  })

const kernel =
  (name: Unary): Differentiable['y'] =>
  (k, x) =>
    k.unary(name, x)

/** The gradient of a step function. */
const flat: Differentiable['dx'] = (k, _dy, x) => k.zeros(x.shape)

const sigmoid = (k: DeviceOps, x: Tensor): Tensor => k.unary('Sigmoid', x)

/** `s (1 - s)` for `s = sigmoid(x)`. */
const slopeOf = (k: DeviceOps, s: Tensor): Tensor => k.mul(s, k.affine(s, -1, 1))

const relu: Differentiable = { y: kernel('Relu'), dx: (k, dy, _x, y) => k.reluGradient(dy, y) }

/** `x` where it is positive, else `negative(x)`, whose derivative there is `slope(x)`. */
const piecewise = (
  negative: (k: DeviceOps, x: Tensor) => Tensor,
  slope: (k: DeviceOps, x: Tensor) => Tensor,
): Differentiable => ({
  y: (k, x) => k.add(k.unary('Relu', x), negative(k, k.clip(x, -Infinity, 0))),
  dx: (k, dy, x) => {
    const positive = k.binary('Greater', x, k.scalar(0))
    return k.select(positive, dy, k.mul(dy, slope(k, k.clip(x, -Infinity, 0))))
  },
})

/** `alpha (e^(x / beta) - 1)` for negative x. */
const exponential = (alpha: number, beta: number): Differentiable =>
  piecewise(
    (k, x) => k.affine(k.unary('Exp', k.affine(x, 1 / beta, 0)), alpha, -alpha),
    (k, x) => k.affine(k.unary('Exp', k.affine(x, 1 / beta, 0)), alpha / beta, 0),
  )

const scaled = (f: Differentiable, factor: number): Differentiable => ({
  y: (k, x) => k.affine(f.y(k, x), factor, 0),
  dx: (k, dy, x, y) => k.affine(f.dx(k, dy, x, y), factor, 0),
})

/** `x · g(x)`, with the derivative of `g`. */
const gated = (g: (k: DeviceOps, x: Tensor) => Tensor, slope: (k: DeviceOps, x: Tensor) => Tensor): Differentiable => ({
  y: (k, x) => k.mul(x, g(k, x)),
  dx: (k, dy, x) => k.mul(dy, k.add(g(k, x), k.mul(x, slope(k, x)))),
})

const hardSigmoid = (alpha: number, beta: number): Differentiable => ({
  y: (k, x) => k.clip(k.affine(x, alpha, beta), 0, 1),
  dx: (k, dy, x) => k.affine(k.clipGradient(dy, k.affine(x, alpha, beta), 0, 1), alpha, 0),
})

/** `(1 + erf(x / √2)) / 2`, whose derivative is the normal density. */
const normalCdf = (k: DeviceOps, x: Tensor): Tensor => k.affine(k.unary('Erf', k.affine(x, Math.SQRT1_2, 0)), 0.5, 0.5)

const normalDensity = (k: DeviceOps, x: Tensor): Tensor =>
  k.affine(k.unary('Exp', k.affine(k.unary('Square', x), -0.5, 0)), 1 / Math.sqrt(2 * Math.PI), 0)

const gelu = gated(normalCdf, normalDensity)

/** `tanh(√(2/π) (x + 0.044715 x³))`. */
const tanhArgument = (k: DeviceOps, x: Tensor): Tensor =>
  k.unary('Tanh', k.affine(k.mul(x, k.affine(k.unary('Square', x), 0.044715, 1)), Math.sqrt(2 / Math.PI), 0))

const tanhGelu = gated(
  (k, x) => k.affine(tanhArgument(k, x), 0.5, 0.5),
  (k, x) => {
    const slope = k.affine(k.unary('Square', x), 3 * 0.044715 * Math.sqrt(2 / Math.PI), Math.sqrt(2 / Math.PI))
    return k.affine(k.mul(k.affine(k.unary('Square', tanhArgument(k, x)), -1, 1), slope), 0.5, 0)
  },
)

const swish = (alpha: number): Differentiable =>
  gated(
    (k, x) => sigmoid(k, k.affine(x, alpha, 0)),
    (k, x) => k.affine(slopeOf(k, sigmoid(k, k.affine(x, alpha, 0))), alpha, 0),
  )

/** `tanh(ln(1 + e^x))` and its derivative `(1 - tanh²) sigmoid(x)`. */
const softTanh = (k: DeviceOps, x: Tensor): Tensor => k.unary('Tanh', k.unary('Softplus', x))

const mish = gated(softTanh, (k, x) => k.mul(k.affine(k.unary('Square', softTanh(k, x)), -1, 1), sigmoid(k, x)))

const plain: ReadonlyArray<Lowering> = [
  elementwise(ir.Relu, () => relu),
  elementwise(ir.Abs, () => ({ y: kernel('Abs'), dx: (k, dy, x) => k.mul(dy, k.unary('Sign', x)) })),
  elementwise(ir.Neg, () => ({ y: kernel('Neg'), dx: (k, dy) => k.unary('Neg', dy) })),
  elementwise(ir.Exp, () => ({ y: kernel('Exp'), dx: (k, dy, _x, y) => k.mul(dy, y) })),
  elementwise(ir.Log, () => ({ y: kernel('Log'), dx: (k, dy, x) => k.div(dy, x) })),
  elementwise(ir.Sqrt, () => ({ y: kernel('Sqrt'), dx: (k, dy, _x, y) => k.affine(k.div(dy, y), 0.5, 0) })),
  elementwise(ir.Reciprocal, () => ({
    y: kernel('Reciprocal'),
    dx: (k, dy, _x, y) => k.unary('Neg', k.mul(dy, k.unary('Square', y))),
  })),
  elementwise(ir.Sin, () => ({ y: kernel('Sin'), dx: (k, dy, x) => k.mul(dy, k.unary('Cos', x)) })),
  elementwise(ir.Cos, () => ({ y: kernel('Cos'), dx: (k, dy, x) => k.unary('Neg', k.mul(dy, k.unary('Sin', x))) })),
  elementwise(ir.Tanh, () => ({
    y: kernel('Tanh'),
    dx: (k, dy, _x, y) => k.mul(dy, k.affine(k.unary('Square', y), -1, 1)),
  })),
  elementwise(ir.Sigmoid, () => ({ y: sigmoid, dx: (k, dy, _x, y) => k.mul(dy, slopeOf(k, y)) })),
  elementwise(ir.Softplus, () => ({ y: kernel('Softplus'), dx: (k, dy, x) => k.mul(dy, sigmoid(k, x)) })),
  elementwise(ir.Softsign, () => ({
    y: (k, x) => k.div(x, k.affine(k.unary('Abs', x), 1, 1)),
    dx: (k, dy, x) => k.div(dy, k.unary('Square', k.affine(k.unary('Abs', x), 1, 1))),
  })),
  elementwise(ir.Erf, () => ({
    y: kernel('Erf'),
    dx: (k, dy, x) =>
      k.affine(k.mul(dy, k.unary('Exp', k.unary('Neg', k.unary('Square', x)))), 2 / Math.sqrt(Math.PI), 0),
  })),
  elementwise(ir.Floor, () => ({ y: kernel('Floor'), dx: flat })),
  elementwise(ir.Ceil, () => ({ y: kernel('Ceil'), dx: flat })),
  elementwise(ir.Round, () => ({ y: kernel('Round'), dx: flat })),
  elementwise(ir.Sign, () => ({ y: kernel('Sign'), dx: flat })),
  elementwise(ir.Mish, () => mish),
  elementwise(ir.HardSwish, () =>
    gated(
      (k, x) => hardSigmoid(1 / 6, 0.5).y(k, x),
      (k, x) => {
        const ones = k.affine(x, 0, 1)
        return k.affine(k.clipGradient(ones, x, -3, 3), 1 / 6, 0)
      },
    ),
  ),
]

const withAttributes: ReadonlyArray<Lowering> = [
  elementwise(ir.LeakyRelu, ({ alpha }) =>
    piecewise(
      (k, x) => k.affine(x, alpha, 0),
      (k, x) => k.affine(x, 0, alpha),
    ),
  ),
  elementwise(ir.Elu, ({ alpha }) => exponential(alpha, 1)),
  elementwise(ir.Celu, ({ alpha }) => exponential(alpha, alpha)),
  elementwise(ir.Selu, ({ alpha, gamma }) => scaled(exponential(alpha, 1), gamma)),
  elementwise(ir.HardSigmoid, ({ alpha, beta }) => hardSigmoid(alpha, beta)),
  elementwise(ir.Gelu, ({ approximate }) => (approximate === 'tanh' ? tanhGelu : gelu)),
  elementwise(ir.Swish, ({ alpha }) => swish(alpha)),
  elementwise(ir.ThresholdedRelu, ({ alpha }) => ({
    y: (k, x) => k.clipGradient(x, x, alpha, Infinity),
    dx: (k, dy, x) => k.clipGradient(dy, x, alpha, Infinity),
  })),
]

/** A bound of Clip: an attribute, or since opset 11 a constant input; undefined where it is computed. */
const boundOf = (
  site: Site<{ readonly min: number | undefined; readonly max: number | undefined }>,
  port: 1 | 2,
  absent: number,
): number | undefined => {
  if (site.opset < 11) return (port === 1 ? site.attrs.min : site.attrs.max) ?? absent
  if (site.inputs[port] === undefined) return absent
  const tensor: Constant | undefined = site.constant(port)
  return tensor && Number(elements(tensor)[0] ?? NaN)
}

const clip = lowering(ir.Clip, (site) => {
  const k = site.ops
  const [min, max] = [boundOf(site, 1, -Infinity), boundOf(site, 2, Infinity)]
  if (min === undefined || max === undefined) return E.left('Clip with computed bounds')
  const layout = layoutOr(site, 0)
  return E.right(
    oneToOne(
      layout,
      layout,
      (x) => k.clip(x, min, max),
      (dy, x) => k.clipGradient(dy, x, min, max),
      [fixed, fixed],
    ),
  )
})

export const activations: ReadonlyArray<Lowering> = [...plain, ...withAttributes, clip]
