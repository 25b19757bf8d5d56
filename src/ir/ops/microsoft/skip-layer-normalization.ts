import * as E from 'fp-ts/lib/Either.js'
import { float } from '../../attributes.ts'
import { composition } from '../../families/composition.ts'
import { summedStream } from '../../families/residual.ts'
import { LayerNormalization } from '../layer-normalization.ts'

interface SkipLayerNormalizationAttributes {
  readonly epsilon: number
}

/** LayerNormalization of `x + skip + bias` over the last axis, scaled by gamma and shifted by beta; output 3 is that sum. */
export const SkipLayerNormalization = composition<
  'com.microsoft.SkipLayerNormalization',
  SkipLayerNormalizationAttributes
>('com.microsoft.SkipLayerNormalization', [1, 1], { epsilon: float(Math.fround(1e-12)) }, (p, { attrs, inputs }) => {
  const sum = summedStream(p, inputs[4] === undefined ? undefined : 4)
  if (E.isLeft(sum)) return sum
  const shift = inputs[3] === undefined ? [] : [p.input(3)]
  const y = p.node(LayerNormalization, [sum.right, p.input(2), ...shift], { epsilon: attrs.epsilon })
  return E.right([y, '', '', sum.right])
})
