/**
 * How ECoFLaP (arXiv 2310.02998) divides what stays of a network among its layers. Checked against the authors' program,
 * github.com/ylsung/ECoFLaP (59dac0a), which differs where that is said.
 */
import { invariant } from '../ir/failure.ts'

/** A layer that is given its share. */
export interface Sharer {
  readonly weights: number
  /** Weights that can stay: those that are not masked already. */
  readonly alive: number
  /** What the layer is worth: finite, 0 or more. */
  readonly importance: number
}

/**
 * How many weights each layer keeps, so that all of them keep `kept` together: first the fraction `1 - most` that none goes below, then
 * the rest in proportion to importance, whatever the sizes of layers are, and what does not fit into one again among those that have room.
 *
 * Shares are rounded up; of layers that keep most, the excess is taken off. (The authors' program adds it once more, so that a few
 * weights too many stay: `+=` where the loop counts what it removes. It
 * would also take a layer below its least, which it rounds down there.) Where importance 0 is all that has room, which the program answers
 * with NaN, layers keep the same fraction of their room. Fewer stay where fewer are alive, and more where all are at their least.
 */
export const shareOut = (layers: ReadonlyArray<Sharer>, kept: number, most: number): ReadonlyArray<number> => {
  invariant(most >= 0 && most <= 1, `a largest share of ${most}`)
  const least = layers.map(({ weights, alive }) =>
    Math.min(alive, Math.max(0, Math.ceil(weights * (1 - most) - slack))),
  )
  const shares = [...least]
  const sum = (list: ReadonlyArray<number>): number => list.reduce((a, b) => a + b, 0)
  const alive = layers.map((layer) => layer.alive)
  const wanted = Math.min(kept, sum(alive))
  for (;;) {
    const rest = wanted - sum(shares)
    if (rest <= 0) break
    const room = layers.map((layer, i) => layer.alive - (shares[i] ?? 0))
    const open = layers.map(({ importance }, i) => ((room[i] ?? 0) > 0 ? importance : 0))
    const largest = open.reduce((a, b) => Math.max(a, b), 0)
    // Of the largest, so that no sum overflows or vanishes.
    const parts = largest > 0 ? open.map((importance) => importance / largest) : room
    const all = sum(parts)
    parts.forEach((part, i) => {
      shares[i] = Math.min(alive[i] ?? 0, (shares[i] ?? 0) + Math.ceil((part / all) * rest))
    })
  }
  let excess = sum(shares) - wanted
  // Array.sort is stable: of layers that keep as many the first loses first.
  const order = shares.map((_, i) => i).sort((a, b) => (shares[b] ?? 0) - (shares[a] ?? 0))
  for (const i of order) {
    const taken = Math.min(Math.max(0, excess), (shares[i] ?? 0) - (least[i] ?? 0))
    shares[i] = (shares[i] ?? 0) - taken
    excess -= taken
  }
  return shares
}

/** What rounding of a product may add to a whole number. */
const slack = 1e-9
