/** Training runs beside each other, for a terminal. */
import {
  type ComparedRun,
  describeProblems,
  describeRuns,
  describeSpeedsOf,
  differencesOf,
  type RunColumn,
  runColumns,
} from '../comparison.ts'
import { areWorthATable, configurationsOf } from '../configurations.ts'
import { renderConfigurations } from './configurations-table.ts'
import type { Style } from './style.ts'
import { type Column, renderTable } from './table.ts'

/** Columns that are left out where there is no room, the last of them first. */
const leftOutFirst = ['MACs', 'best validation', 'images/s', 'method', 'state', 'parameters', 'vs. dense']

export const renderRuns = (runs: ReadonlyArray<ComparedRun>, style: Style): string => {
  const table = renderTable(
    runColumns.map(({ title, numeric }, at): Column => {
      const align = numeric ? 'right' : 'left'
      return at === 0 ? { title, align, fit: 'name' } : { title, align, spare: leftOutFirst.indexOf(title) + 1 }
    }),
    runs.map((run) => runColumns.map(({ cell }) => withDetail(cell(run)))),
    style,
  )
  const configurations = configurationsOf(runs)
  const speeds = describeSpeedsOf(runs)
  return [
    `${table}${speeds === '' ? '' : `\n${style.dim(speeds)}`}`,
    ...(areWorthATable(configurations) ? [renderConfigurations(configurations, style)] : []),
    // The names of many runs do not fit beside each other; those of a sweep say in what they differ.
    ...(runs.length > mostBeside ? [] : [renderDifferences(runs, style)]),
    [...describeRuns(runs), ...describeProblems(runs).map(style.red)].join('\n'),
  ].join('\n\n')
}

/** Runs whose settings fit into a column each. */
const mostBeside = 8

const renderDifferences = (runs: ReadonlyArray<ComparedRun>, style: Style): string => {
  const differences = differencesOf(runs)
  if (differences.length === 0) return 'Their settings are the same.'
  return renderTable(
    [{ title: 'settings that differ', fit: 'name' }, ...runs.map(({ name }): Column => ({ title: name, fit: 'name' }))],
    differences.map(({ entry, values }) => [entry, ...values]),
    style,
  )
}

const withDetail = ({ text, detail }: ReturnType<RunColumn['cell']>): string =>
  detail === undefined ? text : `${text} (${detail})`
