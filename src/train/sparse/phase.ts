/** When a policy acts, and what it then does. */
import type { ChannelScore } from '../../masks/scores.ts'
import type { ChannelCriterion } from './saliency.ts'
import type { Schedule } from './schedule.ts'
import { type GrowCriterion, lookedAt, type PruneCriterion } from './scores.ts'

/**
 * Masks kept weights.
 *
 * `to.density`: until the density is down to that fraction of all weights of the dense network; `to.fraction`: that
 * fraction of what is kept. Scope `global` compares the weights of all layers; scope `layer` takes the same fraction of every
 * layer's kept weights; `distribution` leaves every layer its share by the distribution. `minimum` (a fraction of all weights of the dense network) is left to every layer that has
 * as many, as in GlobalMP's MT, even where that keeps more than asked.
 *
 * `forgets`: a weight that it masks and a later move of the same update unmasks starts anew from 0, whatever that move says.
 */
export interface Prune {
  readonly kind: 'prune'
  readonly to: { readonly density: Schedule } | { readonly fraction: Schedule }
  readonly scope: 'global' | 'layer' | 'distribution'
  readonly by: PruneCriterion
  readonly minimum?: number
  readonly forgets?: boolean
}

/**
 * Unmasks weights in surviving channels until the density reaches that fraction of all weights of the dense network.
 *
 * Scope `global` compares the weights of all layers; `proportional` first refills the layers that the distribution
 * has dense and grows the others by the same fraction; `distribution` gives every layer its share by the
 * distribution, computed anew on the shapes that survive.
 * A weight that the same update pruned may return: it `restarts` from 0, or `continues` with its value.
 */
export interface Grow {
  readonly kind: 'grow'
  readonly density: Schedule
  readonly scope: 'global' | 'proportional' | 'distribution'
  readonly by: GrowCriterion
  readonly regrown: 'restarts' | 'continues'
}

/** Unmasks as many weights as the prune before it masked: in all, or in every layer as many as it lost. */
export interface Regrow {
  readonly kind: 'regrow'
  readonly scope: 'global' | 'layer'
  readonly by: GrowCriterion
  readonly regrown: 'restarts' | 'continues'
}

/**
 * Removes channels for good, the lowest scores first, until `fraction` of those in scope are gone. A stream of C
 * channels keeps at least ⌊C · (1 - final) · floor⌋ of them.
 */
export interface RemoveChannels {
  readonly kind: 'remove channels'
  readonly fraction: Schedule
  readonly final: number
  readonly floor: number
  readonly score: ChannelScore
  readonly scope: 'block' | 'all'
}

/**
 * Marks channels to go, those worth least over all streams in scope first, until `fraction` of them are marked or gone. A stream
 * keeps a multiple of `multiple` channels unmarked, or all that it has, the more where it does not come out even; and one at least.
 */
export interface MarkChannels {
  readonly kind: 'mark channels'
  readonly fraction: Schedule
  readonly multiple: number
  readonly by: ChannelCriterion
  readonly scope: 'block' | 'all'
}

/**
 * Brings all that belongs to marked channels to 0, in a straight line that starts anew at `begin` and every `period` steps: t steps
 * from there it is multiplied by (period - t - 1) / (period - t).
 */
export interface FadeChannels {
  readonly kind: 'fade channels'
  readonly begin: number
  readonly period: number
}

/** Removes marked channels for good. */
export interface RemoveMarked {
  readonly kind: 'remove marked'
}

/**
 * Removes channels for good that are 0 wherever they are read, for all of that fraction of the training images, in evaluation. Every
 * stream keeps one.
 */
export interface RemoveDead {
  readonly kind: 'remove dead'
  readonly scope: 'block' | 'all'
  readonly images: number
}

/**
 * Draws the marked channels in scope to 0 and projects those onto 0 that the step turned round, as DHSPG: x all that makes a channel
 * before the step, v the direction that the step took and η its learning rate, x - η · (v + λ · x / ‖x‖) is made of it, or 0 where the
 * product of that with x is below `epsilon` · ‖x‖². λ is `strength`; where x · v < 0 the step leads away from 0, and λ is
 * `amplify` times what would make up for that, from `strength` to `ceiling` times this, or the middle of what makes up for it and
 * the most with which the step still leads downhill where it would be more. When `fraction` of the channels in scope are gone or 0, none
 * is drawn any more. What was 0 before the step is 0 after it.
 */
export interface HalfSpace {
  readonly kind: 'half-space'
  readonly strength: number
  readonly amplify: number
  readonly ceiling: number
  readonly epsilon: number
  readonly fraction: number
  readonly scope: 'block' | 'all'
}

/**
 * Takes the proximal operator of learning rate · `strength` · the weighted group sparse envelope function: of the channels in scope all but
 * `fraction` may stay, the others are drawn to 0. The weight of a channel is the mean number of weights of one over its own. The
 * last channel of a stream stays as it is.
 */
export interface Envelope {
  readonly kind: 'envelope'
  readonly strength: number
  readonly fraction: number
  readonly scope: 'block' | 'all'
}

/**
 * Removes the channels in scope for good of which all is 0. With `fraction` also those that are marked, the smallest by norm over
 * number of weights first, until so many of those in scope are gone; then none is marked any more.
 */
export interface RemoveZero {
  readonly kind: 'remove zero'
  readonly scope: 'block' | 'all'
  readonly fraction?: number
}

