/** Constructors for operators that compute every output element from the input elements at the same place. */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import type { Schema } from '../attributes.ts'
import { type DType, isFloat, isWide } from '../dtype.ts'
import { broadcastElements } from '../evaluate.ts'
import { broadcastShapes, tensorInput } from '../infer.ts'
import { type Precision, precisionOf } from '../numerics.ts'
import { broadcastLinks, inputShape, sameAxes } from '../links.ts'
import { type ChannelAffine, defineOp, type InferContext, type NodeContext, type OpDef } from '../op.ts'
import { uniformValue } from '../slices.ts'
import { type Dense, elements, isNumeric } from '../tensor.ts'
import { type Dim, isStatic, sameType, tensorType, type TensorType } from '../type.ts'
import { alignedAxes, sameAlong } from './shifts.ts'
import { elementContents } from './size-arithmetic.ts'

type Versions = readonly [first: number, last: number]

/** An operator without attributes. */
export type NoAttributes = Record<never, never>

/** Whether output 0 holds real numbers, for which constants are tracked. */
export const isReal = (ctx: NodeContext<unknown>): boolean => {
  const [type] = ctx.outputs
  return type?.kind === 'tensor' && isFloat(type.dtype)
}

/** The precision of output 0, for which constants are tracked; undefined where it holds no real numbers. */
export const outputPrecision = (ctx: NodeContext<unknown>): Precision | undefined => {
  const [type] = ctx.outputs
  return type?.kind === 'tensor' && isFloat(type.dtype) ? precisionOf(type.dtype) : undefined
}

/** A constant fact: a number that is not finite is none. */
export const finite = (x: number | undefined): number | undefined =>
  x !== undefined && Number.isFinite(x) ? x : undefined

/** Relative distance within which a function with jumps or cliffs has to be steady for its value there to be a fact. */
const steadiness = 2 ** -10

/**
 * Whether `f` changes no more than twice as fast as its argument near `x`. Elsewhere a rounding error in `x` may decide
 * between two quite different results.
 */
const isSteady = (f: (x: number) => number, x: number): boolean =>
  Math.abs(f(x * (1 + steadiness)) - f(x * (1 - steadiness))) <= 4 * steadiness * Math.abs(x)

export interface UnaryOptions<A> {
  readonly schema?: Schema<A>
  /** Whether `f` also computes integers of up to 32 bits. */
  readonly integers?: boolean
  /** On 64-bit integers; absent: not evaluated for them. */
  readonly wide?: (x: bigint) => bigint
  /** See {@link OpDef.accurateTo}: the magnitude of the largest number on the usual way to `f(x)`. */
  readonly accurateTo?: (x: number, attrs: A) => number
  /** See {@link OpDef.total}. */
  readonly total?: boolean
  /** Whether `f` has jumps, or places where it is infinitely steep: no constant is known next to one. */
  readonly jumps?: boolean
  /** Whether constants are tracked. Default true; false for operators that take no floats. */
  readonly tracked?: boolean
}

type Transfer<A> = NonNullable<OpDef<string, A>['constant']>

/** The transfer function of an operator that tracks constants. */
const transfer = <A>(tracked: boolean | undefined, constant: Transfer<A>): { readonly constant?: Transfer<A> } =>
  tracked === false ? {} : { constant }

/**
 * `y = f(x)` for every element, same type. `f` gets the attributes too. A constant slice c becomes the constant f(c), so
 * operators that keep zero (Relu) and those that do not (Sigmoid) need no further word.
 */
export const unary = <const Name extends string, A = NoAttributes>(
  name: Name,
  versions: Versions,
  f: (x: number, attrs: A) => number,
  options: UnaryOptions<A> = {},
): OpDef<Name, A> =>
  defineOp<Name, A>({
    name,
    versions,
    // An operator without attributes has the empty schema.
    schema: options.schema ?? Object.create(null),
    inferTypes: (ctx) =>
      pipe(
        tensorInput(ctx, 0),
        E.map((type) => [type]),
      ),
    links: (ctx) => sameAxes(ctx),
    ...transfer<A>(options.tracked, (ctx, [x]) => {
      if (typeof x !== 'number' || !isReal(ctx)) return undefined
      const g = (v: number): number => f(v, ctx.attrs)
      return options.jumps === true && !isSteady(g, x) ? undefined : finite(g(x))
    }),
    total: options.total ?? false,
    accurateTo: (ctx, [x]) => (typeof x === 'number' && options.accurateTo?.(x, ctx.attrs)) || 0,
    evaluate: (ctx, [x]) => {
      if (x === undefined || !(isFloat(x.dtype) || isWide(x.dtype) || options.integers === true)) return undefined
      const y = broadcastElements(x.dtype, [x], (v) => f(v, ctx.attrs), options.wide)
      return y && [y]
    },
  })

