import * as E from 'fp-ts/lib/Either.js'
import type { Field } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import {
  type Equation,
  letterSizes,
  lowerSum,
  type Operand,
  parseEquation,
  sumProducts,
} from '../families/sum-of-products.ts'
import { sharedDtype, unknownShape } from '../infer.ts'
import { ofOneSize, sameIndex, shapeOf } from '../links.ts'
import { type AxisLink, defineOp, type InferContext, type NodeContext } from '../op.ts'
import { type Dim, isStatic, type Shape, tensorType, unknownDim } from '../type.ts'

interface EinsumAttributes {
  readonly equation: string
}

const equation: Field<string> = {
  decode: (raw) => (raw.kind === 'string' ? raw.value : undefined),
  encode: (value) => ({ kind: 'string', value }),
  absent: '',
}

/** The shapes of all operands and what the equation means for them; undefined where a rank is not known. */
const meaningOf = (
  ctx: InferContext<EinsumAttributes>,
): { readonly shapes: ReadonlyArray<Shape>; readonly equation: Equation } | undefined => {
  const shapes = ctx.inputs.flatMap((type) => {
    const shape = shapeOf(type)
    return shape === undefined ? [] : [shape]
  })
  if (shapes.length < ctx.inputs.length) return undefined
  const parsed = parseEquation(
    ctx.attrs.equation,
    shapes.map(({ length }) => length),
  )
  return parsed && { shapes, equation: parsed }
}

/** Sizes of letters, symbols that differ taken for a size of the output's own. */
const sizesIn = (ctx: InferContext<EinsumAttributes>, meaning: NonNullable<ReturnType<typeof meaningOf>>) =>
  letterSizes(meaning.equation, meaning.shapes, (letter) =>
    unknownDim(ctx.outputNames[0] ?? '', meaning.equation.output.indexOf(letter)),
  )

/**
 * Sum of products by an equation of axis letters. Wherever it can be, it becomes matrix products and the like
 * (`families/sum-of-products.ts`); what is left (diagonals, sizes that are not known) has links along the letters of the output.
 */
export const Einsum = defineOp<'Einsum', EinsumAttributes>({
  name: 'Einsum',
  versions: [12, 27],
  schema: { equation },
  inferTypes: (ctx) => {
    const dtype = sharedDtype(
      ctx,
      ctx.inputs.map((_, port) => port),
    )
    if (E.isLeft(dtype)) return dtype
    const meaning = meaningOf(ctx)
    if (meaning !== undefined) {
      const sizes = sizesIn(ctx, meaning)
      const shape = meaning.equation.output.map((letter): Dim => sizes.get(letter) ?? 1)
      return E.right([tensorType(dtype.right, shape)])
    }
    const [, right] = ctx.attrs.equation.replaceAll(' ', '').split('->')
    const isPlain = right !== undefined && !right.includes('.')
    return E.right([
      tensorType(dtype.right, isPlain ? unknownShape(ctx.outputNames[0] ?? '', right.length) : undefined),
    ])
  },
  links: (ctx) => {
    const meaning = meaningOf(ctx)
    if (meaning === undefined) return 'opaque'
    const { operands, output } = meaning.equation
    const isDiagonal = (letter: string): boolean =>
      operands.some((letters) => letters.indexOf(letter) !== letters.lastIndexOf(letter))
    const links = operands.flatMap((letters, port) =>
      [...letters].flatMap((letter, axis): ReadonlyArray<AxisLink> => {
        const to = output.indexOf(letter)
        // What is 1 long may stand for all.
        const isFollowed = to >= 0 && !isDiagonal(letter) && meaning.shapes[port]?.[axis] !== 1
        return isFollowed ? [sameIndex(port, axis, 0, to)] : []
      }),
    )
    return ofOneSize(ctx, links)
  },
  simplify: (ctx, fresh) => {
    const meaning = meaningOf(ctx)
    const [output = ''] = ctx.node.outputs
    const type = ctx.outputs[0]
    if (meaning === undefined || type?.kind !== 'tensor' || !isFloat(type.dtype)) return undefined
    const operands = meaning.shapes.map((shape, port): Operand => ({
      shape,
      value: ctx.node.inputs[port] ?? '',
      isConstant: ctx.constant(port) !== undefined,
    }))
    return lowerSum(meaning.equation, operands, output, ctx.opset, fresh)
  },
  evaluate: (ctx, inputs) => {
    const given = inputs.flatMap((x) => (x !== undefined && isFloat(x.dtype) ? [x] : []))
    if (given.length < inputs.length) return undefined
    const parsed = parseEquation(
      ctx.attrs.equation,
      given.map(({ shape }) => shape.length),
    )
    const y = parsed && sumProducts(parsed, given)
    return y && [y]
  },
  macs: (ctx) => productsOf(ctx),
})

/** Multiplications: one less than there are operands for each combination of indices; symbolic sizes count as 1. */
const productsOf = (ctx: NodeContext<EinsumAttributes>): number => {
  const meaning = meaningOf(ctx)
  if (meaning === undefined) return 0
  let count = Math.max(1, meaning.shapes.length - 1)
  for (const dim of sizesIn(ctx, meaning).values()) if (isStatic(dim)) count *= dim
  return count
}
