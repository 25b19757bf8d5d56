/** What measured speeds say, in words. */
import type { Measurement } from '../run/measure.ts'
import { describeSizes } from './totals.ts'
import { formatRatio } from './units.ts'

/** Whether the quartiles of a ratio leave open which of the two is faster. */
export const isNoise = ({ q1, q3 }: Measurement['speedup']): boolean => q1 <= 1 && q3 >= 1

/**
 * What a measurement says of the first: faster or slower where the quartiles of the ratio leave no doubt and it is more than what the
 * first one differs from itself by, else neither.
 */
export const speedSentence = ({ name, speedup }: Measurement, reference: Measurement): string => {
  const range = `${formatRatio(speedup.q1)} to ${formatRatio(speedup.q3)}`
  const { q1 = 1, q3 = 1 } = reference.noise ?? {}
  if (speedup.q1 > 1 && speedup.median > q3)
    return `${name} runs ${formatRatio(speedup.median)} as fast as ${reference.name} (quartiles ${range}).`
  if (speedup.q3 < 1 && speedup.median < q1)
    return `${name} runs slower than ${reference.name}: ${formatRatio(speedup.median)} (quartiles ${range}).`
  return `${name} runs neither faster nor slower than ${reference.name} beyond the noise: ${formatRatio(speedup.median)} (quartiles ${range}).`
}

/** How far the first model was from itself; empty where there was nothing to compare. */
export const describeNoise = ({ noise }: Measurement): string =>
  noise === undefined
    ? ''
    : `Against itself the first was ${formatRatio(noise.q1)} to ${formatRatio(noise.q3)} as fast.`

/** Names of a dimension that says no more than how large a batch is. */
const batchNames = /^(n|b|batch|batch_size)$/i

/** Where and on what it was measured: `onnxruntime-node 1.30.0 on cpu, batch 32, T = 16`. */
export const describePlace = ({ runtime, provider, batch, sizes }: Measurement): string => {
  const others = Object.entries(sizes).filter(([name, size]) => size !== batch || !batchNames.test(name))
  const rest = describeSizes(Object.fromEntries(others))
  return `${runtime} on ${provider}, batch ${batch}${rest === '' ? '' : `, ${rest}`}`
}
