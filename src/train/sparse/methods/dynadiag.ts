/** DynaDiag. */
import { kept, share, stepAt } from './entries.ts'
import { defineMethod } from './method.ts'

/**
 * DynaDiag: matrices are made of wrapped diagonals, which some hardware computes faster than masks without a pattern. Every
 * diagonal has a number α; its weights count k · softmax(α / T) of it, at most 1, k being how many diagonals stay. α is trained
 * beside the weights, by Adam, while the temperature T falls by a cosine; then the k diagonals of the largest α are kept as they
 * are, the others are masked, and the weights are trained on.
 *
 * The temperatures, the time and Adam's rate are those of the released example. Unlike there, weights are trained by the recipe
 * (there, by Adam too), and are those of the model (there, drawn diagonal by diagonal); the temperature falls from step to step
 * (there, from epoch to epoch); every linear layer and 1x1 convolution takes part (there, the last layer stays dense); and
 * counts follow the released layer, whole diagonals rounded up in each.
 */
export const method = defineMethod({
  name: 'dynadiag',
  about: 'Matrices learn which of their wrapped diagonals stay, by a soft choice that becomes a hard one.',
  source: {
    paper: 'Dynamic Sparse Training of Diagonally Sparse Networks',
    arxiv: '2506.11449',
    code: 'horizon-research/DynaDiag',
  },
  sentences: {
    density: 'Fraction of the weights of matrices that is kept, in whole diagonals; other layers keep all.',
    temperature: 'T as training begins.',
    finalTemperature: 'T where the diagonals are chosen; it falls by a cosine.',
    until: 'Until then all diagonals are trained; then those that stay are chosen.',
    rate: "Adam's learning rate of α.",
    decay: 'What is added to the gradient of α: this times α.',
  },
  read: (entries) => ({
    density: entries.number('density', kept, 0.1),
    temperature: entries.number('temperature', { min: 0, aboveMin: true }, 5),
    finalTemperature: entries.number('finalTemperature', { min: 0, aboveMin: true }, 0.05),
    until: entries.number('until', share, 0.3),
    rate: entries.number('rate', { min: 0 }, 1e-3),
    decay: entries.number('decay', { min: 0 }, 1e-4),
  }),
  policy: ({ density, temperature, finalTemperature, rate, decay, ...entry }, length) => {
    const until = Math.max(1, stepAt(entry.until, length))
    return {
      name: 'dynadiag',
      density,
      distribution: { kind: 'dense' },
      layers: 'matrices',
      start: 'exact',
      phases: [{ from: until, until: until + 1, every: 1, offset: 0, moves: [{ kind: 'keep diagonals', density }] }],
      masked: 'zeroed',
      gates: {
        density,
        until,
        temperature: { kind: 'cosine', from: temperature, to: finalTemperature, begin: 0, end: until },
        rate,
        decay,
      },
    }
  },
})
