/**
 * A network that was trained elsewhere, pruned in several ways to about half of its multiply-accumulates and trained further on
 * other images: the same weights to start with, the same new classifier, images and number of steps. Runs are kept in a folder.
 */
import { join } from 'node:path'
import { adaptClassifier, type Graph, type Masks, noMasks, pruneToBudget, runnable } from '../src/api/index.ts'
import { readModel } from '../src/api/promise.ts'
import { lower } from '../src/export/lower.ts'
import { totalsOf } from '../src/passes/compile.ts'
import { plainStyle } from '../src/report/terminal/style.ts'
import { type Column, renderTable } from '../src/report/terminal/table.ts'
import { formatBytes, formatCount, formatPercent, formatRatio } from '../src/report/units.ts'
import { measure } from '../src/run/measure.ts'
import type { Split } from '../src/train/data/index.ts'
import type { Backend, BackendName, DataSet, Normalisation, Recipe } from '../src/train/index.ts'
import { openBackend, openData } from '../src/train/index.ts'
import { evaluateKept, keepRun, type KeptResult } from './kept-run.ts'
import type { BenchResult } from './result.ts'
import { orThrow, recipeOf } from './timed-training.ts'

export interface FineTuningOptions {
  /** A classifier with trained weights: an ONNX file, or a model of TensorFlow.js. */
  readonly model: string
  /** As `openData` takes it. */
  readonly data: string
  readonly imageSize: number
  readonly normalisation: Normalisation
  readonly trainSize: number
  /** The first so many of the test images. */
  readonly testSize: number
  readonly epochs: number
  readonly batch: number
  readonly learningRate: number
  /** Fraction of the multiply-accumulates that one-shot pruning leaves. */
  readonly macs: number
  readonly seed: number
  readonly backend: BackendName | 'auto'
  readonly methods: ReadonlyArray<string>
  /** Where runs are kept. */
  readonly folder: string
  /** Whether to train at all, or just to make the table. */
  readonly train: boolean
}

export const fineTuningMethods = ['dense', 'umm', 'hesso', 'chase'] as const

/** Steps between checkpoints: a few minutes. */
const checkpointEvery = 25

interface Start {
  readonly graph: Graph
  readonly masks?: Masks
  readonly method: Readonly<Record<string, unknown>>
}

/**
 * How each begins. What goes by one-shot pruning decides which fraction of the channels the others take, so that all end near one
 * size. All channels are gone in the middle of the training. Chase keeps its weights dense, since masks drawn at random would undo
 * what was learnt: only its removal of channels is used.
 */
const startOf = (method: string, graph: Graph, { macs }: FineTuningOptions): Start => {
  const pruned = () => orThrow(pruneToBudget(graph, noMasks, { macs, score: 'umm', scope: 'block' }))
  switch (method) {
    case 'umm':
      return { graph, masks: pruned().masks, method: { name: 'dense' } }
    case 'hesso':
      return { graph, method: { name: 'hesso', channels: pruned().channels, scope: 'block', begin: 0, until: 0.5 } }
    case 'chase': {
      const often = { every: { part: 0.05 }, channelsEvery: { part: 0.05 }, softUntil: 0.5, channelsUntil: 0.5 }
      const removal = { channels: pruned().channels, scope: 'block', floor: 0.2, ...often }
      return { graph, method: { name: 'chase', density: 1, distribution: 'uniform', margin: 0, ...removal } }
    }
    default:
      return { graph, method: { name: 'dense' } }
  }
}

const recipeFor = (
  method: Readonly<Record<string, unknown>>,
  { epochs, batch, learningRate, imageSize, seed }: FineTuningOptions,
): Recipe =>
  recipeOf({
    ...{ method, epochs, batch, seed },
    learningRate: { schedule: 'cosine', peak: learningRate, warmup: 0.2 },
    weightDecay: 1e-4,
    decay: 'weights',
    augmentation: { crop: 'padded', padding: Math.round(imageSize / 8), flip: true },
  })

