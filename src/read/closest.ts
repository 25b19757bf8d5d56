/** Names longer than this are compared by their first characters only. */
const compared = 128

/** The most names looked at; a suggestion is not worth more. */
const candidatesLimit = 20_000

/** Insertions, deletions and replacements that turn `a` into `b`; `limit + 1` when there are more than `limit`. */
const distance = (a: string, b: string, limit: number): number => {
  if (Math.abs(a.length - b.length) > limit) return limit + 1
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    let least = i
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const cost = Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1)
      next.push(cost)
      least = Math.min(least, cost)
    }
    if (least > limit) return limit + 1
    row = next
  }
  return row[b.length] ?? 0
}

/** The name most like `name`, the first of several; undefined when none is alike. */
export const closest = (name: string, names: Iterable<string>): string | undefined => {
  const wanted = name.slice(0, compared)
  let best: string | undefined
  let limit = Math.max(1, Math.floor(wanted.length / 3))
  let seen = 0
  for (const candidate of names) {
    if (++seen > candidatesLimit) break
    const cost = distance(wanted, candidate.slice(0, compared), limit)
    if (cost > limit) continue
    best = candidate
    if (cost === 0) return best
    limit = cost - 1
  }
  return best
}
