/** DHSPG. */
import { constant } from '../schedule.ts'
import { offsetTo } from './ending.ts'
import { readEvery, readGone, readSpan, share, stepAt, stepsOf, usualInterval } from './entries.ts'
import { defineMethod } from './method.ts'

/**
 * Dual half-space projected gradient, the optimiser of the second generation of Only-Train-Once. After some training the channels that
 * are worth least over the whole network are marked, a few more than are to go, all that makes one and its scale and shift together.
 * From then on each step draws them to 0 as far as it has to for it to lead there, and sets those to 0 that it has turned
 * round; they stay 0. Once enough channels are 0 the others are left in peace.
 *
 * Numbers are those that the released code takes for stochastic gradient descent, `epsilon` that of its examples and `begin` that of the
 * one for ResNet-18 on CIFAR-10: 50 of 300 epochs. Unlike there, channels that are 0 leave the network, so that what reads them is no
 * part of the norm of another; at `until` the smallest of the marked ones go where too few have become 0 (there, nothing
 * is done about it); counts are rounded (there, down); and widths are not brought to multiples.
 */
export const method = defineMethod({
  name: 'dhspg',
  about: 'Draws whole channels to 0 while it trains, and sets them to 0 where a step has turned them round.',
  source: {
    paper: 'OTOv2: Automatic, Generic, User-Friendly',
    arxiv: '2303.06862',
    code: 'tianyic/only_train_once',
  },
  sentences: {
    strength: 'λ: what a channel is drawn to 0 with, this times the channel over its norm.',
    amplify: 'Where a step leads away from 0, λ is what makes up for that, times this.',
    ceiling: 'λ is this many times `strength` at most.',
    epsilon:
      'A channel becomes 0 where its product with what the step makes of it is less than this times its square; below 1.',
    tolerance: 'So many more channels are drawn to 0 than are to go, as a fraction of those in scope.',
    channels:
      'Fraction of the channels in scope that is gone in the end, or a little more: several may become 0 in one step.',
    begin: 'Until then all channels stay as they are; then those are chosen that are drawn to 0.',
    until: 'Until then channels go; then the rest is trained on.',
    every: 'From one time that channels which are 0 leave the network to the next.',
  },
  read: (entries) => ({
    strength: entries.number('strength', { min: 0 }, 1e-3),
    amplify: entries.number('amplify', { min: 0 }, 2),
    ceiling: entries.number('ceiling', { min: 1 }, 10),
    epsilon: entries.number('epsilon', { min: 0, max: 1, belowMax: true }, 0.95),
    tolerance: entries.number('tolerance', share, 0.05),
    ...readSpan(entries, 1 / 6, 1 / 2),
    ...readEvery(entries, usualInterval),
    ...readGone(entries, 'all'),
  }),
  policy: ({ channels, scope, strength, amplify, ceiling, epsilon, tolerance, ...entry }, length) => {
    const first = stepAt(entry.begin, length) + 1
    const end = Math.max(first, stepAt(entry.until, length))
    const every = stepsOf(entry.every, length)
    const at = (step: number) => ({ from: step, until: step + 1, every: 1, offset: 0 })
    const during = { from: first, until: end + 1 }
    const fraction = constant(Math.min(0.999, channels + tolerance))
    return {
      name: 'dhspg',
      density: 1,
      distribution: { kind: 'dense' },
      vectors: true,
      start: 'exact',
      phases: [
        { ...at(first), moves: [{ kind: 'mark channels', fraction, multiple: 1, by: 'dhspg', scope }] },
        {
          ...{ ...during, every: 1, offset: 0 },
          moves: [{ kind: 'half-space', strength, amplify, ceiling, epsilon, fraction: channels, scope }],
        },
        { ...during, every, offset: offsetTo(end, every), moves: [{ kind: 'remove zero', scope }] },
        { ...at(end), moves: [{ kind: 'remove zero', scope, fraction: channels }] },
      ],
      masked: 'zeroed',
    }
  },
})
