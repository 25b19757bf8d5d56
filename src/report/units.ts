/** Numbers as people read them. Decimal prefixes throughout; three significant digits. */

const prefixes = ['', 'k', 'M', 'G', 'T', 'P']

/** `25.6 M`; whole numbers below a thousand as they are. */
export const formatCount = (value: number, unit = ''): string => {
  if (!Number.isFinite(value)) return String(value)
  let scaled = value
  let at = 0
  while (Math.abs(scaled) >= 999.5 && at < prefixes.length - 1) {
    scaled /= 1000
    at += 1
  }
  const digits = at === 0 && Number.isInteger(value) ? String(value) : significant(scaled)
  return `${digits} ${prefixes[at] ?? ''}${unit}`.trim()
}

export const formatBytes = (bytes: number): string => formatCount(bytes, 'B')

/** Three significant digits without an exponent. */
const significant = (value: number): string => {
  const magnitude = Math.abs(value)
  if (magnitude >= 99.95) return value.toFixed(0)
  if (magnitude >= 9.995) return value.toFixed(1)
  return magnitude >= 0.9995 || magnitude === 0 ? value.toFixed(2) : String(Number(value.toPrecision(3)))
}

/** `4.12 G → 2.02 G`, or one number when nothing changed. */
export const formatChange = (before: string, after: string): string =>
  before === after ? before : `${before} → ${after}`

/** `-51 %`, `0 %`, `+3 %`: what became of `before`. */
export const formatRelativeChange = (before: number, after: number): string => {
  if (before === 0) return after === 0 ? '0 %' : 'new'
  const percent = (100 * (after - before)) / before
  const digits = Math.abs(percent) < 9.95 && percent !== 0 ? 1 : 0
  const text = percent.toFixed(digits)
  return `${percent > 0 ? '+' : ''}${Number(text) === 0 ? '0' : text} %`
}

/** `85 %` of a fraction between 0 and 1. */
export const formatPercent = (fraction: number): string => `${Number((100 * fraction).toPrecision(3))} %`

/** `1.37x`. */
export const formatRatio = (ratio: number): string => `${significant(ratio)}x`

export const formatMilliseconds = (ms: number): string =>
  ms >= 999.5 ? `${significant(ms / 1000)} s` : `${significant(ms)} ms`

/** A difference between numbers: `3.1e-7`, `0`. */
export const formatError = (value: number): string => (value === 0 ? '0' : value.toExponential(1))

/** `0.1956`, `1.02e-5`: a number of no unit, three or four digits. */
export const formatNumber = (value: number): string =>
  value !== 0 && Math.abs(value) < 0.001
    ? value.toExponential(2).replace(/\.?0+e/, 'e')
    : String(Number(value.toPrecision(4)))

/** `3 layers`, `1 layer`. */
export const plural = (count: number, noun: string, several = `${noun}s`): string =>
  `${count} ${count === 1 ? noun : several}`

/** `45 s`, `3 min 20 s`, `2 h 5 min`. */
export const formatSeconds = (seconds: number): string => {
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}

/** `91.25 %`: accuracies differ by hundredths. */
export const formatAccuracy = (fraction: number): string => `${(100 * fraction).toFixed(2)} %`

/** A value of a recipe as people write it. */
export const formatValue = (value: unknown): string => {
  if (typeof value === 'number') return String(Number(value.toPrecision(4)))
  if (Array.isArray(value)) return `[${value.map(formatValue).join(', ')}]`
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (value === null) return 'none'
  if (typeof value !== 'object') return String(value)
  return `{${Object.entries(value)
    .map(([key, inner]) => `${key}: ${formatValue(inner)}`)
    .join(', ')}}`
}
