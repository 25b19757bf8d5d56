/** Tiny networks and images to train on: mechanics only, nothing about accuracy. */
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, renderError } from '../../../src/ir/failure.ts'
import type { Graph } from '../../../src/ir/graph.ts'
import { drawsFrom, seededRandom } from '../../../src/ir/random.ts'
import { float32View, materialize } from '../../../src/ir/tensor.ts'
import { resnet } from '../../../src/models/index.ts'
import { type DataSet, inMemory, partOf, type Split } from '../../../src/train/data/data-set.ts'
import { decodeRecipe, type Recipe } from '../../../src/train/recipe/index.ts'

export const right = <A>(result: E.Either<Failure | ReadonlyArray<Failure>, A>): A => {
  if (E.isRight(result)) return result.right
  const { left } = result
  throw new Error('_tag' in left ? renderError(left) : left.map(renderError).join('\n'))
}

/** Of the backends that are always there the fast one. */
export const backendName = 'wasm'

const shape = [2, 6, 6] as const

/** Noise with a brighter corner, which tells the class. */
const images = (count: number, seed: number): Split => {
  const draws = drawsFrom(seededRandom(seed))
  const labels = Uint16Array.from({ length: count }, () => draws.below(3))
  const pixels = Uint8Array.from({ length: count * 72 }, (_, i) => {
    const [label, place] = [labels[Math.floor(i / 72)] ?? 0, i % 36]
    const bright = Math.floor(place / 12) === label ? 80 : 0
    return bright + draws.below(160)
  })
  return partOf(
    inMemory(pixels, labels, shape),
    Uint32Array.from({ length: count }, (_, i) => i),
  )
}

/** 50 images of 2x6x6 in three classes, so that an epoch of batches of 8 ends with one of 2. */
export const tinyData: DataSet = {
  name: 'tiny',
  classes: ['a', 'b', 'c'],
  shape,
  mean: [0.4, 0.4],
  deviation: [0.2, 0.2],
  train: images(50, 1),
  validation: images(20, 2),
  test: images(30, 3),
}

export const tinyResNet = (seed = 5): Graph =>
  resnet('tiny', { stem: 'cifar', block: 'basic', blocks: [2, 1], widths: [6, 8] }, { classes: 3, shape, seed })

export const recipeOf = (method: Record<string, unknown>, others: Record<string, unknown> = {}): Recipe =>
  right(
    decodeRecipe({
      method,
      epochs: 4,
      batch: 8,
      learningRate: { schedule: 'cosine', peak: 0.1, warmup: 0.5 },
      augmentation: { padding: 1, flip: true },
      seed: 3,
      ...others,
    }),
  )

/** Chase that acts all the time: 28 steps in four epochs. */
export const busyChase = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  name: 'chase',
  density: 0.4,
  every: 4,
  channelsEvery: 4,
  channels: 0.5,
  floor: 0.3,
  scope: 'all',
  softUntil: 0.8,
  channelsUntil: 0.8,
  ...more,
})

/** The numbers of every float constant, by name. */
export const weightsOf = (graph: Graph): ReadonlyMap<string, Float32Array> => {
  const out = new Map<string, Float32Array>()
  for (const [name, tensor] of graph.constants) {
    if (tensor.dtype === 'float32') out.set(name, float32View(materialize(tensor)))
  }
  return out
}
