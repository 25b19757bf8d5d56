/** Tables for terminals: columns two spaces apart, a bold head, no rules. */
import Table from 'cli-table3'
import type { Style } from './style.ts'

export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
}

const gap = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
}

/** A table; empty without rows. Columns that are empty in every row are left out. */
export const renderTable = (
  columns: ReadonlyArray<Column>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  style: Style,
): string => {
  if (rows.length === 0) return ''
  const shown = columns.flatMap((column, at) => (rows.some((row) => (row[at] ?? '') !== '') ? [{ column, at }] : []))
  const table = new Table({
    head: shown.map(({ column }) => style.bold(column.title)),
    chars: gap,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
    colAligns: shown.map(({ column }) => column.align ?? 'left'),
  })
  for (const row of rows) table.push(shown.map(({ at }) => row[at] ?? ''))
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}

/** `text` in at most `width` characters, its beginning replaced by `…`: names differ at their ends. */
export const shorten = (text: string, width: number): string =>
  text.length <= width ? text : `…${text.slice(text.length - width + 1)}`

/** `text` in at most `width` characters, its end replaced by `…`. */
export const clip = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, width - 1)}…`
