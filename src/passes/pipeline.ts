/** The passes in order, with what each position needs. */
import { channelElimination, type EliminationOptions } from './channel-elimination/index.ts'
import { dropShifts } from './drop-shifts.ts'
import { eliminateCommon } from './eliminate-common.ts'
import { eliminateDead } from './eliminate-dead.ts'
import { eliminateIdentity } from './eliminate-identity.ts'
import { expandConstants } from './expand-constants.ts'
import { foldAffine } from './fold-affine.ts'
import { foldConstants } from './fold-constants.ts'
import { foldPad } from './fold-pad.ts'
import { fuseChannelShuffle } from './fuse-channel-shuffle.ts'
import { fuseLinear } from './fuse-linear.ts'
import { fuseParallel } from './fuse-parallel.ts'
import { fuseReshape } from './fuse-reshape.ts'
import { hoistSelection } from './hoist-selection.ts'
import { inlineBranches } from './inline-branches.ts'
import { hoistInvariantState } from './hoist-invariant-state.ts'
import { inferCarriedTypes } from './infer-carried-types.ts'
import { mergeChannels } from './merge-channels.ts'
import { narrowCarriedState } from './narrow-carried-state/index.ts'
import { optimiseSubgraphs } from './optimise-subgraphs.ts'
import { fixpoint, type Pass, type Step } from './pass.ts'
import { propagateConstants } from './propagate-constants.ts'
import { scalariseSequences } from './scalarise-sequences.ts'
import { shareConstants } from './share-constants.ts'
import { simplify } from './simplify.ts'
import { splitRanks } from './split-rank.ts'
import type { Subgraphs } from './subgraphs.ts'
import { zeroColumns } from './zero-columns.ts'

/** Rounds of a fixpoint; real models need two or three. */
const budget = 50

const plain: ReadonlyArray<Pass> = [
  scalariseSequences,
  foldConstants,
  eliminateIdentity,
  simplify,
  hoistSelection,
  fuseReshape,
  fuseChannelShuffle,
  eliminateDead,
]

/** Makes the graph plain: weights are constants, shapes are known, nothing is dead. Removes no channel. */
export const cleanUp: ReadonlyArray<Step> = [fixpoint(plain, budget)]

/** The same, branches that are always taken put in the place of their nodes. */
export const cleanUpWith = (subgraphs: Subgraphs | undefined): ReadonlyArray<Step> =>
  subgraphs === undefined ? cleanUp : [...cleanUp, fixpoint([inlineBranches(subgraphs), ...plain], budget)]

export interface PipelineOptions extends EliminationOptions {
  /** How subgraphs are read and written; absent: they are left as they are. */
  readonly subgraphs?: Subgraphs | undefined
}

/**
 * Everything, repeated until nothing changes, so that a compiled graph compiles to itself. Constants are propagated
 * before channels are eliminated, so that a dead branch is a constant by then, and expanded after, since a constant channel is
 * better gone than expanded; of equal channels one is read before, so that the others are dead,
 * and zeros that are not constants once they are rounded are not read; folding comes after, on smaller weights;
 * `eliminate-dead` is last, since all others leave unread values behind.
 */
export const pipeline = (options: PipelineOptions): ReadonlyArray<Step> => {
  const { subgraphs, observe, ...rest } = options
  if (subgraphs === undefined) return [fixpoint(passesOf(options), budget)]
  const whole = (own: EliminationOptions): Step =>
    fixpoint(
      [
        inlineBranches(subgraphs),
        inferCarriedTypes(subgraphs),
        hoistInvariantState(subgraphs),
        ...passesOf(own),
        optimise,
        narrow,
        eliminateDead,
      ],
      budget,
    )
  // What goes in subgraphs is not reported: their layers are not among the model's.
  const steps = (): ReadonlyArray<Step> => [...cleanUpWith(subgraphs), whole(rest)]
  const optimise = optimiseSubgraphs(subgraphs, steps)
  const narrow = narrowCarriedState(subgraphs, { steps, planWidths: options.planWidths !== false })
  return [whole({ ...rest, ...(observe && { observe }) })]
}

const passesOf = (options: EliminationOptions): ReadonlyArray<Pass> => [
  scalariseSequences,
  propagateConstants,
  eliminateDead,
  zeroColumns,
  dropShifts,
  mergeChannels(options),
  channelElimination(options),
  expandConstants,
  foldAffine,
  foldPad,
  fuseLinear,
  fuseParallel,
  splitRanks(options),
  simplify,
  hoistSelection,
  fuseReshape,
  fuseChannelShuffle,
  foldConstants,
  eliminateIdentity,
  eliminateCommon,
  shareConstants,
  eliminateDead,
]
