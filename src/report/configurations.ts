/** Runs that differ in nothing but the seed, as one: mean and spread of what they came to, and which of them no other beats. */
import type { Quartiles } from '../run/statistics.ts'
import { type ComparedRun, differencesOf, testAccuracy } from './comparison.ts'
import { validationOf } from './training.ts'
import { formatAccuracy, formatCount, formatPercent, formatRatio } from './units.ts'

/** Of the numbers of some runs. */
export interface Spread {
  readonly mean: number
  /** Sample standard deviation; undefined of one number. */
  readonly deviation: number | undefined
  readonly count: number
}

/** Mean and sample standard deviation; undefined of no numbers. */
export const spreadOf = (values: ReadonlyArray<number>): Spread | undefined => {
  const count = values.length
  if (count === 0) return undefined
  const mean = values.reduce((sum, x) => sum + x, 0) / count
  if (count === 1) return { mean, deviation: undefined, count }
  const squares = values.reduce((sum, x) => sum + (x - mean) ** 2, 0)
  return { mean, deviation: Math.sqrt(squares / (count - 1)), count }
}

export interface Configuration {
  readonly name: string
  readonly runs: ReadonlyArray<ComparedRun>
  /** How many have ended. */
  readonly ended: number
  /** Absent where no run has come so far. */
  readonly test: Spread | undefined
  /** Accuracy on the validation images after the last epoch so far. */
  readonly validation: Spread | undefined
  readonly density: Spread | undefined
  readonly parameters: Spread | undefined
  readonly macs: Spread | undefined
  /** Times as fast as its own dense network, medians of what each run measured at its end. */
  readonly speedup: Spread | undefined
  /** Measured beside the other configurations, by one run. */
  readonly measured: ComparedRun['measured']
}

/** Runs by all of their settings but the seed, in the order of the first of each; the same run again is one of its own. */
export const configurationsOf = (runs: ReadonlyArray<ComparedRun>): ReadonlyArray<Configuration> => {
  const groups = new Map<string, ComparedRun[]>()
  for (const run of runs) {
    let key = JSON.stringify([run.settings, { ...run.recipe, seed: 0 }])
    while (groups.get(key)?.some(({ recipe }) => recipe.seed === run.recipe.seed)) key += '+'
    groups.set(key, [...(groups.get(key) ?? []), run])
  }
  const firsts = [...groups.values()].flatMap((group) => group.slice(0, 1))
  const entries = differencesOf(firsts).filter(({ entry }) => entry !== 'seed')
  return [...groups.values()].map((group, at) => {
    const names = entries.map(({ entry, values }) => `${entry.split('.').at(-1) ?? entry} ${values[at] ?? ''}`)
    const own = group.length === 1 ? group[0]?.name : undefined
    const name = group[0]?.configuration ?? own ?? (names.join(', ') || (group[0]?.recipe.method.name ?? ''))
    const spread = (of: (run: ComparedRun) => number | undefined): Spread | undefined =>
      spreadOf(group.flatMap((run) => of(run) ?? []))
    return {
      name,
      runs: group,
      ended: group.filter(({ figures }) => figures !== undefined).length,
      test: spread(testAccuracy),
      validation: spread(({ history }) => validationOf(history)?.last.accuracy),
      density: spread(({ history }) => history.findLast((entry) => entry.kind !== 'test')?.density),
      parameters: spread(({ figures }) => figures?.parameters),
      macs: spread(({ figures }) => figures?.macs),
      speedup: spread(({ figures }) => figures?.speedup.median),
      measured: group.find(({ measured }) => measured !== undefined)?.measured,
    }
  })
}

/** Whether there is anything to say of configurations that the runs do not say themselves. */
export const areWorthATable = (configurations: ReadonlyArray<Configuration>): boolean =>
  configurations.some(({ runs }) => runs.length > 1)

/** A point of a plane in which less of `cost` and more of `worth` is better. */
export interface Tradeoff {
  readonly cost: number
  readonly worth: number
}

