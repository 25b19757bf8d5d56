/** Where sparse training stands, as plain readonly data, and where it starts. */
import * as E from 'fp-ts/lib/Either.js'
import { apportion } from './apportion.ts'
import { networkProblem } from './check-network.ts'
import { policyProblem, scalesProblem } from './check-policy.ts'
import { code, grownCode } from './codes.ts'
import { densitiesOf } from './distribution.ts'
import type { SparseError } from './error.ts'
import { fanInOf, rowsOf } from './fan-in.ts'
import { type Layer, type Network, sizeOfLayer } from './network.ts'
import { networkUnder, type Policy } from './policy.ts'
import { type Draws, drawsFrom, type RandomState, seededRandom } from '../../ir/random.ts'
import { selectAtRandom } from './sample.ts'

/** Nothing in a state is written to after it was made; states share what an update did not change. */
export interface State {
  readonly policy: Policy
  /** The network as training began. Densities, floors and channel scores go by its sizes. */
  readonly origin: Network
  /** The network as it is now: smaller once removed channels have been dropped. */
  readonly network: Network
  /** Per layer one byte per weight, row-major: 1 kept, 0 masked. */
  readonly masks: ReadonlyArray<Uint8Array>
  /** Per stream one byte per channel of `network`: 1 removed. */
  readonly removed: ReadonlyArray<Uint8Array>
  /** Per stream one byte per channel of `network`: 1 marked to go, by policies that choose channels before they remove them. */
  readonly marked: ReadonlyArray<Uint8Array>
  /** Per layer the number that what a soft threshold leaves of it is multiplied by; 1 until it is found. */
  readonly scales: Float32Array
  /** Per stream the channel of `origin` that each channel of `network` is. */
  readonly channels: ReadonlyArray<Uint32Array>
  readonly random: RandomState
  /** How many updates there have been. */
  readonly updates: number
}

/** All weights of the dense network that count towards densities. */
export const totalWeights = ({ origin }: Pick<State, 'origin'>): number =>
  origin.layers.reduce((n, layer) => n + (layer.exempt === true ? 0 : sizeOfLayer(layer)), 0)

/** Masks to start training with. The same seed gives the same masks on every machine. */
export const init = (whole: Network, policy: Policy, seed: number): E.Either<SparseError, State> => {
  const network = networkUnder(policy, whole)
  const counted = network.layers.filter((layer) => layer.exempt !== true)
  const problem = networkProblem(network) ?? policyProblem(policy, counted.length) ?? scalesProblem(policy, network)
  if (problem !== undefined) return E.left(problem)
  const densities = densitiesOf(policy.distribution, counted, policy.density)
  const draws = drawsFrom(seededRandom(seed))
  const made = startMasks(policy.start, counted, densities, draws)
  const masks = new Map(counted.map((layer, l) => [layer.name, made[l]]))
  return E.right({
    policy,
    origin: network,
    network,
    masks: network.layers.map((layer) => masks.get(layer.name) ?? new Uint8Array(sizeOfLayer(layer)).fill(1)),
    removed: network.streams.map((stream) => new Uint8Array(stream.channels)),
    marked: network.streams.map((stream) => new Uint8Array(stream.channels)),
    scales: new Float32Array(network.layers.length).fill(1),
    channels: network.streams.map((stream) => Uint32Array.from({ length: stream.channels }, (_, c) => c)),
    random: draws.state(),
    updates: 0,
  })
}

const startMasks = (
  start: Policy['start'],
  layers: ReadonlyArray<Layer>,
  densities: ReadonlyArray<number>,
  draws: Draws,
): ReadonlyArray<Uint8Array> => {
  const sizes = layers.map(sizeOfLayer)
  switch (start) {
    case 'bernoulli':
      return sizes.map((size, l) => bernoulliMask(size, densities[l] ?? 0, draws))
    case 'fan-in':
      return layers.map((layer, l) => fanInMask(layer, densities[l] ?? 0, draws))
    case 'exact':
      return exactCounts(sizes, densities).map((count, l) => exactMask(sizes[l] ?? 0, count, draws))
  }
}

/** Whole numbers of weights for densities, their sum rounded once. */
const exactCounts = (sizes: ReadonlyArray<number>, densities: ReadonlyArray<number>): ReadonlyArray<number> => {
  const shares = sizes.map((size, l) => size * (densities[l] ?? 0))
  const total = shares.reduce((n, share) => n + share, 0)
  return apportion(
    total,
    shares,
    sizes.map(() => 0),
    sizes,
  )
}

const exactMask = (size: number, count: number, draws: Draws): Uint8Array => {
  if (count === size) return new Uint8Array(size).fill(1)
  const codes = new Uint8Array(size).fill(code.inactive)
  selectAtRandom([codes], code.inactive, count, grownCode('restarts'), draws)
  for (let i = 0; i < size; i++) codes[i] = codes[i] === code.grown ? 1 : 0
  return codes
}

const fanInMask = (layer: Layer, density: number, draws: Draws): Uint8Array => {
  const mask = new Uint8Array(sizeOfLayer(layer))
  const rows = rowsOf(layer)
  for (const row of rows) {
    const kept = exactMask(row.length, Math.min(row.length, fanInOf(layer, density, rows.length)), draws)
    for (const [j, i] of row.entries()) mask[i] = kept[j] ?? 0
  }
  return mask
}

const bernoulliMask = (size: number, density: number, draws: Draws): Uint8Array => {
  const mask = new Uint8Array(size)
  for (let i = 0; i < size; i++) mask[i] = draws.next() < density ? 1 : 0
  return mask
}
