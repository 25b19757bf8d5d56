/** The proximal operator of the weighted group sparse envelope function: draws all but so many channels to 0. */
import { streamsIn } from './network.ts'
import type { Envelope } from './phase.ts'
import { channelSums } from './saliency.ts'
import { rewriteChannels, type Work } from './workspace.ts'

/**
 * The proximal operator of λ · Ω, Ω(θ) = min ½ Σ dⱼ ‖θⱼ‖² / uⱼ over 0 ≤ u ≤ 1 with Σ u ≤ k, the largest convex function below ½ Σ dⱼ ‖θⱼ‖²
 * on what has k groups θⱼ that are not 0 (arXiv 2212.12921). Where u is fixed, θⱼ = uⱼ / (uⱼ + λ dⱼ) · xⱼ is best, and what that leaves falls
 * with u as ½ Σ λ dⱼ ‖xⱼ‖² / (uⱼ + λ dⱼ); so uⱼ is c · √dⱼ ‖xⱼ‖ - λ dⱼ between 0 and 1, with the c by which they come to k. They grow with c along
 * straight lines, so that c is found exactly between two of the places where one of these bends.
 *
 * Gives u, for `groups` of ‖xⱼ‖ and λ dⱼ > 0: 1 for those that are not 0 if these are k or fewer.
 */
export const proximalShares = (
  groups: ReadonlyArray<{ readonly norm: number; readonly tax: number }>,
  k: number,
): Float64Array => {
  // √λ, which all have, is left to c.
  const slopes = Float64Array.from(groups, ({ norm, tax }) => Math.sqrt(tax) * norm)
  const sharesAt = (c: number): Float64Array =>
    slopes.map((slope, j) => (slope > 0 ? Math.min(1, Math.max(0, c * slope - (groups[j]?.tax ?? 0))) : 0))
  const sumAt = (c: number): number => sharesAt(c).reduce((sum, u) => sum + u, 0)
  if (slopes.reduce((n, slope) => n + Number(slope > 0), 0) <= k) return slopes.map((slope) => Number(slope > 0))
  const bends = Float64Array.from(
    groups.flatMap(({ tax }, j) => {
      const slope = slopes[j] ?? 0
      return slope > 0 ? [tax / slope, (1 + tax) / slope] : []
    }),
  ).sort()
  // The sum is below k at `low` and not at `high`.
  let [low, high] = [-1, bends.length - 1]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (sumAt(bends[middle] ?? 0) < k) low = middle
    else high = middle
  }
  const [from, to] = [bends[low] ?? 0, bends[high] ?? 0]
  const [least, most] = [sumAt(from), sumAt(to)]
  return sharesAt(most > least ? from + ((k - least) / (most - least)) * (to - from) : to)
}

/** Carries out a proximal step over all channels in scope. */
export const envelope = (work: Work, { strength, fraction, scope }: Envelope): void => {
  const { network, origin } = work.state
  const streams = streamsIn(network, scope)
  const sums = channelSums(work, streams)
  const widths = streams.map((s) => origin.streams[s]?.channels ?? 0)
  const all = widths.reduce((n, width) => n + width, 0)
  const weights = widths.reduce((n, width, i) => n + width * (sums[i]?.size ?? 0), 0)
  const lambda = work.rate * strength
  if (lambda === 0 || all === 0) return
  const groups = sums.flatMap(({ squares, size }) =>
    Array.from(squares, (square) => ({ norm: Math.sqrt(square) || 0, tax: (lambda * weights) / all / size })),
  )
  const shares = proximalShares(groups, all - Math.round(fraction * all))
  let first = 0
  for (const s of streams) {
    const count = network.streams[s]?.channels ?? 0
    const own = groups.slice(first, first + count)
    const factors = own.map(({ tax }, c) => (shares[first + c] ?? 0) / ((shares[first + c] ?? 0) + tax))
    first += count
    // A stream without channels would be the end of the network.
    if (!factors.some((factor) => factor > 0)) factors[largest(own.map(({ norm }) => norm))] = 1
    rewriteChannels(work, s, (values, from, to, c) => {
      for (let i = from; i < to; i++) values[i] = (values[i] ?? 0) * (factors[c] ?? 1)
    })
  }
}

/** The place of the largest of some numbers, the first of equals. */
const largest = (numbers: ReadonlyArray<number>): number =>
  numbers.reduce((best, x, i) => (x > (numbers[best] ?? 0) ? i : best), 0)
