/** Curves over time: axes with names, a key with the last values, one colour and dash for each curve. */
import { curveStepAfter, line } from 'd3-shape'
import type { VNode } from 'preact'
import { printable } from '../../ir/printable.ts'
import { niceScaleOf, scaleOf } from './scale.ts'

export type Point = readonly [x: number, y: number]

export interface Curve {
  readonly name: string
  /** Ascending; those that are not finite are left out. */
  readonly points: ReadonlyArray<Point>
}

export interface LineChartProps {
  readonly title: string
  readonly curves: ReadonlyArray<Curve>
  /** What the axis counts, such as epochs, and where it ends. */
  readonly x: { readonly name: string; readonly end: number }
  readonly format: (value: number) => string
  /** Values that the axis shows in any case. */
  readonly include?: ReadonlyArray<number>
  /** Whether a value holds until the next one. */
  readonly steps?: boolean
  /** Places on the axis of time that matter. */
  readonly marks?: ReadonlyArray<{ readonly x: number; readonly name: string }>
}

/** How many curves have a look of their own; see the style of the page. */
export const looks = 8

/** With no more points than this each has a dot, unless its value holds until the next one. */
const mostDots = 40

export const LineChart = ({
  title,
  curves,
  x,
  format,
  include = [],
  steps = false,
  marks = [],
}: LineChartProps): VNode | null => {
  const shown = curves.map(({ name, points }, look) => ({
    name,
    look: look % looks,
    points: points.filter((point) => point.every(Number.isFinite)),
  }))
  const values = shown.flatMap(({ points }) => points.map(([, y]) => y))
  if (values.length === 0) return null
  const [low, high] = rangeOf([...include, ...values])
  const across = scaleOf(0, Math.max(x.end, 1e-9), [0, 100])
  const up = niceScaleOf(low, high, 4, [100, 0])
  const drawn = line<Point>()
    .x(([at]) => across.at(at))
    .y(([, value]) => up.at(value))
    .digits(2)
  if (steps) drawn.curve(curveStepAfter)
  const ends = shown.flatMap(({ name, points }) => {
    const last = points.at(-1)
    return last === undefined ? [] : [`${printable(name)} ${format(last[1])}`]
  })
  return (
    <figure class="chart">
      <figcaption>
        <b>{printable(title)}</b>
        <ul class="key soft">
          {shown.map(({ name, look, points }, place) => (
            <li key={place}>
              <svg viewBox="0 0 24 8" aria-hidden="true">
                <path class={`curve look${look}`} d="M0 4h24" />
              </svg>
              {printable(name)}{' '}
              <span class="value">{points.length === 0 ? '–' : format(points.at(-1)?.[1] ?? NaN)}</span>
            </li>
          ))}
        </ul>
      </figcaption>
      <div class="plot">
        <div class="axis" aria-hidden="true">
          {up.ticks(4).map((tick) => (
            <span key={tick} style={{ top: `${up.at(tick).toFixed(2)}%` }}>
              {format(tick)}
            </span>
          ))}
        </div>
        <svg
          viewBox="0 0 100 100"
          preserveAspectRatio="none"
          role="img"
          aria-label={`${printable(title)} over ${x.name}. In the end: ${ends.join(', ')}.`}
        >
          {up.ticks(4).map((tick) => (
            <line key={tick} class="grid" x1={0} x2={100} y1={up.at(tick).toFixed(2)} y2={up.at(tick).toFixed(2)} />
          ))}
          {marks.map((mark) => (
            <line
              key={mark.name}
              class="mark"
              x1={across.at(mark.x).toFixed(2)}
              x2={across.at(mark.x).toFixed(2)}
              y1={0}
              y2={100}
            >
              <title>{printable(mark.name)}</title>
            </line>
          ))}
          {shown.map(({ look, points }, place) => (
            <path key={place} class={`curve look${look}`} d={drawn([...points]) ?? ''} />
          ))}
          {shown.map(({ look, points }, place) =>
            steps || points.length > mostDots ? null : (
              <path
                key={place}
                class={`dots look${look}`}
                d={points.map((point) => dot(across.at(point[0]), up.at(point[1]))).join('')}
              />
            ),
          )}
        </svg>
        <div class="scale soft" aria-hidden="true">
          {wholeTicks(across.ticks(5)).map((tick) => (
            <span key={tick} style={{ left: `${across.at(tick).toFixed(2)}%` }}>
              {tick}
            </span>
          ))}
          <b>{x.name}</b>
        </div>
      </div>
    </figure>
  )
}

const dot = (x: number, y: number): string => `M${x.toFixed(2)},${y.toFixed(2)}h0`

/** Epochs and steps are counted: halves between few of them say nothing. */
const wholeTicks = (ticks: ReadonlyArray<number>): ReadonlyArray<number> => {
  const whole = ticks.filter(Number.isInteger)
  return whole.length < 2 ? ticks : whole
}

/** From the smallest to the largest; a little room where they are the same. */
const rangeOf = (values: ReadonlyArray<number>): readonly [low: number, high: number] => {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity)
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity)
  return low === high ? [low === 0 ? 0 : Math.min(0, low), high === 0 ? 1 : Math.max(0, high)] : [low, high]
}
