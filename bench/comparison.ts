/**
 * Ways of training sparsely beside each other: the runs of `comparison.yaml` as `chasec sweep` trains, compiles, verifies and measures
 * them. Runs take days, so that a result grows: those that it holds already stay in it, and are not trained again.
 */
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { dot, line, ruleX, text } from '@observablehq/plot'
import * as E from 'fp-ts/lib/Either.js'
import { parse } from 'yaml'
import { runProgram } from '../src/cli/program.ts'
import { systemTerminal } from '../src/cli/terminal.ts'
import type { FinalFigures, MeasuredTogether } from '../src/report/comparison.ts'
import { type Spread, spreadOf } from '../src/report/configurations.ts'
import { plainStyle } from '../src/report/terminal/style.ts'
import { type Column, renderTable } from '../src/report/terminal/table.ts'
import { formatCount, formatRatio } from '../src/report/units.ts'
import { decodeSweep, type HistoryEntry, type Recipe, type SweepRun } from '../src/train/index.ts'
import { apart, plotOf } from './plot.ts'
import type { BenchResult } from './result.ts'

export interface ComparisonOptions {
  /** Where runs are kept. */
  readonly folder: string
  readonly jobs: number
  readonly backend: string
  /** Whether to train what has not ended, or to make the table of what there is. */
  readonly train: boolean
  /** A result whose runs are kept, and not trained again where the folder has them no more. */
  readonly out?: string
  /** Where curves and a plot of accuracy against speed go, as SVG. */
  readonly plot?: string
}

/** One run that has ended. */
interface EndedRun {
  readonly name: string
  readonly configuration: string
  readonly settings: object
  readonly recipe: Recipe
  /** A fraction of the test images. */
  readonly testAccuracy: number
  readonly figures: FinalFigures
  /** Beside the others that were in the folder then. */
  readonly measured?: MeasuredTogether
  /** A fraction of the validation images, after every epoch. */
  readonly curve: ReadonlyArray<number>
  /** Spent on training, while another run shared the machine. */
  readonly seconds: number
}

const plan = fileURLToPath(new URL('comparison.yaml', import.meta.url))

export const benchComparison = async ({
  folder,
  jobs,
  backend,
  train,
  out,
  plot,
}: ComparisonOptions): Promise<BenchResult> => {
  const before: { runs: ReadonlyArray<EndedRun> } =
    out === undefined || !existsSync(out) ? { runs: [] } : await jsonAt(out)
  const held = new Map(before.runs.map((run) => [run.name, JSON.stringify(run.recipe)]))
  const left = (await plannedRuns()).filter(({ name, recipe }) => held.get(name) !== JSON.stringify(recipe))
  const how =
    train && left.length > 0
      ? ['--jobs', String(jobs), '--backend', backend, ...left.flatMap(({ name }) => ['--only', name])]
      : ['--gather']
  const exitCode = await runProgram(['sweep', plan, '-o', folder, '--measure', ...how], systemTerminal())
  if (exitCode !== 0) throw new Error(`chasec sweep ended with exit code ${exitCode}; what has ended is kept`)
  const swept: { runs: ReadonlyArray<Omit<EndedRun, 'curve' | 'seconds'>> } = await jsonAt(join(folder, 'sweep.json'))
  const here: EndedRun[] = []
  for (const run of swept.runs) {
    // Of a run that has not ended nothing counts.
    if (run.figures === null) continue
    const { name, configuration, settings, recipe, testAccuracy, figures, measured } = run
    const epochs = (await historyOf(join(folder, 'runs', name))).filter((entry) => entry.kind === 'epoch')
    here.push({
      ...{ name, configuration, settings, recipe, testAccuracy, figures, ...(measured && { measured }) },
      curve: epochs.map(({ validation }) => Number(validation.accuracy.toFixed(4))),
      seconds: Math.round(epochs.reduce((sum, { seconds }) => sum + seconds, 0)),
    })
  }
  const names = new Set(here.map(({ name }) => name))
  const planned = new Map(swept.runs.map((run, at) => [run.name, { at, recipe: JSON.stringify(run.recipe) }]))
  const kept = before.runs.filter(
    ({ name, recipe }) => !names.has(name) && planned.get(name)?.recipe === JSON.stringify(recipe),
  )
  const runs = [...here, ...kept].toSorted((a, b) => (planned.get(a.name)?.at ?? 0) - (planned.get(b.name)?.at ?? 0))
  const configurations = configurationsOf(runs)
  if (plot !== undefined) await writeFile(plot, plotsOf(configurations))
  const open = swept.runs.length - runs.length
  const text = `${renderTable(columns, configurations.map(rowOf), plainStyle)}\n\n${open} of ${swept.runs.length} runs are to come.`
  return { json: { planned: swept.runs.length, runs }, text }
}

