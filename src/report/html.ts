/** Pieces of HTML text. */
import { printable } from '../ir/printable.ts'

/** `text` with everything that HTML gives a meaning, or that is not safe to show, escaped; for content and attribute values. */
export const escapeHtml = (text: string): string => printable(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)

/** An element around `content`, which is HTML already. */
export const element = (name: string, content: string, attributes: Readonly<Record<string, string>> = {}): string => {
  const list = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeHtml(value)}"`)
  return `<${name}${list.join('')}>${content}</${name}>`
}

/** A table of cells that are HTML already. Columns named in `numeric` (by position) are aligned right. */
export const htmlTable = (
  head: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  numeric: ReadonlyArray<number> = [],
): string => {
  const attributes = (at: number): Readonly<Record<string, string>> => (numeric.includes(at) ? { class: 'number' } : {})
  const row = (cell: 'th' | 'td', cells: ReadonlyArray<string>): string =>
    element('tr', cells.map((content, at) => element(cell, content, attributes(at))).join(''))
  const body = rows.map((cells) => row('td', cells)).join('\n')
  return element('table', `${element('thead', row('th', head))}\n${element('tbody', body)}`)
}
