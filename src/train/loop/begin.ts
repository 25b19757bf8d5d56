/** Where a training run begins: at the start, or where a checkpoint is. */
import * as E from 'fp-ts/lib/Either.js'
import type { Masks } from '../../masks/mask.ts'
import type { DataSet } from '../data/index.ts'
import { type Length, policyOf, type Recipe } from '../recipe/index.ts'
import { dueSteps, needs, type Policy, removesChannels } from '../sparse/index.ts'
import { type Checkpoint, type Identity, readCheckpoint, resumeRun, type Store } from './checkpoint.ts'
import { lastPlan } from './history.ts'
import { trainError, type TrainError } from './error.ts'
import { disposeAll, disposeRun, firstScores, type Run, startRun, type Trainable } from './run.ts'
import { lookAtLoss, saliencyDensities } from './saliency.ts'
import { updateTopology } from './topology.ts'

/** What a run is of. */
export interface Beginning {
  readonly data: DataSet
  readonly recipe: Recipe
  readonly length: Length
  readonly identity: Identity
  /** Weights that are masked from the start, whatever the policy. */
  readonly masks?: Masks
  /** Where the checkpoint to go on from is, if there is one. */
  readonly resumed: Store | undefined
}

/**
 * A run that has not begun, or one that stands where the checkpoint left it. On errors the caller has nothing to dispose
 * but the trainable's executor.
 */
export const beginRun = async (trainable: Trainable, beginning: Beginning): Promise<E.Either<TrainError, Run>> => {
  const { resumed, identity, recipe } = beginning
  const found = resumed === undefined ? E.right(undefined) : await readCheckpoint(resumed, identity)
  if (E.isLeft(found)) return found
  const checkpoint = found.right
  const shorter = shorterProblem(recipe, checkpoint)
  if (shorter !== undefined) return E.left(shorter)
  const policy = await runPolicy(trainable, beginning, checkpoint)
  if (E.isLeft(policy)) return policy
  const run = startRun(trainable, policy.right, recipe.seed, beginning.masks)
  if (E.isLeft(run)) return run
  const placed =
    checkpoint === undefined
      ? await beforeFirstStep(run.right, trainable, beginning)
      : resumeRun(run.right, trainable, checkpoint, beginning.data.train.size)
  if (E.isRight(placed)) return run
  disposeRun(run.right)
  return placed
}

/** Does what the policy does before the first step. The plan tells what came of it, and no entry of its own. */
const beforeFirstStep = async (
  run: Run,
  trainable: Trainable,
  { data, recipe }: Beginning,
): Promise<E.Either<TrainError, undefined>> => {
  const { policy, network } = run.sparse
  const { first } = policy
  if (first === undefined) return E.right(undefined)
  const due = needs(policy, 0)
  const { batches = 1, temperature = 1 } = first
  const look = { data, recipe, batches, temperature, curvature: due === 'weights, gradients and curvature' }
  const seen = due === 'weights' ? E.right({}) : await lookAtLoss({ ...trainable, network }, look)
  if (E.isLeft(seen)) return seen
  const updated = await updateTopology(run, seen.right, recipe.slim)
  if (E.isLeft(updated)) return updated
  disposeAll(run.scores)
  run.scores = firstScores(run.executor, run.sparse)
  return E.right(undefined)
}

/**
 * A run may be made longer: from its step on, the learning rate and the policy are those of the longer training at that
 * step. It may not be made shorter: what the policy was yet to do by the end would be left out.
 */
const shorterProblem = ({ epochs }: Recipe, checkpoint: Checkpoint | undefined): TrainError | undefined => {
  const planned = lastPlan(checkpoint?.saved.history ?? [])?.epochs ?? 0
  if (epochs >= planned) return undefined
  const help = 'A run can be made longer, not shorter: leave the epochs as they were, or start another run.'
  return trainError('epochs', `at least the ${planned} that the run was begun with`, `${epochs}`, help)
}

/** The recipe's policy; the densities that it leaves open are the checkpoint's, or are found out. */
const runPolicy = async (
  trainable: Trainable,
  { data, recipe, length }: Beginning,
  checkpoint: Checkpoint | undefined,
): Promise<E.Either<TrainError, Policy>> => {
  const policy = policyOf(recipe.method, length)
  const idle = idlePhase(policy, length)
  if (idle !== undefined) return E.left(idle)
  if (policy.distribution.kind !== 'given') return E.right(policy)
  const densities =
    checkpoint === undefined
      ? await saliencyDensities(trainable, data, recipe, policy.density)
      : E.right(checkpoint.saved.densities ?? [])
  if (E.isLeft(densities)) return densities
  return E.right({ ...policy, distribution: { kind: 'given', densities: densities.right } })
}

/** A policy with which nothing would happen, or no channel go, because the run is too short for its intervals. */
export const idlePhase = ({ name, phases }: Policy, { steps }: Length): TrainError | undefined => {
  const idle = phases.filter((phase) => dueSteps(phase, steps).length === 0)
  const [phase] = idle.filter(({ moves }) => idle.length === phases.length || moves.some(removesChannels))
  if (phase === undefined) return undefined
  const what = phase.moves.some(({ kind }) => kind === 'remove channels') ? 'channelsEvery' : 'every'
  const found = `${phase.every} steps, of ${steps} in all`
  const help = `Train longer, or give the recipe a shorter interval, such as "${what}": { "part": 0.0125 }.`
  return trainError(`${what} of method ${name}`, 'an interval within the training', found, help)
}
