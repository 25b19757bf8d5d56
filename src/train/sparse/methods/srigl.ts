/** SRigL. */
import { distributionOf, readEvery, readFraction, readSparse, share, stepAt, stepsOf } from './entries.ts'
import { defineMethod } from './method.ts'

/**
 * RigL under constant fan-in: all neurons of a layer that are left have as many weights, so that a layer can be stored as
 * rows of values and of indices, without neurons that are not.
 *
 * Unlike the released code, a neuron that is to have fewer weights than it kept loses the smallest (there, by the order in
 * which a sort leaves equal elements); where ablated neurons leave too few weights to keep, the room goes to the largest
 * gradients (there, to weights of 0 in any order); a fan-in that would be 0 is 1 (there, an error); gradients are those of
 * the step alone (there, averaged over `grad_accumulation_n` batches, where that is set), and layers are not initialised
 * by their sparse fan-in.
 */
export const method = defineMethod({
  name: 'srigl',
  about: 'RigL with as many weights for every neuron of a layer, and none for neurons that have few worth keeping.',
  source: {
    paper: 'Dynamic Sparse Training with Structured Sparsity',
    arxiv: '2305.02299',
    code: 'calgaryml/condensed-sparsity',
  },
  sentences: {
    fraction: "Fraction of each layer's kept weights that is exchanged at first; falls to 0 by a cosine.",
    salient:
      'γ: neurons with fewer salient weights than this part of the fan-in lose all of theirs; 0 leaves all neurons.',
  },
  read: (entries) => ({
    ...readSparse(entries),
    ...readEvery(entries, 100),
    ...readFraction(entries, 0.3),
    salient: entries.number('salient', share, 0.3),
    until: entries.number('until', share, 0.75),
  }),
  policy: (entry, length) => {
    const until = stepAt(entry.until, length)
    return {
      name: 'srigl',
      density: entry.density,
      distribution: distributionOf(entry),
      start: 'fan-in',
      phases: [
        {
          from: 0,
          until,
          every: stepsOf(entry.every, length),
          offset: 0,
          moves: [
            {
              kind: 'exchange fan-in',
              fraction: { kind: 'cosine', from: entry.fraction, to: 0, begin: 0, end: until },
              salient: entry.salient,
            },
          ],
        },
      ],
      masked: 'zeroed',
    }
  },
})
