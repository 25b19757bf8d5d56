/** Training: from a graph, data and a recipe to a graph with trained weights and its masks. In Node and in browsers. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { Graph } from '../../ir/graph.ts'
import type { ValueId } from '../../ir/op.ts'
import type { Choice } from '../../ir/options.ts'
import { elementMask, type Mask, type Masks, noMasks } from '../../masks/mask.ts'
import { applyMasks } from '../../passes/apply-masks.ts'
import type { Backend, BackendError } from '../backend/backend.ts'
import { type DataSet, drawTrainingBatch, loadBatch, stepsPerEpoch } from '../data/index.ts'
import { graphWithParameters } from '../executor/graph-with-parameters.ts'
import { type Length, learningRateAt, type Recipe } from '../recipe/index.ts'
import { beginRun } from './begin.ts'
import { type Identity, identityOf, saveRun, type Store } from './checkpoint.ts'
import { channelsOf, densityOf, layersLeft, layersOfOrigin } from './counts.ts'
import { withEffective } from './effective.ts'
import { trainError, type TrainError } from './error.ts'
import { type EpochEntry, type History, lastPlan, type Score } from './history.ts'
import { nextTask } from './next-task.ts'
import { type EvaluationProgress, type Progress, progressMeter } from './progress.ts'
import { disposeRun, emptyTally, type Run, trainableOf } from './run.ts'
import { evaluate } from './score.ts'
import { trainStep } from './step.ts'

/** What is asked of a training, and told while it goes on, wherever it computes. */
export interface TrainingOptions {
  /** Weights that are 0 and stay so, by name in the graph: for training a pruned network further. For method `dense` only. */
  readonly masks?: Masks
  /** When aborted, training stops after the step or the batch evaluated that it is in, a checkpoint written if there is to be one. */
  readonly signal?: AbortSignal
  /** Is told after every step. */
  readonly onProgress?: (progress: Progress) => void
  /** Is told after every batch of an evaluation. */
  readonly onEvaluation?: (progress: EvaluationProgress) => void
  /** Is told of the whole history when the run starts or goes on, and whenever an epoch or the training ends. */
  readonly onHistory?: (history: History) => void
}

export const trainingChoices: Readonly<Record<keyof TrainingOptions, Choice>> = {
  masks: 'any',
  signal: 'any',
  onProgress: 'any',
  onEvaluation: 'any',
  onHistory: 'any',
}

/** When a checkpoint is written, and whether one is gone on from. */
export interface CheckpointTimes {
  /** Steps from one checkpoint to the next. Absent: those of an epoch. */
  readonly every?: number
  /**
   * Goes on from the checkpoint, if there is one. With a recipe of more epochs the run is made longer: from its step on,
   * the learning rate and the method's schedules are those of the longer training at that step, so the result is not that
   * of a run which had so many from the start. Fewer epochs than were planned are an error.
   */
  readonly resume?: boolean
}

/** All that a training is made of. */
export interface Training {
  readonly graph: Graph
  readonly data: DataSet
  readonly recipe: Recipe
  /** Opens what computes, when all else has been looked at. */
  readonly backend: TaskEither<BackendError, Backend>
  readonly checkpoint: (CheckpointTimes & { readonly store: Store }) | undefined
  readonly options: TrainingOptions
}

export interface Trained {
  /** The graph with the weights that training computed with in the end, masked ones 0. Channels that left while training are not in it. */
  readonly graph: Graph
  /** Of every weight that has masked elements, by its name in `graph`. */
  readonly masks: Masks
  readonly history: History
  /** Of each group of channels by the weight that makes it, which of the original channels are left in `graph`. */
  readonly channels: ReadonlyMap<string, ReadonlyArray<number>>
  /** False where a signal stopped training; the test images have then not been looked at. */
  readonly completed: boolean
}

/** What the parts of one call share. */
interface Job extends Training {
  readonly run: Run
  readonly length: Length
  readonly identity: Identity
}

/**
 * Trains the graph, whose input takes images of the data and whose first output holds a logit for each class. The validation
 * images are evaluated after each epoch, the test images once, after the last. The same training and backend give the
 * same weights, to the last bit, also when training was stopped or killed and resumed in between.
 *
 * Errors: an operator that cannot be trained, data that cannot be read or do not fit, a backend that does not load, a
 * policy that does not fit the network, a loss that is no number, a checkpoint that cannot be written or is of another run.
 */
export const runTraining = async (training: Training): Promise<E.Either<TrainError, Trained>> => {
  const begun = await begin(training)
  if (E.isLeft(begun)) return begun
  const job = begun.right
  const { run, recipe, options } = job
  try {
    if (lastPlan(run.history)?.epochs !== recipe.epochs) notePlan(job)
    options.onHistory?.(run.history)
    const completed = await runSteps(job)
    return E.isLeft(completed) ? completed : await resultOf(run, completed.right)
  } finally {
    disposeRun(run)
  }
}

