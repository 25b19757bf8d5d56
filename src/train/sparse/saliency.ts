/** What channels are worth by all that belongs to them and by its gradient. */
import { isKept } from './codes.ts'
import { type Layer, membersOf, scalesOf, type Slot, sizeOfLayer, type Stream, visitChannels } from './network.ts'
import type { Work, WorkLayer } from './workspace.ts'

/**
 * - `scale`: |γ|, the mean where several scale a channel.
 * - `hesso`: equal parts of norm, norm by the number of weights, cosine with the gradient, and Taylor terms of both orders.
 * - `dhspg`: equal parts of what tells against it: cosine with the direction that the step took, away from 0, and the reciprocal of
 *   the norm by the number of weights.
 * - `rms`: root mean square.
 */
export type ChannelCriterion = 'hesso' | 'dhspg' | 'rms' | 'scale'

/** Sums over what belongs to each channel: w², w·g, g², of values w and what they are set beside, g. */
export interface Sums {
  readonly squares: Float64Array
  readonly products: Float64Array
  readonly others: Float64Array
  /** How many weights a channel had as training began. */
  readonly size: number
}

/** Where a denominator may be 0. */
const tiny = 1e-8

/** The values of a layer, and what they are set beside: as many numbers, or none. */
type Beside = (layer: WorkLayer) => readonly [values: Float32Array, others: Float32Array | Float64Array]

const gradients: Beside = (layer) => [layer.weights, layer.gradients]

/** The weights from before the step, beside the direction that it took: (before - after) / rate, 0 where the rate is. */
export const directions =
  ({ rate }: Work): Beside =>
  ({ before, weights }) => {
    const out = new Float64Array(before.length)
    if (rate > 0) for (let i = 0; i < out.length; i++) out[i] = ((before[i] ?? 0) - (weights[i] ?? 0)) / rate
    return [before, out]
  }

/** A finite number for each channel of each stream in scope; higher is worth more. */
export const saliencies = (
  work: Work,
  scope: ReadonlyArray<number>,
  by: ChannelCriterion,
): ReadonlyArray<Float64Array> => {
  if (by === 'scale') return scope.map((s) => meanScales(work, work.state.network.streams[s]))
  const sums = channelSums(work, scope, by === 'dhspg' ? directions(work) : gradients)
  const alive = scope.map((s) => work.removed[s]?.map((mark, c) => 1 - (mark | (work.marked[s]?.[c] ?? 0))))
  const parts = partsOf[by].map((part) => {
    const values = sums.map((of) => of.squares.map((_, c) => finite(part(of, c))))
    let square = tiny
    for (const [g, list] of values.entries()) {
      for (const [c, value] of list.entries()) if (alive[g]?.[c] === 1) square += value * value
    }
    const norm = Math.sqrt(square) + tiny
    return values.map((list) => list.map((value) => value / norm))
  })
  return sums.map(({ squares }, g) =>
    squares.map((_, c) => parts.reduce((sum, values) => sum + (values[g]?.[c] ?? 0) / parts.length, 0)),
  )
}

const finite = (x: number): number => (Number.isFinite(x) ? x : 0)

const cosine = ({ squares, products, others }: Sums, c: number): number =>
  (products[c] ?? 0) / (Math.sqrt(squares[c] ?? 0) + tiny) / (Math.sqrt(others[c] ?? 0) + tiny)

/** The parts of a score, of equal weight, each of them yet to be divided by its norm over all channels. */
const partsOf: Readonly<Record<Exclude<ChannelCriterion, 'scale'>, ReadonlyArray<(sums: Sums, c: number) => number>>> =
  {
    hesso: [
      ({ squares }, c) => Math.sqrt(squares[c] ?? 0),
      ({ squares, size }, c) => Math.sqrt(squares[c] ?? 0) / (size + 1e-6),
      (sums, c) => cosine(sums, c) + 1,
      ({ products }, c) => Math.abs(products[c] ?? 0),
      ({ products }, c) => 0.5 * (products[c] ?? 0) ** 2,
    ],
    dhspg: [(sums, c) => -cosine(sums, c), ({ squares, size }, c) => -1 / (Math.sqrt(squares[c] ?? 0) / size + 1e-6)],
    rms: [({ squares, size }, c) => Math.sqrt((squares[c] ?? 0) / size)],
  }

const meanScales = (work: Work, stream: Stream | undefined): Float64Array => {
  const out = new Float64Array(stream?.channels ?? 0)
  const slots = scalesOf(stream, work.state.network)
  for (const { layer: name, offset = 0, span = 1 } of slots) {
    const gamma = work.all.find(({ layer }) => layer.name === name)?.weights
    for (let i = 0; i < out.length * span; i++) {
      const c = Math.floor(i / span)
      out[c] = (out[c] ?? 0) + finite(Math.abs(gamma?.[offset + i] ?? 0)) / (span * slots.length)
    }
  }
  return out
}

/** Sums for each channel of each stream in scope; weights beside their gradients, if there are any, unless `beside` says otherwise. */
export const channelSums = (
  work: Work,
  scope: ReadonlyArray<number>,
  beside: Beside = gradients,
): ReadonlyArray<Sums> => {
  const { network, origin } = work.state
  const layers = new Map(work.all.map((layer) => [layer.layer.name, layer]))
  const shapes = new Map(origin.layers.map((layer) => [layer.name, layer]))
  return scope.map((s) => sumsOf(network.streams[s], layers, shapes, beside))
}

const sumsOf = (
  stream: Stream | undefined,
  layers: ReadonlyMap<string, WorkLayer>,
  origin: ReadonlyMap<string, Layer>,
  beside: Beside,
): Sums => {
  const none = (): Float64Array => new Float64Array(stream?.channels ?? 0)
  const sums = { squares: none(), products: none(), others: none() }
  let size = 0
  for (const slot of stream === undefined ? [] : membersOf(stream, (name) => origin.get(name))) {
    const [layer, original] = [layers.get(slot.layer), origin.get(slot.layer)]
    if (layer === undefined || original === undefined) continue
    addSlot(sums, layer, slot, beside)
    size += (sizeOfLayer(original) / (original.shape[slot.axis] ?? 1)) * (slot.span ?? 1)
  }
  return { ...sums, size }
}

const addSlot = (sums: Omit<Sums, 'size'>, layer: WorkLayer, slot: Slot, beside: Beside): void => {
  const [values, set] = beside(layer)
  visitChannels(layer.layer, slot, sums.squares.length, (c, from, to) => {
    let [squares, products, others] = [sums.squares[c] ?? 0, sums.products[c] ?? 0, sums.others[c] ?? 0]
    for (let i = from; i < to; i++) {
      if (isKept(layer.codes[i] ?? 0) === 0) continue
      const [w, g] = [values[i] ?? 0, set[i] ?? 0]
      squares += w * w
      products += w * g
      others += g * g
    }
    sums.squares[c] = squares
    sums.products[c] = products
    sums.others[c] = others
  })
}
