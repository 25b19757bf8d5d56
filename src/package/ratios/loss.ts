/** A number for what a model answers on a run of a calibration set, of which layers are judged by how it changes. */
import * as E from 'fp-ts/lib/Either.js'
import { producersOf } from '../../ir/analysis.ts'
import { isFloat } from '../../ir/dtype.ts'
import { numbersOf } from '../../ir/evaluate.ts'
import { type Failure, failure } from '../../ir/failure.ts'
import { contextOf, type Graph } from '../../ir/graph.ts'
import { opOf } from '../../ir/registry.ts'
import type { Dense } from '../../ir/tensor.ts'
import { sizeOf } from '../../ir/type.ts'
import type { Tensors } from '../../run/runner.ts'

/**
 * - `cross-entropy`: the mean of -log p over the samples, p what the first output gives the class of each: as a probability where the
 *   model ends with a softmax, else by one.
 * - `mean-square`: the mean of the squares of the first output of floating-point numbers. It needs no labels; LPViT (arXiv 2407.02068)
 *   takes its gradients.
 */
export type LossName = 'cross-entropy' | 'mean-square'

export interface Loss {
  readonly name: LossName
  readonly value: number
}

/** The loss of a run: cross entropy where it has labels and the first output a number for each class of each sample, else mean square. */
export const lossOf = (
  graph: Graph,
  outputs: Tensors,
  labels: ArrayLike<number> | undefined,
): E.Either<Failure, Loss> => {
  const first = [...outputs.values()][0]
  const classes = first === undefined || labels === undefined ? 0 : sizeOf(first.shape.slice(1))
  if (first !== undefined && labels !== undefined && isClassifying(first, labels.length)) {
    const odd = Array.from(labels).find((label) => label >= classes)
    if (odd === undefined) return E.right({ name: 'cross-entropy', value: crossEntropy(graph, first, labels, classes) })
    const help =
      'Calibrate with images of the classes that the model tells apart, or with arrays, which have no labels.'
    return E.left(failure('RunError', 'labels', `classes from 0 to ${classes - 1}`, `${odd}`, help))
  }
  const output = [...outputs.values()].find(({ dtype, shape }) => isFloat(dtype) && sizeOf(shape) > 0)
  if (output === undefined) {
    const help = 'Take a model that gives numbers, such as logits.'
    return E.left(failure('RunError', 'outputs', 'one of floating-point numbers', 'none', help))
  }
  const y = Float64Array.from(numbersOf(output))
  return E.right({ name: 'mean-square', value: y.reduce((sum, x) => sum + x * x, 0) / y.length })
}

const isClassifying = ({ dtype, shape }: Dense, samples: number): boolean =>
  isFloat(dtype) && shape.length >= 2 && shape[0] === samples && shape[1] === sizeOf(shape.slice(1)) && shape[1] > 1

const crossEntropy = (graph: Graph, output: Dense, labels: ArrayLike<number>, classes: number): number => {
  const y = Float64Array.from(numbersOf(output))
  const isProbability = endsWithSoftmax(graph)
  let sum = 0
  for (let row = 0; row < labels.length; row++) {
    const scores = y.subarray(row * classes, (row + 1) * classes)
    const own = scores[labels[row] ?? 0] ?? NaN
    if (isProbability) {
      sum -= Math.log(own)
      continue
    }
    const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity)
    sum += Math.log(scores.reduce((all, x) => all + Math.exp(x - largest), 0)) + largest - own
  }
  return sum / labels.length
}

/** Whether the classes of the first output add up to 1. */
const endsWithSoftmax = (graph: Graph): boolean => {
  const node = producersOf(graph).get(graph.outputs[0]?.name ?? '')
  const axis = node && opOf(node).sumsToOne?.(contextOf(graph, node))
  return axis === 1 || axis === -1
}
