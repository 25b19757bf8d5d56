/** The training runs of the comparison: methods, budget, and what a run leaves in its folder. */
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { lower } from '../src/export/lower.ts'
import type { Graph } from '../src/ir/graph.ts'
import { encodeMasks } from '../src/masks/files.ts'
import { parseModel } from '../src/models/index.ts'
import { type Backend, type DataSet, type History, type Recipe, train } from '../src/train/index.ts'
import { orThrow, recipeOf } from './timed-training.ts'

export interface Budget {
  /** A model of `src/models`. */
  readonly model: string
  readonly epochs: number
}

/** What a run leaves in `run.json`, beside `masked.onnx` and `masks.safetensors`. */
export interface RunRecord {
  readonly method: string
  readonly seed: number
  readonly budget: Budget
  readonly history: History
}

/** Every topology changes each 100 steps; all sparse networks keep a tenth of the weights, shared out by ERK. */
const sparse = { density: 0.1, distribution: 'erk', every: 100 } as const

const chase = (channels: number, scope: 'block' | 'all') => ({
  name: 'chase',
  ...sparse,
  channels,
  scope,
  channelsEvery: 100,
})

const methodTable: ReadonlyArray<readonly [string, Readonly<Record<string, unknown>>]> = [
  ['dense', { name: 'dense' }],
  ['static', { name: 'static', density: 0.1, distribution: 'erk' }],
  ['set', { name: 'set', ...sparse, until: 0.75 }],
  ['rigl', { name: 'rigl', ...sparse, until: 0.75 }],
  ['chase-0', chase(0, 'block')],
  ['chase-0.3', chase(0.3, 'block')],
  ['chase-0.5', chase(0.5, 'block')],
  ['chase-0.5-all', chase(0.5, 'all')],
]

export const methodNames = methodTable.map(([name]) => name)

export const runFolder = (folder: string, method: string, seed: number): string => join(folder, `${method}-${seed}`)

/** The recipe of a method of the table. */
export const recipeFor = (method: string, seed: number, epochs: number): Recipe =>
  recipeOf({
    method: methodTable.find(([name]) => name === method)?.[1],
    epochs,
    batch: 64,
    learningRate: { schedule: 'cosine', peak: 0.1, warmup: 0.2 },
    seed,
  })

/** The network before training: the same for all methods with the same seed. */
export const initialGraph = (model: string, { classes, shape }: DataSet, seed: number): Graph =>
  orThrow(orThrow(parseModel(model)).build({ classes: classes.length, shape, seed }))

/** Trains one network and keeps what came of it; a run that was stopped goes on, one that has ended is left alone. */
export const runOne = async (
  folder: string,
  method: string,
  seed: number,
  budget: Budget,
  data: DataSet,
  backend: Backend,
  say: (text: string) => void,
): Promise<void> => {
  const home = runFolder(folder, method, seed)
  const record = join(home, 'run.json')
  if (existsSync(record)) return
  await mkdir(home, { recursive: true })
  const graph = initialGraph(budget.model, data, seed)
  const trained = orThrow(
    await train(graph, data, recipeFor(method, seed, budget.epochs), {
      backend,
      checkpoint: { path: join(home, 'checkpoint.safetensors'), resume: true },
      onProgress: ({ step, steps, loss, accuracy, channels, stepsPerSecond, secondsLeft }) => {
        if (step % 50 !== 0) return
        const numbers = `loss ${loss.toFixed(3)} accuracy ${accuracy.toFixed(3)} channels ${channels.left}/${channels.of}`
        say(
          `${method} ${seed}: ${step}/${steps} ${numbers} ${stepsPerSecond.toFixed(2)}/s ${secondsLeft.toFixed(0)} s left`,
        )
      },
    })(),
  )
  const { model: bytes } = orThrow(lower(trained.graph))
  await writeFile(join(home, 'masked.onnx'), bytes)
  await writeFile(join(home, 'masks.safetensors'), encodeMasks(trained.masks))
  const out: RunRecord = { method, seed, budget, history: trained.history }
  await writeFile(record, `${JSON.stringify(out)}\n`)
}

/** What a run left; undefined where it has not ended. */
export const readRun = async (folder: string, method: string, seed: number): Promise<RunRecord | undefined> => {
  const path = join(runFolder(folder, method, seed), 'run.json')
  if (!existsSync(path)) return undefined
  const record: RunRecord = JSON.parse(await readFile(path, 'utf8'))
  return record
}
