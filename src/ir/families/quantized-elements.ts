/**
 * Operators of `com.microsoft` that compute with quantized tensors: what their operands stand for goes through a function of real
 * numbers, and the result is rounded to the integers of the output. Kernels compute in different orders, so that a result is known
 * only where their rounding errors cannot decide between two integers.
 */
import * as E from 'fp-ts/lib/Either.js'
import type { Schema } from '../attributes.ts'
import type { DType } from '../dtype.ts'
import { broadcastElements } from '../evaluate.ts'
import { broadcastShapes, tensorInput } from '../infer.ts'
import { broadcastLinks } from '../links.ts'
import {
  defineOp,
  type InferContext,
  type IntegerOperand,
  type NodeContext,
  type OpDef,
  type SliceFact,
} from '../op.ts'
import { uniformValue } from '../slices.ts'
import { type Dense, tensorOf } from '../tensor.ts'
import { sizeOf, tensorType } from '../type.ts'
import type { ScalePorts } from './integer-products.ts'
import { dtypeOf } from './movement.ts'
import { isQuantized, quantized } from './quantization.ts'

/** The constants that an operand stands for numbers by; undefined where one of them is computed, or more than one number. */
export interface Scaling {
  readonly scale: number
  readonly zero: number
}

export const scalingOn = (ctx: InferContext<unknown>, scale: number, zero: number): Scaling | undefined => {
  const of = (port: number, omitted: number): number | undefined => {
    if (ctx.inputs[port] === undefined) return omitted
    const tensor = ctx.constant(port)
    return tensor !== undefined && sizeOf(tensor.shape) === 1 ? uniformValue(tensor) : undefined
  }
  const [s, z] = [of(scale, NaN), of(zero, 0)]
  return s === undefined || Number.isNaN(s) || z === undefined ? undefined : { scale: s, zero: z }
}

/** What an integer stands for. */
export const realOf = ({ scale, zero }: Scaling, q: number): number => (q - zero) * scale

/**
 * The integer that a result of terms of magnitude up to `size` is rounded to, where that is certain. Kernels may add what stands for
 * zero before they round, which makes it one of the terms.
 */
export const integerOf = ({ scale, zero }: Scaling, x: number, dtype: DType, size: number): number | undefined =>
  quantized(x / scale, zero, dtype, size / scale + Math.abs(zero))

/** An operator on the elements of quantized operands, which are broadcast. */
export interface ElementOptions<A> {
  readonly schema: Schema<A>
  readonly operands: ReadonlyArray<IntegerOperand & ScalePorts>
  readonly output: ScalePorts
  readonly compute: (attrs: A, ...xs: ReadonlyArray<number>) => number
}

export const quantizedElements = <const Name extends string, A>(
  name: Name,
  { schema, operands, output, compute }: ElementOptions<A>,
): OpDef<Name, A> => {
  const scalings = (ctx: InferContext<A>): ReadonlyArray<Scaling> | undefined => {
    const all = [...operands, output].map(({ scale, zero }) => scalingOn(ctx, scale, zero))
    return all.every((one) => one !== undefined) ? all : undefined
  }
  /**
   * The integer of the output for integers of the operands, where it is certain. The rounding error of several operands is that of
   * the largest, since their sum may be small because they cancel.
   */
  const valueOf = (ctx: NodeContext<A>, qs: ReadonlyArray<number>): number | undefined => {
    const all = scalings(ctx)
    const [to, dtype] = [all?.at(-1), dtypeOf(ctx.outputs[0])]
    if (all === undefined || to === undefined || dtype === undefined || !isQuantized(dtype)) return undefined
    const xs = qs.map((q, i) => realOf(all[i] ?? to, q))
    const sizes = qs.map((q, i) => (Math.abs(q) + Math.abs(all[i]?.zero ?? 0)) * (all[i]?.scale ?? 0))
    const y = compute(ctx.attrs, ...xs)
    return integerOf(to, y, dtype, Math.max(Math.abs(y), ...(operands.length > 1 ? sizes : [])))
  }
  return defineOp<Name, A>({
    name,
    versions: [1, 1],
    schema,
    inferTypes: (ctx) => {
      const types = operands.map(({ port }) => tensorInput(ctx, port))
      for (const type of types) if (E.isLeft(type)) return type
      const shapes = types.map((type) => (E.isRight(type) ? type.right.shape : undefined))
      const dtype = dtypeOf(ctx.inputs[operands[0]?.port ?? 0])
      if (dtype === undefined) return E.left('the element type is unknown')
      const known = shapes.filter((shape) => shape !== undefined)
      if (known.length < shapes.length) return E.right([tensorType(dtype, undefined)])
      const shape = broadcastShapes(known, ctx.outputNames[0] ?? '')
      return E.isLeft(shape) ? shape : E.right([tensorType(dtype, shape.right)])
    },
    links: (ctx) =>
      scalings(ctx) === undefined
        ? 'opaque'
        : broadcastLinks(
            ctx,
            operands.map(({ port }) => port),
          ),
    constant: (ctx, slices) => {
      const qs = operands.map(({ port }) => slices[port])
      return qs.every((q) => typeof q === 'number') ? valueOf(ctx, qs) : undefined
    },
    integers: () => operands,
    total: true,
    evaluate: (ctx, inputs) => {
      const given = operands.map(({ port }) => inputs[port])
      const dtype = dtypeOf(ctx.outputs[0])
      if (!given.every((x) => x !== undefined) || dtype === undefined) return undefined
      let isCertain = true
      const y = broadcastElements(dtype, given, (...qs) => {
        const value = valueOf(ctx, qs)
        if (value === undefined) isCertain = false
        return value ?? 0
      })
      return y && isCertain ? [y] : undefined
    },
  })
}

/** The number that all operands that take part in a slice become, each rounded from its own integers to those of the output. */
export const requantizedFact = (
  slices: ReadonlyArray<SliceFact>,
  scalings: ReadonlyArray<Scaling>,
  to: Scaling,
  dtype: DType,
): number | undefined => {
  let found: number | undefined
  for (const [i, slice] of slices.entries()) {
    const from = scalings[i]
    if (slice === null || from === undefined) continue
    const value = slice === undefined ? undefined : requantizedNumber(slice, from, to, dtype)
    if (value === undefined || (found !== undefined && found !== value)) return undefined
    found = value
  }
  return found
}

export const requantizedNumber = (q: number, from: Scaling, to: Scaling, dtype: DType): number | undefined => {
  const x = realOf(from, q)
  return integerOf(to, x, dtype, (Math.abs(q) + Math.abs(from.zero)) * from.scale)
}

/** A tensor rounded from its own integers to others; undefined where one is not certain. */
export const requantizedTensor = (x: Dense, from: Scaling, to: Scaling): Dense | undefined => {
  const { dtype } = x
  let isCertain = true
  const y = broadcastElements(dtype, [x], (q) => {
    const value = requantizedNumber(q, from, to, dtype)
    if (value === undefined) isCertain = false
    return value ?? 0
  })
  return isCertain ? y : undefined
}

/** A tensor of numbers rounded to integers; undefined where one is not certain. `sizes` are what their terms add up to. */
export const rounded = (
  values: Float64Array,
  sizes: Float64Array,
  shape: ReadonlyArray<number>,
  to: Scaling,
  dtype: DType,
): Dense | undefined => {
  const out = new Float64Array(values.length)
  for (const [i, x] of values.entries()) {
    const q = integerOf(to, x, dtype, sizes[i] ?? Infinity)
    if (q === undefined) return undefined
    out[i] = q
  }
  return tensorOf(dtype, shape, out)
}
