/** BDWP: bidirectional weight pruning. */
import { constant } from '../schedule.ts'
import { readEvery, readMaskedDecay, stepsOf } from './entries.ts'
import { defineMethod } from './method.ts'
import { readGroups } from './n-of-m.ts'

/**
 * Bidirectional weight pruning (BDWP): the forward pass computes with the n largest of every m weights along the channels that a
 * layer reads, the gradients of what it reads are computed with the n largest of every m along the channels that it makes, so
 * that both are N:M products; gradients of weights are dense and go straight through to all of them.
 *
 * 2:8 is the paper's ratio. No code of the authors was to be found, so this is what the paper describes, and PyTorch with that
 * description is what it is compared with; whether their masked weights decay, as under SR-STE, is not known here, and `maskedDecay` can say
 * so. The first step computes forwards with all weights; every layer with masks has the pattern; where the channels are no
 * multiple of m, the last group is a smaller one. Here it saves no time: the products are dense ones with zeros.
 */
export const method = defineMethod({
  name: 'bdwp',
  about:
    'N:M along what layers read in the forward pass, along what they make where gradients go back to what they read.',
  source: {
    paper: 'Efficient N:M Sparse DNN Training Using Algorithm, Architecture, and Dataflow Co-Design',
    arxiv: '2309.13015',
  },
  sentences: {
    n: 'Of every m weights n are kept, in both directions.',
    every: 'From one look at the weights of the forward pass to the next; the way back looks at every step.',
  },
  read: (entries) => ({ ...readGroups(entries, 8), ...readEvery(entries, 1), ...readMaskedDecay(entries, 0) }),
  policy: ({ n, m, every, maskedDecay }, length) => ({
    name: 'bdwp',
    density: n / m,
    distribution: { kind: 'dense' },
    start: 'exact',
    phases: [
      {
        from: 0,
        until: length.steps + 1,
        every: stepsOf(every, length),
        offset: 0,
        moves: [{ kind: 'keep pattern', axis: 'input', patterns: [{ step: 0, n, m }] }],
      },
    ],
    masked: constant(0),
    maskedDecay,
    backward: { n, m, axis: 'output' },
  }),
})
