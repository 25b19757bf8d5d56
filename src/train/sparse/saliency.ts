/** What channels are worth by all that belongs to them and by its gradient. */
import { isKept } from './codes.ts'
import { type Layer, membersOf, scalesOf, type Slot, sizeOfLayer, type Stream } from './network.ts'
import type { Work, WorkLayer } from './workspace.ts'

/**
 * `scale`: |γ|, the mean where several scale a channel. `hesso`: equal parts of norm, norm by the number of weights, cosine with the gradient, and Taylor terms of
 * both orders.
 */
export type ChannelCriterion = 'hesso' | 'scale'

/** Sums over what belongs to each channel: w², w·g, g². */
interface Sums {
  readonly squares: Float64Array
  readonly products: Float64Array
  readonly gradients: Float64Array
  /** How many weights a channel had as training began. */
  readonly size: number
}

/** Where a denominator may be 0. */
const tiny = 1e-8

/** A finite number for each channel of each stream in scope; higher is worth more. */
export const saliencies = (
  work: Work,
  scope: ReadonlyArray<number>,
  by: ChannelCriterion,
): ReadonlyArray<Float64Array> => {
  const { network, origin } = work.state
  if (by === 'scale') return scope.map((s) => meanScales(work, network.streams[s]))
  const layers = new Map(work.all.map((layer) => [layer.layer.name, layer]))
  const shapes = new Map(origin.layers.map((layer) => [layer.name, layer]))
  const sums = scope.map((s) => sumsOf(network.streams[s], layers, shapes))
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

/** The parts of a score, of equal weight, each of them yet to be divided by its norm over all channels. */
const partsOf: Readonly<Record<'hesso', ReadonlyArray<(sums: Sums, c: number) => number>>> = {
  hesso: [
    ({ squares }, c) => Math.sqrt(squares[c] ?? 0),
    ({ squares, size }, c) => Math.sqrt(squares[c] ?? 0) / (size + 1e-6),
    ({ squares, products, gradients }, c) =>
      (products[c] ?? 0) / (Math.sqrt(squares[c] ?? 0) + tiny) / (Math.sqrt(gradients[c] ?? 0) + tiny) + 1,
    ({ products }, c) => Math.abs(products[c] ?? 0),
    ({ products }, c) => 0.5 * (products[c] ?? 0) ** 2,
  ],
}

const meanScales = (work: Work, stream: Stream | undefined): Float64Array => {
  const out = new Float64Array(stream?.channels ?? 0)
  const slots = stream === undefined ? [] : scalesOf(stream, work.state.network)
  for (const { layer: name, offset = 0, span = 1 } of slots) {
    const gamma = work.all.find(({ layer }) => layer.name === name)?.weights
    for (let i = 0; i < out.length * span; i++) {
      const c = Math.floor(i / span)
      out[c] = (out[c] ?? 0) + finite(Math.abs(gamma?.[offset + i] ?? 0)) / (span * slots.length)
    }
  }
  return out
}

const sumsOf = (
  stream: Stream | undefined,
  layers: ReadonlyMap<string, WorkLayer>,
  origin: ReadonlyMap<string, Layer>,
): Sums => {
  const none = (): Float64Array => new Float64Array(stream?.channels ?? 0)
  const sums = { squares: none(), products: none(), gradients: none() }
  let size = 0
  for (const slot of stream === undefined ? [] : membersOf(stream, (name) => origin.get(name))) {
    const [layer, original] = [layers.get(slot.layer), origin.get(slot.layer)]
    if (layer === undefined || original === undefined) continue
    addSlot(sums, layer, slot)
    size += (sizeOfLayer(original) / (original.shape[slot.axis] ?? 1)) * (slot.span ?? 1)
  }
  return { ...sums, size }
}

const addSlot = (sums: Omit<Sums, 'size'>, { layer, codes, weights, gradients }: WorkLayer, slot: Slot): void => {
  const { axis, offset = 0, span = 1 } = slot
  const inner = sizeOfLayer({ shape: layer.shape.slice(axis + 1) })
  const indices = layer.shape[axis] ?? 1
  for (let i = 0; i < codes.length; i++) {
    const c = Math.floor(((Math.floor(i / inner) % indices) - offset) / span)
    if (c < 0 || c >= sums.squares.length || isKept(codes[i] ?? 0) === 0) continue
    const [w, g] = [weights[i] ?? 0, gradients[i] ?? 0]
    sums.squares[c] = (sums.squares[c] ?? 0) + w * w
    sums.products[c] = (sums.products[c] ?? 0) + w * g
    sums.gradients[c] = (sums.gradients[c] ?? 0) + g * g
  }
}
