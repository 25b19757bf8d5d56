/** Measured speed for a terminal. */
import type { Measurement } from '../run/measure.ts'
import type { Quartiles } from '../run/statistics.ts'
import type { Style } from './style.ts'
import { renderTable, shorten } from './table.ts'
import { describeSizes } from './totals.ts'
import { formatCount, formatMilliseconds, formatRatio } from './units.ts'

const spread = ({ q1, q3 }: Quartiles, format: (value: number) => string): string => `${format(q1)} – ${format(q3)}`

/** One row for each model, compared with the first. */
export const renderMeasurements = (measurements: ReadonlyArray<Measurement>, style: Style): string => {
  const rows = measurements.map((m, i) => [
    shorten(m.name, 48),
    formatMilliseconds(m.latency.median),
    style.dim(spread(m.latency, formatMilliseconds)),
    `${formatCount(m.throughput.median)}/s`,
    i === 0 ? '' : style.bold(formatRatio(m.speedup.median)),
    i === 0 ? '' : style.dim(spread(m.speedup, formatRatio)),
  ])
  const table = renderTable(
    [
      { title: 'model' },
      { title: 'per run', align: 'right' },
      { title: 'quartiles' },
      { title: 'items', align: 'right' },
      { title: 'speed', align: 'right' },
      { title: 'quartiles' },
    ],
    rows,
    style,
  )
  const [first] = measurements
  if (first === undefined) return table
  const sizes = describeSizes(first.sizes)
  const where = `${first.runtime} on ${first.provider}, batch ${first.batch}${sizes === '' ? '' : `, ${sizes}`}, median of ${first.repeats.length} interleaved repeats`
  return `${table}\n${style.dim(`${where}.`)}`
}
