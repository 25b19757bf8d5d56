/** HESSO. */
import { offsetTo } from './ending.ts'
import { readChannels, readSpan, stepAt } from './entries.ts'
import { defineMethod } from './method.ts'

/**
 * HESSO, the optimiser of the third generation of Only-Train-Once: in periods one after the other the channels that are worth
 * least over the whole network are chosen, all that makes one and its scale and shift together; within the period they are
 * brought to 0 in a straight line while training goes on, and leave at its end.
 *
 * The spans are those of the authors' example for CIFAR-10: ten of 300 epochs of training before ten of pruning in ten periods.
 * Unlike the released code, channels are chosen by the weights as a step leaves them and by its gradient (there, as it finds
 * them and by what the optimiser makes of the gradient); channels that are gone have no part in the norms by which scores are
 * divided and are not ranked again; of a stream that would keep no multiple the lowest scores go (there, the first channels);
 * counts are rounded once for each period (there, down, what is left over in the last); and what reads a channel that has left is
 * no longer there to be scored. HESSO-CRIC, which corrects the choice, is not here.
 */
export const method = defineMethod({
  name: 'hesso',
  about: 'Chooses whole channels by what they are worth, period by period, and brings them to 0 while it trains.',
  source: {
    paper: 'HESSO: Towards Automatic Efficient and User Friendly Any Neural Network Training and Pruning',
    arxiv: '2409.09085',
    code: 'tianyic/only_train_once',
  },
  sentences: {
    begin: 'Until then all channels stay as they are.',
    until: 'From then on channels stay, and the rest is trained on.',
    periods: 'How often channels are chosen.',
  },
  read: (entries) => ({
    ...readSpan(entries, 1 / 30, 2 / 30),
    periods: entries.number('periods', { min: 1, whole: true }, 10),
    ...readChannels(entries, 'all'),
  }),
  policy: ({ channels, multiple, scope, ...entry }, length) => {
    const first = stepAt(entry.begin, length)
    const span = Math.max(1, stepAt(entry.until, length) - first)
    const periods = Math.min(entry.periods, span)
    const period = Math.floor(span / periods)
    const end = first + periods * period
    const values = Array.from({ length: periods }, (_, p) => ({
      step: first + 1 + p * period,
      value: (channels * (p + 1)) / periods,
    }))
    const common = { from: first + 1, until: end + 1 }
    return {
      name: 'hesso',
      density: 1,
      distribution: { kind: 'dense' },
      vectors: true,
      start: 'exact',
      phases: [
        {
          ...common,
          every: period,
          offset: offsetTo(first + 1, period),
          moves: [{ kind: 'mark channels', fraction: { kind: 'steps', values }, multiple, by: 'hesso', scope }],
        },
        { ...common, every: 1, offset: 0, moves: [{ kind: 'fade channels', begin: first, period }] },
        { ...common, every: period, offset: offsetTo(end - 1, period), moves: [{ kind: 'remove marked' }] },
      ],
      masked: 'zeroed',
    }
  },
})
