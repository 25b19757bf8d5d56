/** A stand-in for training: weights that wander, gradients that are noise, updates carried over as their events say. */
import { drawsFrom, seededRandom } from '../../../src/ir/random.ts'
import {
  type Event,
  imagesLookedAt,
  init,
  type Network,
  needs,
  needsBefore,
  type Policy,
  type Sample,
  type State,
  update,
} from '../../../src/train/sparse/index.ts'
import { right } from './networks.ts'

export interface Step {
  readonly before: State
  readonly after: State
  readonly event: Event
  /** What the update was given. */
  readonly sample: Sample
  readonly step: number
}

export interface Trainer {
  readonly state: State
  readonly weights: ReadonlyArray<Float32Array>
}

const sizes = (network: Network): ReadonlyArray<number> =>
  network.layers.map(({ shape }) => shape.reduce((n, d) => n * d, 1))

/** Numbers of both signs; with `levels` few different ones, so that many are equal. */
export const noise = (seed: number, levels?: number): ((size: number) => Float32Array) => {
  const uniform = drawsFrom(seededRandom(seed)).next
  return (size) =>
    new Float32Array(size).map(() => {
      const x = uniform() * 2 - 1
      return levels === undefined ? x : Math.round(x * levels) / levels
    })
}

/** Channels of which more and more do nothing. */
const activity = ({ streams }: Network, step: number): ReadonlyArray<Uint8Array> =>
  streams.map(({ channels }, s) =>
    Uint8Array.from({ length: channels }, (_, c) => ((7 * c + s) % 16 < step / 4 ? 0 : 1)),
  )

/** A trainer at the start: weights masked as the state says. */
export const start = (network: Network, policy: Policy, seed: number, levels?: number): Trainer => {
  const state = right(init(network, policy, seed))
  const draw = noise(seed + 1, levels)
  const weights = sizes(state.network).map(draw)
  if (policy.masked === 'zeroed') for (const [l, w] of weights.entries()) mask(w, state.masks[l])
  return { state, weights }
}

const mask = (weights: Float32Array, bits: Uint8Array | undefined): void => {
  for (let i = 0; i < weights.length; i++) if (bits?.[i] !== 1) weights[i] = 0
}

/** Does to copies of the weights what an event says a training loop has to do. */
export const carryOver = (weights: ReadonlyArray<Float32Array>, event: Event): ReadonlyArray<Float32Array> =>
  weights.map((w, l) => {
    const { pruned, grown, restarted, weights: own } = event.layers[l] ?? { pruned: [], grown: [], restarted: [] }
    const out = (own ?? w).slice()
    for (const positions of [pruned, grown, restarted]) for (const i of positions) out[i] = 0
    return out
  })

/** Runs the steps from `from` (0: what is done before the first) to `to`, calling `look` after every update, and gives the trainer at the end. */
export const run = (
  trainer: Trainer,
  from: number,
  to: number,
  seed: number,
  look: (step: Step) => void = () => undefined,
  levels?: number,
): Trainer => {
  let { state, weights } = trainer
  for (let step = from; step <= to; step++) {
    const need = needs(state.policy, step)
    if (need === 'nothing') continue
    const draw = noise(seed * 1000 + step, levels)
    const drift = sizes(state.network).map(draw)
    const before = weights
    weights = weights.map((w, l) => w.map((x, i) => (state.masks[l]?.[i] === 1 ? x + 0.5 * (drift[l]?.[i] ?? 0) : x)))
    const more = (): ReadonlyArray<Float32Array> => sizes(state.network).map(draw)
    const sample: Sample = {
      weights,
      ...(need === 'weights' ? {} : { gradients: more() }),
      ...(need === 'weights, gradients and curvature' ? { curvature: more() } : {}),
      ...(state.policy.scores === undefined && state.policy.gates === undefined ? {} : { scores: more() }),
      ...(needsBefore(state.policy, step) && { before }),
      ...(imagesLookedAt(state.policy, step) > 0 && { active: activity(state.network, step) }),
      rate: 0.1,
    }
    const { state: after, event } = right(update(state, sample, step))
    if (event === undefined) throw new Error(`nothing happened at step ${step}`)
    look({ before: state, after, event, sample, step })
    if (state.policy.masked === 'zeroed') weights = carryOver(weights, event)
    state = after
  }
  return { state, weights }
}
