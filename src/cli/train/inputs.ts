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

export const openInputs = async (settings: Settings, say: Say): Promise<E.Either<Failure, TrainInputs>> => {
  say(`opening ${settings.data}`)
  const data = await openImages(settings)
  if (E.isLeft(data)) return data
  const start = await startingPoint(settings, data.right)
  if (E.isLeft(start)) return start
  const { masks } = settings
  if (masks === undefined) return E.right({ data: data.right, start: start.right, masks: undefined })
  const inputs = await masksFor(start.right.graph, { masks }, say)
  if (E.isLeft(inputs)) return inputs
  return E.right({
    data: data.right,
    start: { ...start.right, graph: inputs.right.graph },
    masks: inputs.right.masks,
  })
}

const openImages = ({ data, recipe, trainSize, validationShare, imageSize }: Settings) =>
  openData(data, {
    seed: recipe.seed,
    ...(trainSize === undefined ? {} : { trainSize }),
    ...(validationShare === undefined ? {} : { validationShare }),
    ...(imageSize === undefined ? {} : { imageSize }),
  })()

/** The network before training: a model with fresh weights, or a file. */
const startingPoint = async (
  { model, recipe }: Settings,
  { classes, shape }: DataSet,
): Promise<E.Either<Failure, Baseline>> => {
  if (model.endsWith('.onnx') || existsSync(model)) {
    const read = await readModel(model)()
    return E.map((graph: Graph): Baseline => ({ graph, about: 'as read', trained: true }))(read)
  }
  const parsed = parseModel(model)
  if (E.isLeft(parsed)) return parsed
  const built = parsed.right.build({ classes: classes.length, shape, seed: recipe.seed })
  return E.map((graph: Graph): Baseline => ({ graph, about: 'not trained (--dense trains it)', trained: false }))(built)
}
