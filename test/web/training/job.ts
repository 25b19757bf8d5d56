/** A short training by Chase of a small network on made-up images: what Node and browsers both do, and what came out as text. */
import * as E from 'fp-ts/lib/Either.js'
import { lower } from '../../../src/api/compiler.ts'
import { type Backend, dataSetOf, decodeRecipe, train } from '../../../src/api/training.ts'
import { type Failure, renderError } from '../../../src/ir/failure.ts'
import { encodeMasks } from '../../../src/masks/files.ts'
import { drawsFrom, seededRandom } from '../../../src/ir/random.ts'
import { resnet } from '../../../src/models/index.ts'

const right = <A>(result: E.Either<Failure | ReadonlyArray<Failure>, A>): A => {
  if (E.isRight(result)) return result.right
  const { left } = result
  throw new Error('_tag' in left ? renderError(left) : left.map(renderError).join('\n'))
}

const shape = [3, 12, 12] as const

const classes = ['a', 'b', 'c', 'd']

/** Noise with a brighter stripe, which tells the class. */
const images = (count: number, seed: number) => {
  const draws = drawsFrom(seededRandom(seed))
  const labels = Array.from({ length: count }, () => draws.below(classes.length))
  const size = 3 * 12 * 12
  const bytes = Uint8Array.from({ length: count * size }, (_, i) => {
    const stripe = Math.floor((i % 144) / 36)
    return draws.below(160) + (stripe === labels[Math.floor(i / size)] ? 80 : 0)
  })
  return { images: bytes, labels }
}

export interface Outcome {
  /** Losses, accuracies and what the method did, without times. */
  readonly history: string
  /** Of the trained network as ONNX, and of its masks. */
  readonly model: string
  readonly masks: string
  readonly masked: number
}

const digest = async (chunks: ReadonlyArray<Uint8Array>): Promise<string> => {
  const bytes = new Uint8Array(await new Blob(chunks.map((chunk) => Uint8Array.from(chunk))).arrayBuffer())
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

export const job = async (backend: Backend): Promise<Outcome> => {
  const made = { name: 'stripes', classes, shape, train: images(72, 1), test: images(24, 2) }
  const data = right(await dataSetOf(made, { seed: 1 })())
  const layers = { stem: 'cifar', block: 'basic', blocks: [1, 1], widths: [12, 16] } as const
  const graph = resnet('small', layers, { classes: classes.length, shape, seed: 5 })
  const recipe = right(
    decodeRecipe({
      method: { name: 'chase', density: 0.4, every: 2, channelsEvery: 2, channels: 0.5, scope: 'all' },
      epochs: 2,
      batch: 16,
      augmentation: { padding: 1, flip: true },
      seed: 3,
    }),
  )
  const trained = right(await train(graph, data, recipe, { backend })())
  const history = trained.history.map((entry) =>
    entry.kind === 'epoch' ? { ...entry, seconds: 0, stepsPerSecond: 0 } : entry,
  )
  const { model } = right(lower(trained.graph))
  const masks = [...encodeMasks(trained.masks)]
  return {
    history: JSON.stringify(history),
    model: await digest([model]),
    masks: await digest(masks),
    masked: trained.masks.size,
  }
}
