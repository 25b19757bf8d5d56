/** Training runs beside each other as one page. */
import type { VNode } from 'preact'
import { printable } from '../ir/printable.ts'
import {
  type ComparedRun,
  describeExtensions,
  describeProblems,
  describeRuns,
  describeSpeedsOf,
  differencesOf,
  type RunColumn,
  runColumns,
  type SettingsDifference,
} from './comparison.ts'
import {
  areUnbeaten,
  areWorthATable,
  type Configuration,
  configurationColumns,
  configurationsOf,
  describeConfigurations,
} from './configurations.ts'
import { curvesOf, type TrainingCurves } from './curves.ts'
import { renderDocument } from './document.tsx'
import { formatCount, formatNumber, formatPercent, formatRatio, plural } from './units.ts'
import { LineChart } from './view/line-chart.tsx'
import { Name, Section, Text } from './view/parts.tsx'
import { ScatterChart } from './view/scatter-chart.tsx'
import { type Column, Table } from './view/table.tsx'

/** The page; the same runs give the same bytes. */
export const renderComparison = (runs: ReadonlyArray<ComparedRun>): string =>
  renderDocument(`${plural(runs.length, 'run')} compared`, <Comparison runs={runs} />)

interface Props {
  readonly runs: ReadonlyArray<ComparedRun>
}

/** Runs whose settings fit into a column each, and whose curves can be told apart. */
const mostBeside = 8

const Comparison = ({ runs }: Props): VNode => {
  const [first, ...notes] = [...describeRuns(runs), ...describeProblems(runs)]
  const configurations = configurationsOf(runs)
  const grouped = areWorthATable(configurations)
  const few = runs.length <= mostBeside
  return (
    <>
      <div class="verdict plain">
        <p class="happened">{printable(first ?? '')}</p>
        {notes.map((note) => (
          <p key={note}>{printable(note)}</p>
        ))}
      </div>
      {grouped && <Configurations of={configurations} />}
      <Tradeoffs of={configurations} />
      <Section title="What they came to" words={['density', 'multiply-accumulates', 'quartiles', 'noise']}>
        <Table
          label="Runs"
          columns={runColumns.map(({ title, numeric, cell, key }, at): Column<ComparedRun> => ({
            title,
            cell: (run) => <Cell {...cell(run)} isName={at === 0} />,
            key,
            numeric,
          }))}
          rows={runs}
        />
        <Text tone="soft">{printable(describeSpeedsOf(runs))}</Text>
      </Section>
      <Section title="How training went" words={['density', 'channel']}>
        <Curves runs={few ? runs : configurations.flatMap((one) => one.runs.slice(0, 1))} />
        {!few && grouped && <Text tone="soft">Of each configuration the curves of its first run.</Text>}
        {describeExtensions(runs).map((sentence) => (
          <Text tone="soft" key={sentence}>
            {printable(sentence)}
          </Text>
        ))}
      </Section>
      <Differences runs={runs} />
    </>
  )
}

interface Configured {
  readonly of: ReadonlyArray<Configuration>
}

const Configurations = ({ of: configurations }: Configured): VNode => (
  <Section title="Configurations" words={['density', 'multiply-accumulates']}>
    <Table
      label="Configurations"
      columns={configurationColumns(configurations).map(({ title, numeric, cell, key }, at): Column<Configuration> => ({
        title,
        cell: (configuration) => <Cell {...cell(configuration)} isName={at === 0} />,
        key,
        numeric,
      }))}
      rows={configurations}
    />
    <Text tone="soft">{printable(describeConfigurations(configurations))}</Text>
  </Section>
)

/** What accuracy costs: in multiply-accumulates, and in time. */
const Tradeoffs = ({ of: configurations }: Configured): VNode | null => {
  const measured = configurations.some((one) => one.measured !== undefined)
  const plots = [
    plotOf(configurations, ({ macs }) => macs?.mean, 1),
    plotOf(configurations, (one) => (measured ? one.measured?.throughput.median : one.speedup?.mean), -1),
  ] as const
  if (plots.every((points) => points.length < 2)) return null
  const y = { name: 'test accuracy', format: formatPercent }
  const speed = measured
    ? { name: 'images a second, measured together', format: (value: number) => formatCount(value) }
    : { name: 'times as fast as its dense network', format: formatRatio }
  const macs = { name: 'multiply-accumulates', format: (value: number) => formatCount(value) }
  return (
    <Section title="What accuracy costs" words={['multiply-accumulates']}>
      <div class="charts">
        <ScatterChart title="Test accuracy against multiply-accumulates" points={plots[0]} x={macs} y={y} />
        <ScatterChart title="Test accuracy against speed" points={plots[1]} x={speed} y={y} />
      </div>
      <Text tone="soft">The line goes through those that no other beats in both.</Text>
    </Section>
  )
}

