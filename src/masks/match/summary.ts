/** What matching came to, as plain data for reports. */
import { labelOf } from '../../ir/graph.ts'
import { onesIn } from '../mask.ts'
import type { Assignment, Matching, Way } from './assignment.ts'
import type { LayoutKind } from './region.ts'
import type { Slot } from './slots.ts'

export interface MatchedMask {
  readonly mask: string
  readonly shape: ReadonlyArray<number>
  readonly kept: number
  /** The constant that it masks, its shape, and the nodes that read it. */
  readonly weight: string
  readonly weightShape: ReadonlyArray<number>
  readonly nodes: ReadonlyArray<string>
  readonly way: Way
  readonly layout: LayoutKind
  /** Which part of either belongs to the other, where it is not all. */
  readonly part?: string
}

export interface MatchSummary {
  readonly matched: ReadonlyArray<MatchedMask>
  readonly unmasked: ReadonlyArray<{
    readonly weight: string
    readonly shape: ReadonlyArray<number>
    readonly nodes: ReadonlyArray<string>
  }>
  readonly notes: ReadonlyArray<string>
}

const nodesOf = ({ reads }: Slot): ReadonlyArray<string> => reads.map(({ node }) => labelOf(node))

export const summariseMatching = ({ assignments, unmasked, notes }: Matching): MatchSummary => ({
  matched: assignments.map(summariseAssignment),
  unmasked: unmasked.map((slot) => ({ weight: slot.alias, shape: slot.tensor.shape, nodes: nodesOf(slot) })),
  notes,
})

const summariseAssignment = ({ mask, slot, layout, way }: Assignment): MatchedMask => ({
  mask: mask.label,
  shape: mask.shape,
  kept: onesIn(mask.kept) / (mask.kept.length === 0 ? 1 : mask.kept.length),
  weight: slot.alias,
  weightShape: slot.tensor.shape,
  nodes: nodesOf(slot),
  way,
  layout: layout.kind,
  ...(layout.text === undefined ? {} : { part: layout.text }),
})
