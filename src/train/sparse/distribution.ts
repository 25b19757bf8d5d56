/** How many weights each layer keeps at the start. */
import { er } from './distributions/er.ts'
import { erk } from './distributions/erk.ts'
import { erkPlus } from './distributions/erk-plus.ts'
import type { LayerShape } from './distributions/layer-shape.ts'
import { uniform } from './distributions/uniform.ts'
import { uniformPlus } from './distributions/uniform-plus.ts'

export type Distribution =
  | { readonly kind: 'dense' | 'uniform' | 'er' | 'erk' }
  /** `last` is the density of the classifier: at least that much under uniform+, just that under ERK+. */
  | { readonly kind: 'uniform+' | 'erk+'; readonly last: number }
  /** One density per layer (exempt ones left out), for example from `snipRatios`. */
  | { readonly kind: 'given'; readonly densities: ReadonlyArray<number> }

/** One density in [0, 1] for each layer. All but `dense` and `given` make `density` of all weights, unless fixed layers alone exceed it. */
export const densitiesOf = (
  distribution: Distribution,
  layers: ReadonlyArray<LayerShape>,
  density: number,
): ReadonlyArray<number> => {
  switch (distribution.kind) {
    case 'dense':
      return uniform(layers, 1)
    case 'uniform':
      return uniform(layers, density)
    case 'uniform+':
      return uniformPlus(layers, density, distribution.last)
    case 'er':
      return er(layers, density).densities
    case 'erk':
      return erk(layers, density).densities
    case 'erk+':
      return erkPlus(layers, density, distribution.last)
    case 'given':
      return distribution.densities
  }
}
