/** Counting right answers, and evaluation. */
import * as E from 'fp-ts/lib/Either.js'
import type { ValueId } from '../../ir/op.ts'
import { batchesInOrder, type Batch, type DataSet, loadBatch, type Split } from '../data/index.ts'
import type { Executor, Feeds, TrainingState } from '../executor/executor.ts'
import type { TrainError } from './error.ts'
import type { Score } from './history.ts'
import { nextTask } from './next-task.ts'
import type { EvaluationProgress } from './progress.ts'
import { disposeAll } from './run.ts'

/** A batch under the name of the graph's input. */
export const feedsOf = ({ graph }: Executor, { shape }: DataSet, { images, labels }: Batch): Feeds => {
  const [input] = graph.inputs
  return new Map<ValueId, { values: Float32Array; shape: ReadonlyArray<number> }>([
    [input?.name ?? '', { values: images, shape: [labels.length, ...shape] }],
  ])
}

/** Of rows of logits: how often the largest is the label's (the first of equals), and Σ -log softmax of the label. */
export const countRows = (
  logits: ArrayLike<number>,
  labels: Int32Array,
): { readonly correct: number; readonly loss: number } => {
  const classes = logits.length / labels.length
  let [correct, loss] = [0, 0]
  for (const [row, label] of labels.entries()) {
    let [best, largest] = [0, -Infinity]
    for (let k = 0; k < classes; k++) {
      const value = logits[row * classes + k] ?? 0
      if (value > largest) [best, largest] = [k, value]
    }
    let sum = 0
    for (let k = 0; k < classes; k++) sum += Math.exp((logits[row * classes + k] ?? 0) - largest)
    correct += best === label ? 1 : 0
    loss += Math.log(sum) + largest - (logits[row * classes + label] ?? 0)
  }
  return { correct, loss }
}

export interface EvaluationOptions {
  readonly part: EvaluationProgress['part']
  /** Images at once. */
  readonly batch: number
  readonly signal?: AbortSignal | undefined
  /** Is told after every batch. */
  readonly onProgress?: ((progress: EvaluationProgress) => void) | undefined
}

/**
 * Mean cross entropy (no smoothing) and accuracy over a part of the data, with the running statistics; undefined where the
 * signal was aborted meanwhile.
 */
export const evaluate = async (
  executor: Executor,
  state: TrainingState,
  data: DataSet,
  { part, batch, signal, onProgress }: EvaluationOptions,
): Promise<E.Either<TrainError, Score | undefined>> => {
  const split: Split = data[part]
  let [correct, loss, done] = [0, 0, 0]
  for (const drawn of batchesInOrder(split.size, batch)) {
    await nextTask()
    if (signal?.aborted === true) return E.right(undefined)
    const loaded = await loadBatch(data, split, drawn)()
    if (E.isLeft(loaded)) return loaded
    const outputs = executor.forward(state, feedsOf(executor, data, loaded.right), 'eval')
    if (E.isLeft(outputs)) return outputs
    const [logits] = outputs.right.values()
    const counted = countRows((await logits?.data()) ?? [], loaded.right.labels)
    disposeAll(outputs.right)
    correct += counted.correct
    loss += counted.loss
    done += drawn.indices.length
    onProgress?.({ part, done, of: split.size })
  }
  return E.right({ loss: loss / split.size, accuracy: correct / split.size })
}
