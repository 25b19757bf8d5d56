/** ISS-P: iterative soft shrinkage. */
import { constant } from '../schedule.ts'
import { readDensity, share, stepAt } from './entries.ts'
import { defineMethod } from './method.ts'

/**
 * Iterative soft shrinkage (ISS-P): from a dense network at random, after every step each layer's smallest weights are
 * multiplied by a factor just below 1, as many as are to go in the end; one that grows all the same gets away. At the end of
 * that time they are masked, and the rest is trained on.
 *
 * The factor and the time are those of the released commands (the program alone would take 0.99): 100,000 steps of shrinkage
 * before 200,000. Unlike there, the learning rate goes on by the recipe, counts are rounded (there up), and the last layer is
 * one like the others. The faster variant, which finds the smallest by a sample, is not here.
 */
export const method = defineMethod({
  name: 'iss-p',
  about: 'Shrinks the smallest weights of every layer a little after each step, then masks them.',
  source: {
    paper: 'Iterative Soft Shrinkage Learning for Efficient Image Super-Resolution',
    arxiv: '2303.09650',
    code: 'Jiamian-Wang/Iterative-Soft-Shrinkage-SR',
  },
  sentences: {
    factor: 'What the smallest weights are multiplied by after each step.',
    until: 'From then on the smallest weights are masked, and masks stay.',
  },
  read: (entries) => ({
    ...readDensity(entries),
    factor: entries.number('factor', share, 0.95),
    until: entries.number('until', share, 1 / 3),
  }),
  policy: (entry, length) => {
    const end = Math.max(1, stepAt(entry.until, length))
    const { density, factor } = entry
    const by = { kind: 'magnitude' } as const
    return {
      name: 'iss-p',
      density,
      distribution: { kind: 'dense' },
      start: 'exact',
      phases: [
        {
          from: 0,
          until: end,
          every: 1,
          offset: 0,
          moves: [{ kind: 'shrink', fraction: constant(1 - density), factor }],
        },
        {
          from: end,
          until: end + 1,
          every: 1,
          offset: 0,
          moves: [{ kind: 'prune', to: { density: constant(density) }, scope: 'layer', by }],
        },
      ],
      masked: 'zeroed',
    }
  },
})