/** Configurations in a plane; `sign` is 1 where less is better, else -1. */
const plotOf = (
  configurations: ReadonlyArray<Configuration>,
  cost: (configuration: Configuration) => number | undefined,
  sign: 1 | -1,
) => {
  const points = configurations.flatMap((one) => {
    const x = cost(one)
    return x === undefined || one.test === undefined
      ? []
      : [{ name: one.name, x, y: one.test.mean, spread: one.test.deviation }]
  })
  const unbeaten = areUnbeaten(points.map(({ x, y }) => ({ cost: sign * x, worth: y })))
  return points.map((point, at) => ({ ...point, unbeaten: unbeaten[at] === true }))
}

const Cell = ({ text, detail, isName }: ReturnType<RunColumn['cell']> & { readonly isName: boolean }): VNode => (
  <>
    {isName ? <Name of={text} /> : printable(text)}
    {detail !== undefined && <span class="soft detail"> {printable(detail)}</span>}
  </>
)

const Curves = ({ runs }: Props): VNode => {
  const all = runs.map(({ name, history, recipe }) => ({ name, of: curvesOf(history, recipe.learningRate) }))
  const x = { name: 'epochs', end: all.reduce((most, { of }) => Math.max(most, of.epochs), 0) }
  const curves = (pick: (of: TrainingCurves) => TrainingCurves['loss']) =>
    all.map(({ name, of }) => ({ name, points: pick(of) }))
  const number = { x, format: formatNumber, include: [0] }
  const counted = { ...number, format: (value: number): string => String(Math.round(value)), steps: true }
  return (
    <div class="charts">
      <LineChart
        title="Validation accuracy"
        curves={curves((of) => of.validationAccuracy)}
        x={x}
        format={formatPercent}
      />
      <LineChart title="Validation loss" curves={curves((of) => of.validationLoss)} {...number} />
      <LineChart title="Training accuracy" curves={curves((of) => of.accuracy)} x={x} format={formatPercent} />
      <LineChart title="Training loss" curves={curves((of) => of.loss)} {...number} />
      <LineChart title="Density" curves={curves((of) => of.density)} x={x} format={formatPercent} include={[0]} steps />
      <LineChart title="Channels left" curves={curves((of) => of.channels)} {...counted} />
      <LineChart title="Learning rate" curves={curves((of) => of.learningRate)} {...number} />
    </div>
  )
}

const Differences = ({ runs }: Props): VNode => {
  const differences = differencesOf(runs)
  if (runs.length > mostBeside) return <ManyDifferences runs={runs} differences={differences} />
  return (
    <Section title="In what they differ">
      {differences.length === 0 ? (
        <Text>Their settings are the same.</Text>
      ) : (
        <>
          <Table
            label="Settings that differ"
            columns={[
              { title: 'setting', cell: ({ entry }: SettingsDifference) => <Name of={entry} />, wide: true },
              ...runs.map(({ name }, at): Column<SettingsDifference> => ({
                title: printable(name),
                cell: ({ values }) => printable(values[at] ?? ''),
              })),
            ]}
            rows={differences}
          />
          <Text tone="soft">All other settings are the same.</Text>
        </>
      )}
    </Section>
  )
}

/** A row for each run. */
const ManyDifferences = ({
  runs,
  differences,
}: Props & { readonly differences: ReadonlyArray<SettingsDifference> }): VNode => (
  <Section title="In what they differ">
    <Table
      label="Settings that differ"
      columns={[
        { title: 'run', cell: (at: number) => <Name of={runs[at]?.name ?? ''} /> },
        ...differences.map(({ entry, values }): Column<number> => ({
          title: printable(entry),
          cell: (at) => printable(values[at] ?? ''),
          key: (at) => values[at] ?? '',
        })),
      ]}
      rows={runs.map((_, at) => at)}
    />
    <Text tone="soft">All other settings are the same.</Text>
  </Section>
)
