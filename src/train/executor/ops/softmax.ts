/** Softmax and its logarithm. */
import * as E from 'fp-ts/lib/Either.js'
import type { SoftmaxAttributes } from '../../../ir/families/softmax.ts'
import type { OpDef } from '../../../ir/op.ts'
import * as ir from '../../../ir/ops/index.ts'
import { normalizeAxis } from '../../../ir/type.ts'
import type { Tensor } from '../../backend/tensor.ts'
import type { DeviceOps } from '../../backend/ops/types.ts'
import { layoutOr, type Lowering, lowering, oneToOne } from '../lowering.ts'
import { axesTo } from '../broadcasting.ts'

interface Normaliser {
  readonly y: (k: DeviceOps, x: Tensor, axes: ReadonlyArray<number>) => Tensor
  readonly dx: (k: DeviceOps, dy: Tensor, y: Tensor, axes: ReadonlyArray<number>) => Tensor
}

const over = <Name extends string>(op: OpDef<Name, SoftmaxAttributes>, { y, dx }: Normaliser): Lowering =>
  lowering(op, (site) => {
    const k = site.ops
    const layout = layoutOr(site, 0)
    const rank = layout.length
    const axis = normalizeAxis(site.attrs.axis ?? (site.opset < 13 ? 1 : -1), rank)
    if (axis === undefined) return E.left(`${op.name} of a scalar`)
    // Before opset 13 all axes from this one on were one.
    const compared = site.opset < 13 ? Array.from({ length: rank - axis }, (_, i) => axis + i) : [axis]
    const axes = axesTo(compared, layout)
    return E.right(
      oneToOne(
        layout,
        layout,
        (x) => y(k, x, axes),
        (dy, _x, result) => dx(k, dy, result, axes),
      ),
    )
  })

const exponentials = (k: DeviceOps, x: Tensor, axes: ReadonlyArray<number>): Tensor =>
  k.unary('Exp', k.sub(x, k.max(x, axes, true)))

export const softmaxes: ReadonlyArray<Lowering> = [
  over(ir.Softmax, {
    y: (k, x, axes) => {
      const e = exponentials(k, x, axes)
      return k.div(e, k.sum(e, axes, true))
    },
    dx: (k, dy, y, axes) => {
      const weighted = k.mul(dy, y)
      return k.sub(weighted, k.mul(y, k.sum(weighted, axes, true)))
    },
  }),
  over(ir.LogSoftmax, {
    y: (k, x, axes) => {
      const shifted = k.sub(x, k.max(x, axes, true))
      return k.sub(shifted, k.unary('Log', k.sum(k.unary('Exp', shifted), axes, true)))
    },
    dx: (k, dy, y, axes) => k.sub(dy, k.mul(k.unary('Exp', y), k.sum(dy, axes, true))),
  }),
]
