/**
 * Dynamic Sparse no Training (DSnoT, arXiv 2310.08915): weights that a mask took come back and others go instead, so that each output
 * channel keeps its expectation on the calibration set. No weight changes, and as many stay.
 */
import type { ChannelStatistics } from './statistics.ts'

export interface RefineOptions {
  /** Exchanges in a row at most. */
  readonly cycles: number
  /** A row is done when its expectation is off by at most this, in the sums that the authors take (see {@link refineRow}). */
  readonly threshold: number
  /** The power of the variance that the gain of a weight that comes back is divided by. */
  readonly power: number
}

/** As in the authors' program. */
export const refineDefaults: RefineOptions = { cycles: 50, threshold: 0.1, power: 1 }

/** A row of a weight, which is what an output channel is made of. */
export interface RefinedRow {
  /** Weights by place. */
  readonly weights: Float64Array
  /** What each is worth; the least goes first. */
  readonly scores: Float64Array
  /** 1 for places that the mask keeps, 0 for those that it took and that may come back; others stay gone. Is changed. */
  readonly kept: Uint8Array
  /** Channel of each place. */
  readonly inputOf: (place: number) => number
  /** The places of an exchange lie in one group where groups keep as many each. Undefined: anywhere in the row. */
  readonly groupOf?: (place: number) => number
}

/** What {@link refineRow} takes for places that it may not touch. */
export const untouchable = 2

/**
 * Exchanges in `row`, and how many there were. With c_j = w_j · s_j, where s_j = Σ x_j / samples is what the authors' program sums up (the
 * mean of x_j times positions in a sample), the row is off by e = Σ c_j over what is masked. While |e| is above the threshold, the
 * masked weight comes back that lowers it by the most for its variance: the largest c_j / var_j where e > 0, the smallest where e < 0.
 *
 * - Without groups that weight goes which is worth least among those with a c_j that lowers |e| too; e may change its sign then.
 * - With groups the one that is worth least in the group; the row is done when e would change its sign.
 *
 * As the released program does it, but for what it does where candidates run out: here the row is done, so that it keeps as many.
 */
export const refineRow = (
  row: RefinedRow,
  { count, mean, variance }: ChannelStatistics,
  samples: number,
  { cycles, threshold, power }: RefineOptions,
): number => {
  const { weights, scores, kept, inputOf, groupOf } = row
  const places = Array.from(weights, (_, place) => place)
  const shares = weights.map((w, place) => (w * (mean[inputOf(place)] ?? 0) * count) / samples)
  const share = (place: number): number => shares[place] ?? 0
  const gains = new Map<number, number>()
  let error = 0
  for (const place of places) {
    if (kept[place] !== 0) continue
    error += share(place)
    if (share(place) !== 0) gains.set(place, share(place) / (variance[inputOf(place)] ?? 0) ** power)
  }
  const rising = [...gains.keys()].sort((a, b) => (gains.get(a) ?? 0) - (gains.get(b) ?? 0) || a - b)
  const worst = places.filter((place) => kept[place] === 1).sort((a, b) => (scores[a] ?? 0) - (scores[b] ?? 0) || a - b)
  const groups = groupOf === undefined ? undefined : new Map<number, number[]>()
  for (const place of groups === undefined ? [] : worst) {
    const group = groupOf?.(place) ?? 0
    const known = groups?.get(group)
    if (known === undefined) groups?.set(group, [place])
    else known.push(place)
  }
  const negative = worst.filter((place) => share(place) < 0)
  const positive = worst.filter((place) => share(place) > 0)
  const sign = Math.sign(error)
  let [low, high, first, last, exchanges] = [0, rising.length - 1, 0, 0, 0]
  while (exchanges < cycles && Math.abs(error) > threshold) {
    const back = error > 0 ? rising[high--] : rising[low++]
    // What would make it worse is no candidate, nor what came back before.
    if (back === undefined || kept[back] !== 0 || share(back) > 0 !== error > 0) break
    const gone =
      groups === undefined
        ? error > 0
          ? negative[first++]
          : positive[last++]
        : groups.get(groupOf?.(back) ?? 0)?.shift()
    if (gone === undefined) break
    const next = error + share(gone) - share(back)
    if (groups !== undefined && Math.sign(next) !== sign) break
    kept[back] = 1
    kept[gone] = untouchable
    error = next
    exchanges += 1
  }
  for (const place of places) if (kept[place] === untouchable) kept[place] = 0
  return exchanges
}
