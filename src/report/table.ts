/** Tables for terminals: columns two spaces apart, a bold head, no rules. */
import stringWidth from 'string-width'
import type { Style } from './style.ts'

export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
}

/** A table; empty without rows. Columns that are empty in every row are left out. */
export const renderTable = (
  columns: ReadonlyArray<Column>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  style: Style,
): string => {
  if (rows.length === 0) return ''
  const shown = columns.flatMap((column, at) => (rows.some((row) => (row[at] ?? '') !== '') ? [{ column, at }] : []))
  const lines = [
    shown.map(({ column }) => style.bold(column.title)),
    ...rows.map((row) => shown.map(({ at }) => row[at] ?? '')),
  ]
  const widths = shown.map((_, at) => lines.reduce((width, line) => Math.max(width, stringWidth(line[at] ?? '')), 0))
  const pad = (text: string, at: number): string => {
    const space = ' '.repeat((widths[at] ?? 0) - stringWidth(text))
    return shown[at]?.column.align === 'right' ? space + text : text + space
  }
  return lines.map((line) => line.map(pad).join('  ').trimEnd()).join('\n')
}

/** `text` in at most `width` characters, its beginning replaced by `…`: names differ at their ends. */
export const shorten = (text: string, width: number): string =>
  text.length <= width ? text : `…${text.slice(text.length - width + 1)}`

/** `text` in at most `width` characters, its end replaced by `…`. */
export const clip = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, width - 1)}…`
