/** S-STE. */
import { defineMethod } from './method.ts'
import { readPattern } from './n-of-m.ts'

/**
 * S-STE: of every m weights the n largest are what the network computes with, each brought nearer to 0 by the magnitude of the
 * next one (in 2:4, the third), times a number for each layer; so what is computed changes without a jump where two weights
 * change places. That number is found once, as the one that brings what is left nearest to the weights by their squared
 * distance. All weights get the gradient straight through. What training gives is what the network computed with in the end.
 *
 * Unlike the released code, the first step sees all weights, and the number is that of the weights after it; every layer with masks
 * has the pattern (there, the linear layers of feed-forward blocks); where the channels are no multiple of m, the last group of
 * each place is a smaller one, filled up with zeros in thought; where nothing is left of a layer, because the largest of every
 * group are equal, the number is 1 (there, not a number). What the paper does besides for speed on a GPU, gradients of weights
 * from an estimate that is 2:4 too and numbers of eight bits, is not here. The other patterns than 2:4 are ours.
 */
export const method = defineMethod({
  name: 's-ste',
  about:
    'Of every m weights n are kept from the start, all brought nearer to 0 by the next largest: N:M without jumps.',
  source: {
    paper: 'S-STE: Continuous Pruning Function for Efficient 2:4 Sparse Pre-training',
    arxiv: '2409.09099',
    code: 'huyz2023/2by4-pretrain',
  },
  sentences: {},
  read: readPattern,
  policy: ({ n, m, axis }, { steps }) => ({
    name: 's-ste',
    density: n / m,
    distribution: { kind: 'dense' },
    start: 'exact',
    phases: [
      {
        from: 0,
        until: steps + 1,
        every: 1,
        offset: 0,
        moves: [{ kind: 'keep pattern', axis, patterns: [{ step: 0, n, m }] }],
      },
      { from: 1, until: 2, every: 1, offset: 0, moves: [{ kind: 'fit scales' }] },
    ],
    masked: { kind: 'soft threshold', m, axis },
  }),
})
