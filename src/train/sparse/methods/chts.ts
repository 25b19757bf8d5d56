/** CHTs and CHTss: Cannistraci-Hebb training by soft rules. */
import { constant } from '../schedule.ts'
import { kept, notBelow, readDensity, readEvery, readFraction, share, stepAt, stepsOf } from './entries.ts'
import { defineMethod } from './method.ts'

/**
 * CHTs: links of matrices are dropped by their weight and grown by the links around them, without gradients. Those to keep are
 * drawn with probabilities in proportion to |w| to a power that rises from 1 to 3; neurons that are left without links on one
 * side lose those on the other; as many are drawn anew, by the CH2-L3n score. A link that comes back at once goes on with its
 * value. With an `initialDensity` above `density` it is CHTss: the density falls by a sigmoid.
 *
 * Unlike the authors' code, links at the start are drawn evenly (there, by models of bipartite networks, one of them with
 * receptive fields), every linear layer and 1x1 convolution takes part (there, some are left dense by name), query and key are
 * no pair of their own when idle neurons are looked for, and links are dropped by magnitude in CHTss too (there, by magnitude
 * relative to those of the neurons on both sides).
 */
export const method = defineMethod({
  name: 'chts',
  about: 'Matrices drop links by chance and weight and grow others by the links around them, without gradients.',
  source: {
    paper:
      'Brain Network Science Modelling of Sparse Neural Networks Enables Transformers and LLMs to Perform as Fully Connected',
    arxiv: '2501.19107',
    code: 'biomedical-cybernetics/Cannistraci-Hebb-training',
  },
  sentences: {
    density: 'Fraction of the weights of matrices that is kept in the end; other layers keep all.',
    initialDensity: 'The density that training begins with, not below `density`; above it is CHTss.',
    fraction: "Fraction of each layer's kept weights that is exchanged at first; falls to 0 by a cosine.",
    growth: '`drawn`: links are drawn with probabilities in proportion to their score; `best`: those with the largest.',
    removal:
      '`drawn`: what is kept is drawn, with probabilities in proportion to a power of |w|; `smallest`: the smallest go.',
  },
  read: (entries) => {
    const { density } = readDensity(entries)
    const initialDensity = entries.number('initialDensity', kept, density)
    return {
      density,
      initialDensity: notBelow(entries, 'initialDensity', initialDensity, density, 'the density'),
      ...readEvery(entries, 100),
      ...readFraction(entries, 0.3),
      removal: entries.choice('removal', ['drawn', 'smallest'], 'drawn'),
      growth: entries.choice('growth', ['drawn', 'best'], 'drawn'),
      until: entries.number('until', share, 0.75),
    }
  },
  policy: (entry, length) => {
    const { density, initialDensity, fraction } = entry
    const [until, every] = [stepAt(entry.until, length), stepsOf(entry.every, length)]
    // The density is reached by the last update.
    const last = Math.max(1, Math.floor((until - 1) / every)) * every
    const falls = { kind: 'sigmoid', from: initialDensity, to: density, begin: 0, end: last } as const
    const temperature = { kind: 'linear', from: 1, to: 3, begin: 0, end: until } as const
    const by =
      entry.removal === 'drawn' ? ({ kind: 'drawn magnitude', temperature } as const) : ({ kind: 'magnitude' } as const)
    return {
      name: 'chts',
      density: initialDensity,
      distribution: { kind: 'uniform' },
      layers: 'matrices',
      start: 'exact',
      phases: [
        {
          from: 0,
          until: Math.max(until, last + 1),
          every,
          offset: 0,
          moves: [
            {
              kind: 'prune',
              to: { density: initialDensity > density ? falls : constant(density) },
              scope: 'layer',
              by,
            },
            {
              kind: 'prune',
              to: { fraction: { kind: 'cosine', from: fraction, to: 0, begin: 0, end: until } },
              scope: 'layer',
              by,
            },
            { kind: 'prune idle' },
            {
              kind: 'regrow',
              scope: 'layer',
              by: entry.growth === 'drawn' ? 'drawn links' : 'links',
              regrown: 'continues',
            },
          ],
        },
      ],
      masked: 'zeroed',
    }
  },
})
