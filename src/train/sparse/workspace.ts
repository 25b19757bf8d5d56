/** What an update works on: copies of its own, written in place until it is done. */
import { code, codesOf, countCodes, fillAxes } from './codes.ts'
import { type Layer, markAxes, membersOf, sizeOfLayer, visitChannels } from './network.ts'
import { type Draws, drawsFrom } from '../../ir/random.ts'
import { type State, totalWeights } from './state.ts'

/** The weights and gradients of every layer, in the order and the shapes of the state's network. Never written to. */
export interface Sample {
  readonly weights: ReadonlyArray<Float32Array>
  /** Of the loss by every weight, masked ones included; only looked at where `needs` says so. */
  readonly gradients?: ReadonlyArray<Float32Array>
  /** The Hessian of the loss times its gradient, both by the weights that are not exempt; only looked at where `needs` says so. */
  readonly curvature?: ReadonlyArray<Float32Array>
  /** What is trained in the place of weights, where the policy has scores. */
  readonly scores?: ReadonlyArray<Float32Array>
  /**
   * Per stream one byte per channel: 0 where everything that reads the channel has seen it 0 for all images that were looked at;
   * only looked at where `imagesLookedAt` says so.
   */
  readonly active?: ReadonlyArray<Uint8Array>
  /** The weights as the step found them; only looked at where `needsBefore` says so. */
  readonly before?: ReadonlyArray<Float32Array>
  /** The learning rate of the step, for methods that go by it. */
  readonly rate?: number
}

export interface WorkLayer {
  readonly layer: Layer
  /** Those of the sample, until a move writes to them: see {@link rewritten}. */
  weights: Float32Array
  readonly gradients: Float32Array
  /** As the step found them. */
  readonly before: Float32Array
  readonly curvature: Float32Array
  readonly scores: Float32Array
  readonly codes: Uint8Array
  /** How many weights are kept, and how many there are in surviving channels. */
  live: number
  capacity: number
  /** Whether the weights are this update's own. */
  isRewritten: boolean
}

/** The weights of a layer, to be written to: what the training loop is to give it. */
export const rewritten = (layer: WorkLayer): Float32Array => {
  if (!layer.isRewritten) layer.weights = layer.weights.slice()
  layer.isRewritten = true
  return layer.weights
}

/** Calls `visit` with every run of neighbouring weights of what makes a channel of the stream, to be written to. */
export const rewriteChannels = (
  { all, state }: Work,
  s: number,
  visit: (weights: Float32Array, from: number, to: number, channel: number, layer: WorkLayer) => void,
): void => {
  const stream = state.network.streams[s]
  if (stream === undefined) return
  const byName = new Map(all.map((layer) => [layer.layer.name, layer]))
  for (const slot of membersOf(stream, (name) => byName.get(name)?.layer)) {
    const layer = byName.get(slot.layer)
    if (layer === undefined) continue
    const weights = rewritten(layer)
    visitChannels(layer.layer, slot, stream.channels, (c, from, to) => visit(weights, from, to, c, layer))
  }
}

export interface Work {
  readonly state: State
  readonly step: number
  /** The learning rate of the step. */
  readonly rate: number
  /** Every layer, exempt ones included, and those that count. */
  readonly all: ReadonlyArray<WorkLayer>
  readonly layers: ReadonlyArray<WorkLayer>
  /** Per stream, as in the state. */
  readonly removed: ReadonlyArray<Uint8Array>
  readonly marked: ReadonlyArray<Uint8Array>
  /** As in the sample. */
  readonly active: ReadonlyArray<Uint8Array>
  /** Per layer of `all`, as in the state. */
  scales: Float32Array
  readonly draws: Draws
  /** All weights of the dense network that count. */
  readonly total: number
  /** How many weights the last prune took from each of `layers`. */
  pruned: ReadonlyArray<number>
  /** How many weights the last prune, grow or regrow was to leave; undefined before the first. */
  target: number | undefined
  /** What came of removing channels, if any were due. */
  removal: Removal | undefined
}

export interface Removal {
  /** How many channels had to go, and how many of these could not because every stream was at its floor. */
  readonly wanted: number
  readonly missing: number
  /** The streams that their floor held back. */
  readonly saturated: ReadonlyArray<string>
}

const nothing = new Float32Array(0)

export const openWork = (state: State, sample: Sample, step: number): Work => {
  const { network, masks } = state
  const gone = markAxes(network, state.removed)
  const all = network.layers.map((layer, l): WorkLayer => {
    const mask = masks[l] ?? new Uint8Array(sizeOfLayer(layer))
    const codes = codesOf(mask)
    const marks = gone[l] ?? []
    fillAxes(codes, layer, marks, code.gone)
    const weights = sample.weights[l] ?? nothing
    const gradients = sample.gradients?.[l] ?? nothing
    const curvature = sample.curvature?.[l] ?? nothing
    const scores = sample.scores?.[l] ?? nothing
    return {
      layer,
      weights,
      gradients,
      before: sample.before?.[l] ?? nothing,
      curvature,
      scores,
      codes,
      live: countCodes(codes, code.active),
      capacity: capacityOf(layer, marks),
      isRewritten: false,
    }
  })
  return {
    state,
    step,
    rate: sample.rate ?? 0,
    all,
    layers: all.filter(({ layer }) => layer.exempt !== true),
    removed: state.removed.map((marks) => marks.slice()),
    marked: state.marked.map((marks) => marks.slice()),
    active: sample.active ?? [],
    scales: state.scales,
    draws: drawsFrom(state.random),
    total: totalWeights(state),
    pruned: [],
    target: undefined,
    removal: undefined,
  }
}

const capacityOf = (layer: Layer, gone: ReadonlyArray<Uint8Array | undefined>): number =>
  layer.shape.reduce((n, d, axis) => n * (d - (gone[axis]?.reduce((sum, mark) => sum + mark, 0) ?? 0)), 1)

export const liveOf = (layers: ReadonlyArray<WorkLayer>): number => layers.reduce((n, layer) => n + layer.live, 0)

export const capacitiesOf = (layers: ReadonlyArray<WorkLayer>): ReadonlyArray<number> =>
  layers.map((layer) => layer.capacity)
