/** Constructors for operators that compute every output element from the input elements at the same place. */
import * as E from 'fp-ts/Either'
import { pipe } from 'fp-ts/function'
import type { Schema } from '../attributes.ts'
import { broadcastElements } from '../evaluate.ts'
import { broadcastShapes, tensorInput } from '../infer.ts'
import { broadcastLinks, sameAxes } from '../links.ts'
import { defineOp, type NodeContext, type OpDef } from '../op.ts'
import { isFloat } from '../dtype.ts'
import { uniformValue } from '../slices.ts'
import { sameType, tensorType } from '../type.ts'

/** Whether output 0 holds real numbers, for which constants are tracked. */
export const isReal = (ctx: NodeContext<unknown>): boolean => {
  const [type] = ctx.outputs
  return type?.kind === 'tensor' && isFloat(type.dtype)
}

/**
 * `y = f(x)` for every element, same type. `f` gets the attributes too. A constant slice c becomes the constant f(c), so
 * operators that keep zero (Relu) and those that do not (Sigmoid) need no further word.
 */
export const unary = <const Name extends string, A = Record<never, never>>(
  name: Name,
  versions: readonly [number, number],
  f: (x: number, attrs: A) => number,
  schema?: Schema<A>,
): OpDef<Name, A> =>
  defineOp<Name, A>({
    name,
    versions,
    // An operator without attributes has the empty schema.
    schema: schema ?? Object.create(null),
    inferTypes: (ctx) =>
      pipe(
        tensorInput(ctx, 0),
        E.map((type) => [type]),
      ),
    links: (ctx) => sameAxes(ctx),
    constant: (ctx, [x]) => (typeof x === 'number' && isReal(ctx) ? f(x, ctx.attrs) : undefined),
    evaluate: (ctx, [x]) => {
      const y = x && isFloat(x.dtype) ? broadcastElements(x.dtype, [x], (v) => f(v, ctx.attrs)) : undefined
      return y && [y]
    },
  })

export interface BinaryOptions {
  /** On 64-bit integers; absent: not evaluated for them. */
  readonly wide?: (a: bigint, b: bigint) => bigint
  /** On narrower integers, where it is not what {@link binary}'s `f` computes. */
  readonly integer?: (a: number, b: number) => number
  /** The result when only one side is known, where one exists (0 · x = 0 for finite x). */
  readonly absorb?: (known: number) => number | undefined
  /** The input port that the result equals when the other side is this constant everywhere. */
  readonly neutral?: { readonly value: number; readonly ports: ReadonlyArray<0 | 1> }
}

/** `y = f(a, b)` with NumPy broadcasting, both of one type. */
export const binary = <const Name extends string>(
  name: Name,
  versions: readonly [number, number],
  f: (a: number, b: number) => number,
  options: BinaryOptions = {},
): OpDef<Name, Record<never, never>> =>
  defineOp<Name, Record<never, never>>({
    name,
    versions,
    schema: {},
    inferTypes: (ctx) => {
      const a = tensorInput(ctx, 0)
      if (E.isLeft(a)) return a
      const b = tensorInput(ctx, 1)
      if (E.isLeft(b)) return b
      if (a.right.shape === undefined || b.right.shape === undefined)
        return E.right([tensorType(a.right.dtype, undefined)])
      return pipe(
        broadcastShapes([a.right.shape, b.right.shape], ctx.outputNames[0] ?? ''),
        E.map((shape) => [tensorType(a.right.dtype, shape)]),
      )
    },
    links: (ctx) => broadcastLinks(ctx, [0, 1]),
    constant: (ctx, [a, b]) => {
      if (!isReal(ctx)) return undefined
      if (typeof a === 'number' && typeof b === 'number') return f(a, b)
      const known = typeof a === 'number' ? a : b
      return typeof known === 'number' ? options.absorb?.(known) : undefined
    },
    broadcasts: () => true,
    identity: (ctx) =>
      options.neutral?.ports.find((port) => {
        const other = ctx.constant(1 - port)
        const [input, output] = [ctx.inputs[port], ctx.outputs[0]]
        if (other === undefined || input === undefined || output === undefined || !sameType(input, output)) return false
        return uniformValue(other) === options.neutral?.value
      }),
    evaluate: (_ctx, [a, b]) => {
      if (!a || !b) return undefined
      const compute = isFloat(a.dtype) ? f : options.integer
      const y = broadcastElements(a.dtype, [a, b], compute ?? f, options.wide)
      return y && [y]
    },
  })