/** Keeps the n largest magnitudes of every m neighbours along an axis, by the pattern whose step came last. */
export interface KeepPattern {
  readonly kind: 'keep pattern'
  readonly axis: 'input' | 'output'
  readonly patterns: ReadonlyArray<{ readonly step: number; readonly n: number; readonly m: number }>
}

/**
 * Under constant fan-in, in each layer that the distribution does not make dense: keeps all but a fraction of the weights by
 * magnitude, takes all weights from neurons with few that are salient (ablation), and brings the others to the same number by
 * gradient. Salient are the weights kept, and as many as were dropped by gradient; few is less than the part `salient` of the
 * fan-in; 0 ablates none. The last layer has no neuron ablated. A weight that is dropped may return, with its value.
 */
export interface ExchangeFanIn {
  readonly kind: 'exchange fan-in'
  readonly fraction: Schedule
  readonly salient: number
}

/** Multiplies the smallest kept weights of every layer, a fraction of them, by `factor`; which these are is found anew each time. */
export interface Shrink {
  readonly kind: 'shrink'
  readonly fraction: Schedule
  readonly factor: number
}

/** Masks the weights of channels that have none on one side: nothing reads them, or they read nothing. They count as pruned. */
export interface PruneIdle {
  readonly kind: 'prune idle'
}

/** Keeps the weights of the highest scores, in every layer as many as it has; for policies that train scores. */
export interface KeepBest {
  readonly kind: 'keep best'
}

/** Keeps whole wrapped diagonals of every layer, a matrix: those of the highest scores, as many as that fraction of its weights takes. */
export interface KeepDiagonals {
  readonly kind: 'keep diagonals'
  readonly density: number
}

/** Finds for each layer the number that what a soft threshold leaves of it is multiplied by, to be nearest to its weights. */
export interface FitScales {
  readonly kind: 'fit scales'
}

export type Move =
  | Prune
  | Grow
  | Regrow
  | RemoveChannels
  | MarkChannels
  | FadeChannels
  | RemoveMarked
  | RemoveDead
  | HalfSpace
  | Envelope
  | RemoveZero
  | KeepPattern
  | KeepBest
  | KeepDiagonals
  | ExchangeFanIn
  | Shrink
  | PruneIdle
  | FitScales

const quiet: ReadonlySet<Move['kind']> = new Set([
  'shrink',
  'mark channels',
  'fade channels',
  'half-space',
  'envelope',
  'fit scales',
])

/** Whether a move changes no mask, so that nobody has to be told of it. */
export const isQuiet = ({ kind }: Move): boolean => quiet.has(kind)

const removing: ReadonlySet<Move['kind']> = new Set(['remove channels', 'remove marked', 'remove dead', 'remove zero'])

/** Whether a move goes by scores. */
export const looksAtScores = ({ kind }: Move): boolean => kind === 'keep best' || kind === 'keep diagonals'

/** Whether channels leave the network by a move. */
export const removesChannels = ({ kind }: Move): boolean => removing.has(kind)

/** Whether a move looks at the weights from before the step. */
export const looksBack = (move: Move): boolean =>
  move.kind === 'half-space' || (move.kind === 'mark channels' && move.by === 'dhspg')

/** Whether a move goes by the learning rate of the step. */
export const goesByRate = (move: Move): boolean => looksBack(move) || move.kind === 'envelope'

/** Moves made one after the other at every step s with from ≤ s < until and (s + offset) divisible by `every`. */
export interface Phase {
  readonly from: number
  readonly until: number
  readonly every: number
  readonly offset: number
  readonly moves: ReadonlyArray<Move>
}

/** Whether a phase acts after `step` training steps. */
export const isDue = ({ from, until, every, offset }: Phase, step: number): boolean =>
  step > 0 && step >= from && step < until && (step + offset) % every === 0

/** The steps up to `last` at which a phase acts. */
export const dueSteps = (phase: Phase, last: number): ReadonlyArray<number> => {
  const { from, until, every, offset } = phase
  const out: number[] = []
  const begin = Math.max(1, from)
  const end = Math.min(last, until - 1)
  for (let step = Math.ceil((begin + offset) / every) * every - offset; step <= end; step += every) out.push(step)
  return out
}

/** What an update has to be given. */
export type Needs = 'nothing' | 'weights' | 'weights and gradients' | 'weights, gradients and curvature'

export const needsOf = (moves: ReadonlyArray<Move>): Needs => {
  if (moves.length === 0) return 'nothing'
  const curvature = moves.some((move) => move.kind === 'prune' && lookedAt(move.by) === 'curvature')
  if (curvature) return 'weights, gradients and curvature'
  const gradients = moves.some((move) => {
    switch (move.kind) {
      case 'prune':
        return lookedAt(move.by) === 'gradients'
      case 'grow':
      case 'regrow':
        return move.by === 'gradient'
      case 'exchange fan-in':
        return true
      case 'mark channels':
        return move.by === 'hesso'
      case 'remove channels':
      case 'fade channels':
      case 'remove marked':
      case 'remove dead':
      case 'half-space':
      case 'envelope':
      case 'remove zero':
      case 'keep pattern':
      case 'keep best':
      case 'keep diagonals':
      case 'shrink':
      case 'prune idle':
      case 'fit scales':
        return false
    }
  })
  return gradients ? 'weights and gradients' : 'weights'
}
