/** Configurations of runs beside each other, for a terminal. */
import { type Configuration, configurationColumns, describeConfigurations } from '../configurations.ts'
import type { Style } from './style.ts'
import { type Column, renderTable } from './table.ts'

/** Columns that are left out where there is no room, the last of them first. */
const leftOutFirst = ['MACs', 'validation', 'images/s, together', 'vs. dense', 'parameters', 'density']

export const renderConfigurations = (configurations: ReadonlyArray<Configuration>, style: Style): string => {
  const columns = configurationColumns(configurations)
  const table = renderTable(
    columns.map(({ title, numeric }, at): Column => {
      const align = numeric ? 'right' : 'left'
      return at === 0 ? { title, align, fit: 'name' } : { title, align, spare: leftOutFirst.indexOf(title) + 1 }
    }),
    configurations.map((configuration) =>
      columns.map(({ cell }) => {
        const { text, detail } = cell(configuration)
        return detail === undefined ? text : `${text} ${detail.startsWith('±') ? detail : `(${detail})`}`
      }),
    ),
    style,
  )
  return `${table}\n${style.dim(describeConfigurations(configurations))}`
}
