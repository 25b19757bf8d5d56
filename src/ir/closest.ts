/** Names close to a mistyped one. */

/**
 * Optimal string alignment: the fewest insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`, no
 * character touched twice. O(|a|·|b|).
 */
export const editDistance = (a: string, b: string): number => {
  let row = Uint32Array.from({ length: b.length + 1 }, (_, j) => j)
  let next = new Uint32Array(b.length + 1)
  let former = new Uint32Array(b.length + 1)
  for (let i = 1; i <= a.length; i++) {
    next[0] = i
    for (let j = 1; j <= b.length; j++) {
      const substituted = (row[j - 1] ?? 0) + (a.charCodeAt(i - 1) === b.charCodeAt(j - 1) ? 0 : 1)
      const swap =
        i > 1 && j > 1 && a.charCodeAt(i - 1) === b.charCodeAt(j - 2) && a.charCodeAt(i - 2) === b.charCodeAt(j - 1)
      const swapped = swap ? (former[j - 2] ?? 0) + 1 : Infinity
      next[j] = Math.min(substituted, swapped, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1)
    }
    ;[former, row, next] = [row, next, former]
  }
  return row[b.length] ?? 0
}

/** Names longer than this are compared by their last characters only, which is where exporters put what differs. */
const comparedLength = 120

/** The most names looked at; a suggestion is not worth more. */
const candidatesLimit = 20_000

/** The `count` candidates closest to `name`, closest first, equally close ones in their given order. */
export const closestNames = (name: string, candidates: Iterable<string>, count: number): ReadonlyArray<string> => {
  const wanted = name.slice(-comparedLength)
  const rated: Array<{ readonly candidate: string; readonly distance: number }> = []
  for (const candidate of candidates) {
    if (rated.length >= candidatesLimit) break
    rated.push({ candidate, distance: editDistance(wanted, candidate.slice(-comparedLength)) })
  }
  return rated
    .sort((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map(({ candidate }) => candidate)
}

/** The name most like `name`, if one is: no more than a third of its characters differ, or it goes on where `name` ends. */
export const closestName = (name: string, candidates: Iterable<string>): string | undefined => {
  const known = [...candidates]
  const [best] = closestNames(name, known, 1)
  const wanted = name.slice(-comparedLength)
  const limit = Math.max(1, Math.floor(wanted.length / 3))
  if (best !== undefined && editDistance(wanted, best.slice(-comparedLength)) <= limit) return best
  return name.length < 3 ? undefined : known.find((candidate) => candidate.startsWith(name))
}
