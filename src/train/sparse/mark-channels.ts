/** Chooses the channels that are to go, and leaves them there for the time being. */
import { type Group, selectChannels } from '../../masks/select.ts'
import { scalesOf, streamsIn } from './network.ts'
import type { MarkChannels } from './phase.ts'
import { saliencies } from './saliency.ts'
import { valueAt } from './schedule.ts'
import type { Work } from './workspace.ts'

/**
 * Carries out a marking: of all channels in scope exactly the rounded fraction is marked or gone afterwards, but for what streams keep
 * to come out even; ties in the order of streams and channels.
 */
export const markChannels = (work: Work, move: MarkChannels): void => {
  const { network, origin } = work.state
  const scope = streamsIn(network, move.scope).filter(
    (s) => move.by !== 'scale' || scalesOf(network.streams[s], network).length > 0,
  )
  const worth = saliencies(work, scope, move.by)
  const groups = scope.map((s, g): Group => {
    // Channels dropped from the network count at the end, as gone.
    const scores = new Float64Array(origin.streams[s]?.channels ?? 0)
    const alive = new Uint8Array(scores.length)
    scores.set(worth[g] ?? [])
    alive.set(worth[g]?.map((_, c) => 1 - ((work.removed[s]?.[c] ?? 0) | (work.marked[s]?.[c] ?? 0))) ?? [])
    return { name: network.streams[s]?.name ?? '', scores, alive }
  })
  const { removed } = selectChannels(groups, { channels: valueAt(move.fraction, work.step), floor: 0 })
  for (const [g, s] of scope.entries()) {
    const [group, chosen] = [groups[g], removed[g]]
    if (group === undefined || chosen === undefined) continue
    for (const c of evened(group, chosen, move.multiple)) work.marked[s]?.fill(1, c, c + 1)
  }
}

/** The chosen channels, the lowest scores first, that can go where a multiple of `multiple` has to stay, one at least. */
const evened = ({ scores, alive }: Group, chosen: Uint8Array, multiple: number): ReadonlyArray<number> => {
  const living = alive.reduce((n, mark) => n + mark, 0)
  const order = [...chosen.keys()].filter((c) => chosen[c] === 1)
  order.sort((a, b) => (scores[a] ?? 0) - (scores[b] ?? 0) || a - b)
  const stay = Math.min(living, Math.max(1, Math.ceil((living - order.length) / multiple)) * multiple)
  return order.slice(0, living - stay)
}
