/** Constructor for element-wise operators of any number of operands. */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { broadcastElements } from '../evaluate.ts'
import { broadcastLinks, shapeOf } from '../links.ts'
import { defineOp, type OpDef } from '../op.ts'
import { type Dense, isNumeric } from '../tensor.ts'
import { isStatic, type Shape } from '../type.ts'
import { broadcastType, finite, isReal, type NoAttributes } from './elementwise.ts'

/** `y = f(x0, x1, ...)` with broadcasting, all of one type. A single operand is returned as it is. */
export const variadic = <const Name extends string>(
  name: Name,
  versions: readonly [first: number, last: number],
  f: (values: ReadonlyArray<number>) => number,
  /** On 64-bit integers; absent: not evaluated for them. */
  wide?: (values: ReadonlyArray<bigint>) => bigint,
  total = false,
): OpDef<Name, NoAttributes> =>
  defineOp<Name, NoAttributes>({
    name,
    versions,
    schema: {},
    inferTypes: (ctx) => {
      const ports = ctx.inputs.map((_, port) => port)
      if (ctx.opset < 8 && !ctx.inputs.every((x) => mayEqual(shapeOf(x), shapeOf(ctx.inputs[0])))) {
        return E.left('operands of different shapes before opset 8')
      }
      return pipe(
        broadcastType(ctx, ports),
        E.map((type) => [type]),
      )
    },
    links: (ctx) =>
      broadcastLinks(
        ctx,
        ctx.inputs.map((_, port) => port),
      ),
    constant: (ctx, slices) => {
      const known = slices.filter((slice) => typeof slice === 'number')
      return isReal(ctx) && known.length === ctx.inputs.length ? finite(f(known)) : undefined
    },
    total,
    broadcasts: () => true,
    identity: (ctx) => (ctx.inputs.length === 1 ? 0 : undefined),
    evaluate: (_ctx, inputs) => {
      const operands: Dense[] = []
      for (const input of inputs) {
        if (input === undefined || !isNumeric(input.dtype)) return undefined
        operands.push(input)
      }
      const [first] = operands
      const y = first && broadcastElements(first.dtype, operands, (...xs) => f(xs), wide && ((...xs) => wide(xs)))
      return y && [y]
    },
  })

/** Whether two shapes can be equal; a size of 1 is taken for another one than a symbol. */
const mayEqual = (a: Shape | undefined, b: Shape | undefined): boolean => {
  if (a === undefined || b === undefined) return true
  return (
    a.length === b.length &&
    a.every((dim, axis) => dim === b[axis] || (dim !== 1 && b[axis] !== 1 && !(isStatic(dim) && isStatic(b[axis]))))
  )
}
