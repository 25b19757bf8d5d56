/**
 * How much a loss depends on each layer, without its gradient: by what it does when the layer's weight is moved a little, forwards and
 * back, in ONNX Runtime. ECoFLaP's importance (arXiv 2310.02998, github.com/ylsung/ECoFLaP 59dac0a).
 */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { lower } from '../../export/lower.ts'
import { isFloat } from '../../ir/dtype.ts'
import { type Failure, failure } from '../../ir/failure.ts'
import { type Graph, labelOf, withParts } from '../../ir/graph.ts'
import type { ValueId } from '../../ir/op.ts'
import { drawsFrom, seededRandom } from '../../ir/random.ts'
import { type Dense, elements, type Tensor, tensorOf } from '../../ir/tensor.ts'
import { tensorType } from '../../ir/type.ts'
import { resolveWeights } from '../../masks/weights.ts'
import type { Compared } from '../../passes/prune-weights.ts'
import { type RunnerOptions, withRunner } from '../../run/runner.ts'
import { type CalibrationSource, calibrationRuns } from '../calibrate.ts'
import { runnable } from '../runnable.ts'
import { lossOf, type LossName } from './loss.ts'

export interface ZerothOrderOptions extends Omit<RunnerOptions, 'freeDimensions' | 'tf32'> {
  /** How far weights are moved: ε times a standard normal number each. */
  readonly epsilon: number
  readonly seed: number
  /** Samples that the model runs on, at most. */
  readonly samples: number
  readonly batch: number
  /** Called before each layer. */
  readonly onProgress?: (done: number, all: number) => void
}

export interface ZerothOrder {
  /** By weight Σ |L(w + ε z) - L(w - ε z)| / 2ε over the runs, z drawn anew for each. */
  readonly importance: ReadonlyMap<ValueId, number>
  readonly loss: LossName
  readonly samples: number
  readonly runtime: string
}

/**
 * The importance of the layers of `graph`, which is masked already: what is gone stays at zero. In the mean it is √(2/π) · ‖∇L‖ of the
 * layer's weight for each run, as long as ε is small.
 */
export const zerothOrder =
  (
    graph: Graph,
    layers: ReadonlyArray<Compared>,
    source: CalibrationSource,
    { epsilon, seed, samples, batch, onProgress, ...options }: ZerothOrderOptions,
  ): TaskEither<Failure, ZerothOrder> =>
  () =>
    withRunner<ZerothOrder, Failure>(options, async (runner) => {
      const importance = new Map<ValueId, number>()
      let [loss, seen]: [LossName, number] = ['mean-square', 0]
      for (const [at, one] of layers.entries()) {
        onProgress?.(at, layers.length)
        const { weight, node } = one.layer
        const model = movable(graph, weight)
        if (E.isLeft(model)) return model
        const lowered = lower(model.right.graph)
        if (E.isLeft(lowered)) return lowered
        const loaded = await runner.load(runnable(lowered.right, `the model with another weight in ${labelOf(node)}`))()
        if (E.isLeft(loaded)) return loaded
        const moves = movesOf(model.right.tensor, one.given, epsilon, seed, weight)
        let sum = 0
        seen = 0
        for await (const next of calibrationRuns(graph, source, samples, batch)) {
          if (E.isLeft(next)) return next
          const { feeds, labels } = next.right
          const sides: number[] = []
          for (const tensor of moves()) {
            const outputs = await runner.run(loaded.right, new Map([...feeds, [weight, tensor]]))()
            if (E.isLeft(outputs)) return outputs
            const found = lossOf(graph, outputs.right, labels)
            if (E.isLeft(found)) return found
            loss = found.right.name
            sides.push(found.right.value)
          }
          const [forwards = NaN, back = NaN] = sides
          sum += Math.abs((forwards - back) / (2 * epsilon))
          if (!Number.isFinite(sum)) return E.left(notFinite(labelOf(node), next.right.from))
          seen += next.right.samples
        }
        if (seen === 0) {
          const help = 'Give at least one input of the model.'
          return E.left(failure('StatisticsError', 'calibration set', 'at least one sample', 'none', help))
        }
        importance.set(weight, sum)
        const released = await runner.release(loaded.right)()
        if (E.isLeft(released)) return released
      }
      return E.right({ importance, loss, samples: seen, runtime: runner.runtime })
    })()

const notFinite = (layer: string, from: string): Failure =>
  failure(
    'RunError',
    `loss with the weight of ${layer} moved`,
    'a finite number',
    `none on ${from}`,
    'Give a smaller epsilon, or leave that input out; where the model itself gives none, check it.',
  )

interface Movable {
  /** The model that is given the weight with its inputs. */
  readonly graph: Graph
  readonly tensor: Tensor
}

/** A model of which a weight is an input. Fails where it is no constant of floating-point numbers. */
const movable = (graph: Graph, weight: ValueId): E.Either<Failure, Movable> => {
  const tensor = resolveWeights(graph).graph.constants.get(weight)
  if (tensor === undefined || tensor.tag === 'Held' || !isFloat(tensor.dtype)) {
    const found = tensor?.tag === 'Held' ? 'integers' : (tensor?.dtype ?? 'none')
    const help = 'Divide the sparsity of the model before it is quantised, or keep the layer whole.'
    return E.left(failure('PruneError', `weight ${weight}`, 'floating-point numbers', found, help))
  }
  const constants = new Map(graph.constants)
  constants.delete(weight)
  const nodes = graph.nodes.filter(({ outputs }) => !outputs.includes(weight))
  const inputs = [...graph.inputs, { name: weight, type: tensorType(tensor.dtype, tensor.shape) }]
  return E.right({ graph: withParts(graph, { inputs, constants, nodes }), tensor })
}

/** The weight moved forwards and back, by other numbers each time it is asked. */
const movesOf = (
  tensor: Tensor,
  given: Uint8Array,
  epsilon: number,
  seed: number,
  weight: ValueId,
): (() => Iterable<Dense>) => {
  const values = Float64Array.from(elements(tensor), Number)
  const draws = drawsFrom(seededRandom(seed, weight))
  return function* () {
    const steps = values.map((_, i) => (given[i] === 1 ? epsilon * draws.normal() : 0))
    for (const sign of [1, -1]) {
      yield tensorOf(
        tensor.dtype,
        tensor.shape,
        values.map((w, i) => w + sign * (steps[i] ?? 0)),
      )
    }
  }
}
