/** How fast models ran, with how much that varied. */
import type { VNode } from 'preact'
import { printable } from '../../ir/printable.ts'
import type { Measurement } from '../../run/measure.ts'
import { describeNoise, describePlace, speedSentence } from '../speeds.ts'
import { formatCount, formatMilliseconds, plural } from '../units.ts'
import { Text, tied } from './parts.tsx'
import { niceScaleOf } from './scale.ts'

export const Speed = ({
  measurements,
  sentences = true,
}: {
  readonly measurements: ReadonlyArray<Measurement>
  /** Whether each is compared with the first in words. */
  readonly sentences?: boolean
}): VNode | null => {
  const [first, ...others] = measurements
  if (first === undefined) return null
  const slowest = measurements.reduce((ms, { repeats }) => Math.max(ms, ...repeats), 0)
  const x = niceScaleOf(0, slowest, 4, [0, 100])
  const isLong = slowest >= 1000
  const at = (ms: number): string => x.at(ms).toFixed(2)
  const where =
    `${describePlace(first)}; ${plural(first.repeats.length, 'repeat')} of each, in turn. ${describeNoise(first)}`.trimEnd()
  return (
    <>
      {(sentences ? others : []).map((measurement, place) => (
        <p key={place}>
          <strong>{printable(capital(speedSentence(measurement, first)))}</strong>
        </p>
      ))}
      <figure class="speeds">
        <figcaption class="soft">
          Time for one run: every repeat (dots), the half in the middle (bar), the median (line). Less is better.
        </figcaption>
        {measurements.map((m, place) => (
          <div class="lane" key={place}>
            <div>
              {printable(m.name)}
              <b>{formatMilliseconds(m.latency.median)}</b>
              <span class="soft">
                {tied(`${formatMilliseconds(m.latency.q1)} to ${formatMilliseconds(m.latency.q3)}`)}
              </span>
              <span class="soft">
                {tied(
                  `${formatCount(m.throughput.median)} per second (${formatCount(m.throughput.q1)} to ${formatCount(m.throughput.q3)})`,
                )}
              </span>
            </div>
            <svg
              viewBox="0 0 100 10"
              preserveAspectRatio="none"
              role="img"
              aria-label={`${printable(m.name)}: median ${formatMilliseconds(m.latency.median)}`}
            >
              <line class="grid" x1={0} x2={100} y1={5} y2={5} />
              <rect
                class={place === 0 ? 'before' : 'after'}
                x={at(m.latency.q1)}
                y={2}
                width={Math.max(0.3, x.at(m.latency.q3) - x.at(m.latency.q1)).toFixed(2)}
                height={6}
              />
              {m.repeats.map((ms, i) => (
                <line key={i} class="dot" x1={at(ms)} x2={at(ms)} y1={5} y2={5} />
              ))}
              <line class="median" x1={at(m.latency.median)} x2={at(m.latency.median)} y1={0.5} y2={9.5} />
            </svg>
          </div>
        ))}
        <div class="scale soft" aria-hidden="true">
          {x.ticks(4).map((tick) => (
            <span key={tick} style={{ left: `${at(tick)}%` }}>
              {isLong ? tick / 1000 : tick}
            </span>
          ))}
          <b>{isLong ? 'seconds' : 'milliseconds'}</b>
        </div>
      </figure>
      <Text tone="soft">{printable(where)}</Text>
    </>
  )
}

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1)
