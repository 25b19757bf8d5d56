/** Operators that keep the elements and their order, or change only the element type of what is no float. */
import * as E from 'fp-ts/lib/Either.js'
import type { OpDef } from '../../../ir/op.ts'
import * as ir from '../../../ir/ops/index.ts'
import { onnxOrder, orderBetween, storedShape } from '../layout.ts'
import { fixed, layoutOr, type Lowering, lowering, oneToOne, given, operand } from '../lowering.ts'
import { sumInto } from '../broadcasting.ts'

const reshaping = <Name extends string, A>(op: OpDef<Name, A>): Lowering =>
  lowering(op, (site) => {
    const k = site.ops
    const [from, to] = [site.shapeOf(0), site.outputShape()]
    return E.right(
      oneToOne(
        onnxOrder(from.length),
        onnxOrder(to.length),
        (x) => k.reshape(x, to),
        (dy) => k.reshape(dy, from),
        [fixed],
      ),
    )
  })

/** Passes its input on. Dropout is not applied: training relies on other regularisation, and results stay reproducible. */
const passing = <Name extends string, A>(op: OpDef<Name, A>): Lowering =>
  lowering(op, (site) => {
    const type = site.outputs[0]
    const before = site.inputs[0]
    const same = type?.kind === 'tensor' && before?.kind === 'tensor' && type.dtype === before.dtype
    if (!same) return E.left(`${op.name} to another element type`)
    if (site.node.outputs[1]) return E.left(`${op.name} that gives its mask`)
    const layout = layoutOr(site, 0)
    return E.right(
      oneToOne(
        layout,
        layout,
        (x) => x,
        (dy) => dy,
        [fixed, fixed],
      ),
    )
  })

/** Reads its input as it lies; only the name of its layout changes, so nothing is moved. */
const transpose = lowering(ir.Transpose, (site) => {
  const layout = layoutOr(site, 0)
  const rank = layout.length
  const perm = site.attrs.perm ?? onnxOrder(rank).toReversed()
  // Axis k in memory holds input axis layout[k], which is output axis perm⁻¹[layout[k]].
  const gives = layout.map((axis) => perm.indexOf(axis))
  return E.right(
    oneToOne(
      layout,
      gives,
      (x) => x,
      (dy) => dy,
    ),
  )
})

const expand = lowering(ir.Expand, (site) => {
  const k = site.ops
  const [from, to] = [site.shapeOf(0), site.outputShape()]
  const full = [...new Array<number>(to.length - from.length).fill(1), ...from]
  return E.right({
    reads: [operand(onnxOrder(from.length)), fixed],
    gives: [onnxOrder(to.length)],
    run: (inputs) => {
      const x = k.reshape(given(inputs, 0), full)
      return {
        outputs: [k.add(x, k.zeros(to))],
        gradient: ([dy]) => [dy && k.reshape(sumInto(k, dy, full), from)],
      }
    },
  })
})

/** Blocks of channels become places: one reordering of six axes. */
const depthToSpace = lowering(ir.DepthToSpace, (site) => {
  const k = site.ops
  const b = site.attrs.blocksize ?? 1
  const [n = 1, c = 1, h = 1, w = 1] = site.shapeOf(0)
  const output = site.outputShape()
  const groups = c / (b * b)
  const split = site.attrs.mode === 'DCR' ? [n, b, b, groups, h, w] : [n, groups, b, b, h, w]
  const order = site.attrs.mode === 'DCR' ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3]
  const back = orderBetween(order, onnxOrder(6))
  return E.right(
    oneToOne(
      onnxOrder(4),
      onnxOrder(4),
      (x) => k.reshape(k.transpose(k.reshape(x, split), order), output),
      (dy) => k.reshape(k.transpose(k.reshape(dy, storedShape(split, order)), back), [n, c, h, w]),
    ),
  )
})

export const reshapings: ReadonlyArray<Lowering> = [
  reshaping(ir.Reshape),
  reshaping(ir.Flatten),
  reshaping(ir.Squeeze),
  reshaping(ir.Unsqueeze),
  passing(ir.Identity),
  passing(ir.Dropout),
  passing(ir.Cast),
  transpose,
  expand,
  depthToSpace,
]
