/** What a run starts with: images, a network, and the masks that stay. */
import { existsSync } from 'node:fs'
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../../ir/failure.ts'
import type { Graph } from '../../ir/graph.ts'
import type { Masks } from '../../masks/mask.ts'
import { parseModel } from '../../models/index.ts'
import { readModel } from '../../read/file.ts'
import { type DataSet, openData } from '../../train/index.ts'
import type { Say } from '../progress.ts'
import { masksFor } from '../sources.ts'
import type { Baseline } from './finish.ts'
import type { Settings } from './settings.ts'

export interface TrainInputs {
  readonly data: DataSet
  /** The network before training; what the trained one is compared with unless the dense one is trained too. */
  readonly start: Baseline
  readonly masks: Masks | undefined
}

/** What is wrong with the network or its masks is told before images are read, where the network is a file. */
export const openInputs = async (settings: Settings, say: Say): Promise<E.Either<Failure, TrainInputs>> => {
  const file = await networkFile(settings, say)
  if (E.isLeft(file)) return file
  const masked = file.right === undefined ? E.right(undefined) : await withMasks(file.right, settings, say)
  if (E.isLeft(masked)) return masked
  say(`opening ${settings.data}`)
  const data = await openImages(settings)
  if (E.isLeft(data)) return data
  if (masked.right !== undefined) return E.right({ data: data.right, ...masked.right })
  const start = modelFor(settings, data.right)
  if (E.isLeft(start)) return start
  const inputs = await withMasks(start.right, settings, say)
  return E.isLeft(inputs) ? inputs : E.right({ data: data.right, ...inputs.right })
}

const withMasks = async (
  start: Baseline,
  { masks }: Settings,
  say: Say,
): Promise<E.Either<Failure, Omit<TrainInputs, 'data'>>> => {
  if (masks === undefined) return E.right({ start, masks: undefined })
  const inputs = await masksFor(start.graph, { masks }, say)
  if (E.isLeft(inputs)) return inputs
  return E.right({ start: { ...start, graph: inputs.right.graph }, masks: inputs.right.masks })
}

const openImages = ({ data, recipe, trainSize, validationShare, validationSeed, imageSize, normalisation }: Settings) =>
  openData(data, {
    seed: validationSeed ?? recipe.seed,
    ...(trainSize === undefined ? {} : { trainSize }),
    ...(validationShare === undefined ? {} : { validationShare }),
    ...(imageSize === undefined ? {} : { imageSize }),
    ...(normalisation === undefined ? {} : { normalisation }),
  })()

/** The network of a file; undefined where the model is one by name. */
const networkFile = async ({ model }: Settings, say: Say): Promise<E.Either<Failure, Baseline | undefined>> => {
  if (!model.endsWith('.onnx') && !existsSync(model)) return E.right(undefined)
  say(`reading ${model}`)
  const read = await readModel(model)()
  return E.map((graph: Graph): Baseline => ({ graph, about: 'as read', trained: true }))(read)
}

/** A model by name, with fresh weights, for images of this size and these classes. */
const modelFor = ({ model, recipe }: Settings, { classes, shape }: DataSet): E.Either<Failure, Baseline> => {
  const parsed = parseModel(model)
  if (E.isLeft(parsed)) return parsed
  const built = parsed.right.build({ classes: classes.length, shape, seed: recipe.seed })
  return E.map((graph: Graph): Baseline => ({ graph, about: 'not trained (--dense trains it)', trained: false }))(built)
}
