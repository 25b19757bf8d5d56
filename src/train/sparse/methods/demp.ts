/** DemP: Demon Pruning. */
import type { Schedule } from '../schedule.ts'
import { kept, readEvery, readScope, stepAt, stepsOf } from './entries.ts'
import { defineMethod } from './method.ts'

/**
 * Demon Pruning (DemP): the scales of normalisation are drawn to 0 and noise is added to all that still learns, so that channels
 * die: what reads them sees 0 whatever the image. At intervals dead channels leave. Both forces come and go in one cycle over the
 * training.
 *
 * A channel is dead where every layer that reads it has seen nothing but 0, in evaluation (with running statistics) of the training
 * images; whether ReLU or what else made it 0 does not matter. What evaluation computes for these images is the same before
 * and after it leaves, but for rounding. For others it may not be: an image that has not been looked at could have woken the channel; nor
 * what training goes on with, where normalisation goes by the batch and not by running statistics.
 *
 * The forces are those of the released commands for stochastic gradient descent; the strength is one of those that they try, and
 * says how much goes: there is no number of channels to ask for. Unlike there, noise goes to what has a gradient other than 0
 * (as the paper has it; the code that was looked at asks for one of at least 0, which is all), is applied to batches' gradients
 * without what draws the scales, and is of other random numbers; layers without normalisation are not drawn; and every group of
 * channels keeps one. The authors' repository is too large to be run here: what this is compared with are its formulas in
 * PyTorch. Noise is drawn by the processor: for large networks that takes longer than the step.
 */
export const method = defineMethod({
  name: 'demp',
  about:
    'Draws the scales of normalisation to 0 in one cycle with noise, and removes channels that are 0 for all images.',
  source: {
    paper: "Maxwell's Demon at Work: Efficient Pruning by Leveraging Saturation of Neurons",
    arxiv: '2403.07688',
    code: 'SimonDufLab/Maxwell_demon',
  },
  sentences: {
    strength: 'λ at the top of the cycle: what is added to the gradient of a scale, this times its sign.',
    noise: 'At the top of the cycle, the deviation of what is added to every number that has a gradient; 0: nothing.',
    every: 'From one look for dead channels to the next.',
    until: 'From then on nothing is drawn and no noise is added; dead channels still leave.',
    images: 'Fraction of the training images for which a channel has to be 0.',
  },
  read: (entries) => ({
    strength: entries.number('strength', { min: 0 }, 1e-3),
    noise: entries.number('noise', { min: 0 }, 5e-5),
    ...readEvery(entries, { part: 1000 / 15626 }),
    until: entries.number('until', kept, 1),
    images: entries.number('images', kept, 1),
    ...readScope(entries, 'all'),
  }),
  policy: ({ strength, noise, every, until, images, scope }, length) => {
    const end = Math.max(1, stepAt(until, length))
    const cycle = (peak: number): Schedule => ({ kind: 'one cycle', peak, end })
    return {
      name: 'demp',
      density: 1,
      distribution: { kind: 'dense' },
      vectors: true,
      start: 'exact',
      phases: [
        {
          from: 0,
          until: length.steps + 1,
          every: stepsOf(every, length),
          offset: 0,
          moves: [{ kind: 'remove dead', scope, images }],
        },
      ],
      ...(strength > 0 && {
        pulls: [{ from: 0, until: length.steps + 1, strength: cycle(strength), channels: 'all', scope }],
      }),
      ...(noise > 0 && { noise: cycle(noise) }),
      masked: 'zeroed',
    }
  },
})