/** Whether no other point costs at most as much and is worth at least as much, one of them strictly; of equal points all are. */
export const areUnbeaten = (points: ReadonlyArray<Tradeoff>): ReadonlyArray<boolean> =>
  points.map((one) =>
    points.every(
      (other) =>
        !(other.cost <= one.cost && other.worth >= one.worth && (other.cost < one.cost || other.worth > one.worth)),
    ),
  )

export interface ConfigurationColumn {
  readonly title: string
  readonly numeric: boolean
  readonly cell: (configuration: Configuration) => { readonly text: string; readonly detail?: string }
  readonly key: (configuration: Configuration) => number | string
}

const none = '–'

const spreads = (
  title: string,
  of: (configuration: Configuration) => Spread | undefined,
  format: (value: number) => string,
): ConfigurationColumn => ({
  title,
  numeric: true,
  cell: (configuration) => {
    const found = of(configuration)
    if (found === undefined) return { text: none }
    const { mean, deviation } = found
    const text = format(mean)
    return deviation === undefined || format(deviation) === format(0)
      ? { text }
      : { text, detail: `± ${format(deviation)}` }
  },
  key: (configuration) => of(configuration)?.mean ?? -1,
})

const quartileColumn = (
  title: string,
  of: (measured: NonNullable<ComparedRun['measured']>) => Quartiles,
  format: (value: number) => string,
): ConfigurationColumn => ({
  title,
  numeric: true,
  cell: ({ measured }) => {
    if (measured === undefined) return { text: none }
    const { q1, median, q3 } = of(measured)
    return { text: format(median), detail: `${format(q1)} to ${format(q3)}` }
  },
  key: ({ measured }) => (measured === undefined ? -1 : of(measured).median),
})

const count = (value: number): string => formatCount(Number.isInteger(value) ? value : Math.round(value))

/** The columns of the table of configurations; what was measured beside each other only where something was. */
export const configurationColumns = (
  configurations: ReadonlyArray<Configuration>,
): ReadonlyArray<ConfigurationColumn> => [
  {
    title: 'configuration',
    numeric: false,
    cell: ({ name }) => ({ text: name }),
    key: ({ name }) => name,
  },
  {
    title: 'runs',
    numeric: true,
    cell: ({ ended, runs }) => ({ text: ended === runs.length ? `${ended}` : `${ended} of ${runs.length}` }),
    key: ({ ended }) => ended,
  },
  spreads('test', ({ test }) => test, formatAccuracy),
  spreads('validation', ({ validation }) => validation, formatAccuracy),
  spreads('density', ({ density }) => density, formatPercent),
  spreads('parameters', ({ parameters }) => parameters, count),
  spreads('MACs', ({ macs }) => macs, count),
  spreads('vs. dense', ({ speedup }) => speedup, formatRatio),
  ...(configurations.some(({ measured }) => measured !== undefined)
    ? [
        quartileColumn('images/s, together', ({ throughput }) => throughput, count),
        quartileColumn('vs. first', ({ speedup }) => speedup, formatRatio),
      ]
    : []),
]

/** What the numbers of the table are. */
export const describeConfigurations = (configurations: ReadonlyArray<Configuration>): string => {
  const measured = configurations.find((one) => one.measured !== undefined)?.measured
  return [
    'Mean and sample standard deviation over the runs of a configuration, which differ in the seed alone.',
    'Choose by validation, which no test image has a part in.',
    ...(measured === undefined
      ? []
      : [
          `Images a second, together: one run of each configuration, measured in turns in one process, ${measured.where}; "vs. first" against the first of them.`,
        ]),
  ].join(' ')
}

/** A configuration as it is in JSON, its runs by their names. */
export const configurationJson = ({ runs, measured, ...rest }: Configuration) => ({
  ...rest,
  measured: measured ?? null,
  runs: runs.map(({ name }) => name),
})