/** The first images of a part. */
const firstOf = (split: Split, count: number): Split => ({
  size: Math.min(count, split.size),
  labels: split.labels.slice(0, count),
  pixels: split.pixels,
})

/** The validation images are a tenth as many as the training images, or a little more. */
const openImages = async (options: FineTuningOptions): Promise<DataSet> => {
  const { data: spec, imageSize, normalisation, trainSize, testSize, seed } = options
  const data = orThrow(await openData(spec, { seed, imageSize, normalisation, trainSize })())
  const validation = firstOf(data.validation, Math.ceil(trainSize / 10))
  return { ...data, validation, test: firstOf(data.test, testSize) }
}

const columns: ReadonlyArray<Column> = [
  { title: 'method' },
  { title: 'test accuracy', align: 'right' },
  { title: 'validation', align: 'right' },
  { title: 'differing', align: 'right' },
  { title: 'MACs', align: 'right' },
  { title: 'of dense', align: 'right' },
  { title: 'parameters', align: 'right' },
  { title: 'file', align: 'right' },
  { title: 'throughput', align: 'right' },
  { title: 'training time', align: 'right' },
]

/** The adapted network, which all begin with. */
const beginning = async ({ model, seed }: FineTuningOptions, { classes, shape }: DataSet): Promise<Graph> =>
  orThrow(adaptClassifier(await readModel(model), { head: 'pooled', classes: classes.length, shape, seed }))

const trainAll = async (
  options: FineTuningOptions,
  graph: Graph,
  data: DataSet,
  backend: Backend,
  say: (text: string) => void,
): Promise<void> => {
  for (const title of options.methods) {
    const { method, ...start } = startOf(title, graph, options)
    const recipe = recipeFor(method, options)
    const job = { title, data, recipe, backend, every: checkpointEvery, about: { recipe } }
    await keepRun(join(options.folder, title), { ...job, ...start }, say)
  }
}

export const benchFineTuning = async (
  options: FineTuningOptions,
  say: (text: string) => void,
): Promise<BenchResult> => {
  const data = await openImages(options)
  const graph = await beginning(options, data)
  const dense = totalsOf(graph)
  if (options.train) {
    const backend = orThrow(await openBackend(options.backend)())
    say(`${formatCount(dense.macs)} multiply-accumulates at ${data.shape.join('x')}, backend ${backend.description}`)
    await trainAll(options, graph, data, backend, say)
  }
  const ended: Array<KeptResult & { readonly method: string }> = []
  for (const method of fineTuningMethods) {
    say(`compiling ${method}`)
    const kept = await evaluateKept(join(options.folder, method), method, data)
    if (kept !== undefined) ended.push({ method, ...kept })
  }
  say('measuring')
  const reference = runnable(orThrow(lower(graph)), 'before')
  const sources = [reference, ...ended.map(({ source }) => source)]
  const speeds = orThrow(await measure(sources, { batch: 16, seconds: 0.5 })())
  const denseSeconds = ended.find(({ method }) => method === 'dense')?.figures.seconds ?? NaN
  const rows = ended.map(({ method, figures }, i) => [
    method,
    formatPercent(figures.accuracy.compiled),
    formatPercent(figures.validation),
    String(figures.differing),
    formatCount(figures.macs),
    formatPercent(figures.macs / dense.macs),
    formatCount(figures.parameters),
    formatBytes(figures.bytes),
    formatRatio(speeds[i + 1]?.speedup.median ?? NaN),
    formatRatio(figures.seconds / denseSeconds),
  ])
  const { folder: _folder, train: _train, model: _model, data: _data, ...described } = options
  const images = { training: data.train.size, validation: data.validation.size, test: data.test.size }
  const runs = ended.map(({ method, figures }) => ({ method, ...figures }))
  return {
    json: { ...described, images, before: dense, runs, speeds },
    text: renderTable(columns, rows, plainStyle),
  }
}
