/** Training runs beside each other, as plain data: how far each is, what it came to, in what their recipes differ. */
import type { Quartiles } from '../run/statistics.ts'
import { type History, lastPlan } from '../train/loop/history.ts'
import type { Recipe } from '../train/recipe/recipe.ts'
import { curvesOf } from './curves.ts'
import { validationOf } from './training.ts'
import { formatAccuracy, formatCount, formatNumber, formatPercent, formatRatio, formatValue, plural } from './units.ts'

/** What is known of the network that a run has ended with. */
export interface FinalFigures {
  /** Over the test images, a fraction of 1; absent where the weights mean nothing. */
  readonly accuracy?: number
  readonly parameters: number
  /** Multiply-accumulates for one image. */
  readonly macs: number
  /** Images a second. */
  readonly throughput: Quartiles
  /** How many times faster than the dense network, measured together. */
  readonly speedup: Quartiles
  /** Where it was measured: the runtime, the provider and the batch. */
  readonly where: string
  /** How many test images there are. */
  readonly testImages: number
}

export interface ComparedRun {
  /** What tells it from the others. */
  readonly name: string
  /** What is trained on what, besides the recipe, by name. */
  readonly settings: Readonly<Record<string, unknown>>
  readonly recipe: Recipe
  readonly history: History
  /** Absent before the run has ended. */
  readonly figures?: FinalFigures
  /** Of how many runs it is the mean; absent where it is none. */
  readonly soup?: number
  /** What it and others that differ from it in the seed alone are called together. */
  readonly configuration?: string
  /** Why it has not come to its end, where something went wrong. */
  readonly problem?: string
  /** How fast its network is, measured beside those of other runs. */
  readonly measured?: MeasuredTogether
}

export interface MeasuredTogether {
  /** Images a second. */
  readonly throughput: Quartiles
  /** How many times faster than the first network that was measured. */
  readonly speedup: Quartiles
  /** The runtime, the provider and the batch. */
  readonly where: string
}

/** The ends of paths, as short as they can be and still differ. */
export const namesOf = (folders: ReadonlyArray<string>): ReadonlyArray<string> => {
  const parts = folders.map((folder) => folder.split(/[\\/]+/).filter((part) => part !== '' && part !== '.'))
  const end = (path: ReadonlyArray<string>, count: number): string => path.slice(-count).join('/')
  return parts.map((path, i) => {
    const others = parts.filter((_, j) => j !== i)
    let count = 1
    while (count < path.length && others.some((other) => end(other, count) === end(path, count))) count++
    return path.length === 0 ? (folders[i] ?? '') : end(path, count)
  })
}

/** How far a run is. */
export const stateOf = (run: ComparedRun): string => (run.problem === undefined ? '' : 'failed, ') + progressOf(run)

const progressOf = ({ history, recipe, figures, soup }: ComparedRun): string => {
  if (soup !== undefined) return `soup of ${plural(soup, 'run')}${figures === undefined ? ', not compiled' : ''}`
  const plan = lastPlan(history)
  if (figures !== undefined) return `ended, ${plural(recipe.epochs, 'epoch')}`
  const last = history.at(-1)
  if (plan === undefined || last === undefined || last.step === 0) return 'not begun'
  const done = last.step / plan.stepsPerEpoch
  if (last.kind === 'test' && done >= recipe.epochs) return 'trained, not compiled'
  return `at epoch ${Number.isInteger(done) ? done : done.toFixed(1)} of ${recipe.epochs}`
}

/** The accuracy on the test images; undefined before the end. */
export const testAccuracy = ({ figures, history, recipe }: ComparedRun): number | undefined => {
  if (figures !== undefined) return figures.accuracy
  const [last, plan] = [history.at(-1), lastPlan(history)]
  return last?.kind === 'test' && last.step === recipe.epochs * (plan?.stepsPerEpoch ?? NaN) ? last.accuracy : undefined
}

/** A column of the table of runs: its text, what belongs to it in smaller letters, and what it is sorted by. */
export interface RunColumn {
  readonly title: string
  readonly numeric: boolean
  readonly cell: (run: ComparedRun) => { readonly text: string; readonly detail?: string }
  readonly key: (run: ComparedRun) => number | string
}

const none = '–'

const spread = ({ q1, q3 }: Quartiles, format: (value: number) => string): string => `${format(q1)} to ${format(q3)}`

const texts = (title: string, of: (run: ComparedRun) => string): RunColumn => ({
  title,
  numeric: false,
  cell: (run) => ({ text: of(run) }),
  key: of,
})

const numbers = <T>(
  title: string,
  of: (run: ComparedRun) => T | undefined,
  value: (found: T) => number,
  format: (value: number) => string,
  detail?: (found: T) => string,
): RunColumn => ({
  title,
  numeric: true,
  cell: (run) => {
    const found = of(run)
    if (found === undefined) return { text: none }
    return { text: format(value(found)), ...(detail === undefined ? {} : { detail: detail(found) }) }
  },
  key: (run) => {
    const found = of(run)
    return found === undefined ? -1 : value(found)
  },
})

const itself = (value: number): number => value

const medianOf = ({ median }: Quartiles): number => median

const count = (value: number): string => formatCount(value)

