const levels = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']

/** How many of `values` fall into each of `bins` equal parts of [0, largest value]. */
export const countBins = (values: ArrayLike<number>, bins: number): ReadonlyArray<number> => {
  const counts = new Array<number>(bins).fill(0)
  let largest = 0
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, values[i] ?? 0)
  for (let i = 0; i < values.length; i++) {
    const at = largest === 0 ? 0 : Math.min(bins - 1, Math.floor(((values[i] ?? 0) / largest) * bins))
    counts[at] = (counts[at] ?? 0) + 1
  }
  return counts
}

/** One bar for each count, scaled to the largest; a blank where there is none. */
export const renderBars = (counts: ReadonlyArray<number>): string => {
  const largest = Math.max(0, ...counts)
  return counts
    .map((count) => (count === 0 ? ' ' : (levels[Math.ceil((count / largest) * levels.length) - 1] ?? '')))
    .join('')
}
