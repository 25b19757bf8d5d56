/** Training runs beside each other, for a terminal. */
import {
  type ComparedRun,
  describeRuns,
  describeSpeedsOf,
  differencesOf,
  type RunColumn,
  runColumns,
} from '../comparison.ts'
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
  const differences = differencesOf(runs)
  const settings =
    differences.length === 0
      ? 'Their settings are the same.'
      : renderTable(
          [
            { title: 'settings that differ', fit: 'name' },
            ...runs.map(({ name }): Column => ({ title: name, fit: 'name' })),
          ],
          differences.map(({ entry, values }) => [entry, ...values]),
          style,
        )
  const speeds = describeSpeedsOf(runs)
  return [`${table}${speeds === '' ? '' : `\n${style.dim(speeds)}`}`, settings, describeRuns(runs).join('\n')].join(
    '\n\n',
  )
}

const withDetail = ({ text, detail }: ReturnType<RunColumn['cell']>): string =>
  detail === undefined ? text : `${text} (${detail})`
