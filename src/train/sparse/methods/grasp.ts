/** GraSP. */
import { constant } from '../schedule.ts'
import { readDensity } from './entries.ts'
import { defineMethod } from './method.ts'

/**
 * GraSP: before the first step, over all layers at once, the weights are taken out that hold the gradient flow back: the highest
 * -w · (H g), where g is the gradient of the loss and H its Hessian, sums over the batches, the logits divided by a temperature.
 * The masks never change. H g is exact but for rounding: the derivative of the gradient along g, computed beside it
 * (`train/executor/curvature.ts`).
 *
 * Unlike the released code, the masks keep as many weights as asked for (there, one more); layers are scored with the weights
 * that they are trained with (there, linear ones with others, drawn anew), depthwise ones are neither scored nor masked; the loss
 * is the recipe's, with label smoothing if it has some; and batches are of the recipe's size, drawn and varied as its training
 * images are (there, the halves of one batch of 10 or 25 images of each class).
 */
export const method = defineMethod({
  name: 'grasp',
  about: 'Takes the weights out before training that hold the gradient flow back, by the Hessian on some batches.',
  source: {
    paper: 'Picking Winning Tickets Before Training by Preserving Gradient Flow',
    arxiv: '2002.07376',
    code: 'alecwangcq/GraSP',
  },
  sentences: {
    density: 'Fraction of all weights that is kept.',
    batches: 'How many batches the Hessian and the gradient are those of.',
    temperature: 'What the logits are divided by, which makes the classes alike.',
  },
  read: (entries) => ({
    ...readDensity(entries),
    batches: entries.number('batches', { min: 1, max: 1024, whole: true }, 2),
    temperature: entries.number('temperature', { min: 0, aboveMin: true, max: 1e6 }, 200),
  }),
  policy: ({ density, batches, temperature }) => ({
    name: 'grasp',
    density,
    distribution: { kind: 'dense' },
    start: 'exact',
    first: {
      batches,
      temperature,
      moves: [{ kind: 'prune', to: { density: constant(density) }, scope: 'global', by: { kind: 'gradient flow' } }],
    },
    phases: [],
    masked: 'zeroed',
  }),
})
