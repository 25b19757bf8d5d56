/** What measured speeds say, in words. */
import type { Measurement } from '../run/measure.ts'
import { formatRatio } from './units.ts'

/** Whether the quartiles of a ratio leave open which of the two is faster. */
export const isNoise = ({ q1, q3 }: Measurement['speedup']): boolean => q1 <= 1 && q3 >= 1

/** What a measurement says of the first: faster or slower where the quartiles of the ratio leave no doubt, else neither. */
export const speedSentence = ({ name, speedup }: Measurement, reference: Measurement): string => {
  const range = `${formatRatio(speedup.q1)} to ${formatRatio(speedup.q3)}`
  if (speedup.q1 > 1)
    return `${name} runs ${formatRatio(speedup.median)} as fast as ${reference.name} (quartiles ${range}).`
  if (speedup.q3 < 1)
    return `${name} runs slower than ${reference.name}: ${formatRatio(speedup.median)} (quartiles ${range}).`
  return `${name} runs neither faster nor slower than ${reference.name} beyond the noise: ${formatRatio(speedup.median)} (quartiles ${range}).`
}