/** A question asked of every element: bool output, no constants. `f` answers 0 or 1. */
export const predicate = <const Name extends string, A = NoAttributes>(
  name: Name,
  versions: Versions,
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
        E.map((type) => [tensorType('bool', type.shape)]),
      ),
    links: (ctx) => sameAxes(ctx),
    evaluate: (ctx, [x]) => {
      const y = x && broadcastElements('bool', [x], (v) => f(v, ctx.attrs))
      return y && [y]
    },
  })

export interface BinaryOptions<A> {
  readonly schema?: Schema<A>
  /** Element type of the output, where it is not that of input 0. */
  readonly output?: DType
  /** On 64-bit integers; absent: not evaluated for them. */
  readonly wide?: (a: bigint, b: bigint, attrs: A) => bigint | number
  /** On narrower integers, where it is not what {@link binary}'s `f` computes. */
  readonly integer?: (a: number, b: number, attrs: A) => number
  /** Whether port 1 is divided by: an integer 0 there has no result, and see {@link OpDef.divisors}. */
  readonly divides?: boolean
  /** The result when only one side is known, where one exists (0 · x = 0 for finite x). */
  readonly absorb?: (a: number | undefined, b: number | undefined) => number | undefined
  /** Whether constants are tracked. Default true; false for functions with jumps. */
  readonly tracked?: boolean
  /** The affine map of the other operand, which is on `port`, where one is the constant c. */
  readonly affine?: (c: number, port: 0 | 1) => Affine | undefined
  /** See {@link OpDef.multiplies}. */
  readonly multiplies?: boolean
  /** The input port that the result equals when the other side is this constant everywhere. */
  readonly neutral?: { readonly value: number; readonly ports: ReadonlyArray<0 | 1> }
  /**
   * Whether what is added to an operand is added to the result, with its sign turned maybe (`sum`), or multiplied by the
   * other operand, on these ports. Absent: neither.
   */
  readonly shifts?: 'sum' | ReadonlyArray<number>
  /** Ports that may be smaller than the output. Default both. */
  readonly widened?: ReadonlyArray<number>
  /** One known element of small integer operands. */
  readonly content?: (a: Dim, b: Dim, attrs: A) => Dim | undefined
}

/** `scale · x + shift`. */
interface Affine {
  readonly scale: number
  readonly shift: number
}

/**
 * The map of an operand x by a constant that holds one number a channel.
 *
 * Guard: aligned from the right with `x`, the constant has size 1 on every axis but the channel axis. So it does not
 * widen `x`, and a constant along the width of an image is none, even where there are as many columns as channels.
 */
const channelAffine = (
  ctx: NodeContext<unknown>,
  axis: number,
  map: (c: number, port: 0 | 1) => Affine | undefined,
): ChannelAffine | undefined => {
  const port = ctx.constant(1) === undefined ? 1 : 0
  const constant = ctx.constant(1 - port)
  const shape = inputShape(ctx, port)
  const channels = shape?.[axis]
  if (constant === undefined || shape === undefined || !isStatic(channels) || !isFloat(constant.dtype)) return undefined
  const missing = shape.length - constant.shape.length
  if (missing < 0 || constant.shape.some((size, a) => size !== 1 && (a + missing !== axis || size !== channels))) {
    return undefined
  }
  const values = elements(constant)
  const [scale, shift] = [new Float64Array(channels), new Float64Array(channels)]
  for (let c = 0; c < channels; c++) {
    const one = map(Number(values[values.length === 1 ? 0 : c]), port)
    if (one === undefined) return undefined
    scale[c] = one.scale
    shift[c] = one.shift
  }
  return { port, scale, shift }
}

/** The tensors on some ports, of which at least one is known to be one; broadcast, the element type of the first known. */
export const broadcastType = (
  ctx: InferContext<unknown>,
  ports: ReadonlyArray<number>,
): E.Either<string, TensorType> => {
  const known: TensorType[] = []
  for (const port of ports) {
    const type = ctx.inputs[port]
    if (type === undefined) return E.left(`input ${port} is missing`)
    if (type.kind === 'tensor') known.push(type)
  }
  const [first] = known
  if (first === undefined) return E.left('no input is known to be a tensor')
  const shapes = known.flatMap((type) => (type.shape === undefined ? [] : [type.shape]))
  if (shapes.length < ports.length) return E.right(tensorType(first.dtype, undefined))
  return pipe(
    broadcastShapes(shapes, ctx.outputNames[0] ?? ''),
    E.map((shape) => tensorType(first.dtype, shape)),
  )
}

