/** EAST's cyclic density. */
import {
  distributionOf,
  readEvery,
  readFraction,
  readInterval,
  readSparse,
  share,
  stepAt,
  stepsOf,
  usualInterval,
} from './entries.ts'
import { defineMethod } from './method.ts'

/**
 * The cyclic density of EAST, for extreme sparsity: between the density and a multiple of it, up and down by cosines for the first
 * part of the training; layers grow by gradient and are pruned by magnitude to their shares. After that weights are exchanged as
 * RigL-ITOP does.
 *
 * Of EAST this is the third part: activations that change into ReLU and weights that blocks share change the network, which a
 * method does not. Unlike the authors' code, the first update is in the first cycle at the step that it is at (there, one step
 * back), ERK has no floor for layers and gives what dense ones cannot take to the others, and the last update of the cycles
 * leaves the density (there, whatever the cosine has come to).
 */
export const method = defineMethod({
  name: 'east',
  about: 'The density goes up and down by cosines before weights are exchanged, for very sparse networks.',
  source: {
    paper: 'Pushing the Limits of Sparsity: A Bag of Tricks for Extreme Pruning',
    arxiv: '2411.13545',
    code: 'TensorStrike/ES2',
  },
  sentences: {
    peak: 'How many times the density there is at the top of a cycle.',
    cycles: 'How often the density goes up and down.',
    cyclesUntil: 'From then on the density stays, and weights are exchanged.',
    fraction:
      "Fraction of each layer's kept weights that is exchanged; from the start of the training it falls by a cosine.",
    exchangeEvery: 'From one exchange of weights to the next.',
  },
  read: (entries) => ({
    ...readSparse(entries),
    peak: entries.number('peak', { min: 1 }, 3),
    cycles: entries.number('cycles', { min: 1, whole: true }, 2),
    cyclesUntil: entries.number('cyclesUntil', share, 0.4),
    ...readEvery(entries, usualInterval),
    exchangeEvery: readInterval(entries, 'exchangeEvery', { part: 1 / 25 }),
    ...readFraction(entries, 0.5),
  }),
  policy: (entry, length) => {
    const { density, peak, cycles, fraction } = entry
    const every = stepsOf(entry.every, length)
    const last = Math.max(1, Math.floor(stepAt(entry.cyclesUntil, length) / every)) * every
    const high = Math.min(1, density * peak)
    const target = { kind: 'cycles', low: density, high, begin: 0, end: last, count: cycles } as const
    const by = { kind: 'magnitude' } as const
    return {
      name: 'east',
      density,
      distribution: distributionOf(entry),
      start: 'exact',
      phases: [
        {
          from: 0,
          until: last + 1,
          every,
          offset: 0,
          moves: [
            { kind: 'prune', to: { density: target }, scope: 'distribution', by, forgets: true },
            { kind: 'grow', density: target, scope: 'distribution', by: 'gradient', regrown: 'restarts' },
          ],
        },
        {
          from: last + 1,
          until: length.steps,
          every: stepsOf(entry.exchangeEvery, length),
          offset: 0,
          moves: [
            {
              kind: 'prune',
              to: { fraction: { kind: 'cosine', from: fraction, to: 0.005, begin: 0, end: length.steps } },
              scope: 'layer',
              by,
            },
            { kind: 'regrow', scope: 'layer', by: 'gradient', regrown: 'continues' },
          ],
        },
      ],
      masked: 'zeroed',
    }
  },
})
