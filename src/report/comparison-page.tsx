/** Training runs beside each other as one page. */
import type { VNode } from 'preact'
import { printable } from '../ir/printable.ts'
import {
  type ComparedRun,
  describeExtensions,
  describeRuns,
  describeSpeedsOf,
  differencesOf,
  type RunColumn,
  runColumns,
  type SettingsDifference,
} from './comparison.ts'
import { curvesOf, type TrainingCurves } from './curves.ts'
import { renderDocument } from './document.tsx'
import { formatNumber, formatPercent, plural } from './units.ts'
import { LineChart } from './view/line-chart.tsx'
import { Name, Section, Text } from './view/parts.tsx'
import { type Column, Table } from './view/table.tsx'

/** The page; the same runs give the same bytes. */
export const renderComparison = (runs: ReadonlyArray<ComparedRun>): string =>
  renderDocument(`${plural(runs.length, 'run')} compared`, <Comparison runs={runs} />)

interface Props {
  readonly runs: ReadonlyArray<ComparedRun>
}

const Comparison = ({ runs }: Props): VNode => {
  const [first, ...notes] = describeRuns(runs)
  return (
    <>
      <div class="verdict plain">
        <p class="happened">{printable(first ?? '')}</p>
        {notes.map((note) => (
          <p key={note}>{printable(note)}</p>
        ))}
      </div>
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
        <Curves runs={runs} />
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
