/** Linear scales of charts: round numbers along an axis, and where values lie on it. */

export interface Scale {
  readonly at: (value: number) => number
  /** About `count` round numbers within the scale, ascending. */
  readonly ticks: (count: number) => ReadonlyArray<number>
}

/** Takes `from` to the one, and `to` to the other end of `range`. */
export const scaleOf = (from: number, to: number, [start, end]: readonly [number, number]): Scale => ({
  at: (value) => start + (to === from ? 0.5 : (value - from) / (to - from)) * (end - start),
  ticks: (count) => {
    const { step, places } = stepOf(from, to, count)
    if (step === 0) return [from]
    const [first, last] = [Math.ceil(from / step - slack), Math.floor(to / step + slack)]
    return Array.from({ length: last - first + 1 }, (_, i) => rounded((first + i) * step, places))
  },
})

/** The same, its ends moved outwards to where about `count` round numbers begin and end. */
export const niceScaleOf = (from: number, to: number, count: number, range: readonly [number, number]): Scale => {
  let [low, high] = [from, to]
  // Wider ends may ask for a wider step, which makes them wider at most once or twice.
  for (let [before, left] = [0, 10]; left > 0; left--) {
    const { step, places } = stepOf(low, high, count)
    if (step === before) break
    low = rounded(Math.floor(low / step + slack) * step, places)
    high = rounded(Math.ceil(high / step - slack) * step, places)
    before = step
  }
  return scaleOf(low, high, range)
}

/** What a quotient of round numbers may be off by. */
const slack = 1e-9

/** 1, 2 or 5 times a power of ten that goes about `count` times into a range, and its decimal places; 0 for an empty range. */
const stepOf = (from: number, to: number, count: number): { readonly step: number; readonly places: number } => {
  const rough = (to - from) / count
  if (!(rough > 0)) return { step: 0, places: 0 }
  const power = Math.floor(Math.log10(rough))
  const times = rough / 10 ** power
  const digit = times >= Math.sqrt(50) ? 10 : times >= Math.sqrt(10) ? 5 : times >= Math.sqrt(2) ? 2 : 1
  return { step: digit * 10 ** power, places: Math.max(0, -power) }
}

const rounded = (value: number, places: number): number => (places > 100 ? value : Number(value.toFixed(places)))
