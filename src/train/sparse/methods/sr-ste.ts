/** SR-STE. */
import { constant } from '../schedule.ts'
import { readEvery, readMaskedDecay, stepsOf } from './entries.ts'
import { defineMethod } from './method.ts'
import { readPattern } from './n-of-m.ts'

/**
 * SR-STE: the n largest of every m weights, found anew after every step, is what the network computes with; all weights get the
 * gradient straight through, and those that are masked decay besides, so that masks come to rest.
 *
 * Unlike the released code, the first step sees all weights; every layer with masks has the pattern (there, convolutions and
 * linear layers that are written as sparse, without the first and the last); and groups do not go on from one place of a kernel
 * to the next: where the channels are no multiple of m, the last group of each place is a smaller one.
 */
export const method = defineMethod({
  name: 'sr-ste',
  about: 'Of every m weights n are kept from the start, found anew each step; masked ones are trained on and decay.',
  source: {
    paper: 'Learning N:M Fine-grained Structured Sparse Neural Networks From Scratch',
    arxiv: '2102.04010',
    code: 'NM-sparsity/NM-sparsity',
  },
  sentences: {
    every: 'From one look at the weights to the next.',
  },
  read: (entries) => ({
    ...readPattern(entries),
    ...readEvery(entries, 1),
    ...readMaskedDecay(entries, 2e-4),
  }),
  policy: (entry, length) => ({
    name: 'sr-ste',
    density: entry.n / entry.m,
    distribution: { kind: 'dense' },
    start: 'exact',
    phases: [
      {
        from: 0,
        until: length.steps + 1,
        every: stepsOf(entry.every, length),
        offset: 0,
        moves: [{ kind: 'keep pattern', axis: entry.axis, patterns: [{ step: 0, n: entry.n, m: entry.m }] }],
      },
    ],
    masked: constant(0),
    maskedDecay: entry.maskedDecay,
  }),
})
