/** Points of a plane with numbers that a list explains, and a line through those that no other point beats. */
import type { VNode } from 'preact'
import { printable } from '../../ir/printable.ts'
import { niceScaleOf } from './scale.ts'

export interface ScatterPoint {
  readonly name: string
  readonly x: number
  readonly y: number
  /** How far the value may lie above and below; undefined where nothing is known. */
  readonly spread: number | undefined
  /** Whether no other point beats it. */
  readonly unbeaten: boolean
}

export interface ScatterChartProps {
  readonly title: string
  readonly points: ReadonlyArray<ScatterPoint>
  readonly x: { readonly name: string; readonly format: (value: number) => string }
  readonly y: { readonly name: string; readonly format: (value: number) => string }
}

export const ScatterChart = ({ title, points, x, y }: ScatterChartProps): VNode | null => {
  const finite = points.filter((point) => Number.isFinite(point.x) && Number.isFinite(point.y))
  if (finite.length < 2) return null
  const across = niceScaleOf(0, most(finite.map((point) => point.x)) || 1, 5, [0, 100])
  const reach = finite.flatMap(({ y: value, spread = 0 }) => [value - spread, value + spread])
  const [low, high] = [-most(reach.map((value) => -value)), most(reach)]
  const up = niceScaleOf(low === high ? low - 0.01 : low, low === high ? high + 0.01 : high, 4, [100, 0])
  const left = (value: number): string => across.at(value).toFixed(2)
  const top = (value: number): string => up.at(value).toFixed(2)
  const front = finite.filter(({ unbeaten }) => unbeaten).toSorted((a, b) => a.x - b.x || a.y - b.y)
  const told = finite.map((point) => `${printable(point.name)} ${x.format(point.x)}, ${y.format(point.y)}`)
  return (
    <figure class="chart scatter">
      <figcaption>
        <b>{printable(title)}</b>
      </figcaption>
      <div class="plot">
        <div class="axis" aria-hidden="true">
          {up.ticks(4).map((tick) => (
            <span key={tick} style={{ top: `${top(tick)}%` }}>
              {y.format(tick)}
            </span>
          ))}
        </div>
        <div class="points">
          <svg
            viewBox="0 0 100 100"
            preserveAspectRatio="none"
            role="img"
            aria-label={`${printable(y.name)} against ${printable(x.name)}: ${told.join('; ')}.`}
          >
            {up.ticks(4).map((tick) => (
              <line key={tick} class="grid" x1={0} x2={100} y1={top(tick)} y2={top(tick)} />
            ))}
            <path
              class="curve look0"
              d={front.map((p, at) => `${at === 0 ? 'M' : 'L'}${left(p.x)},${top(p.y)}`).join('')}
            />
            {finite.map(({ x: at, y: value, spread = 0 }, place) => (
              <line
                key={place}
                class="mark"
                x1={left(at)}
                x2={left(at)}
                y1={top(value - spread)}
                y2={top(value + spread)}
              />
            ))}
          </svg>
          {finite.map(({ name, x: at, y: value, unbeaten }, place) => (
            <i
              key={place}
              class={unbeaten ? 'unbeaten' : undefined}
              style={{ left: `${left(at)}%`, top: `${top(value)}%` }}
              title={`${printable(name)}: ${x.format(at)}, ${y.format(value)}`}
              aria-hidden="true"
            >
              {place + 1}
            </i>
          ))}
        </div>
        <div class="scale soft" aria-hidden="true">
          {across.ticks(5).map((tick) => (
            <span key={tick} style={{ left: `${left(tick)}%` }}>
              {x.format(tick)}
            </span>
          ))}
          <b>{printable(x.name)}</b>
        </div>
      </div>
      <ol class="soft">
        {finite.map(({ name }, place) => (
          <li key={place}>{printable(name)}</li>
        ))}
      </ol>
    </figure>
  )
}

const most = (values: ReadonlyArray<number>): number => values.reduce((a, b) => Math.max(a, b), -Infinity)
