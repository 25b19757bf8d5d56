/** What is left of each layer over time: a row for each layer, the stronger the colour the more. */
import type { VNode } from 'preact'
import { printable } from '../../ir/printable.ts'
import { formatPercent } from '../units.ts'

export interface LayerMapProps {
  readonly title: string
  /** What a share of 1 is, such as `all weights`. */
  readonly whole: string
  readonly rows: ReadonlyArray<{
    readonly layer: string
    /** From its point in time to the next one's: fractions of 1. */
    readonly shares: ReadonlyArray<number>
    /** What is left in the end, in words. */
    readonly left: string
  }>
  /** When each share begins to hold. */
  readonly times: ReadonlyArray<number>
  readonly x: { readonly name: string; readonly end: number }
}

/** Times shown at most; of more, some that are evenly spread. */
const mostTimes = 60

/** Shades that can be told apart. */
const shades = 16

export const LayerMap = ({ title, whole, rows, times, x }: LayerMapProps): VNode | null => {
  if (rows.length === 0 || times.length === 0 || x.end <= 0) return null
  const picked = evenly(times.length, mostTimes)
  const at = (i: number): number => (100 * (times[picked[i] ?? -1] ?? x.end)) / x.end
  return (
    <figure class="layermap">
      <figcaption>
        <b>{printable(title)}</b>
        <span class="soft legend">
          none
          <i aria-hidden="true" />
          {whole}
        </span>
      </figcaption>
      <ol>
        {rows.map(({ layer, shares, left }) => (
          <li key={layer}>
            <code title={printable(layer)}>{printable(layer.replace(/\.weight$/, ''))}</code>
            <svg
              viewBox="0 0 100 1"
              preserveAspectRatio="none"
              role="img"
              aria-label={`${printable(layer)}: ${formatPercent(shares[0] ?? 0)} at first, ${formatPercent(shares.at(-1) ?? 0)} in the end`}
            >
              {runsOf(picked.map((i) => shadeOf(shares[i] ?? 0))).map(({ shade, from, until }) => {
                const [begin, end] = [at(from), Math.max(at(until), at(from) + 1)]
                return (
                  <rect
                    key={from}
                    x={begin.toFixed(2)}
                    width={(end - begin).toFixed(2)}
                    height={1}
                    fill-opacity={(shade / shades).toFixed(3)}
                  />
                )
              })}
            </svg>
            <span>{left}</span>
          </li>
        ))}
      </ol>
      <p class="soft">
        from the first to the last of {x.end} {x.name}
      </p>
    </figure>
  )
}

/** By the square root: a tenth and a hundredth of the weights look different. */
const shadeOf = (share: number): number => Math.round(shades * Math.sqrt(Math.min(1, Math.max(0, share))))

/** Places in a list of `count`, the first and the last among them, `most` at the most. */
const evenly = (count: number, most: number): ReadonlyArray<number> =>
  count <= most
    ? Array.from({ length: count }, (_, i) => i)
    : Array.from({ length: most }, (_, i) => Math.round((i * (count - 1)) / (most - 1)))

/** Neighbours of the same shade as one. */
const runsOf = (list: ReadonlyArray<number>): ReadonlyArray<{ shade: number; from: number; until: number }> => {
  const runs: Array<{ shade: number; from: number; until: number }> = []
  for (const [i, shade] of list.entries()) {
    const last = runs.at(-1)
    if (last?.shade === shade) last.until = i + 1
    else runs.push({ shade, from: i, until: i + 1 })
  }
  return runs
}
