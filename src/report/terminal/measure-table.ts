/** Measured speed for a terminal. */
import type { CompileReport } from '../../passes/compile.ts'
import type { Measurement } from '../../run/measure.ts'
import type { Quartiles } from '../../run/statistics.ts'
import type { Style } from './style.ts'
import { renderTable } from './table.ts'
import { describeNoise, describePlace } from '../speeds.ts'
import { formatCount, formatMilliseconds, formatPercent, formatRatio } from '../units.ts'

const spread = ({ q1, q3 }: Quartiles, format: (value: number) => string): string => `${format(q1)} – ${format(q3)}`

/** One row for each model, compared with the first. */
export const renderMeasurements = (measurements: ReadonlyArray<Measurement>, style: Style): string => {
  const rows = measurements.map((m, i) => [
    m.name,
    formatMilliseconds(m.latency.median),
    style.dim(spread(m.latency, formatMilliseconds)),
    `${formatCount(m.throughput.median)}/s`,
    i === 0 ? '' : style.bold(formatRatio(m.speedup.median)),
    i === 0 ? '' : style.dim(spread(m.speedup, formatRatio)),
  ])
  const table = renderTable(
    [
      { title: 'model', fit: 'name' },
      { title: 'per run', align: 'right' },
      { title: 'quartiles', spare: 3 },
      { title: 'items', align: 'right', spare: 1 },
      { title: 'speed', align: 'right' },
      { title: 'quartiles', spare: 2 },
    ],
    rows,
    style,
  )
  const [first] = measurements
  if (first === undefined) return table
  const where = `${describePlace(first)}, median of ${first.repeats.length} interleaved repeats`
  return `${table}\n${style.dim(`${where}. ${describeNoise(first)}`.trimEnd())}`
}

/** One line on what became of the multiplications saved: how many fewer, how much faster, which share turned into time. */
export const renderYield = ({ before, after }: CompileReport, measurements: ReadonlyArray<Measurement>): string => {
  const speedup = measurements.at(-1)?.speedup.median
  if (speedup === undefined || after.macs === 0) return ''
  const fewer = `${formatRatio(before.macs / after.macs)} fewer multiplications, ${formatRatio(speedup)} as fast`
  const share = timeShare(before.macs, after.macs, speedup)
  return share === undefined ? `${fewer}.` : `${fewer}: ${formatPercent(share)} of the saving turned into time.`
}

/** (1 - 1/speedup) / (1 - after/before): 1 when running time falls as far as multiplications; undefined where none fell. */
export const timeShare = (before: number, after: number, speedup: number): number | undefined =>
  after < before ? (1 - 1 / speedup) / (1 - after / before) : undefined