/** `y = f(a, b)` with NumPy broadcasting, both of one type. */
export const binary = <const Name extends string, A = NoAttributes>(
  name: Name,
  versions: Versions,
  f: (a: number, b: number, attrs: A) => number,
  options: BinaryOptions<A> = {},
): OpDef<Name, A> =>
  defineOp<Name, A>({
    name,
    versions,
    // An operator without attributes has the empty schema.
    schema: options.schema ?? Object.create(null),
    inferTypes: (ctx) =>
      pipe(
        broadcastType(ctx, [0, 1]),
        E.map((type) => [tensorType(options.output ?? type.dtype, type.shape)]),
      ),
    contents: (ctx) => elementContents(ctx, options.content),
    links: (ctx) => broadcastLinks(ctx, [0, 1]),
    ...transfer<A>(options.tracked, (ctx, [a, b]) => {
      if (!isReal(ctx)) return undefined
      if (typeof a === 'number' && typeof b === 'number') return finite(f(a, b, ctx.attrs))
      return finite(options.absorb?.(a ?? undefined, b ?? undefined))
    }),
    affine: (ctx, axis) => options.affine && channelAffine(ctx, axis, options.affine),
    multiplies: options.multiplies ?? false,
    divisors: () => (options.divides === true ? [{ port: 1, offset: 0 }] : []),
    ...(options.shifts === undefined ? {} : { shifts: shiftsOf(options.shifts) }),
    broadcasts: (port) => options.widened?.includes(port) ?? true,
    passes: (_ctx, slices) => options.neutral?.ports.find((port) => slices[1 - port] === options.neutral?.value),
    identity: (ctx) =>
      options.neutral?.ports.find((port) => {
        const other = ctx.constant(1 - port)
        const [input, output] = [ctx.inputs[port], ctx.outputs[0]]
        if (other === undefined || input === undefined || output === undefined || !sameType(input, output)) return false
        return uniformValue(other) === options.neutral?.value
      }),
    evaluate: (ctx, [a, b]) => {
      if (!a || !b || !isNumeric(a.dtype) || a.dtype !== b.dtype) return undefined
      if (options.divides === true && !isFloat(b.dtype) && hasZero(b)) return undefined
      const compute = isFloat(a.dtype) ? f : (options.integer ?? f)
      const { wide } = options
      const y = broadcastElements(
        options.output ?? a.dtype,
        [a, b],
        (x, z) => compute(x, z, ctx.attrs),
        wide && ((x, z) => wide(x, z, ctx.attrs)),
      )
      return y && [y]
    },
  })

/**
 * Guard: masks of half precision leave no room, `x - 65504` is finite for few `x`, so that there a sum passes nothing on. Elsewhere
 * a sum without a term overflows no sooner than one of which the terms are twice as large.
 */
const shiftsOf =
  (kind: 'sum' | ReadonlyArray<number>): NonNullable<OpDef<string, unknown>['shifts']> =>
  (ctx, port, { axes }) => {
    const precision = outputPrecision(ctx)
    if (precision === undefined) return []
    if (kind === 'sum') return precision.largest < 2 ** 17 ? [] : alignedAxes(ctx, port, axes)
    return kind.includes(port) ? alignedAxes(ctx, port, sameAlong(ctx, 1 - port, axes)) : []
  }

const hasZero = (tensor: Dense): boolean => {
  for (const x of elements(tensor)) if (Number(x) === 0) return true
  return false
}

/** Comparison with a bool result. `content` compares known elements: 1, 0, or undefined where it is not known. */
export const comparison = <const Name extends string>(
  name: Name,
  versions: Versions,
  f: (a: number | bigint, b: number | bigint) => boolean,
  content?: (a: Dim, b: Dim) => Dim | undefined,
): OpDef<Name, NoAttributes> =>
  binary(name, versions, (a, b) => Number(f(a, b)), {
    output: 'bool',
    tracked: false,
    wide: (a, b) => Number(f(a, b)),
    ...(content === undefined ? {} : { content }),
  })
