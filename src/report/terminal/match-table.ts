/** Which mask was found to belong to which weight, for a terminal. */
import type { MatchSummary } from '../../masks/match/index.ts'
import { matchNotes, matchRows, matchTitles } from '../matching.ts'
import type { Style } from './style.ts'
import { type Column, renderTable } from './table.ts'

/** How the columns of `matchTitles` fit a terminal. */
const matchFits: ReadonlyArray<Omit<Column, 'title'>> = [
  { fit: 'name' },
  { spare: 3 },
  { align: 'right', spare: 2 },
  { fit: 'name' },
  { spare: 4 },
  { fit: 'name', spare: 5 },
  { spare: 1 },
  { spare: 6 },
]

export const renderMatching = (summary: MatchSummary, style: Style): string => {
  const columns = matchTitles.map((title, at) => ({ title, ...matchFits[at] }))
  return [renderTable(columns, matchRows(summary), style), ...matchNotes(summary).map(style.dim)]
    .filter((block) => block !== '')
    .join('\n')
}
