/** The place of each score among all of them, from the lowest on; of equal scores the first comes first. No NaN. */
export const ranksOf = (scores: Float64Array): Uint32Array => {
  const sorted = scores.toSorted()
  const taken = new Uint32Array(scores.length)
  return Uint32Array.from(scores, (score) => {
    let [low, high] = [0, sorted.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((sorted[middle] ?? 0) < score) low = middle + 1
      else high = middle
    }
    const rank = low + (taken[low] ?? 0)
    taken[low] = (taken[low] ?? 0) + 1
    return rank
  })
}
