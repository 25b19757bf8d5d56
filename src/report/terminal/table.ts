/** Tables for terminals: columns two spaces apart, a bold head, no rules, and no wider than the terminal. */
import { printable } from '../../ir/printable.ts'
import type { Style } from './style.ts'
import { shorten, widthOf, wrapWords } from './width.ts'

export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
  /** Where there is no room, a `name` is shortened in its middle, a `text` goes on in further lines; others stay as they are. */
  readonly fit?: 'name' | 'text'
  /** Says that the column may be left out where there is no room: those of the largest number first. */
  readonly spare?: number
}

/** Terminal columns between two columns of a table. */
const gap = 2

/** The fewest terminal columns of what can be made narrower: before columns are left out, and when none can be. */
const least = { name: 28, text: 24 } as const
const leastOfAll = { name: 5, text: 10 } as const

/** A column of the table that has something in it. */
interface Shown {
  readonly column: Column
  readonly at: number
  /** Width of the widest cell. */
  readonly widest: number
  /** Of that, or of the title. */
  readonly natural: number
}

/**
 * A table; empty without rows. Columns that are empty in every row are left out. Where the terminal is too narrow, names are
 * shortened first, then columns are left out, which is told below the table.
 */
export const renderTable = (
  columns: ReadonlyArray<Column>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  style: Style,
): string => {
  if (rows.length === 0) return ''
  const cell = (row: ReadonlyArray<string>, { column, at }: Pick<Shown, 'column' | 'at'>): string =>
    column.fit === 'name' ? printable(row[at] ?? '') : (row[at] ?? '')
  const shown = columns.flatMap((column, at): ReadonlyArray<Shown> => {
    const widest = rows.reduce((width, row) => Math.max(width, widthOf(cell(row, { column, at }))), 0)
    return widest === 0 ? [] : [{ column, at, widest, natural: Math.max(widest, widthOf(column.title)) }]
  })
  const kept = keptOf(shown, style.columns)
  const widths = widthsOf(kept, style.columns)
  const line = (cells: ReadonlyArray<string>, paint: (text: string) => string): string =>
    inLines(cells, kept, widths, paint)
  const head = kept.some(({ column }) => column.title !== '')
  const left = shown.filter((one) => !kept.includes(one) && one.column.title !== '').map(({ column }) => column.title)
  const note = left.length === 0 ? [] : wrapWords(`Left out for want of room: ${left.join('; ')}.`, style.columns)
  return [
    ...(head
      ? [
          line(
            kept.map(({ column }) => column.title),
            style.bold,
          ),
        ]
      : []),
    ...rows.map((row) =>
      line(
        kept.map((one) => cell(row, one)),
        (text) => text,
      ),
    ),
    ...note.map(style.dim),
  ].join('\n')
}

type Least = Readonly<Record<NonNullable<Column['fit']>, number>>

/** A title may be wider than what can be made narrower below it. */
const narrowest = ({ column: { fit }, widest, natural }: Shown, of: Least): number =>
  fit === undefined ? natural : Math.min(natural, of[fit], Math.max(widest, leastOfAll[fit]))

const roomFor = (shown: ReadonlyArray<Shown>, of: Least): number =>
  shown.reduce((sum, one) => sum + narrowest(one, of), gap * (shown.length - 1))

/** The columns that there is room for. */
const keptOf = (shown: ReadonlyArray<Shown>, room: number): ReadonlyArray<Shown> => {
  let kept = shown
  while (roomFor(kept, least) > room) {
    const most = kept.reduce((found, { column }) => Math.max(found, column.spare ?? 0), 0)
    const leaving = kept.findLast(({ column }) => (column.spare ?? 0) === most)
    if (most === 0) break
    kept = kept.filter((one) => one !== leaving)
  }
  return kept
}

/** Room is given to names first, the narrowest of them before others, then to texts. */
const widthsOf = (kept: ReadonlyArray<Shown>, room: number): ReadonlyArray<number> => {
  const naturals = kept.map(({ natural }) => natural)
  if (naturals.reduce((sum, width) => sum + width, gap * (kept.length - 1)) <= room) return naturals
  const of = roomFor(kept, least) <= room ? least : leastOfAll
  const widths = kept.map((one) => narrowest(one, of))
  let left = room - roomFor(kept, of)
  for (const fit of ['name', 'text'] as const) {
    for (; left > 0; left--) {
      const growing = kept.flatMap(({ column, natural }, i) =>
        column.fit === fit && (widths[i] ?? 0) < natural ? [i] : [],
      )
      const [first, ...others] = growing
      if (first === undefined) break
      const at = others.reduce((found, i) => ((widths[i] ?? 0) < (widths[found] ?? 0) ? i : found), first)
      widths[at] = (widths[at] ?? 0) + 1
    }
  }
  return widths
}

/** One row, in as many lines as its texts take. */
const inLines = (
  cells: ReadonlyArray<string>,
  kept: ReadonlyArray<Shown>,
  widths: ReadonlyArray<number>,
  paint: (text: string) => string,
): string => {
  const parts = cells.map((text, i): ReadonlyArray<string> => {
    const { fit } = kept[i]?.column ?? {}
    const width = widths[i] ?? 0
    if (fit === 'text') return wrapWords(text, width)
    return [fit === 'name' ? shorten(text, width) : text]
  })
  const count = parts.reduce((most, { length }) => Math.max(most, length), 1)
  return Array.from({ length: count }, (_, n) =>
    parts
      .map((lines, i) => {
        const text = lines[n] ?? ''
        const space = ' '.repeat(Math.max(0, (widths[i] ?? 0) - widthOf(text)))
        return kept[i]?.column.align === 'right' ? space + paint(text) : paint(text) + space
      })
      .join(' '.repeat(gap))
      .trimEnd(),
  ).join('\n')
}
