import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { optionalFloat, text } from '../../attributes.ts'
import { composition } from '../../families/composition.ts'
import { activated } from '../../families/fused-activation.ts'
import { Gemm, type GemmAttributes } from '../gemm.ts'

interface FusedGemmAttributes extends GemmAttributes {
  readonly activation: string
  readonly activation_alpha: number | undefined
  readonly activation_beta: number | undefined
  readonly activation_gamma: number | undefined
}

/** `activation(Gemm(A, B, C))`. */
export const FusedGemm = composition<'com.microsoft.FusedGemm', FusedGemmAttributes>(
  'com.microsoft.FusedGemm',
  [1, 1],
  {
    ...Gemm.schema,
    activation: text(''),
    activation_alpha: optionalFloat,
    activation_beta: optionalFloat,
    activation_gamma: optionalFloat,
  },
  (p, { attrs, inputs, opset }) => {
    const { activation, activation_alpha: first, activation_beta: second, activation_gamma: third, ...product } = attrs
    if (third !== undefined) return E.left(`activation ${activation} with three parameters`)
    const operands = [p.input(0), p.input(1), ...(inputs[2] === undefined ? [] : [p.input(2)])]
    return pipe(
      activated(p, p.node(Gemm, operands, product), activation, [first, second], opset),
      E.map((y) => [y]),
    )
  },
)