const plannedRuns = async (): Promise<ReadonlyArray<SweepRun>> => {
  const runs = decodeSweep(parse(await readFile(plan, 'utf8')))
  if (E.isLeft(runs)) throw new Error(`${plan} is no plan of a sweep`)
  return runs.right
}

const jsonAt = async (path: string) => JSON.parse(await readFile(path, 'utf8'))

const historyOf = async (folder: string): Promise<ReadonlyArray<HistoryEntry>> =>
  (await readFile(join(folder, 'history.jsonl'), 'utf8'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line): HistoryEntry => JSON.parse(line))

interface Configuration {
  readonly name: string
  readonly method: Recipe['method']
  readonly test: Spread
  readonly macs: Spread
  readonly parameters: Spread
  readonly speedup: number
  /** Means over the seeds. */
  readonly curve: ReadonlyArray<number>
}

const configurationsOf = (runs: ReadonlyArray<EndedRun>): ReadonlyArray<Configuration> =>
  [...new Set(runs.map(({ configuration }) => configuration))].flatMap((name) => {
    const own = runs.filter(({ configuration }) => configuration === name)
    const spread = (of: (run: EndedRun) => number): Spread =>
      spreadOf(own.map(of)) ?? { mean: NaN, deviation: NaN, count: 0 }
    const epochs = own[0]?.curve.length ?? 0
    const [first] = own
    return first === undefined
      ? []
      : [
          {
            name,
            method: first.recipe.method,
            test: spread(({ testAccuracy }) => testAccuracy),
            macs: spread(({ figures }) => figures.macs),
            parameters: spread(({ figures }) => figures.parameters),
            speedup:
              own.find(({ measured }) => measured !== undefined)?.measured?.speedup.median ??
              spread(({ figures }) => figures.speedup.median).mean,
            curve: Array.from({ length: epochs }, (_, epoch) => spread(({ curve }) => curve[epoch] ?? NaN).mean),
          },
        ]
  })

const columns: ReadonlyArray<Column> = [
  { title: 'configuration' },
  ...['seeds', 'test accuracy, %', 'MACs', 'parameters', 'throughput'].map((title) => ({
    title,
    align: 'right' as const,
  })),
]

const percent = ({ mean, deviation }: Spread): string =>
  deviation === undefined ? (100 * mean).toFixed(2) : `${(100 * mean).toFixed(2)} ± ${(100 * deviation).toFixed(2)}`

const rowOf = ({ name, test, macs, parameters, speedup }: Configuration): ReadonlyArray<string> => [
  name,
  String(test.count),
  percent(test),
  formatCount(Math.round(macs.mean)),
  formatCount(Math.round(parameters.mean)),
  formatRatio(speedup),
]

const colours = [
  ...['#222222', '#d62728', '#1f77b4', '#ff7f0e', '#e377c2', '#7f7f7f'],
  ...['#17becf', '#2ca02c', '#9467bd', '#8c564b', '#bcbd22', '#5254a3', '#9c9ede'],
]

/** What a method is called in plots: with its share of channels, and its scope where that is all. */
const titleOf = (method: Recipe['method']): string =>
  [
    method.name,
    ...('channels' in method ? [method.channels] : []),
    ...('density' in method && 'scope' in method && method.scope === 'all' ? ['all'] : []),
  ].join(' ')

const [panelWidth, panelHeight, marginRight] = [640, 420, 90]

