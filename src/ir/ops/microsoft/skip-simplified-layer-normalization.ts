import * as E from 'fp-ts/lib/Either.js'
import { float } from '../../attributes.ts'
import { composition } from '../../families/composition.ts'
import { summedStream } from '../../families/residual.ts'
import { SimplifiedLayerNormalization } from '../simplified-layer-normalization.ts'

interface SkipSimplifiedLayerNormalizationAttributes {
  readonly epsilon: number
}

/** RMS normalisation of `x + skip + bias` over the last axis, scaled by gamma; output 3 is that sum. */
export const SkipSimplifiedLayerNormalization = composition<
  'com.microsoft.SkipSimplifiedLayerNormalization',
  SkipSimplifiedLayerNormalizationAttributes
>(
  'com.microsoft.SkipSimplifiedLayerNormalization',
  [1, 1],
  { epsilon: float(Math.fround(1e-12)) },
  (p, { attrs, inputs }) => {
    const sum = summedStream(p, inputs[3] === undefined ? undefined : 3)
    if (E.isLeft(sum)) return sum
    const y = p.node(SimplifiedLayerNormalization, [sum.right, p.input(2)], { epsilon: attrs.epsilon })
    return E.right([y, '', '', sum.right])
  },
)
