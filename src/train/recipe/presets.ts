/** The paper's runs as recipes (CHASE, arXiv 2305.19454; hyperparameters of the released scripts). */
import type { Recipe } from './recipe.ts'

const cifar = {
  epochs: 160,
  batch: 100,
  partial: true,
  learningRate: { schedule: 'step', peak: 0.1, warmup: 0, at: [0.5, 0.75], factor: 0.1 },
  momentum: 0.9,
  nesterov: false,
  weightDecay: 5e-4,
  decay: 'all',
  labelSmoothing: 0,
  augmentation: { crop: 'padded', padding: 4, flip: true },
  seed: 0,
  slim: true,
} as const satisfies Omit<Recipe, 'method'>

const chaseOnCifar = {
  name: 'chase',
  density: 0.1,
  distribution: 'erk',
  channels: 0.5,
  scope: 'block',
  exploration: 'global',
  score: 'umm',
  floor: 0.5,
  margin: 0.05,
  finalMargin: 0,
  every: 1000,
  channelsEvery: 1000,
  softUntil: 130 / 160,
  channelsUntil: 130 / 160,
} as const satisfies Recipe['method']

/**
 * By name. What differs from the scripts, apart from what the comment of the policy `chase` says:
 *
 * - A part of the training images is set apart and evaluated after each epoch, never the test images; the network of the
 *   last epoch counts, not the best of the last thirty on the test images.
 * - Every batch is run forwards once, not twice, and so counts once in running statistics; these are not gathered anew
 *   after channels have left.
 * - ImageNet: there is one set of masks, and normalisation sees all 512 images of a batch, not the 128 of each of four
 *   GPUs. Parts are cut out of images that were brought to the network's size, not out of those in the files, and all of
 *   the middle of a test image is looked at, not seven eighths. The classifier's bias and the normalisation of shortcuts
 *   do not decay; in the script they do.
 */
export const presets = {
  'chase-cifar-resnet50': { ...cifar, method: chaseOnCifar },
  'chase-cifar-vgg19': { ...cifar, method: { ...chaseOnCifar, floor: 0.2, channelsEvery: 8000 } },
  'chase-imagenet-resnet50': {
    ...cifar,
    epochs: 100,
    batch: 512,
    partial: false,
    learningRate: { schedule: 'cosine', peak: 0.512, warmup: 8, final: 0, per: 'epoch' },
    weightDecay: 1e-4,
    decay: 'weights',
    labelSmoothing: 0.1,
    augmentation: { crop: 'resized', scale: [0.08, 1], ratio: [3 / 4, 4 / 3], flip: true },
    method: {
      ...chaseOnCifar,
      channels: 0.4,
      exploration: 'layer',
      floor: 0.2,
      finalMargin: 0.005,
      channelsEvery: { epochs: 2 },
      softUntil: 0.8,
      channelsUntil: 0.8,
    },
  },
} as const satisfies Readonly<Record<string, Recipe>>
