/** One step of training. */
import * as E from 'fp-ts/lib/Either.js'
import type { ValueId } from '../../ir/op.ts'
import type { Tensor } from '../backend/backend.ts'
import { type Batch, type DataSet } from '../data/index.ts'
import type { DeviceTensors } from '../executor/executor.ts'
import { sgdStep, type SgdOptions } from '../executor/sgd.ts'
import { needs, skipsStep } from '../sparse/index.ts'
import { trainError, type TrainError } from './error.ts'
import type { UpdateEntry } from './history.ts'
import { type Length, learningRateAt, type Recipe } from '../recipe/index.ts'
import { disposeAll, type Run, withEffective } from './run.ts'
import { countRows, feedsOf } from './score.ts'
import { readLayers, updateTopology } from './topology.ts'

export interface Stepped {
  /** What was trained on: with label smoothing, if any. */
  readonly loss: number
  readonly correct: number
  readonly update: UpdateEntry | undefined
}

const optionsOf = ({ executor }: Run, recipe: Recipe, learningRate: number): SgdOptions => {
  const ranks = new Map(executor.parameters.map(({ name, shape }) => [name, shape.length]))
  const { momentum, nesterov, weightDecay, decay } = recipe
  const decays = decay === 'all' ? () => true : (name: ValueId) => (ranks.get(name) ?? 0) > 1
  return { learningRate, momentum, nesterov, weightDecay, decays }
}

/**
 * Trains on one batch, and does what the policy does after that step, of which the optimiser's may be left out. Gradients of masked weights are masked before the
 * optimiser sees them, so that these weights and their momenta stay 0; a topology update sees them whole.
 */
export const trainStep = async (
  run: Run,
  data: DataSet,
  batch: Batch,
  recipe: Recipe,
  length: Length,
): Promise<E.Either<TrainError, Stepped>> => {
  const { executor, device, moments, sparse } = run
  const step = run.step + 1
  const due = needs(sparse.policy, step)
  const example = { inputs: feedsOf(executor, data, batch), labels: batch.labels }
  const result = await withEffective(run, (state) =>
    executor.lossAndGradients(state, example, { labelSmoothing: recipe.labelSmoothing }),
  )
  if (E.isLeft(result)) return result
  const { loss: lossTensor, logits, gradients } = result.right
  const wanted = due === 'weights and gradients' ? await readLayers(executor, sparse.network, gradients) : undefined
  if (skipsStep(sparse.policy, step)) disposeAll(gradients)
  else {
    const masked = maskGradients(run, gradients)
    const options = optionsOf(run, recipe, learningRateAt(recipe.learningRate, step, length))
    sgdStep(executor.backend, device.parameters, moments, masked, options)
    disposeAll(masked)
  }
  const [loss = NaN] = await lossTensor.data()
  const { correct } = countRows(await logits.data(), batch.labels)
  lossTensor.dispose()
  logits.dispose()
  run.step = step
  if (!Number.isFinite(loss)) {
    const help = 'Lower the learning rate, or let it rise over more epochs of warm-up.'
    return E.left(trainError(`loss at step ${step}`, 'a finite number', `${loss}`, help))
  }
  if (due === 'nothing') return E.right({ loss, correct, update: undefined })
  const update = await updateTopology(run, wanted, recipe.slim)
  return E.isLeft(update) ? update : E.right({ loss, correct, update: update.right })
}

/** Gradients times masks, unless masked weights are trained on; takes over the given tensors. */
const maskGradients = ({ executor, masks, sparse }: Run, gradients: DeviceTensors): DeviceTensors => {
  const out = new Map<ValueId, Tensor>()
  const zeroed = sparse.policy.masked === 'zeroed'
  for (const [name, gradient] of gradients) {
    const mask = zeroed ? masks.get(name) : undefined
    out.set(name, mask === undefined ? gradient : executor.backend.ops.mul(gradient, mask))
    if (mask !== undefined) gradient.dispose()
  }
  return out
}
