import * as E from 'fp-ts/lib/Either.js'
import type { Field } from '../attributes.ts'
import { sharedDtype } from '../infer.ts'
import { shapeOf } from '../links.ts'
import { defineOp, type InferContext } from '../op.ts'
import { type Dim, isStatic, type Shape, tensorType } from '../type.ts'

interface EinsumAttributes {
  readonly equation: string
}

const equation: Field<string> = {
  decode: (raw) => (raw.kind === 'string' ? raw.value : undefined),
  encode: (value) => ({ kind: 'string', value }),
  absent: '',
}

/** Sum of products by an equation of axis letters. Only the type of the output is modelled. */
export const Einsum = defineOp<'Einsum', EinsumAttributes>({
  name: 'Einsum',
  versions: [12, 27],
  schema: { equation },
  inferTypes: (ctx) => {
    const ports = ctx.inputs.map((_, port) => port)
    const dtype = sharedDtype(ctx, ports)
    return E.isLeft(dtype) ? dtype : E.right([tensorType(dtype.right, outputShape(ctx))])
  },
  links: 'opaque',
})

/** Shape that an equation without an ellipsis gives. */
const outputShape = (ctx: InferContext<EinsumAttributes>): Shape | undefined => {
  const [left = '', right = lettersOnce(left)] = ctx.attrs.equation.replaceAll(' ', '').split('->')
  if (ctx.attrs.equation.includes('.')) return undefined
  const sizes = new Map<string, Dim>()
  for (const [port, letters] of left.split(',').entries()) {
    const shape = shapeOf(ctx.inputs[port])
    if (shape === undefined || shape.length !== letters.length) return undefined
    for (const [axis, letter] of [...letters].entries()) {
      const [known, dim] = [sizes.get(letter), shape[axis]]
      // A size of 1 broadcasts, so it counts only when there is no other.
      if (dim !== undefined && (known === undefined || known === 1 || (isStatic(dim) && dim !== 1)))
        sizes.set(letter, dim)
    }
  }
  const out: Dim[] = []
  for (const letter of right) {
    const dim = sizes.get(letter)
    if (dim === undefined) return undefined
    out.push(dim)
  }
  return out
}

/** The output where an equation has none: the letters that occur once, in alphabetical order. */
const lettersOnce = (left: string): string =>
  [...left]
    .filter((letter) => letter !== ',' && left.indexOf(letter) === left.lastIndexOf(letter))
    .sort()
    .join('')
