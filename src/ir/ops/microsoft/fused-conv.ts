import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { optionalFloats, text } from '../../attributes.ts'
import { composition } from '../../families/composition.ts'
import type { ConvolutionAttributes } from '../../families/convolution.ts'
import { activated } from '../../families/fused-activation.ts'
import { Add } from '../add.ts'
import { Conv } from '../conv.ts'

interface FusedConvAttributes extends ConvolutionAttributes {
  readonly activation: string
  readonly activation_params: ReadonlyArray<number> | undefined
}

/** `activation(Conv(x, W, b) + z)`. */
export const FusedConv = composition<'com.microsoft.FusedConv', FusedConvAttributes>(
  'com.microsoft.FusedConv',
  [1, 1],
  { ...Conv.schema, activation: text(''), activation_params: optionalFloats },
  (p, { attrs, inputs, opset }) => {
    const { activation, activation_params: parameters, ...window } = attrs
    const operands = [p.input(0), p.input(1), ...(inputs[2] === undefined ? [] : [p.input(2)])]
    const sum = p.node(Conv, operands, window)
    const whole = inputs[3] === undefined ? sum : p.node(Add, [sum, p.input(3)])
    return pipe(
      activated(p, whole, activation, parameters ?? [], opset),
      E.map((y) => [y]),
    )
  },
)
