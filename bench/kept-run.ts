/** Training runs that are kept in folders: one that was stopped goes on, one that has ended is left alone, and is compiled and tested. */
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { lowerCompiled, runnable, verifyCompiled } from '../src/api/index.ts'
import { readMasks, readModel } from '../src/api/promise.ts'
import { lower } from '../src/export/lower.ts'
import type { Graph } from '../src/ir/graph.ts'
import { encodeMasks } from '../src/masks/files.ts'
import type { Masks } from '../src/masks/mask.ts'
import { classify, disagreements } from '../src/package/classify.ts'
import { compile, totalsOf } from '../src/passes/compile.ts'
import type { ModelSource } from '../src/run/runner.ts'
import { type Backend, type DataSet, type History, type Recipe, train } from '../src/train/index.ts'
import { orThrow } from './timed-training.ts'

export interface KeptJob {
  /** What is said of the run. */
  readonly title: string
  readonly graph: Graph
  readonly data: DataSet
  readonly recipe: Recipe
  readonly backend: Backend
  /** Weights that stay 0. */
  readonly masks?: Masks
  /** Steps from one checkpoint to the next; absent: those of an epoch. */
  readonly every?: number
  /** What is written down of the run besides its history. */
  readonly about: Readonly<Record<string, unknown>>
}

/** What a run leaves in `run.json`, beside `masked.onnx` and `masks.safetensors`. */
export interface KeptRecord {
  readonly history: History
}

/** Trains in the folder `home`, unless that was done before. */
export const keepRun = async (home: string, job: KeptJob, say: (text: string) => void): Promise<void> => {
  const record = join(home, 'run.json')
  if (existsSync(record)) return
  await mkdir(home, { recursive: true })
  const { title, graph, data, recipe, backend, masks, every, about } = job
  const path = join(home, 'checkpoint.safetensors')
  const trained = orThrow(
    await train(graph, data, recipe, {
      backend,
      ...(masks === undefined ? {} : { masks }),
      checkpoint: { path, resume: true, ...(every === undefined ? {} : { every }) },
      onProgress: ({ step, steps, loss, accuracy, channels, stepsPerSecond, secondsLeft }) => {
        if (step % 50 !== 0) return
        const numbers = `loss ${loss.toFixed(3)} accuracy ${accuracy.toFixed(3)} channels ${channels.left}/${channels.of}`
        say(`${title}: ${step}/${steps} ${numbers} ${stepsPerSecond.toFixed(2)}/s ${secondsLeft.toFixed(0)} s left`)
      },
    })(),
  )
  const { model: bytes } = orThrow(lower(trained.graph))
  await writeFile(join(home, 'masked.onnx'), bytes)
  await writeFile(join(home, 'masks.safetensors'), encodeMasks(trained.masks))
  await writeFile(record, `${JSON.stringify({ ...about, history: trained.history })}\n`)
}

/** What the run in a folder left; undefined where it has not ended. */
export const readKept = async (home: string): Promise<KeptRecord | undefined> => {
  const path = join(home, 'run.json')
  if (!existsSync(path)) return undefined
  const record: KeptRecord = JSON.parse(await readFile(path, 'utf8'))
  return record
}

/** A run that has ended, in figures. */
export interface KeptFigures {
  readonly validation: number
  /** Over the test images, in ONNX Runtime. */
  readonly accuracy: { readonly masked: number; readonly compiled: number }
  /** Test images that the two put into different classes. */
  readonly differing: number
  /** Largest relative difference between the outputs of the two. */
  readonly error: number
  readonly density: number
  readonly channels: number
  readonly macs: number
  readonly parameters: number
  readonly bytes: number
  /** Spent on training steps, while others shared the machine. */
  readonly seconds: number
  readonly steps: number
}

export interface KeptResult {
  readonly figures: KeptFigures
  /** The compiled network, to be measured beside others. */
  readonly source: ModelSource
}

/** Compiles what the run in a folder left, verifies it, and tests both; undefined where it has not ended. */
export const evaluateKept = async (home: string, title: string, data: DataSet): Promise<KeptResult | undefined> => {
  const record = await readKept(home)
  if (record === undefined) return undefined
  const path = join(home, 'masked.onnx')
  const graph = await readModel(path)
  const masks = await readMasks(join(home, 'masks.safetensors'), graph)
  const smaller = orThrow(compile(graph, masks))
  const lowered = orThrow(lowerCompiled(smaller))
  const difference = orThrow(await verifyCompiled(graph, masks, lowered)())
  if (!difference.equal) throw new Error(`${title}: the compiled network computes something else`)
  const source = runnable(lowered, title)
  const [masked, compiled] = orThrow(await classify([path, source], data, data.test)())
  if (masked === undefined || compiled === undefined) throw new Error('as many results as models')
  const epochs = record.history.filter((entry) => entry.kind === 'epoch')
  const last = epochs.at(-1)
  const { macs, parameters } = totalsOf(smaller.graph)
  return {
    figures: {
      validation: last?.validation.accuracy ?? NaN,
      accuracy: { masked: masked.accuracy, compiled: compiled.accuracy },
      differing: disagreements(masked, compiled),
      error: difference.worst?.output.relative ?? NaN,
      density: last?.density ?? NaN,
      channels: last?.channels ?? NaN,
      ...{ macs, parameters, bytes: lowered.model.byteLength },
      seconds: epochs.reduce((sum, { seconds }) => sum + seconds, 0),
      steps: last?.step ?? 0,
    },
    source,
  }
}
