/**
 * Sparse training as a pure state machine on plain typed arrays, usable with any training loop: `init` makes masks, `needs` says
 * after which steps weights and gradients are looked at, `update` changes the masks and says what changed.
 */
export { fromArrays, type StateArrays, toArrays } from './checkpoint.ts'
export { densitiesOf, type Distribution } from './distribution.ts'
export { er } from './distributions/er.ts'
export { erk } from './distributions/erk.ts'
export { erkPlus } from './distributions/erk-plus.ts'
export { snipRatios } from './distributions/snip.ts'
export { uniformPlus } from './distributions/uniform-plus.ts'
export type { SparseError } from './error.ts'
export type { AxisIndices, ChannelEvent, Event, LayerEvent } from './event.ts'
export { keptByPattern } from './keep-pattern.ts'
export type { Layer, Network, Slot, Stream } from './network.ts'
export { dueSteps, isDue, isQuiet, type Move, type Needs, type Phase, removesChannels } from './phase.ts'
export { chase, type ChaseOptions } from './methods/chase.ts'
export { globalMagnitude, type GlobalMagnitudeOptions } from './methods/global-magnitude.ts'
export { gradualMagnitude, type GradualMagnitudeOptions } from './methods/gmp.ts'
export { granet, type GraNetOptions } from './methods/granet.ts'
export { mest, type MestOptions } from './methods/mest.ts'
export { maskDecay, type MaskDecayOptions, patternDecay, type PatternDecayOptions } from './methods/n-of-m.ts'
export { rigl, type RigLOptions } from './methods/rigl.ts'
export { riglItop, type RigLItopOptions } from './methods/rigl-itop.ts'
export { set, type SetOptions } from './methods/set.ts'
export { staticRandom, type StaticRandomOptions } from './methods/static.ts'
export {
  type First,
  type Gates,
  imagesLookedAt,
  isOfMasksAlone,
  maskedMultiplier,
  movesAt,
  needs,
  needsBefore,
  type Pattern,
  type Policy,
  type Pull,
  skipsStep,
  type SoftThreshold,
} from './policy.ts'
export { pulledScales } from './pull.ts'
export { constant, type Schedule, valueAt } from './schedule.ts'
export type { GrowCriterion, PruneCriterion } from './scores.ts'
export { type KeptAxes, slim, type Slimmed } from './slim.ts'
export { softThresholded } from './soft-threshold.ts'
export { init, type State } from './state.ts'
export { update, type Updated } from './update.ts'
export type { Removal, Sample } from './workspace.ts'
