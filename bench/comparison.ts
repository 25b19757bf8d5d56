/**
 * Ways of training sparsely beside each other: the same network, data and number of steps. Runs are kept in a folder, one
 * that was stopped goes on, and the table is made of those that have ended.
 */
import { join } from 'node:path'
import { classify, disagreements } from '../src/package/classify.ts'
import { compile, totalsOf } from '../src/passes/compile.ts'
import { readMasks, readModel } from '../src/api/promise.ts'
import { plainStyle } from '../src/report/terminal/style.ts'
import { type Column, renderTable } from '../src/report/terminal/table.ts'
import { formatBytes, formatCount, formatRatio } from '../src/report/units.ts'
import { measure } from '../src/run/measure.ts'
import { quartiles } from '../src/run/statistics.ts'
import type { ModelSource } from '../src/run/runner.ts'
import { type Backend, type BackendName, type DataSet, openBackend, openData, type Recipe } from '../src/train/index.ts'
import { lowerCompiled, runnable, verifyCompiled } from '../src/api/index.ts'
import { type Budget, initialGraph, methodNames, readRun, recipeFor, runFolder, runOne } from './comparison-runs.ts'
import type { BenchResult } from './result.ts'
import { inTurns, orThrow, ratios, recipeOf, startTrainee, type StepTime, timedStep } from './timed-training.ts'
import { disposeRun } from '../src/train/loop/run.ts'

export interface ComparisonOptions extends Budget {
  /** As `openData` takes it. */
  readonly data: string
  /** Where runs are kept. */
  readonly folder: string
  readonly seeds: number
  readonly backend: BackendName | 'auto'
  /** Only these methods are trained; the table shows all that have ended. */
  readonly methods: ReadonlyArray<string>
  /** Whether to train at all, or just to make the table. */
  readonly train: boolean
}

/** One run that has ended. */
interface Entry {
  readonly method: string
  readonly seed: number
  readonly validation: number
  /** Over all test images, in ONNX Runtime. */
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
  /** Spent on training steps, while other runs shared the machine. */
  readonly seconds: number
  readonly steps: number
}

/** The compiled network of a run, to be measured beside the others. */
interface Ended {
  readonly entry: Entry
  readonly source: ModelSource
}

const evaluateRun = async (
  { folder }: ComparisonOptions,
  method: string,
  seed: number,
  data: DataSet,
): Promise<Ended | undefined> => {
  const record = await readRun(folder, method, seed)
  if (record === undefined) return undefined
  const home = runFolder(folder, method, seed)
  const path = join(home, 'masked.onnx')
  const graph = await readModel(path)
  const masks = await readMasks(join(home, 'masks.safetensors'), graph)
  const smaller = orThrow(compile(graph, masks))
  const lowered = orThrow(lowerCompiled(smaller))
  const difference = orThrow(await verifyCompiled(graph, masks, lowered)())
  if (!difference.equal) throw new Error(`${method} ${seed}: the compiled network computes something else`)
  const source = runnable(lowered, `${method} ${seed}`)
  const [masked, compiled] = orThrow(await classify([path, source], data, data.test)())
  if (masked === undefined || compiled === undefined) throw new Error('as many results as models')
  const epochs = record.history.filter((entry) => entry.kind === 'epoch')
  const last = epochs.at(-1)
  const { macs, parameters } = totalsOf(smaller.graph)
  return {
    entry: {
      method,
      seed,
      validation: last?.validation.accuracy ?? NaN,
      accuracy: { masked: masked.accuracy, compiled: compiled.accuracy },
      differing: disagreements(masked, compiled),
      error: difference.worst?.output.relative ?? NaN,
      density: last?.density ?? NaN,
      channels: last?.channels ?? NaN,
      macs,
      parameters,
      bytes: lowered.model.byteLength,
      seconds: epochs.reduce((sum, { seconds }) => sum + seconds, 0),
      steps: last?.step ?? 0,
    },
    source,
  }
}

/** Pairs of steps that are timed, after two that are not. */
const timedPairs = 12

/**
 * What the last step of a run costs relative to its first: steps of the network as it began and as it ended, in turns, each with
 * masks where the method has them. No topology changes meanwhile.
 */
