/** Conversion of elements from one type to another, shared by Cast and CastLike. */
import * as E from 'fp-ts/lib/Either.js'
import type { Schema } from '../attributes.ts'
import { bitsOf, type DType, isFloat, isWide } from '../dtype.ts'
import { numbersOf } from '../evaluate.ts'
import { tensorInput } from '../infer.ts'
import { sameAxes } from '../links.ts'
import { defineOp, type InferContext, type OpDef } from '../op.ts'
import type { Elements } from '../element-codec.ts'
import { type Dense, elements, isNumeric, tensorOf } from '../tensor.ts'
import { type Dim, isStatic, tensorType } from '../type.ts'
import { dtypeOf } from './movement.ts'
import { isQuantized } from './quantization.ts'

/** Smallest and largest value of an integer type. */
const rangeOf = (dtype: DType): readonly [number, number] => {
  const bits = bitsOf(dtype)
  return dtype.startsWith('u') ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]
}

/** The elements as `to` takes them; undefined where ONNX leaves the result open or it would be rounded twice. */
const converted = (x: Dense, to: DType): Elements | undefined => {
  if (to === 'bool') return numbersOf(x).map((v) => (v === 0 ? 0 : 1))
  if (isFloat(x.dtype) && !isFloat(to)) {
    const out = numbersOf(x).map(Math.trunc)
    const [low, high] = rangeOf(to)
    return out.every((v) => v >= low && v <= high && Number.isSafeInteger(v)) ? out : undefined
  }
  if (!isWide(x.dtype) || isWide(to)) return elements(x)
  const out = numbersOf(x)
  return out.every(Number.isSafeInteger) ? out : undefined
}

const cast = (x: Dense, to: DType): Dense | undefined => {
  if (x.dtype === to) return x
  if (!isNumeric(x.dtype) || !isNumeric(to)) return undefined
  const values = converted(x, to)
  return values && tensorOf(to, x.shape, values)
}

/** A constant after conversion to a float type: rounded once; undefined where it overflows. */
const castConstant = (x: number, to: DType): number | undefined => {
  const [value] = elements(tensorOf(to, [], [x]))
  return Number.isFinite(value) ? Number(value) : undefined
}

/** Known elements after conversion; undefined where one may not fit. */
const castContent = (content: ReadonlyArray<Dim>, to: DType): ReadonlyArray<Dim> | undefined => {
  if (to === 'bool') return content.every(isStatic) ? content.map((x) => (x === 0 ? 0 : 1)) : undefined
  const [low, high] = rangeOf(to)
  return content.every((x) => !isStatic(x) || (x >= low && x <= high)) ? content : undefined
}

/**
 * Every element converted to the type that `target` names. Floats are rounded once. Constants pass to floats;
 * known elements of integers pass from one integer type to another that holds them.
 */
export const casting = <const Name extends string, A>(
  name: Name,
  versions: readonly [number, number],
  schema: Schema<A>,
  target: (ctx: InferContext<A>) => DType | undefined,
): OpDef<Name, A> =>
  defineOp<Name, A>({
    name,
    versions,
    schema,
    inferTypes: (ctx) => {
      const type = tensorInput(ctx, 0)
      if (E.isLeft(type)) return type
      const to = target(ctx)
      return to === undefined
        ? E.left('the element type to convert to is unknown')
        : E.right([tensorType(to, type.right.shape)])
    },
    contents: (ctx) => {
      const [content, to] = [ctx.content(0), target(ctx)]
      return content && to && castContent(content, to)
    },
    links: (ctx) => sameAxes(ctx),
    constant: (ctx, [x]) => {
      const [from, to] = [dtypeOf(ctx.inputs[0]), target(ctx)]
      if (typeof x !== 'number' || from === undefined || to === undefined) return undefined
      return (isFloat(from) || isQuantized(from)) && isFloat(to) ? castConstant(x, to) : undefined
    },
    identity: (ctx) => (dtypeOf(ctx.inputs[0]) === target(ctx) ? 0 : undefined),
    evaluate: (ctx, [x]) => {
      const to = target(ctx)
      const y = x && to && cast(x, to)
      return y && [y]
    },
  })
