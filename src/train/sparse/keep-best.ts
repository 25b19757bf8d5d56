/** Masks by scores that are trained. */
import { code } from './codes.ts'
import { recode } from './keep-pattern.ts'
import { type Pool, selectByMagnitude } from './select.ts'
import type { Work, WorkLayer } from './workspace.ts'

/** Keeps the weights of the highest scores, in every layer as many as it has, of equal ones the first; a NaN counts as 0. */
export const keepBest = (work: Work): void => {
  for (const layer of work.layers) keepBestOf(layer)
}

const keepBestOf = ({ codes, scores, live }: WorkLayer): void => {
  const signs = codes.map((from, i) => {
    if (from === code.gone) return code.gone
    return (scores[i] ?? 0) < 0 ? code.negative : code.active
  })
  const pools: ReadonlyArray<Pool> = [{ codes: signs, scores }]
  const [above = 0] = selectByMagnitude(pools, code.active, live, 'highest', () => code.grown)
  selectByMagnitude(pools, code.negative, live - above, 'lowest', () => code.grown)
  for (const [i, sign] of signs.entries()) if (sign !== code.gone) recode(codes, i, sign === code.grown)
}
