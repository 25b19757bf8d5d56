/**
 * Ways of training sparsely beside each other: the runs of `comparison.yaml` as `chasec sweep` trains, compiles, verifies and measures
 * them. Runs take days, so that a result grows: those that it holds already and that are not in the folder any more stay in it.
 */
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runProgram } from '../src/cli/program.ts'
import { systemTerminal } from '../src/cli/terminal.ts'
import type { FinalFigures, MeasuredTogether } from '../src/report/comparison.ts'
import { type Spread, spreadOf } from '../src/report/configurations.ts'
import { plainStyle } from '../src/report/terminal/style.ts'
import { type Column, renderTable } from '../src/report/terminal/table.ts'
import { formatCount, formatRatio } from '../src/report/units.ts'
import type { HistoryEntry, Recipe } from '../src/train/index.ts'
import { linePlot } from './line-plot.ts'
import type { BenchResult } from './result.ts'

export interface ComparisonOptions {
  /** Where runs are kept. */
  readonly folder: string
  readonly jobs: number
  readonly backend: string
  /** Whether to train what has not ended, or to make the table of what there is. */
  readonly train: boolean
  /** A result whose runs are kept where the folder has them no more. */
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
  const how = train ? ['--jobs', String(jobs), '--backend', backend] : ['--gather']
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
  const before: { runs: ReadonlyArray<EndedRun> } =
    out === undefined || !existsSync(out) ? { runs: [] } : await jsonAt(out)
  const names = new Set(here.map(({ name }) => name))
  const planned = new Map(swept.runs.map((run, at) => [run.name, { at, recipe: JSON.stringify(run.recipe) }]))
  const kept = before.runs.filter(
    ({ name, recipe }) => !names.has(name) && planned.get(name)?.recipe === JSON.stringify(recipe),
  )
  const runs = [...here, ...kept].toSorted((a, b) => (planned.get(a.name)?.at ?? 0) - (planned.get(b.name)?.at ?? 0))
  const configurations = configurationsOf(runs)
  if (plot !== undefined) await writeFile(plot, plotOf(configurations))
  const left = swept.runs.length - runs.length
  const text = `${renderTable(columns, configurations.map(rowOf), plainStyle)}\n\n${left} of ${swept.runs.length} runs are to come.`
  return { json: { planned: swept.runs.length, runs }, text }
}

const jsonAt = async (path: string) => JSON.parse(await readFile(path, 'utf8'))

const historyOf = async (folder: string): Promise<ReadonlyArray<HistoryEntry>> =>
  (await readFile(join(folder, 'history.jsonl'), 'utf8'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line): HistoryEntry => JSON.parse(line))

interface Configuration {
  readonly name: string
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
    return [
      {
        name,
        test: spread(({ testAccuracy }) => testAccuracy),
        macs: spread(({ figures }) => figures.macs),
        parameters: spread(({ figures }) => figures.parameters),
        speedup:
          own.findLast(({ measured }) => measured !== undefined)?.measured?.speedup.median ??
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

/** A whole number below all of them, a multiple of 5. */
const below = (values: ReadonlyArray<number>): number => 5 * Math.floor(Math.min(...values) / 5)

const plotOf = (configurations: ReadonlyArray<Configuration>): string => {
  const tests = configurations.map(({ test }) => 100 * test.mean)
  return linePlot([
    {
      title: 'validation accuracy, %, by epoch',
      from: [0, below(tests) - 20],
      lines: configurations.map(({ name, curve }) => ({
        name,
        points: curve.map((accuracy, epoch) => [epoch + 1, 100 * accuracy] as const),
      })),
    },
    {
      title: 'test accuracy, %, by times as fast as dense',
      from: [0, below(tests)],
      lines: configurations.map(({ name, speedup }, at) => ({ name, points: [[speedup, tests[at] ?? NaN]] })),
    },
  ])
}
