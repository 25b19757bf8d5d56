/** Lottery jackpots. */
import { constant } from '../schedule.ts'
import { readDensity, readEvery, stepsOf } from './entries.ts'
import { defineMethod } from './method.ts'

/**
 * Lottery jackpots: which weights of a network are kept is what is trained, the weights themselves stay as they are; so do
 * biases, scales and shifts. Every weight has a score, 1 for those that one threshold of |w| over all layers keeps, 0.99 for the
 * others; its gradient is w times that of the loss by w, straight through the mask, and the optimiser steps it as it
 * otherwise steps weights, decay included. After every step each layer keeps the highest scores, as many as before. It is for weights
 * that were trained already: those of the model that is given; running statistics go on.
 *
 * Unlike the released code, the last layer is one like the others (there, it keeps all of its weights), of equal scores the
 * first are kept (there, nothing is exchanged while there are some at the threshold), and only the search is here: for
 * ImageNet the kept weights are trained on for some epochs, which is another run, with method `dense` and the masks given.
 */
export const method = defineMethod({
  name: 'lottery-jackpots',
  about: 'Trains which weights of a trained network are kept, by scores, and leaves the weights as they are.',
  source: {
    paper: 'Lottery Jackpots Exist in Pre-trained Models',
    arxiv: '2104.08700',
    code: 'zyxxmu/lottery-jackpots',
  },
  sentences: { density: 'Fraction of all weights that is kept.', every: 'From one look at the scores to the next.' },
  read: (entries) => ({ ...readDensity(entries), ...readEvery(entries, 1) }),
  policy: ({ density, every }, length) => ({
    name: 'lottery-jackpots',
    density,
    distribution: { kind: 'dense' },
    start: 'exact',
    first: {
      moves: [{ kind: 'prune', to: { density: constant(density) }, scope: 'global', by: { kind: 'magnitude' } }],
    },
    phases: [
      { from: 1, until: length.steps + 1, every: stepsOf(every, length), offset: 0, moves: [{ kind: 'keep best' }] },
    ],
    masked: constant(0),
    scores: { kept: 1, masked: 0.99 },
  }),
})
