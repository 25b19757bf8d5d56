/** SNIP. */
import { constant } from '../schedule.ts'
import { readDensity } from './entries.ts'
import { defineMethod } from './method.ts'

/**
 * SNIP: before the first step, over all layers at once, the weights are kept that the loss of one batch of training images is most
 * sensitive to, by |w · ∂L/∂w|; the masks never change.
 *
 * As in the paper, training goes on from the weights that were scored. Unlike the released code, these are not drawn anew once
 * the masks are there; biases are neither scored nor masked, nor are depthwise layers; the loss is the recipe's, with label
 * smoothing if it has some, and the batch is of the recipe's size and varied as its training images are (there, 100 images of
 * MNIST or 128 of CIFAR-10, as they are); normalisation goes by the statistics of the batch (there, by the running ones).
 */
export const method = defineMethod({
  name: 'snip',
  about: 'Keeps the weights that the loss is most sensitive to before training, by |w · ∂L/∂w| on one batch.',
  source: {
    paper: 'SNIP: Single-Shot Network Pruning Based on Connection Sensitivity',
    arxiv: '1810.02340',
    code: 'namhoonlee/snip-public',
  },
  sentences: { density: 'Fraction of all weights that is kept.' },
  read: (entries) => readDensity(entries),
  policy: ({ density }) => ({
    name: 'snip',
    density,
    distribution: { kind: 'dense' },
    start: 'exact',
    first: {
      moves: [{ kind: 'prune', to: { density: constant(density) }, scope: 'global', by: { kind: 'snip' } }],
    },
    phases: [],
    masked: 'zeroed',
  }),
})
