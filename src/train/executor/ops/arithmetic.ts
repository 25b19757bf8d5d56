/** Element-wise operators of several tensors that broadcast. */
import * as E from 'fp-ts/lib/Either.js'
import type { OpDef } from '../../../ir/op.ts'
import * as ir from '../../../ir/ops/index.ts'
import type { Tensor } from '../../backend/tensor.ts'
import type { Binary, DeviceOps } from '../../backend/ops/types.ts'
import { aligned, layoutOfResult } from '../broadcasting.ts'
import { given, layoutOr, type Lowering, lowering, operand, type Site } from '../lowering.ts'

/** A function of operands that are aligned already, and their gradients before they are summed where they broadcast. */
interface Differentiable {
  readonly y: (k: DeviceOps, xs: ReadonlyArray<Tensor>) => Tensor
  /** Gradient of operand `i`; absent where the result is no float. */
  readonly dx?: (k: DeviceOps, dy: Tensor, xs: ReadonlyArray<Tensor>, i: number, y: Tensor) => Tensor
}

const broadcasting = <Name extends string, A>(op: OpDef<Name, A>, f: Differentiable): Lowering =>
  lowering(op, (site) => {
    const k = site.ops
    const ports = site.node.inputs.map((_, port) => port)
    if (ports.some((port) => !isRead(site, port))) return E.left(`${op.name} of other numbers than float32`)
    const layout = layoutOfResult(site, ports)
    const operands = ports.map((port) => aligned(site, port, layout))
    const { dx } = f
    return E.right({
      reads: operands.map(({ read }) => read),
      gives: [layout],
      run: (inputs) => {
        const xs = operands.map(({ into }, port) => into(given(inputs, port)))
        const y = f.y(k, xs)
        if (dx === undefined) return { outputs: [y] }
        return {
          outputs: [y],
          saved: xs.filter((x) => !inputs.includes(x)),
          gradient: ([dy], wanted) =>
            operands.map(({ back }, i) => (dy && wanted[i] ? back(dx(k, dy, xs, i, y)) : undefined)),
        }
      },
    })
  })

/** Floats are computed with, booleans chosen by. */
const isRead = (site: Site<unknown>, port: number): boolean => {
  const type = site.inputs[port]
  return type?.kind === 'tensor' && (type.dtype === 'float32' || type.dtype === 'bool')
}

const at = (xs: ReadonlyArray<Tensor>, i: number): Tensor => given(xs, i)

const first =
  (name: Binary): Differentiable['y'] =>
  (k, xs) =>
    k.binary(name, at(xs, 0), at(xs, 1))

const folded =
  (name: Binary): Differentiable['y'] =>
  (k, xs) =>
    xs.slice(1).reduce((y, x) => k.binary(name, y, x), at(xs, 0))

const unchanged = (_k: DeviceOps, dy: Tensor): Tensor => dy

/** The gradient goes to the first operand that equals the result. */
const toChosen: NonNullable<Differentiable['dx']> = (k, dy, xs, i, y) => {
  const equals = (j: number): Tensor => k.toFloat(k.binary('Equal', at(xs, j), y))
  let share = k.mul(dy, equals(i))
  for (let j = 0; j < i; j++) share = k.mul(share, k.affine(equals(j), -1, 1))
  return share
}

const pow: Differentiable = {
  y: first('Pow'),
  dx: (k, dy, xs, i, y) => {
    const [x, e] = [at(xs, 0), at(xs, 1)]
    if (i === 0) return k.mul(dy, k.mul(e, k.binary('Pow', x, k.affine(e, 1, -1))))
    return k.mul(dy, k.mul(y, k.unary('Log', k.clip(x, Number.MIN_VALUE, Infinity))))
  },
}

const prelu: Differentiable = {
  y: (k, xs) => k.add(k.unary('Relu', at(xs, 0)), k.mul(k.clip(at(xs, 0), -Infinity, 0), at(xs, 1))),
  dx: (k, dy, xs, i) => {
    const [x, slope] = [at(xs, 0), at(xs, 1)]
    if (i === 1) return k.mul(dy, k.clip(x, -Infinity, 0))
    const positive = k.toFloat(k.binary('Greater', x, k.scalar(0)))
    return k.mul(dy, k.add(positive, k.mul(k.affine(positive, -1, 1), slope)))
  },
}

/** As floats, since the kernel that chooses takes no operands that broadcast: `c · a + (1 - c) · b`. */
const where: Differentiable = {
  y: (k, xs) => {
    const c = k.toFloat(at(xs, 0))
    return k.add(k.mul(c, at(xs, 1)), k.mul(k.affine(c, -1, 1), at(xs, 2)))
  },
  dx: (k, dy, xs, i) => {
    const c = k.toFloat(at(xs, 0))
    return k.mul(dy, i === 1 ? c : k.affine(c, -1, 1))
  },
}

const not = lowering(ir.Not, (site) => {
  const layout = layoutOr(site, 0)
  return E.right({
    reads: [operand(layout)],
    gives: [layout],
    run: (inputs) => ({ outputs: [site.ops.unary('LogicalNot', given(inputs, 0))] }),
  })
})

export const arithmetic: ReadonlyArray<Lowering> = [
  broadcasting(ir.Add, { y: first('Add'), dx: unchanged }),
  broadcasting(ir.Sum, { y: folded('Add'), dx: unchanged }),
  broadcasting(ir.Mean, {
    y: (k, xs) => k.affine(folded('Add')(k, xs), 1 / xs.length, 0),
    dx: (k, dy, xs) => k.affine(dy, 1 / xs.length, 0),
  }),
  broadcasting(ir.Sub, { y: first('Sub'), dx: (k, dy, _xs, i) => (i === 0 ? dy : k.unary('Neg', dy)) }),
  broadcasting(ir.Mul, { y: first('Multiply'), dx: (k, dy, xs, i) => k.mul(dy, at(xs, 1 - i)) }),
  broadcasting(ir.Div, {
    y: first('RealDiv'),
    dx: (k, dy, xs, i, y) => {
      const quotient = k.div(dy, at(xs, 1))
      return i === 0 ? quotient : k.unary('Neg', k.mul(quotient, y))
    },
  }),
  broadcasting(ir.Pow, pow),
  broadcasting(ir.Max, { y: folded('Maximum'), dx: toChosen }),
  broadcasting(ir.Min, { y: folded('Minimum'), dx: toChosen }),
  broadcasting(ir.PRelu, prelu),
  broadcasting(ir.Where, where),
  broadcasting(ir.Equal, { y: first('Equal') }),
  broadcasting(ir.Greater, { y: first('Greater') }),
  broadcasting(ir.GreaterOrEqual, { y: first('GreaterEqual') }),
  broadcasting(ir.Less, { y: first('Less') }),
  broadcasting(ir.LessOrEqual, { y: first('LessEqual') }),
  broadcasting(ir.And, { y: first('LogicalAnd') }),
  broadcasting(ir.Or, { y: first('LogicalOr') }),
  not,
]
