/** What layers read on a calibration set: sums over each input channel, and the file they are kept in. Pure. */
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, failure } from '../ir/failure.ts'
import type { ValueId } from '../ir/op.ts'
import { elements, int64s, type Tensor, tensorOf } from '../ir/tensor.ts'
import { decodeSafetensors, encodeSafetensors, looksLikeSafetensors } from './safetensors.ts'
import type { TensorFileError } from './file-entry.ts'
import type { Layer } from './weights.ts'

/** Of each input channel of a layer, over all positions (samples, tokens, pixels; padding is none) that were seen of it. */
export interface ChannelStatistics {
  /** Positions. */
  readonly count: number
  /** E[x] */
  readonly mean: Float64Array
  /** E[(x - E[x])²] */
  readonly variance: Float64Array
}

/** Activation statistics of a model, by the name of the weight that the activations are multiplied with. */
export interface Statistics {
  /** Samples of the calibration set: indices along the batch axis. */
  readonly samples: number
  readonly layers: ReadonlyMap<ValueId, ChannelStatistics>
}

export type StatisticsError = Failure<'StatisticsError'>

export const statisticsError = (subject: string, expected: string, found: string, help: string): StatisticsError =>
  failure('StatisticsError', subject, expected, found, help)

/**
 * The statistics of two disjoint sets of positions together, without the cancellation of E[x²] - E[x]²: with n = a + b and
 * d = mean_b - mean_a, mean = mean_a + d · b / n and n · variance = a · var_a + b · var_b + d² · a · b / n (Chan, Golub and LeVeque 1979).
 */
export const mergeStatistics = (a: ChannelStatistics, b: ChannelStatistics): ChannelStatistics => {
  if (a.count === 0) return b
  if (b.count === 0) return a
  const count = a.count + b.count
  const [shareA, shareB] = [a.count / count, b.count / count]
  const mean = a.mean.map((m, c) => m + ((b.mean[c] ?? 0) - m) * shareB)
  const variance = a.variance.map((v, c) => {
    const apart = (b.mean[c] ?? 0) - (a.mean[c] ?? 0)
    return v * shareA + (b.variance[c] ?? 0) * shareB + apart * apart * shareA * shareB
  })
  return { count, mean, variance }
}

/** √(E[x²]) of each channel: ‖x‖₂ / √count. A sum of positive terms, so nothing cancels. */
export const rootMeanSquares = ({ mean, variance }: ChannelStatistics): Float64Array =>
  variance.map((v, c) => Math.sqrt(v + (mean[c] ?? 0) ** 2))

/** The statistics of what a layer reads, or why there are none that fit it. */
export const statisticsOf = (
  { layers }: Statistics,
  { weight, inputs }: Pick<Layer, 'weight' | 'inputs'>,
): E.Either<StatisticsError, ChannelStatistics> => {
  const help = 'They are of another model: calibrate this one.'
  const found = layers.get(weight)
  if (found === undefined) return E.left(statisticsError(`weight ${weight}`, 'statistics of its input', 'none', help))
  const { length } = found.mean
  if (length === inputs) return E.right(found)
  return E.left(statisticsError(`weight ${weight}`, `statistics of ${inputs} input channels`, `${length}`, help))
}

const format = 'chasec activation statistics 1'

/** The tensors of a layer in a file: the sums that pruning takes, `Σ x²` for others who read it. */
const parts = ['mean', 'variance', 'squares', 'count'] as const

/**
 * Statistics as a safetensors file: of each weight `NAME.mean`, `NAME.variance` and `NAME.squares` (Σ x²), float64 of one
 * element for each input channel, and `NAME.count`, the positions. Pieces to be written one after the other.
 */
export const encodeStatistics = ({ samples, layers }: Statistics): ReadonlyArray<Uint8Array> => {
  const tensors = new Map<string, Tensor>()
  for (const [weight, { count, mean, variance }] of layers) {
    const shape = [mean.length]
    const squares = variance.map((v, c) => count * (v + (mean[c] ?? 0) ** 2))
    tensors.set(`${weight}.mean`, tensorOf('float64', shape, mean))
    tensors.set(`${weight}.variance`, tensorOf('float64', shape, variance))
    tensors.set(`${weight}.squares`, tensorOf('float64', shape, squares))
    tensors.set(`${weight}.count`, int64s([count], []))
  }
  const metadata = new Map([
    ['format', format],
    ['samples', `${samples}`],
  ])
  return encodeSafetensors(tensors, metadata)
}

/** Whether bytes begin like a file that {@link encodeStatistics} may have written. */
export const looksLikeStatistics = looksLikeSafetensors

/** The statistics that {@link encodeStatistics} wrote. */
export const decodeStatistics = (bytes: Uint8Array): E.Either<TensorFileError | StatisticsError, Statistics> => {
  const file = decodeSafetensors(bytes)
  if (E.isLeft(file)) return file
  const { tensors, metadata } = file.right
  const bad = (subject: string, expected: string, found: string): E.Either<StatisticsError, never> =>
    E.left(statisticsError(subject, expected, found, 'Make the file anew with chasec prune --calibrate --statistics.'))
  const kind = metadata.get('format')
  if (kind !== format) return bad('file of statistics', `the format ${format}`, kind ?? 'a file that names none')
  const samples = Number(metadata.get('samples'))
  if (!(Number.isSafeInteger(samples) && samples > 0)) return bad('samples', 'a count', `${metadata.get('samples')}`)
  const layers = new Map<ValueId, ChannelStatistics>()
  for (const name of tensors.keys()) {
    const part = parts.find((one) => name.endsWith(`.${one}`))
    if (part === undefined) return bad(`tensor ${name}`, `a name that ends with one of ${parts.join(', ')}`, name)
    const weight = name.slice(0, -part.length - 1)
    if (layers.has(weight)) continue
    const [mean, variance, squares] = ['mean', 'variance', 'squares'].map((one) => {
      const tensor = tensors.get(`${weight}.${one}`)
      return tensor?.dtype === 'float64' && tensor.shape.length === 1 ? floats(tensor) : undefined
    })
    const counts = tensors.get(`${weight}.count`)
    const count = counts?.dtype === 'int64' && counts.shape.length === 0 ? Number(elements(counts)[0]) : NaN
    if (!(Number.isSafeInteger(count) && count > 0)) return bad(`${weight}.count`, 'a count as int64', `${count}`)
    if (mean === undefined || variance === undefined || squares === undefined)
      return bad(`weight ${weight}`, 'mean, variance and squares as float64 vectors', 'other tensors')
    if (variance.length !== mean.length || squares.length !== mean.length)
      return bad(
        `weight ${weight}`,
        'as many variances and squares as means',
        `${mean.length}, ${variance.length}, ${squares.length}`,
      )
    if (!mean.every(Number.isFinite) || ![...variance, ...squares].every((v) => v >= 0 && Number.isFinite(v)))
      return bad(`weight ${weight}`, 'finite numbers, variances and squares of 0 or more', 'others')
    layers.set(weight, { count, mean, variance })
  }
  return E.right({ samples, layers })
}

const floats = (tensor: Tensor): Float64Array => Float64Array.from(elements(tensor), Number)
