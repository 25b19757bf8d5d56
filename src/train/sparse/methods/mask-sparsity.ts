/** MaskSparsity. */
import { constant } from '../schedule.ts'
import { readChannels, readSpan, stepAt } from './entries.ts'
import { defineMethod } from './method.ts'

/**
 * MaskSparsity: the scales of normalisation are drawn to 0, at first those of all channels; then the channels of the smallest
 * scales are chosen over the whole network, and from then on only theirs are drawn, so that the others recover; in the end the
 * chosen ones leave, and the rest is trained on.
 *
 * The strength is that of the released commands. Unlike there, it is one training in three parts (there, each part is a run of its
 * own, and the one with the mask starts again from the weights of dense training); as many channels go as are asked for (there,
 * those with scales below 0.01), those that were chosen (there, those of which the scales have become small by then); channels without
 * a scale stay, and a channel of several scales is judged by their mean.
 */
export const method = defineMethod({
  name: 'mask-sparsity',
  about: 'Draws the scales of the channels that are to go to 0, and leaves those of the others alone.',
  source: {
    paper: 'Pruning-aware Sparse Regularization for Network Pruning',
    arxiv: '2201.06776',
    code: 'CASIA-IVA-Lab/MaskSparsity',
  },
  sentences: {
    channels: 'Fraction of the channels in scope that is gone in the end, of those that have a scale.',
    strength: 'λ: what is added to the gradient of a scale, this times its sign.',
    begin: 'Until then the scales of all channels are drawn to 0; then those that go are chosen.',
    until: 'Until then the scales of the chosen channels are drawn to 0; then these leave.',
  },
  read: (entries) => ({
    strength: entries.number('strength', { min: 0 }, 5e-4),
    ...readSpan(entries, 1 / 3, 2 / 3),
    ...readChannels(entries, 'block'),
  }),
  policy: ({ channels, strength, begin, until, multiple, scope }, length) => {
    const chosen = Math.max(1, stepAt(begin, length))
    const end = Math.max(chosen, stepAt(until, length))
    const at = (step: number) => ({ from: step, until: step + 1, every: 1, offset: 0 })
    const fraction = { kind: 'constant', value: channels } as const
    return {
      name: 'mask-sparsity',
      density: 1,
      distribution: { kind: 'dense' },
      vectors: true,
      start: 'exact',
      phases: [
        { ...at(chosen), moves: [{ kind: 'mark channels', fraction, multiple, by: 'scale', scope }] },
        { ...at(end), moves: [{ kind: 'remove marked' }] },
      ],
      pulls: [
        { from: 0, until: chosen + 1, strength: constant(strength), channels: 'all', scope },
        { from: chosen + 1, until: end + 1, strength: constant(strength), channels: 'marked', scope },
      ],
      masked: 'zeroed',
    }
  },
})
