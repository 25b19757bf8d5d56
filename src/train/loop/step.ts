/** One step of training. */
import * as E from 'fp-ts/lib/Either.js'
import type { ValueId } from '../../ir/op.ts'
import { drawsFrom, seededRandom } from '../../ir/random.ts'
import { sizeOf } from '../../ir/type.ts'
import type { Backend } from '../backend/backend.ts'
import { scoped } from '../backend/scope.ts'
import type { Tensor } from '../backend/tensor.ts'
import { type Batch, type DataSet } from '../data/index.ts'
import type { DeviceTensors } from '../executor/executor.ts'
import { sgdStep, type SgdOptions } from '../executor/sgd.ts'
import { imagesLookedAt, needs, needsBefore, pulledScales, skipsStep, valueAt } from '../sparse/index.ts'
import { activeChannels } from './activity.ts'
import { withBackward, withEffective } from './effective.ts'
import { trainError, type TrainError } from './error.ts'
import { gateFactors, trainGates } from './gates.ts'
import type { UpdateEntry } from './history.ts'
import { type Length, learningRateAt, type Recipe } from '../recipe/index.ts'
import { disposeAll, readLayers, type Run } from './run.ts'
import { countRows, feedsOf } from './score.ts'
import { updateTopology } from './topology.ts'

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
  const { labelSmoothing } = recipe
  const result = await withEffective(run, (state) =>
    withBackward(run, (instead) => executor.lossAndGradients(state, example, { labelSmoothing, instead })),
  )
  if (E.isLeft(result)) return result
  const { loss: lossTensor, logits, gradients } = result.right
  const seen =
    due === 'weights and gradients' ? { gradients: await readLayers(executor, sparse.network, gradients) } : {}
  const rate = learningRateAt(recipe.learningRate, step, length)
  const isBackWanted = needsBefore(sparse.policy, step)
  const before = isBackWanted ? await readLayers(executor, sparse.network, device.parameters) : undefined
  const options = optionsOf(run, recipe, rate)
  if (skipsStep(sparse.policy, step)) disposeAll(gradients)
  else if (sparse.policy.scores !== undefined) {
    const byScore = scoreGradients(executor.backend.ops, gradients, device.parameters, run.scores)
    sgdStep(executor.backend, run.scores, moments, byScore, options)
    disposeAll(byScore)
  } else {
    const own = await throughGates(run, gradients)
    const masked = maskGradients(run, pullGradients(run, own, step))
    sgdStep(executor.backend, device.parameters, moments, masked, options)
    addNoise(run, masked, recipe.seed, step)
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
  const looked = imagesLookedAt(sparse.policy, step)
  const active = looked > 0 ? await activeChannels(run, data, recipe.batch, looked) : E.right(undefined)
  if (E.isLeft(active)) return active
  const taken = { ...seen, ...(before && { before }), ...(active.right && { active: active.right }), rate }
  const update = await updateTopology(run, taken, recipe.slim)
  return E.isLeft(update) ? update : E.right({ loss, correct, update: update.right })
}

/** The gradients of weights behind gates, which are trained by them first. Takes over the given tensors. */
const throughGates = async (run: Run, gradients: DeviceTensors): Promise<DeviceTensors> => {
  const { executor, device, sparse, step } = run
  if (run.gates.size === 0) return gradients
  const factors = gateFactors(executor, sparse, run.gates, step)
  const trained = await trainGates(executor, sparse, run.gates, factors, gradients, device.parameters, step)
  disposeAll(factors)
  run.gates = trained.gates
  return trained.gradients
}

/** w · g of every weight that has a score. Takes over the gradients. */
export const scoreGradients = (
  { mul }: Pick<Backend['ops'], 'mul'>,
  gradients: DeviceTensors,
  weights: DeviceTensors,
  scores: DeviceTensors,
): DeviceTensors => {
  const out = new Map<ValueId, Tensor>()
  for (const [name, gradient] of gradients) {
    const weight = scores.has(name) ? weights.get(name) : undefined
    if (weight !== undefined) out.set(name, mul(gradient, weight))
    gradient.dispose()
  }
  return out
}

