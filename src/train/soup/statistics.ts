/** Running statistics of a network, estimated anew: those of averaged weights are not the average of what they were. */
import * as E from 'fp-ts/lib/Either.js'
import { type Graph, withParts } from '../../ir/graph.ts'
import type { ValueId } from '../../ir/op.ts'
import { BatchNormalization } from '../../ir/ops/batch-normalization.ts'
import { seededRandom } from '../../ir/random.ts'
import { isOp } from '../../ir/registry.ts'
import type { Backend } from '../backend/backend.ts'
import { type Cursor, type DataSet, drawTrainingBatch, loadBatch, startOf } from '../data/index.ts'
import { type Arrays, buildExecutor, type Executor, type TrainingState } from '../executor/executor.ts'
import { graphWithParameters } from '../executor/graph-with-parameters.ts'
import { trainError, type TrainError } from '../loop/error.ts'
import { nextTask } from '../loop/next-task.ts'
import { disposeAll } from '../loop/run.ts'
import { feedsOf } from '../loop/score.ts'
import type { Recipe } from '../recipe/index.ts'

export interface StatisticsOptions {
  readonly backend: Backend
  /** How many training images to look at; whole batches, at most an epoch. */
  readonly images: number
  readonly signal?: AbortSignal | undefined
  /** Is told after every batch. */
  readonly onProgress?: ((done: number, of: number) => void) | undefined
}

export interface Estimated {
  readonly graph: Graph
  /** That were looked at; 0 where the graph has no such statistics. */
  readonly images: number
}

/**
 * The graph with the means and variances that its BatchNormalizations see on training images: the mean over batches of those
 * of a batch, weighted by its images, as SWA (arXiv 1803.05407) and REPAIR (arXiv 2211.08403) reset them. Batches are drawn and varied as the recipe
 * says, by generators of their own. A graph without such statistics comes back as it is; undefined where the signal was aborted.
 *
 * Errors: images that cannot be read, statistics that are no finite numbers.
 */
export const withStatistics = async (
  graph: Graph,
  data: DataSet,
  recipe: Recipe,
  options: StatisticsOptions,
): Promise<E.Either<TrainError, Estimated | undefined>> => {
  const built = buildExecutor(withoutMemory(graph), options.backend)
  if (E.isLeft(built)) return built
  const executor = built.right
  const state = executor.initialState()
  try {
    if (executor.statistics.length === 0) return E.right({ graph, images: 0 })
    const means = await meansOf(executor, state, data, recipe, options)
    if (E.isLeft(means)) return means
    if (means.right === undefined) return E.right(undefined)
    const { arrays, images } = means.right
    return E.right({ graph: graphWithParameters(graph, arrays), images })
  } finally {
    disposeAll(state.parameters)
    disposeAll(state.statistics)
    executor.dispose()
  }
}

/** The graph whose running statistics become those of the last batch: `0 · running + 1 · batch`. */
const withoutMemory = (graph: Graph): Graph =>
  withParts(graph, {
    nodes: graph.nodes.map((node) =>
      isOp(node, BatchNormalization) ? { ...node, attrs: { ...node.attrs, momentum: 0 } } : node,
    ),
  })

const meansOf = async (
  executor: Executor,
  state: TrainingState,
  data: DataSet,
  recipe: Recipe,
  { images, signal, onProgress }: StatisticsOptions,
): Promise<E.Either<TrainError, { readonly arrays: Arrays; readonly images: number } | undefined>> => {
  const sums = new Map<ValueId, Float64Array>(
    executor.statistics.map(({ name, shape }) => [name, new Float64Array(shape.reduce((n, d) => n * d, 1))]),
  )
  const wanted = Math.min(images, data.train.size)
  let [cursor, done, last] = [cursorOf(recipe), 0, false]
  while (done < wanted && !last) {
    await nextTask()
    if (signal?.aborted === true) return E.right(undefined)
    const drawn = drawTrainingBatch(data, cursor, recipe)
    const loaded = await loadBatch(data, data.train, drawn)()
    if (E.isLeft(loaded)) return loaded
    const outputs = executor.forward(state, feedsOf(executor, data, loaded.right), 'train')
    if (E.isLeft(outputs)) return outputs
    disposeAll(outputs.right)
    const count = drawn.indices.length
    for (const [name, values] of await executor.readParameters(state.statistics)) {
      const sum = sums.get(name)
      if (sum === undefined) continue
      for (const [i, value] of values.entries()) sum[i] = (sum[i] ?? 0) + count * value
    }
    done += count
    ;({ next: cursor, last } = drawn)
    onProgress?.(done, wanted)
  }
  const means = new Map<ValueId, Float32Array>()
  for (const [name, sum] of sums) {
    const mean = Float32Array.from(sum, (value) => value / done)
    if (!mean.every(Number.isFinite)) {
      const help = 'Average fewer networks, or others: what this one computes overflows.'
      return E.left(trainError(`statistics ${name}`, 'finite numbers', 'others', help))
    }
    means.set(name, mean)
  }
  return E.right({ arrays: means, images: done })
}

const cursorOf = ({ seed }: Recipe): Cursor => ({
  ...startOf(seed),
  order: seededRandom(seed, 'soup order'),
  augmentation: seededRandom(seed, 'soup augmentation'),
})
