import { invariant } from '../../ir/failure.ts'

const clamp = (x: number, low: number, high: number): number => Math.min(high, Math.max(low, x))

const sum = (numbers: Iterable<number>): number => {
  let total = 0
  for (const n of numbers) total += n
  return total
}

/** What float arithmetic may take from a whole number. */
const slack = 1e-9

/** The part of the largest wish at which a wish is as good as none. */
const negligible = 1e-15

/**
 * Splits `total` into whole numbers, one for each entry, between `low` and `high` and in proportion to `wish` as far as
 * these bounds allow: nᵢ ≈ min(highᵢ, max(lowᵢ, λ · wishᵢ)) for the one λ that makes the sum come out. What rounding leaves
 * goes to the largest remainders, the earlier entry first. Entries with a wish of 0 (or next to it, beside the largest) get
 * more than `low` only when all others are at `high`, then in proportion to their room. A `total` that the bounds do not
 * allow is moved to the nearest one that they do.
 */
export const apportion = (
  total: number,
  wishes: ReadonlyArray<number>,
  low: ReadonlyArray<number>,
  high: ReadonlyArray<number>,
): ReadonlyArray<number> => {
  const largest = wishes.reduce((a, b) => Math.max(a, b), 0)
  const wish = wishes.map((w) => (w > largest * negligible ? w / largest : 0))
  const goal = clamp(Math.round(total), sum(low), sum(high))
  if (goal === sum(low)) return low
  const most = high.map((h, i) => ((wish[i] ?? 0) > 0 ? h : (low[i] ?? 0)))
  if (goal > sum(most)) {
    const room = high.map((h, i) => h - (most[i] ?? 0))
    return apportion(goal, room, most, high)
  }
  const share = (factor: number): ReadonlyArray<number> =>
    wish.map((w, i) => clamp(w > 0 ? factor * w : 0, low[i] ?? 0, high[i] ?? 0))
  return round(goal, share(balance(goal, wish, high, share)), high)
}

/** The least λ for which the shares reach the goal, to the last bit: bisection over the doubles. */
const balance = (
  goal: number,
  wish: ReadonlyArray<number>,
  high: ReadonlyArray<number>,
  share: (factor: number) => ReadonlyArray<number>,
): number => {
  let below = 0
  let above = 0
  for (const [i, w] of wish.entries()) if (w > 0) above = Math.max(above, (high[i] ?? 0) / w)
  for (;;) {
    const middle = below + (above - below) / 2
    if (middle <= below || middle >= above) return above
    if (sum(share(middle)) < goal) below = middle
    else above = middle
  }
}

const round = (goal: number, shares: ReadonlyArray<number>, high: ReadonlyArray<number>): ReadonlyArray<number> => {
  const out = shares.map((x) => Math.floor(x + slack))
  let left = goal - sum(out)
  const order = shares.map((_, i) => i)
  order.sort((i, j) => (shares[j] ?? 0) - (out[j] ?? 0) - ((shares[i] ?? 0) - (out[i] ?? 0)) || i - j)
  for (const i of order) {
    if (left <= 0) break
    if ((out[i] ?? 0) >= (high[i] ?? 0)) continue
    out[i] = (out[i] ?? 0) + 1
    left -= 1
  }
  invariant(left === 0, `${left} left after splitting ${goal}`)
  return out
}