const lastToFirst = async (
  options: ComparisonOptions,
  method: string,
  seed: number,
  data: DataSet,
  backend: Backend,
): Promise<StepTime> => {
  const recipe = recipeFor(method, seed, options.epochs)
  const still: Recipe = {
    ...recipe,
    method: recipeOf({ method: method === 'dense' ? { name: 'dense' } : { name: 'static', density: 0.1 } }).method,
  }
  const length = { steps: 1000, stepsPerEpoch: 1000 }
  const final = await readModel(join(runFolder(options.folder, method, seed), 'masked.onnx'))
  const first = startTrainee(initialGraph(options.model, data, seed), backend, data, still, length)
  const last = startTrainee(final, backend, data, still, length)
  const times = { first: new Array<StepTime>(), last: new Array<StepTime>() }
  for (let i = 0; i < timedPairs + 2; i++) {
    for (const which of inTurns<'first' | 'last'>(i, 'first', 'last')) {
      const { time } = await timedStep(which === 'first' ? first : last)
      if (i >= 2) times[which].push(time)
    }
  }
  disposeRun(first.run)
  disposeRun(last.run)
  const paired = ratios(times.last, times.first)
  return {
    wall: quartiles(paired.map(({ wall }) => wall)).median,
    cpu: quartiles(paired.map(({ cpu }) => cpu)).median,
  }
}

const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, x) => sum + x, 0) / values.length

/** Mean and sample standard deviation, in percent. */
const spread = (values: ReadonlyArray<number>): string => {
  const centre = mean(values)
  const text = (100 * centre).toFixed(2)
  if (values.length < 2) return text
  const variance = values.reduce((sum, x) => sum + (x - centre) ** 2, 0) / (values.length - 1)
  return `${text} ± ${(100 * Math.sqrt(variance)).toFixed(2)}`
}

const columns: ReadonlyArray<Column> = [
  { title: 'method' },
  { title: 'seeds', align: 'right' },
  { title: 'test accuracy, %', align: 'right' },
  { title: 'differing', align: 'right' },
  { title: 'channels', align: 'right' },
  { title: 'MACs', align: 'right' },
  { title: 'parameters', align: 'right' },
  { title: 'file', align: 'right' },
  { title: 'throughput', align: 'right' },
  { title: 'training time', align: 'right' },
  { title: 'last / first step', align: 'right' },
]

export const benchComparison = async (
  options: ComparisonOptions,
  say: (text: string) => void,
): Promise<BenchResult> => {
  const { seeds, methods } = options
  const backend = orThrow(await openBackend(options.backend)())
  const data = orThrow(await openData(options.data, { seed: 0 })())
  if (options.train) {
    for (let seed = 1; seed <= seeds; seed++) {
      for (const method of methods) await runOne(options.folder, method, seed, options, data, backend, say)
    }
  }
  const ended: Ended[] = []
  for (let seed = 1; seed <= seeds; seed++) {
    for (const method of methodNames) {
      say(`compiling ${method} ${seed}`)
      const one = await evaluateRun(options, method, seed, data)
      if (one !== undefined) ended.push(one)
    }
  }
  const lasts = methodNames.flatMap((method) => ended.findLast(({ entry }) => entry.method === method) ?? [])
  say('measuring')
  const speeds = orThrow(
    await measure(
      lasts.map(({ source }) => source),
      { batch: 32, seconds: 0.5 },
    )(),
  )
  const rows: ReadonlyArray<string>[] = []
  const summary: object[] = []
  const denseSeconds = secondsOf(ended, 'dense')
  for (const [i, { entry }] of lasts.entries()) {
    const { method } = entry
    const own = ended.map((one) => one.entry).filter((one) => one.method === method)
    say(`timing steps of ${method}`)
    const step = await lastToFirst(options, method, entry.seed, data, backend)
    const throughput = speeds[i]?.speedup.median ?? NaN
    const time = secondsOf(ended, method) / denseSeconds
    summary.push({ method, seeds: own.length, throughput, trainingTime: time, lastToFirstStep: step })
    rows.push([
      method,
      String(own.length),
      spread(own.map(({ accuracy }) => accuracy.compiled)),
      String(own.reduce((n, { differing }) => n + differing, 0)),
      mean(own.map(({ channels }) => channels)).toFixed(0),
      formatCount(mean(own.map(({ macs }) => macs))),
      formatCount(mean(own.map(({ parameters }) => parameters))),
      formatBytes(mean(own.map(({ bytes }) => bytes))),
      formatRatio(throughput),
      formatRatio(time),
      formatRatio(step.cpu),
    ])
  }
  const { folder: _folder, train: _train, ...described } = options
  return {
    json: { ...described, backend: backend.description, summary, speeds, runs: ended.map(({ entry }) => entry) },
    text: renderTable(columns, rows, plainStyle),
  }
}

/** Seconds of training of a method, the least of its seeds: what else ran on the machine only ever adds. */
const secondsOf = (ended: ReadonlyArray<Ended>, method: string): number =>
  Math.min(...ended.flatMap(({ entry }) => (entry.method === method ? [entry.seconds] : [])))
