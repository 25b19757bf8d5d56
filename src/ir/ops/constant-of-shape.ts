import * as E from 'fp-ts/lib/Either.js'
import { optionalTensor } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { move } from '../evaluate.ts'
import { targetShape } from '../families/movement.ts'
import { unknownShapeOf } from '../infer.ts'
import { shapeOf } from '../links.ts'
import { defineOp } from '../op.ts'
import { isKnownElement } from '../sizes.ts'
import { uniformValue } from '../slices.ts'
import { integersOf, materialize, type Tensor, tensorOf } from '../tensor.ts'
import { isStatic, tensorType, unknownDim } from '../type.ts'

export interface ConstantOfShapeAttributes {
  /** One element; a float32 zero where it is absent. */
  readonly value: Tensor | undefined
}

const valueOf = ({ value }: ConstantOfShapeAttributes): Tensor => value ?? tensorOf('float32', [1], [0])

/** The same number everywhere, under the shape that the input holds. */
export const ConstantOfShape = defineOp<'ConstantOfShape', ConstantOfShapeAttributes>({
  name: 'ConstantOfShape',
  versions: [9, Infinity],
  schema: { value: optionalTensor },
  inferTypes: (ctx) => {
    const { dtype } = valueOf(ctx.attrs)
    const name = ctx.outputNames[0] ?? ''
    const target = ctx.content(0)
    if (target?.some((dim) => isStatic(dim) && dim < 0)) return E.left(`a shape of [${target.join(',')}]`)
    const rank = shapeOf(ctx.inputs[0])?.[0]
    const shape =
      target?.map((dim, axis) => (isKnownElement(dim) ? dim : unknownDim(name, axis))) ?? unknownShapeOf(name, rank)
    return E.right([tensorType(dtype, shape)])
  },
  contents: (ctx) => {
    const [length, ...more] = shapeOf(ctx.outputs[0]) ?? []
    const value = integersOf(valueOf(ctx.attrs))?.[0]
    return value === undefined || more.length > 0 || (length !== undefined && !isStatic(length))
      ? undefined
      : Array.from({ length: length ?? 1 }, () => value)
  },
  // No axis of the output corresponds to one of the input: all are pinned.
  links: () => [],
  constant: (ctx) => {
    const value = valueOf(ctx.attrs)
    return isFloat(value.dtype) ? uniformValue(value) : undefined
  },
  evaluate: (ctx) => {
    const shape = targetShape(ctx)
    const y = shape && move(materialize(valueOf(ctx.attrs)), shape, () => 0)
    return y && [y]
  },
})
