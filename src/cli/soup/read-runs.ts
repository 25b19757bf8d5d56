/** The runs that a soup is made of: what each was trained on, and the network that it ended with. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, failure, together } from '../../ir/failure.ts'
import type { Graph } from '../../ir/graph.ts'
import { decodeMasks } from '../../masks/files.ts'
import { type Masks, noMasks } from '../../masks/mask.ts'
import { decodeSafetensors } from '../../masks/safetensors.ts'
import { readBytes } from '../../read/bytes.ts'
import { readModel } from '../../read/file.ts'
import { namesOf } from '../../report/comparison.ts'
import type { Ingredient } from '../../train/index.ts'
import { historyIn, isOver, settingsIn } from '../compare/read-run.ts'
import type { Say } from '../progress.ts'
import { runFolder } from '../train/run-folder.ts'
import type { Settings } from '../train/settings.ts'

export interface EndedRun {
  readonly settings: Settings
  readonly ingredient: Ingredient
  /** What it said in the end of the test images, a fraction of 1. */
  readonly test: number
}

/** All runs; what is wrong with any of the folders is one failure. */
export const readRuns = async (
  folders: ReadonlyArray<string>,
  say: Say,
): Promise<E.Either<Failure, ReadonlyArray<EndedRun>>> => {
  const twice = folders.find((folder, i) => folders.findIndex((other) => resolve(other) === resolve(folder)) !== i)
  if (twice !== undefined) {
    return usage(`folder ${twice}`, 'each run once', 'the same one twice', 'Leave it out once.')
  }
  if (folders.length < 2) {
    return usage('runs', 'at least two', `${folders.length}`, 'Give the folders of several runs of one model.')
  }
  const names = namesOf(folders)
  const runs: EndedRun[] = []
  const problems: Failure[] = []
  for (const [i, folder] of folders.entries()) {
    say(`reading ${folder}`)
    const read = await readRun(folder, names[i] ?? folder)
    if (E.isLeft(read)) problems.push(read.left)
    else runs.push(read.right)
  }
  const [first, ...others] = problems
  if (first === undefined) return E.right(runs)
  const whole = failure('UsageError', 'runs', 'training runs that have ended', `${problems.length} that are not`, '')
  return E.left(together(first, others, whole))
}

const usage = (subject: string, expected: string, found: string, help: string): E.Either<Failure, never> =>
  E.left(failure('UsageError', subject, expected, found, help))

const readRun = async (folder: string, name: string): Promise<E.Either<Failure, EndedRun>> => {
  const found = await settingsIn(folder)
  if (E.isLeft(found)) return found
  const { settings } = found.right
  const { historyLines, model, masks: maskFile } = runFolder(folder)
  const history = await historyIn(historyLines)
  if (E.isLeft(history)) return history
  const last = history.right.at(-1)
  if (last?.kind !== 'test' || !isOver(history.right, settings.recipe.epochs) || !existsSync(model)) {
    return usage(
      `folder ${folder}`,
      'a run that has ended',
      'one that has not',
      'Go on with it: chasec train --resume.',
    )
  }
  const graph = await readModel(model)()
  if (E.isLeft(graph)) return graph
  const masks = await masksIn(maskFile, graph.right)
  if (E.isLeft(masks)) return masks
  return E.right({ settings, ingredient: { name, graph: graph.right, masks: masks.right }, test: last.accuracy })
}

/** The masks that a run has written; a dense one has a file without any. */
const masksIn = async (path: string, graph: Graph): Promise<E.Either<Failure, Masks>> => {
  const bytes = await readBytes(path)
  if (E.isLeft(bytes)) return bytes
  const file = decodeSafetensors(bytes.right)
  if (E.isLeft(file)) return file
  return file.right.tensors.size === 0 ? E.right(noMasks) : decodeMasks(bytes.right, graph)
}

/** How training and validation images of a run were told apart: the same for runs that share them. */
const divisionOf = ({ recipe, validationSeed, validationShare, trainSize }: Settings): string =>
  JSON.stringify([validationSeed ?? recipe.seed, validationShare ?? null, trainSize ?? null])

/** Whether no run was trained on validation images of another one. */
export const shareValidation = (runs: ReadonlyArray<EndedRun>): boolean =>
  new Set(runs.map(({ settings }) => divisionOf(settings))).size === 1

/**
 * What the soup is of and on: the settings of the first run, with `data` in the place of theirs. Errors: runs on data, or on images, that differ.
 */
export const commonSettings = (
  runs: ReadonlyArray<EndedRun>,
  data: string | undefined,
): E.Either<Failure, Settings> => {
  const [first, ...others] = runs
  if (first === undefined) return usage('runs', 'at least two', 'none', 'Give the folders of several runs.')
  for (const { settings, ingredient } of others) {
    if (data === undefined && settings.data !== first.settings.data) {
      const help = 'Where it is the same data at different places, say where it is now: --data.'
      return usage(
        `data of ${ingredient.name}`,
        `${first.settings.data}, as of ${first.ingredient.name}`,
        settings.data,
        help,
      )
    }
    if (settings.imageSize !== first.settings.imageSize) {
      const size = (pixels: number | undefined): string => (pixels === undefined ? 'none' : `${pixels}`)
      const expected = `${size(first.settings.imageSize)}, as of ${first.ingredient.name}`
      const help = 'Leave this run out.'
      return usage(`image size of ${ingredient.name}`, expected, size(settings.imageSize), help)
    }
  }
  return E.right({ ...first.settings, data: data ?? first.settings.data })
}

/** Said where the mean is hardly worth anything: networks that did not begin from the same weights. */
export const startApart = (runs: ReadonlyArray<EndedRun>): boolean =>
  runs.some(({ settings }) => !settings.model.endsWith('.onnx') && !existsSync(settings.model)) &&
  new Set(runs.map(({ settings }) => settings.recipe.seed)).size > 1