/** An axis of percent, and where texts beside `values` have room. */
const percentAxis = (label: string, values: ReadonlyArray<number>, lowest = Math.floor(Math.min(...values)) - 1) => {
  const domain: [number, number] = [lowest, Math.ceil(Math.max(...values)) + 1]
  const gap = (14 * (domain[1] - domain[0])) / (panelHeight - 50)
  return { y: { label, domain, grid: true }, beside: (some: ReadonlyArray<number>) => apart(some, gap) }
}

/** Where validation accuracies are drawn from, in percent: the first epochs tell little. */
const leastShown = 50

/** Accuracy by epoch, of the greatest density alone, or the first share of channels, and beside it accuracy by speed. */
const plotsOf = (configurations: ReadonlyArray<Configuration>): string => {
  const rows = configurations.map(({ method, test, ...rest }) => ({
    ...rest,
    title: titleOf(method),
    method: method.name,
    density: 'density' in method ? method.density : undefined,
    kept: 'density' in method ? String(method.density) : 'all',
    deviation: 100 * (test.deviation ?? 0),
    accuracy: 100 * test.mean,
  }))
  const densities = [...new Set(rows.flatMap(({ density }) => density ?? []))].toSorted((a, b) => b - a)
  const color = { domain: [...new Set(rows.map(({ title }) => title))], range: colours }

  const trained = rows.filter(({ method, density }, at) =>
    density === undefined ? rows.findIndex((row) => row.method === method) === at : density === densities[0],
  )
  const last = trained.map(({ curve }) => 100 * (curve.at(-1) ?? NaN))
  const ends = percentAxis('validation accuracy, %', last, leastShown)
  const heights = ends.beside(last)
  const curves = {
    color,
    marginRight,
    x: { label: 'epoch' },
    y: ends.y,
    marks: [
      line(
        trained.flatMap(({ title, curve }) => curve.map((accuracy, at) => [title, at + 1, 100 * accuracy] as const)),
        { x: '1', y: '2', stroke: '0', clip: true },
      ),
      text(
        trained.map(({ title, curve }, at) => [title, curve.length, heights[at]] as const),
        { x: '1', y: '2', text: '0', fill: '0', textAnchor: 'start', dx: 6 },
      ),
    ],
  }

  const speeds = percentAxis(
    'test accuracy, %',
    rows.map(({ accuracy }) => accuracy),
  )
  // Texts of those that are about as fast stand below each other.
  const columnOf = ({ speedup }: { readonly speedup: number }): number => Math.round(speedup / 0.04)
  const names = [...new Set(rows.map(columnOf))].flatMap((column) => {
    const own = rows.filter((row) => columnOf(row) === column)
    const beside = speeds.beside(own.map(({ accuracy }) => accuracy))
    return own.map(({ title, speedup }, at) => ({ title, speedup, beside: beside[at] }))
  })
  const symbols = [
    { name: 'square', sign: '■' },
    { name: 'circle', sign: '●' },
    { name: 'triangle', sign: '▲' },
  ]
  const legend = densities.map((density, at) => `${symbols[at + 1]?.sign} ${100 * density} % of the weights`)
  return plotOf(
    [
      curves,
      {
        color,
        symbol: { domain: ['all', ...densities.map(String)], range: symbols.map(({ name }) => name) },
        marginRight,
        x: { label: 'times as fast as dense', grid: true },
        y: speeds.y,
        marks: [
          ruleX(rows, {
            x: 'speedup',
            y1: ({ accuracy, deviation }) => accuracy - deviation,
            y2: ({ accuracy, deviation }) => accuracy + deviation,
            stroke: 'title',
          }),
          dot(rows, {
            x: 'speedup',
            y: 'accuracy',
            stroke: 'title',
            fill: 'title',
            symbol: 'kept',
          }),
          text(names, {
            ...{ x: 'speedup', y: 'beside', text: 'title', fill: 'title', stroke: 'white', strokeWidth: 3 },
            ...{ textAnchor: 'start', dx: 8 },
          }),
          text([legend.join('\n')], { frameAnchor: 'top-right', textAnchor: 'end', lineHeight: 1.3 }),
        ],
      },
    ],
    [panelWidth, panelHeight],
    2,
  )
}