/**
 * Adds to every number whose gradient is not 0 a normal one, of the deviation that the policy has at `step`. Noise depends on the
 * seed and the step alone, and on which parameters there are.
 */
const addNoise = ({ executor, device, sparse }: Run, gradients: DeviceTensors, seed: number, step: number): void => {
  const { noise } = sparse.policy
  const deviation = noise === undefined ? 0 : valueAt(noise, step - 1)
  if (deviation === 0) return
  const { normal } = drawsFrom(seededRandom(seed, `noise ${step}`))
  const drawn = executor.parameters.flatMap(({ name, shape }) => {
    const values = Float32Array.from({ length: sizeOf(shape) }, () => deviation * normal())
    return gradients.has(name) ? [[name, values] as const] : []
  })
  const { core, ops } = executor.backend
  const added = executor.writeParameters(new Map(drawn))
  for (const [name, tensor] of added) {
    const [weight, gradient] = [device.parameters.get(name), gradients.get(name)]
    if (weight === undefined || gradient === undefined) continue
    const moved = scoped(
      core,
      () => ops.add(weight, ops.mul(tensor, ops.unary('Abs', ops.unary('Sign', gradient)))),
      (sum) => [sum],
    )
    device.parameters.set(name, moved)
    weight.dispose()
  }
  disposeAll(added)
}

/** The gradients, with what draws scales of channels to 0 at `step`. Takes over the given tensors. */
const pullGradients = ({ executor, device, sparse }: Run, gradients: DeviceTensors, step: number): DeviceTensors => {
  const pulls = executor.writeParameters(pulledScales(sparse, step))
  if (pulls.size === 0) return gradients
  const out = pulled(executor.backend.ops, gradients, device.parameters, pulls)
  disposeAll(pulls)
  return out
}

/** g + λ · sign(w), where there is a λ; the tensors that this replaces are disposed. */
export const pulled = (
  { add, mul, unary }: Pick<Backend['ops'], 'add' | 'mul' | 'unary'>,
  gradients: DeviceTensors,
  parameters: DeviceTensors,
  pulls: DeviceTensors,
): DeviceTensors => {
  const out = new Map(gradients)
  for (const [name, pull] of pulls) {
    const [gradient, weight] = [gradients.get(name), parameters.get(name)]
    if (gradient === undefined || weight === undefined) continue
    const sign = unary('Sign', weight)
    const more = mul(sign, pull)
    out.set(name, add(gradient, more))
    for (const tensor of [sign, more, gradient]) tensor.dispose()
  }
  return out
}

/**
 * What the optimiser is given: gradients times masks, or, where masked weights are trained on, with what draws these to 0.
 * Takes over the given tensors.
 */
const maskGradients = ({ executor, device, masks, sparse }: Run, gradients: DeviceTensors): DeviceTensors => {
  const { backend } = executor
  const { masked, maskedDecay = 0 } = sparse.policy
  const out = new Map<ValueId, Tensor>()
  for (const [name, gradient] of gradients) {
    const [mask, weight] = [masks.get(name), device.parameters.get(name)]
    const plain = mask === undefined || weight === undefined || (masked !== 'zeroed' && maskedDecay === 0)
    if (plain) {
      out.set(name, gradient)
      continue
    }
    const zeroed = masked === 'zeroed'
    out.set(name, zeroed ? backend.ops.mul(gradient, mask) : decayed(backend, gradient, weight, mask, maskedDecay))
    gradient.dispose()
  }
  return out
}

/** g + λ · (1 - mask) · w. */
const decayed = (
  { core, ops: { add, affine, mul } }: Backend,
  gradient: Tensor,
  weight: Tensor,
  mask: Tensor,
  decay: number,
): Tensor =>
  scoped(
    core,
    () => add(gradient, mul(weight, affine(mask, -decay, decay))),
    (sum) => [sum],
  )