/** Does what {@link runTraining} does before its first step, and leaves it there: all that it refuses by then, nothing else. */
export const tryRunning = async (training: Training): Promise<E.Either<TrainError, undefined>> => {
  const begun = await begin(training)
  if (E.isLeft(begun)) return begun
  disposeRun(begun.right.run)
  return E.right(undefined)
}

/** A run that stands before its first step, or where its checkpoint is. */
const begin = async (training: Training): Promise<E.Either<TrainError, Job>> => {
  const { graph, data, recipe, checkpoint, options } = training
  const problem = misfit(graph, data) ?? intervalProblem(training) ?? masksProblem(training)
  if (problem !== undefined) return E.left(problem)
  const backend = await training.backend()
  if (E.isLeft(backend)) return backend
  const trainable = trainableOf(graph, backend.right)
  if (E.isLeft(trainable)) return trainable
  const perEpoch = stepsPerEpoch(data.train.size, recipe.batch, recipe.partial)
  const length: Length = { steps: recipe.epochs * perEpoch, stepsPerEpoch: perEpoch }
  const identity = identityOf(trainable.right.executor.graph, data, recipe)
  const resumed = checkpoint?.resume === true ? checkpoint.store : undefined
  const masks = options.masks ?? noMasks
  const run = await beginRun(trainable.right, { data, recipe, length, identity, resumed, masks })
  if (E.isRight(run)) return E.right({ ...training, run: run.right, length, identity })
  trainable.right.executor.dispose()
  return run
}

/** Why a graph does not take images of the data, or does not tell its classes apart. */
export const misfit = (graph: Graph, data: DataSet): TrainError | undefined => {
  const [[input, ...others], [output]] = [graph.inputs, graph.outputs]
  const shape = input?.type.kind === 'tensor' ? input.type.shape : undefined
  const wanted = data.shape.join('x')
  const fits =
    shape === undefined ||
    (shape.length === 4 && data.shape.every((d, a) => typeof shape[a + 1] !== 'number' || shape[a + 1] === d))
  if (input === undefined || others.length > 0 || !fits) {
    const found = input === undefined || others.length > 0 ? `${graph.inputs.length} inputs` : `[${shape?.join(',')}]`
    return trainError(
      'graph inputs',
      `one input for images of ${wanted}`,
      found,
      `Train on images of the model's size.`,
    )
  }
  const type = graph.types.get(output?.name ?? '')
  const classes = type?.kind === 'tensor' ? type.shape?.at(-1) : undefined
  if (classes === data.classes.length) return undefined
  const expected = `logits of ${data.classes.length} classes, those of ${data.name}`
  return trainError(
    'first graph output',
    expected,
    `${classes ?? 'none'}`,
    'Give the model as many classes as the data.',
  )
}

const masksProblem = ({ recipe: { method }, options: { masks } }: Training): TrainError | undefined =>
  masks === undefined || method.name === 'dense'
    ? undefined
    : trainError('method', 'dense, which leaves masks as they are', method.name, 'Leave the masks or the method out.')

const intervalProblem = ({ checkpoint }: Training): TrainError | undefined => {
  const { every = 1 } = checkpoint ?? {}
  if (Number.isSafeInteger(every) && every >= 1) return undefined
  const help = 'Leave it out for one checkpoint an epoch.'
  return trainError('steps between checkpoints', 'a whole number of at least 1', `${every}`, help)
}

/** Trains to the end, or until stopped; gives whether it is the end. */
const runSteps = async (job: Job): Promise<E.Either<TrainError, boolean>> => {
  const { run, length, options } = job
  const every = job.checkpoint?.every ?? length.stepsPerEpoch
  const report = progressMeter(run.step, length, job.recipe.epochs)
  while (true) {
    if (options.signal?.aborted === true) {
      const saved = await save(job)
      return E.isLeft(saved) ? saved : E.right(false)
    }
    const ended = epochEnded(run)
    if (!ended && run.step >= length.steps) break
    const done = ended ? await endEpoch(job) : await oneStep(job, report)
    if (E.isLeft(done)) return done
    // What an epoch ends with is done before a checkpoint is written.
    if (epochEnded(run) || (run.step % every !== 0 && run.step < length.steps)) continue
    const saved = await save(job)
    if (E.isLeft(saved)) return saved
  }
  return run.history.some(({ kind, step }) => kind === 'test' && step === run.step) ? E.right(true) : test(job)
}