export const runColumns: ReadonlyArray<RunColumn> = [
  texts('run', ({ name }) => name),
  texts('state', stateOf),
  texts('method', ({ recipe }) => recipe.method.name),
  numbers('test', testAccuracy, itself, formatAccuracy),
  numbers(
    'best validation',
    ({ history }) => validationOf(history)?.best,
    ({ accuracy }) => accuracy,
    formatAccuracy,
    ({ epoch }) => `epoch ${epoch}`,
  ),
  numbers(
    'density',
    ({ history }) => history.findLast((entry) => entry.kind !== 'test')?.density,
    itself,
    formatPercent,
  ),
  numbers('parameters', ({ figures }) => figures?.parameters, itself, count),
  numbers('MACs', ({ figures }) => figures?.macs, itself, count),
  numbers(
    'images/s',
    ({ figures }) => figures?.throughput,
    medianOf,
    count,
    (found) => spread(found, count),
  ),
  numbers(
    'vs. dense',
    ({ figures }) => figures?.speedup,
    medianOf,
    formatRatio,
    (found) => spread(found, formatRatio),
  ),
]

/** An entry of the settings in which runs differ, and what each has. */
export interface SettingsDifference {
  readonly entry: string
  readonly values: ReadonlyArray<string>
}

export const differencesOf = (runs: ReadonlyArray<ComparedRun>): ReadonlyArray<SettingsDifference> => {
  const all = runs.map(({ settings, recipe }) => flat({ ...settings, ...recipe }))
  const entries = [...new Set(all.flatMap((one) => [...one.keys()]))]
  return entries
    .map((entry) => ({ entry, values: all.map((one) => one.get(entry) ?? none) }))
    .filter(({ values }) => new Set(values).size > 1)
}

/** Entries of objects in objects under their path, as text; lists are one entry. */
const flat = (data: object, path = '', out = new Map<string, string>()): ReadonlyMap<string, string> => {
  for (const [key, value] of Object.entries(data)) {
    const name = path === '' ? key : `${path}.${key}`
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) flat(value, name, out)
    else out.set(name, formatValue(value))
  }
  return out
}

/** What the runs came to, in a few sentences. */
export const describeRuns = (runs: ReadonlyArray<ComparedRun>): ReadonlyArray<string> => {
  const ended = runs.filter(({ figures }) => figures !== undefined)
  const tested = runs
    .flatMap((run) => {
      const accuracy = testAccuracy(run)
      return accuracy === undefined ? [] : [{ run, accuracy }]
    })
    .toSorted((a, b) => b.accuracy - a.accuracy)
  const [best] = tested
  const ends = howManyEnded(ended.length, runs.length)
  if (best === undefined) return [ends]
  return [
    `${ends} Highest test accuracy: ${best.run.name}, ${formatAccuracy(best.accuracy)}.`,
    ...chanceNote(tested, best.accuracy),
  ]
}

const howManyEnded = (ended: number, of: number): string => {
  if (ended === 0) return of === 1 ? 'The run has not ended.' : 'None of the runs has ended.'
  if (ended < of) return `${ended} of ${of} runs ${ended === 1 ? 'has' : 'have'} ended.`
  return of === 1 ? 'The run has ended.' : `${of === 2 ? 'Both' : `All ${of}`} runs have ended.`
}

/** Up to where accuracies may differ by chance: two standard errors of the difference of two shares of the test images. */
const chanceNote = (
  tested: ReadonlyArray<{ readonly run: ComparedRun; readonly accuracy: number }>,
  accuracy: number,
): ReadonlyArray<string> => {
  const images = tested.reduce((n, { run }) => Math.min(n, run.figures?.testImages ?? Infinity), Infinity)
  if (tested.length < 2 || !Number.isFinite(images)) return []
  const noise = 2 * Math.sqrt((2 * accuracy * (1 - accuracy)) / images)
  return [
    `With ${images.toLocaleString('en-US')} test images, accuracies less than ${(100 * noise).toFixed(2)} percentage points apart may differ by chance; other seeds move them too.`,
  ]
}

/** Runs in which something went wrong, and what. */
export const describeProblems = (runs: ReadonlyArray<ComparedRun>): ReadonlyArray<string> =>
  runs.flatMap(({ name, problem }) => (problem === undefined ? [] : [`${name} failed: ${problem}`]))

/** Whether speeds of different runs can be compared, as far as the reports tell. */
export const describeSpeedsOf = (runs: ReadonlyArray<ComparedRun>): string => {
  const places = [...new Set(runs.flatMap(({ figures }) => (figures === undefined ? [] : [figures.where])))]
  if (places.length === 0) return ''
  const where = places.join('; ')
  return `Images a second: median and quartiles, ${where}, of each run when it ended. "vs. dense" is how many times as fast a run is as its own dense network, measured together, so that it matters less how busy the machine was at the time.`
}

/** Which runs were made longer, and when. */
export const describeExtensions = (runs: ReadonlyArray<ComparedRun>): ReadonlyArray<string> =>
  runs.flatMap(({ name, history, recipe }) =>
    curvesOf(history, recipe.learningRate).extensions.map(
      ({ epoch, epochs }) =>
        `${name} was made longer after epoch ${formatNumber(epoch)}, to ${plural(epochs, 'epoch')}.`,
    ),
  )

/** A run as it is in JSON: what it came to, without its history. */
export const runJson = (run: ComparedRun) => {
  const { history, figures, ...rest } = run
  return {
    ...rest,
    state: stateOf(run),
    validation: validationOf(history),
    testAccuracy: testAccuracy(run) ?? null,
    figures: figures ?? null,
  }
}
