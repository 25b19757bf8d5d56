/** Tables that sort by a column and, on a narrow screen, show each row as a card. */
import type { ComponentChildren, VNode } from 'preact'

export interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => ComponentChildren
  /** What rows are sorted by; a table without any such column does not sort. */
  readonly key?: (row: Row) => number | string
  readonly numeric?: boolean
  /** Takes a line of its own on a narrow screen. */
  readonly wide?: boolean
  /** Says nothing of rows that are plain. */
  readonly more?: boolean
}

export interface TableProps<Row> {
  /** What the table shows, for those who hear it. */
  readonly label: string
  readonly columns: ReadonlyArray<Column<Row>>
  readonly rows: ReadonlyArray<Row>
  /** Rows of which there is little to say: on a narrow screen their bars, and cells of the class `more`, are left out. */
  readonly isPlain?: (row: Row) => boolean
}

/**
 * The first column names the row. Roles are spelled out because a row that is laid out as a card is none to some readers.
 * Sorting is `sort-script.ts`, in a report as in a page: it moves rows, and looks at `data-key` of their cells.
 */
export const Table = <Row,>({ label, columns, rows, isPlain = () => false }: TableProps<Row>): VNode => (
  <div class="scroll" tabIndex={0} role="region" aria-label={label}>
    <table role="table" aria-label={label}>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((column) => (
            <th key={column.title} role="columnheader" scope="col" class={classOf(column)}>
              {column.key === undefined ? (
                column.title
              ) : (
                <button type="button" data-sort={column.numeric === true ? 'number' : 'text'}>
                  {column.title}
                </button>
              )}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row, at) => (
          <tr role="row" key={at} class={isPlain(row) ? 'plain' : undefined}>
            {columns.map((column, place) => {
              const key = column.key?.(row)
              const rest = {
                ...(key === undefined ? {} : { 'data-key': String(key) }),
                'data-label': column.title,
                class: classOf(column),
                key: column.title,
              }
              return place === 0 ? (
                <th role="rowheader" scope="row" {...rest}>
                  {column.cell(row)}
                </th>
              ) : (
                <td role="cell" {...rest}>
                  {column.cell(row)}
                </td>
              )
            })}
          </tr>
        ))}
      </tbody>
    </table>
  </div>
)

const classOf = ({ numeric, wide, more }: Column<never>): string | undefined => {
  const classes = [
    ...(numeric === true ? ['number'] : []),
    ...(wide === true ? ['wide'] : []),
    ...(more === true ? ['more'] : []),
  ]
  return classes.length === 0 ? undefined : classes.join(' ')
}
