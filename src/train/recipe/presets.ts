/** The paper's runs as recipes (CHASE, arXiv 2305.19454; hyperparameters of the released scripts). */
import type { Recipe } from './recipe.ts'

const cifar = {
  epochs: 160,
  batch: 100,
  learningRate: { schedule: 'step', peak: 0.1, warmup: 0, at: [0.5, 0.75], factor: 0.1 },
  momentum: 0.9,
  nesterov: false,
  weightDecay: 5e-4,
  decay: 'all',
  labelSmoothing: 0,
  augmentation: { padding: 4, flip: true },
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
 * By name. Two things differ from the scripts: images of ImageNet are mirrored but not cut to random sizes, and its
 * learning rate falls at every step, not once an epoch.
 */
export const presets = {
  'chase-cifar-resnet50': { ...cifar, method: chaseOnCifar },
  'chase-cifar-vgg19': { ...cifar, method: { ...chaseOnCifar, floor: 0.2, channelsEvery: 8000 } },
  'chase-imagenet-resnet50': {
    ...cifar,
    epochs: 100,
    batch: 512,
    learningRate: { schedule: 'cosine', peak: 0.512, warmup: 8, final: 0 },
    weightDecay: 1e-4,
    decay: 'weights',
    labelSmoothing: 0.1,
    augmentation: { padding: 0, flip: true },
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
