/** Normalisation of each example by its own statistics. */
import * as E from 'fp-ts/lib/Either.js'
import * as ir from '../../../ir/ops/index.ts'
import { normalizeAxis } from '../../../ir/type.ts'
import type { Tensor } from '../../backend/tensor.ts'
import type { DeviceOps } from '../../backend/ops/types.ts'
import { type Layout, onnxOrder, storedAxis, storedShape } from '../layout.ts'
import { given, layoutOr, type Lowered, type Lowering, lowering, operand, type Site, weight } from '../lowering.ts'
import { axesTo, sumInto } from '../broadcasting.ts'
import { batchNormalization } from './batch-normalization.ts'

interface Standardised {
  readonly y: Tensor
  readonly saved: ReadonlyArray<Tensor>
  readonly back: (dy: Tensor) => Tensor
}

/** `(x - mean) / √(variance + ε)` over some axes, or without `centred` `x / √(mean of squares + ε)`. */
const standardise = (
  k: DeviceOps,
  x: Tensor,
  axes: ReadonlyArray<number>,
  epsilon: number,
  centred: boolean,
): Standardised => {
  const share = 1 / axes.reduce((n, axis) => n * (x.shape[axis] ?? 1), 1)
  const mean = (t: Tensor): Tensor => k.affine(k.sum(t, axes, true), share, 0)
  const difference = centred ? k.sub(x, mean(x)) : x
  const r = k.unary('Rsqrt', k.affine(mean(k.unary('Square', difference)), 1, epsilon))
  const y = k.mul(difference, r)
  return {
    y,
    saved: [y, r],
    back: (dy) => {
      const along = k.mul(y, mean(k.mul(dy, y)))
      const across = centred ? k.sub(dy, mean(dy)) : dy
      return k.mul(k.sub(across, along), r)
    },
  }
}

/** A normalisation of `x` over `axes` (in memory) with scale and shift, vectors that are viewed as `vector`. */
const normalisation = (
  site: Site<{ readonly epsilon: number }>,
  layout: Layout,
  view: { readonly x: ReadonlyArray<number>; readonly vector: ReadonlyArray<number> },
  axes: ReadonlyArray<number>,
  centred = true,
): Lowered => {
  const k = site.ops
  const hasShift = Boolean(site.node.inputs[2])
  const vectorShapes = [1, 2].map((port) => site.shapeOf(port))
  return {
    reads: [operand(layout), ...vectorShapes.map((shape) => weight(onnxOrder(shape.length)))],
    gives: [layout],
    run: (inputs) => {
      const x = given(inputs, 0)
      const { y, saved, back } = standardise(k, k.reshape(x, view.x), axes, site.attrs.epsilon, centred)
      const scale = k.reshape(given(inputs, 1), view.vector)
      const scaled = k.mul(y, scale)
      const shifted = hasShift ? k.add(scaled, k.reshape(given(inputs, 2), view.vector)) : scaled
      return {
        outputs: [k.reshape(shifted, x.shape)],
        saved: [...saved, scale],
        gradient: ([given], wanted) => {
          const dy = given && k.reshape(given, view.x)
          const vectorGradient = (port: 1 | 2, gradient: Tensor): Tensor =>
            k.reshape(sumInto(k, gradient, view.vector), vectorShapes[port - 1] ?? [])
          return [
            dy && wanted[0] ? k.reshape(back(k.mul(dy, scale)), x.shape) : undefined,
            dy && wanted[1] ? vectorGradient(1, k.mul(dy, y)) : undefined,
            dy && wanted[2] ? vectorGradient(2, dy) : undefined,
          ]
        },
      }
    },
  }
}

/** Over the trailing axes from `axis` on, as rows of a matrix. */
const trailing = (site: Site<{ readonly epsilon: number; readonly axis: number }>, centred: boolean) => {
  const shape = site.shapeOf(0)
  const axis = normalizeAxis(site.attrs.axis, shape.length)
  if (axis === undefined || site.node.outputs.slice(1).some((name) => name !== '')) {
    return E.left(`${site.node.op} that gives its statistics`)
  }
  const inner = shape.slice(axis).reduce((n, d) => n * d, 1)
  const whole = [1, 2].every(
    (port) => !site.node.inputs[port] || site.shapeOf(port).reduce((n, d) => n * d, 1) === inner,
  )
  if (!whole) return E.left(`${site.node.op} with a scale that broadcasts`)
  return E.right(normalisation(site, onnxOrder(shape.length), { x: [-1, inner], vector: [1, inner] }, [1], centred))
}

const layerNormalization = lowering(ir.LayerNormalization, (site) => trailing(site, true))

const rmsNormalization = lowering(ir.RMSNormalization, (site) => trailing(site, false))

const instanceNormalization = lowering(ir.InstanceNormalization, (site) => {
  const shape = site.shapeOf(0)
  const layout = layoutOr(site, 0)
  const stored = storedShape(shape, layout)
  const axes = shape.flatMap((_, axis) => (axis < 2 ? [] : [storedAxis(axis, layout)]))
  const vector = stored.map((size, axis) => (axis === storedAxis(1, layout) ? size : 1))
  return E.right(normalisation(site, layout, { x: stored, vector }, axes))
})

const groupNormalization = lowering(ir.GroupNormalization, (site) => {
  const [n = 1, c = 1, ...spatial] = site.shapeOf(0)
  const groups = site.attrs.num_groups
  if (site.shapeOf(1)[0] !== c) return E.left('GroupNormalization with one scale for each group')
  const positions = spatial.reduce((size, d) => size * d, 1)
  const view = { x: [n, groups, c / groups, positions], vector: [1, groups, c / groups, 1] }
  return E.right(normalisation(site, onnxOrder(2 + spatial.length), view, [2, 3]))
})

/** `x / ‖x‖` along an axis. */
const lpNormalization = lowering(ir.LpNormalization, (site) => {
  const k = site.ops
  const layout = layoutOr(site, 0)
  const axis = normalizeAxis(site.attrs.axis, layout.length)
  if (axis === undefined || site.attrs.p !== 2) return E.left('LpNormalization other than p = 2')
  const axes = axesTo([axis], layout)
  return E.right({
    reads: [operand(layout)],
    gives: [layout],
    run: (inputs) => {
      const x = given(inputs, 0)
      const r = k.unary('Rsqrt', k.sum(k.unary('Square', x), axes, true))
      const y = k.mul(x, r)
      return {
        outputs: [y],
        saved: [r],
        gradient: ([dy]) => [dy && k.mul(k.sub(dy, k.mul(y, k.sum(k.mul(dy, y), axes, true))), r)],
      }
    },
  })
})

export const normalizations: ReadonlyArray<Lowering> = [
  batchNormalization,
  layerNormalization,
  rmsNormalization,
  instanceNormalization,
  groupNormalization,
  lpNormalization,
]
