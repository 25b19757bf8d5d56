/** Draws marked channels to 0, and projects onto 0 those that a step has turned round. */
import { streamsIn } from './network.ts'
import type { HalfSpace } from './phase.ts'
import { channelSums, directions, type Sums } from './saliency.ts'
import { rewriteChannels, type Work } from './workspace.ts'

/** What becomes of a channel: the weights as the step leaves them less `pull` times those before it, or 0. */
type Drawn = 'zero' | { readonly pull: number }

/** Carries out DHSPG's penalty and projection on the step that was just taken (arXiv 2303.06862, as released). */
export const halfSpace = (work: Work, move: HalfSpace): void => {
  const { network, origin } = work.state
  const streams = streamsIn(network, move.scope)
  const sums = channelSums(work, streams, directions(work))
  let [all, gone] = [0, 0]
  for (const [n, s] of streams.entries()) {
    const count = origin.streams[s]?.channels ?? 0
    all += count
    // What is removed has no weights left, and sums of 0.
    gone += count - (sums[n]?.squares.reduce((left, square) => left + Number(square > 0), 0) ?? 0)
  }
  const isReached = gone >= move.fraction * all
  for (const [n, s] of streams.entries()) {
    const of = sums[n]
    if (of === undefined) continue
    const drawn = Array.from(of.squares, (square, c): Drawn => {
      if (square === 0) return 'zero'
      return isReached || work.marked[s]?.[c] !== 1 ? { pull: 0 } : drawnBy(move, work.rate, of, c)
    })
    if (drawn.every((to) => to !== 'zero' && to.pull === 0)) continue
    rewriteChannels(work, s, (weights, from, to, c, { before }) => {
      const next = drawn[c]
      if (next === 'zero') weights.fill(0, from, to)
      else if (next !== undefined && next.pull > 0) {
        for (let i = from; i < to; i++) weights[i] = (weights[i] ?? 0) - next.pull * (before[i] ?? 0)
      }
    })
  }
}

/** Where a norm may be 0. */
const tiny = 1e-8

const drawnBy = (move: HalfSpace, rate: number, { squares, products, others }: Sums, c: number): Drawn => {
  const [square, product, other] = [squares[c] ?? 0, products[c] ?? 0, others[c] ?? 0]
  const norm = Math.sqrt(square)
  const pull = (rate * penalty(move, norm, product, other)) / (norm + tiny)
  return square - rate * product - pull * square < move.epsilon * square ? 'zero' : { pull }
}

/** λ for a channel x of that norm, with x · v and v · v of the direction v of the step. */
const penalty = ({ strength, amplify, ceiling }: HalfSpace, norm: number, product: number, other: number): number => {
  if (product >= 0) return strength
  const [low, high] = [-product / norm, (-other * norm) / product]
  const lambda = Math.min(Math.max(amplify * low, strength), ceiling * strength)
  return lambda >= high ? (low + high) / 2 : lambda
}
