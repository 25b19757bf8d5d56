/** Names close to a mistyped one. */

/** Levenshtein distance: the fewest insertions, deletions and substitutions that turn `a` into `b`. O(|a|·|b|). */
export const editDistance = (a: string, b: string): number => {
  let row = Uint32Array.from({ length: b.length + 1 }, (_, j) => j)
  let next = new Uint32Array(b.length + 1)
  for (let i = 1; i <= a.length; i++) {
    next[0] = i
    for (let j = 1; j <= b.length; j++) {
      const substituted = (row[j - 1] ?? 0) + (a.charCodeAt(i - 1) === b.charCodeAt(j - 1) ? 0 : 1)
      next[j] = Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1)
    }
    ;[row, next] = [next, row]
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

/** The name most like `name`, if one is: no more than a third of its characters differ. */
export const closestName = (name: string, candidates: Iterable<string>): string | undefined => {
  const [best] = closestNames(name, candidates, 1)
  const wanted = name.slice(-comparedLength)
  const limit = Math.max(1, Math.floor(wanted.length / 3))
  return best !== undefined && editDistance(wanted, best.slice(-comparedLength)) <= limit ? best : undefined
}
