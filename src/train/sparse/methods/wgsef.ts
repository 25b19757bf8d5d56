/** WGSEF. */
import { constant } from '../schedule.ts'
import { offsetTo } from './ending.ts'
import { readEvery, readGone, readSpan, stepAt, stepsOf, usualInterval } from './entries.ts'
import { defineMethod } from './method.ts'

/**
 * Proximal training with the weighted group sparse envelope function: after each step of the optimiser the proximal operator of learning
 * rate · λ times the largest convex function below the squares of so many channels as are to stay. It shares that number out among all
 * channels of the network, by their size, and draws those to 0 that get little; the less they are, the less they get.
 *
 * No code was released. The operator is derived from the function's definition in the paper; how strong it is, and when, are numbers
 * of ours. A channel is all that makes it and its scale and shift; its weight dⱼ is the mean number of weights of a channel over its own,
 * so that it is the root mean square that counts. Unlike in the paper, channels that are 0 leave the network for good; at
 * `until` those of the smallest root mean square go until exactly so many stay (there, training is to converge there); and the last
 * channel of a group stays as it is.
 */
export const method = defineMethod({
  name: 'wgsef',
  about: 'Draws all but as many channels as are to stay to 0, by a proximal operator after each step.',
  source: {
    paper: 'Learning k-Level Structured Sparse Neural Networks Using Group Envelope Regularization',
    arxiv: '2212.12921',
  },
  sentences: {
    strength: 'λ: each step is followed by the proximal operator of learning rate · λ · the envelope.',
    begin: 'Until then all channels stay as they are.',
    until: 'Until then channels are drawn to 0 and go; then the rest is trained on.',
    every: 'From one time that channels which are 0 leave the network to the next.',
  },
  read: (entries) => ({
    strength: entries.number('strength', { min: 0 }, 5e-3),
    ...readSpan(entries, 0, 2 / 3),
    ...readEvery(entries, usualInterval),
    ...readGone(entries, 'all'),
  }),
  policy: ({ channels, scope, strength, ...entry }, length) => {
    const first = stepAt(entry.begin, length) + 1
    const end = Math.max(first, stepAt(entry.until, length))
    const every = stepsOf(entry.every, length)
    const during = { from: first, until: end + 1 }
    return {
      name: 'wgsef',
      density: 1,
      distribution: { kind: 'dense' },
      vectors: true,
      start: 'exact',
      phases: [
        { ...during, every: 1, offset: 0, moves: [{ kind: 'envelope', strength, fraction: channels, scope }] },
        { ...during, every, offset: offsetTo(end, every), moves: [{ kind: 'remove zero', scope }] },
        {
          ...{ from: end, until: end + 1, every: 1, offset: 0 },
          moves: [
            { kind: 'mark channels', fraction: constant(channels), multiple: 1, by: 'rms', scope },
            { kind: 'remove marked' },
          ],
        },
      ],
      masked: 'zeroed',
    }
  },
})
