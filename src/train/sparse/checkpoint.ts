/** A state as named typed arrays, and back. */
import * as E from 'fp-ts/lib/Either.js'
import { networkProblem } from './check-network.ts'
import { policyProblem } from './check-policy.ts'
import { type SparseError, sparseError } from './error.ts'
import { type Network, sizeOfLayer } from './network.ts'
import { networkUnder, type Policy } from './policy.ts'
import { slim } from './slim.ts'
import type { State } from './state.ts'

/** Arrays by name, as any tensor file holds them: `mask/LAYER`, `removed/STREAM`, `channels/STREAM`, `marked/STREAM`
 * where a channel is marked, `random`, `updates`, and `scales`, the bits of float32, under policies with a soft threshold. */
export type StateArrays = ReadonlyMap<string, Uint8Array | Uint32Array>

/** All of a state that the policy and the original network do not say. The arrays are the state's own: not to be written to. */
export const toArrays = (state: State): StateArrays => {
  const out = new Map<string, Uint8Array | Uint32Array>()
  const none = new Uint8Array(0)
  for (const [l, layer] of state.network.layers.entries()) out.set(`mask/${layer.name}`, state.masks[l] ?? none)
  for (const [s, stream] of state.network.streams.entries()) {
    out.set(`removed/${stream.name}`, state.removed[s] ?? none)
    out.set(`channels/${stream.name}`, state.channels[s] ?? none)
    if (state.marked[s]?.includes(1) === true) out.set(`marked/${stream.name}`, state.marked[s])
  }
  out.set('random', state.random)
  out.set('updates', Uint32Array.of(state.updates))
  if (hasScales(state.policy)) out.set('scales', new Uint32Array(state.scales.slice().buffer))
  return out
}

const hasScales = ({ masked }: Policy): boolean => masked !== 'zeroed' && masked.kind === 'soft threshold'

/**
 * The state that `toArrays` gave for a training run of this network (as it was at the start) under this policy: goes on exactly as
 * that one. Fails where an array is missing or does not fit.
 */
export const fromArrays = (whole: Network, policy: Policy, arrays: StateArrays): E.Either<SparseError, State> => {
  const network = networkUnder(policy, whole)
  const counted = network.layers.filter((layer) => layer.exempt !== true)
  const problem = networkProblem(network) ?? policyProblem(policy, counted.length)
  if (problem !== undefined) return E.left(problem)
  const channels: Uint32Array[] = []
  for (const stream of network.streams) {
    const found = arrays.get(`channels/${stream.name}`)
    const good =
      found instanceof Uint32Array && found.every((c, i) => c < stream.channels && (i === 0 || c > (found[i - 1] ?? 0)))
    if (!good)
      return E.left(misfit(`channels/${stream.name}`, `channel numbers below ${stream.channels}, ascending`, found))
    channels.push(found)
  }
  const random = arrays.get('random')
  if (!(random instanceof Uint32Array) || random.length !== 4)
    return E.left(misfit('random', 'four 32-bit words', random))
  const updates = arrays.get('updates')?.[0]
  if (updates === undefined) return E.left(misfit('updates', 'one number', undefined))
  const scales = scalesIn(arrays, policy, network)
  if (E.isLeft(scales)) return scales
  return withMasks({ ...shrunk(network, policy, channels), scales: scales.right, random, updates }, arrays)
}

const scalesIn = (arrays: StateArrays, policy: Policy, { layers }: Network): E.Either<SparseError, Float32Array> => {
  if (!hasScales(policy)) return E.right(new Float32Array(layers.length).fill(1))
  const found = arrays.get('scales')
  const scales = found instanceof Uint32Array ? new Float32Array(found.slice().buffer) : undefined
  return scales?.length === layers.length && scales.every(Number.isFinite)
    ? E.right(scales)
    : E.left(misfit('scales', `${layers.length} finite numbers`, found))
}

/** The state of a network from which all but the given channels were dropped, its masks yet to come. */
const shrunk = (network: Network, policy: Policy, channels: ReadonlyArray<Uint32Array>): State => {
  const whole: State = {
    policy,
    origin: network,
    network,
    masks: network.layers.map((layer) => new Uint8Array(sizeOfLayer(layer))),
    removed: network.streams.map((stream, s) => {
      const marks = new Uint8Array(stream.channels).fill(1)
      for (const c of channels[s] ?? []) marks[c] = 0
      return marks
    }),
    marked: network.streams.map((stream) => new Uint8Array(stream.channels)),
    scales: new Float32Array(network.layers.length).fill(1),
    channels: network.streams.map((stream) => Uint32Array.from({ length: stream.channels }, (_, c) => c)),
    random: new Uint32Array(4),
    updates: 0,
  }
  return slim(whole).state
}

const withMasks = (state: State, arrays: StateArrays): E.Either<SparseError, State> => {
  const masks: Uint8Array[] = []
  for (const layer of state.network.layers) {
    const mask = bytes(arrays, `mask/${layer.name}`, sizeOfLayer(layer))
    if (E.isLeft(mask)) return mask
    masks.push(mask.right)
  }
  const removed: Uint8Array[] = []
  const marked: Uint8Array[] = []
  for (const { name, channels } of state.network.streams) {
    const gone = bytes(arrays, `removed/${name}`, channels)
    if (E.isLeft(gone)) return gone
    removed.push(gone.right)
    const going = arrays.has(`marked/${name}`)
      ? bytes(arrays, `marked/${name}`, channels)
      : E.right(new Uint8Array(channels))
    if (E.isLeft(going)) return going
    marked.push(going.right)
  }
  return E.right({ ...state, masks, removed, marked })
}

const bytes = (arrays: StateArrays, name: string, length: number): E.Either<SparseError, Uint8Array> => {
  const found = arrays.get(name)
  const good = found instanceof Uint8Array && found.length === length && found.every((bit) => bit <= 1)
  return good ? E.right(found) : E.left(misfit(name, `${length} bytes, each 0 or 1`, found))
}

const misfit = (name: string, expected: string, found: Uint8Array | Uint32Array | undefined): SparseError =>
  sparseError(
    name,
    expected,
    found === undefined ? 'none' : `${found.length} numbers`,
    'The checkpoint is of another network or policy, or damaged: resume with the recipe it was made with.',
  )
