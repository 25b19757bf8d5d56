/** What classifiers make of the images of a data set, in ONNX Runtime. Node only. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { elements, tensorOf } from '../ir/tensor.ts'
import { runError, type RunError } from '../run/error.ts'
import { type ModelHandle, type ModelSource, type Runner, type RunnerOptions, withRunner } from '../run/runner.ts'
import { batchesInOrder, type DataError, type DataSet, loadBatch, type Split } from '../train/data/index.ts'

export interface Classified {
  /** The class of the largest logit of every image, the first of equals. */
  readonly predictions: Uint16Array
  /** Fraction of the images whose class that is. */
  readonly accuracy: number
}

/** Images that are run at once. */
const batchSize = 100

/**
 * The predictions of each model for every image of `split`, a part of `data`. Models take images `[N, channels, height,
 * width]` as training does, and give logits `[N, classes]` first.
 *
 * Errors: a model that does not run on these images or gives no logits, an image that cannot be read.
 */
export const classify = (
  models: ReadonlyArray<ModelSource>,
  data: DataSet,
  split: Split,
  options: RunnerOptions = {},
): TaskEither<RunError | DataError, ReadonlyArray<Classified>> =>
  withRunner<ReadonlyArray<Classified>, DataError>(options, async (runner) => {
    const handles: ModelHandle[] = []
    for (const model of models) {
      const loaded = await runner.load(model)()
      if (E.isLeft(loaded)) return loaded
      handles.push(loaded.right)
    }
    const predictions = handles.map(() => new Uint16Array(split.size))
    for (const batch of batchesInOrder(split.size, batchSize)) {
      const loaded = await loadBatch(data, split, batch)()
      if (E.isLeft(loaded)) return loaded
      for (const [m, handle] of handles.entries()) {
        const classes = await classesOf(runner, handle, loaded.right.images, [batch.indices.length, ...data.shape])
        if (E.isLeft(classes)) return classes
        predictions[m]?.set(classes.right, batch.indices[0] ?? 0)
      }
    }
    return E.right(predictions.map((list) => ({ predictions: list, accuracy: accuracyOf(list, split.labels) })))
  })

const classesOf = async (
  runner: Runner,
  model: ModelHandle,
  images: Float32Array,
  shape: ReadonlyArray<number>,
): Promise<E.Either<RunError, ReadonlyArray<number>>> => {
  const feeds = new Map([[model.inputs[0]?.name ?? '', tensorOf('float32', shape, images)]])
  const outputs = await runner.run(model, feeds)()
  if (E.isLeft(outputs)) return outputs
  const [logits] = outputs.right.values()
  const [rows = 0] = shape
  if (logits?.shape.length !== 2 || logits.shape[0] !== rows) {
    const found = logits === undefined ? 'no output' : `[${logits.shape.join(',')}]`
    const help = 'Give a classifier whose first output holds a logit for each class.'
    return E.left(runError(`first output of ${model.name}`, `logits [${rows}, classes]`, found, help))
  }
  return E.right(largestOfRows(Array.from(elements(logits), Number), rows))
}

const largestOfRows = (values: ReadonlyArray<number>, rows: number): ReadonlyArray<number> => {
  const width = values.length / rows
  return Array.from({ length: rows }, (_, row) => {
    let best = 0
    for (let k = 1; k < width; k++) {
      if ((values[row * width + k] ?? 0) > (values[row * width + best] ?? 0)) best = k
    }
    return best
  })
}

const accuracyOf = (predictions: Uint16Array, labels: Uint16Array): number => {
  let correct = 0
  for (const [i, label] of labels.entries()) if (predictions[i] === label) correct += 1
  return correct / labels.length
}

/** How many images two models put into different classes. */
export const disagreements = (a: Classified, b: Classified): number => {
  let count = 0
  for (const [i, predicted] of a.predictions.entries()) if (predicted !== b.predictions[i]) count += 1
  return count
}