/** Whether all images of an epoch have been trained on, and it is yet to be evaluated. */
const epochEnded = ({ cursor, tally }: Run): boolean => cursor.position === 0 && tally.steps > 0

const notePlan = ({ run, recipe, length }: Job): void => {
  run.history.push({
    kind: 'plan',
    step: run.step,
    epochs: recipe.epochs,
    stepsPerEpoch: length.stepsPerEpoch,
    density: densityOf(run.sparse),
    channels: channelsOf(run.sparse).left,
    layers: layersOfOrigin(run.sparse),
    ...layersLeft(run.sparse),
  })
}

/** The score of a part of the data; undefined where the run is to be stopped. */
const scored = (
  { run, data, recipe, options }: Job,
  part: EvaluationProgress['part'],
): Promise<E.Either<TrainError, Score | undefined>> =>
  withEffective(run, (state) =>
    evaluate(run.executor, state, data, {
      part,
      batch: recipe.batch,
      signal: options.signal,
      onProgress: options.onEvaluation,
    }),
  )

const save = async ({ run, identity, checkpoint }: Job): Promise<E.Either<TrainError, undefined>> =>
  checkpoint === undefined ? E.right(undefined) : saveRun(run, checkpoint.store, identity)

const oneStep = async (
  job: Job,
  report: ReturnType<typeof progressMeter>,
): Promise<E.Either<TrainError, undefined>> => {
  const { run, data, recipe, length } = job
  const began = performance.now()
  const drawn = drawTrainingBatch(data, run.cursor, recipe)
  const loaded = await loadBatch(data, data.train, drawn)()
  if (E.isLeft(loaded)) return loaded
  const stepped = await trainStep(run, data, loaded.right, recipe, length)
  if (E.isLeft(stepped)) return stepped
  await nextTask()
  const { loss, correct, update } = stepped.right
  const images = drawn.indices.length
  const { tally } = run
  run.cursor = drawn.next
  run.tally = {
    loss: tally.loss + loss * images,
    correct: tally.correct + correct,
    images: tally.images + images,
    steps: tally.steps + 1,
    seconds: tally.seconds + (performance.now() - began) / 1000,
  }
  if (update !== undefined) run.history.push(update)
  job.options.onProgress?.(report(run))
  return E.right(undefined)
}

/** Evaluates the validation images and notes the epoch, unless the run is to be stopped. */
const endEpoch = async (job: Job): Promise<E.Either<TrainError, undefined>> => {
  const { run, recipe, length, options } = job
  const validation = await scored(job, 'validation')
  if (E.isLeft(validation)) return validation
  if (validation.right === undefined) return E.right(undefined)
  const { loss, correct, images, steps, seconds } = run.tally
  const entry: EpochEntry = {
    kind: 'epoch',
    epoch: run.cursor.epoch,
    step: run.step,
    learningRate: learningRateAt(recipe.learningRate, run.step, length),
    loss: loss / images,
    accuracy: correct / images,
    validation: validation.right,
    density: densityOf(run.sparse),
    channels: channelsOf(run.sparse).left,
    ...layersLeft(run.sparse),
    seconds,
    stepsPerSecond: steps / seconds,
  }
  run.history.push(entry)
  options.onHistory?.(run.history)
  run.tally = emptyTally
  return E.right(undefined)
}

const test = async (job: Job): Promise<E.Either<TrainError, boolean>> => {
  const { run } = job
  const score = await scored(job, 'test')
  if (E.isLeft(score)) return score
  if (score.right === undefined) return E.right(false)
  run.history.push({ kind: 'test', step: run.step, ...score.right })
  job.options.onHistory?.(run.history)
  const saved = await save(job)
  return E.isLeft(saved) ? saved : E.right(true)
}

const resultOf = async (run: Run, completed: boolean): Promise<E.Either<TrainError, Trained>> => {
  const { executor, device } = run
  const parameters = await withEffective(run, (state) => executor.readParameters(state.parameters))
  const statistics = await executor.readParameters(device.statistics)
  const { network, masks: bits, channels } = run.sparse
  const masks = new Map<ValueId, Mask>()
  for (const [l, { name, shape, role }] of network.layers.entries()) {
    const kept = bits[l]
    if (role === undefined && kept?.includes(0) === true) masks.set(name, elementMask(shape, kept))
  }
  const graph = graphWithParameters(executor.graph, new Map([...parameters, ...statistics]))
  const masked = applyMasks(graph, masks)
  if (E.isLeft(masked)) return masked
  return E.right({
    graph: masked.right,
    masks,
    history: run.history,
    channels: new Map(network.streams.map(({ name }, s) => [name, Array.from(channels[s] ?? [])])),
    completed,
  })
}
