/** A way of training sparsely, as plain data: which masks it starts with, and what it does to them when. */
import type { Distribution } from './distribution.ts'
import type { Layer, Network } from './network.ts'
import { isDue, isQuiet, looksBack, type Move, type Needs, needsOf, type Phase } from './phase.ts'
import { type Schedule, valueAt } from './schedule.ts'

/**
 * At every step s with from ≤ s < until: λ · sign(γ) is added to the gradient of each scale γ, of all channels in scope or of those
 * that are marked; λ is the strength after s - 1 steps.
 */
export interface Pull {
  readonly from: number
  readonly until: number
  readonly strength: Schedule
  readonly channels: 'all' | 'marked'
  readonly scope: 'block' | 'all'
}

/** What is done before the first step, by the weights as they are then and the loss of some batches. */
export interface First {
  readonly moves: ReadonlyArray<Move>
  /** How many batches; gradients and curvature are sums over them. Absent: 1. */
  readonly batches?: number
  /** What the logits are divided by. Absent: 1. */
  readonly temperature?: number
}

/**
 * A number α of every wrapped diagonal of a matrix, trained by Adam beside the weights: until step `until` weights count
 * min(1, k · softmax(α / temperature)) of themselves, k the diagonals that a layer keeps at that density.
 */
export interface Gates {
  readonly density: number
  readonly until: number
  readonly temperature: Schedule
  readonly rate: number
  readonly decay: number
}

/**
 * sign(w) · max(0, |w| - t) times a number for each layer, t the largest masked magnitude among the m neighbours along the axis
 * that w is one of.
 */
export interface SoftThreshold {
  readonly kind: 'soft threshold'
  readonly m: number
  readonly axis: 'input' | 'output'
}

/** Of every m neighbours along the axis the n largest magnitudes. */
export interface Pattern {
  readonly n: number
  readonly m: number
  readonly axis: 'input' | 'output'
}

export interface Policy {
  readonly name: string
  /** Kept fraction of all weights that the distribution is for; also when it is computed anew on smaller shapes. */
  readonly density: number
  readonly distribution: Distribution
  /** `matrices`: only layers that are matrices carry masks; others keep all of their weights and count towards no density. */
  readonly layers?: 'matrices'
  /** Whether scales and shifts of channels are looked at, and go with these; else only weights are. */
  readonly vectors?: boolean
  /**
   * `exact`: every layer starts with exactly its share; `bernoulli`: every weight is kept with its layer's density; `fan-in`:
   * every neuron of a layer starts with as many weights.
   */
  readonly start: 'exact' | 'bernoulli' | 'fan-in'
  /** An update at step 0. Absent: training begins with the masks that are drawn. */
  readonly first?: First
  /** In the order in which they act when several are due. */
  readonly phases: ReadonlyArray<Phase>
  /**
   * `zeroed`: masked weights and their momenta are 0. Otherwise masked weights stay and are trained on with the gradient of what the
   * forward pass computes with in place of the weights (straight through): masked ones times this number, or, in layers with a
   * masked weight, all of them after a soft threshold.
   */
  readonly masked: 'zeroed' | Schedule | SoftThreshold
  /**
   * What is left of the weights, at every step anew, where gradients of what a layer reads are computed; for policies whose masked
   * weights are trained on. Absent: what the forward pass computes with.
   */
  readonly backward?: Pattern
  /**
   * λ: where masked weights are trained on, what is added to their gradients: λ · w. It draws them to 0, so that the masks come
   * to rest. Absent: nothing.
   */
  readonly maskedDecay?: number
  /**
   * Weights that carry masks have scores, which begin with these numbers and are trained in the place of all parameters: the
   * gradient of a score is w · ∂L/∂w, straight through. Masked weights are not zeroed then.
   */
  readonly scores?: { readonly kept: number; readonly masked: number }
  /** The scores of weights are then those of their diagonals, α. Needs `layers` to be matrices. */
  readonly gates?: Gates
  /** What draws scales of channels to 0; needs `vectors`. */
  readonly pulls?: ReadonlyArray<Pull>
  /**
   * The deviation of noise, by the steps done before: after each step, a normal number times it is added to every number of the
   * network whose gradient is not 0. Absent: none.
   */
  readonly noise?: Schedule
  /** Whether a step after which an update is due is taken by no optimiser: its gradients are for the update alone. */
  readonly skipsSteps?: boolean
}

const isMatrix = ({ shape, outputAxis, inputAxis }: Layer): boolean =>
  shape.every((size, axis) => size === 1 || axis === outputAxis || axis === inputAxis)

/** The network as the policy sees it: layers that it leaves alone are exempt, vectors that it looks at are layers. */
export const networkUnder = ({ layers, vectors = false }: Policy, network: Network): Network => ({
  layers: [
    ...network.layers.map((layer) => (layers === undefined || isMatrix(layer) ? layer : { ...layer, exempt: true })),
    ...(vectors ? (network.vectors ?? []) : []),
  ],
  streams: network.streams.map(({ vectors: slots = [], ...stream }) =>
    vectors ? { ...stream, consumers: [...stream.consumers, ...slots] } : stream,
  ),
})

/** What a policy does after `step` training steps, in order. */
export const movesAt = (policy: Policy, step: number): ReadonlyArray<Move> =>
  step === 0 ? (policy.first?.moves ?? []) : policy.phases.flatMap((phase) => (isDue(phase, step) ? phase.moves : []))

/** What the update after `step` training steps has to be given; mostly nothing. */
export const needs = (policy: Policy, step: number): Needs => needsOf(movesAt(policy, step))

/** Whether the update after `step` training steps is to be given the weights from before that step. */
export const needsBefore = (policy: Policy, step: number): boolean => movesAt(policy, step).some(looksBack)

/** Whether the optimiser leaves out the step before the update after `step` training steps. */
export const skipsStep = (policy: Policy, step: number): boolean =>
  policy.skipsSteps === true && movesAt(policy, step).length > 0

/** What the forward pass multiplies masked weights by at `step`. */
export const maskedMultiplier = ({ masked }: Policy, step: number): number =>
  masked === 'zeroed' || masked.kind === 'soft threshold' ? 0 : valueAt(masked, step)

/** The fraction of the training images that has to be looked at for the update after `step` training steps; mostly 0. */
export const imagesLookedAt = (policy: Policy, step: number): number =>
  Math.max(0, ...movesAt(policy, step).map((move) => (move.kind === 'remove dead' ? move.images : 0)))

/** Whether a training loop that multiplies weights by masks, and lets weights and momenta start anew, does all that the policy says. */
export const isOfMasksAlone = ({ masked, backward, noise, scores, gates, pulls = [], phases }: Policy): boolean =>
  (masked === 'zeroed' || masked.kind !== 'soft threshold') &&
  backward === undefined &&
  noise === undefined &&
  scores === undefined &&
  gates === undefined &&
  pulls.length === 0 &&
  phases.every(({ moves }) => moves.every((move) => !isQuiet(move) && move.kind !== 'remove dead'))
