/** What methods that exchange weights can drop them by, as recipes call it. */
import type { Entries } from '../../recipe/reader.ts'
import type { PruneCriterion } from '../scores.ts'

/**
 * The criteria that are compared in "Fantastic Weights and How to Find Them: Where to Prune in Dynamic Sparse Training"
 * (arXiv 2306.12230, code alooow/fantastic_weights_paper): a method drops the weights that score least.
 *
 * Unlike that code, nothing is added to scores to tell kept weights from masked ones (there, 1 or 10⁻⁵, in which digits are
 * lost); `set` takes the same fraction of the positive and of the negative weights, as SET itself (there, as many of each); counts
 * are rounded (there, up); and running means of scores, their normalisation and GraSP's score at every update are not here.
 */
const criteria = ['magnitude', 'set', 'mest', 'snip', 'sensitivity', 'reciprocal-sensitivity', 'random'] as const

type Plain = Exclude<(typeof criteria)[number], 'mest'>

/** `gradient`: λ of |w| + λ |∂L/∂w|. */
export type Criterion = { readonly criterion: Plain } | { readonly criterion: 'mest'; readonly gradient: number }

export const readCriterion = (entries: Entries, absent: Plain): Criterion => {
  const criterion = entries.choice('criterion', criteria, absent, ['gradient'])
  return criterion === 'mest' ? { criterion, gradient: entries.number('gradient', { min: 0 }, 1) } : { criterion }
}

export const criterionOf = (entry: Criterion): PruneCriterion => {
  switch (entry.criterion) {
    case 'set':
      return { kind: 'signed' }
    case 'mest':
      return { kind: 'magnitude and gradient', gradient: entry.gradient }
    case 'reciprocal-sensitivity':
      return { kind: 'reciprocal sensitivity' }
    default:
      return { kind: entry.criterion }
  }
}
