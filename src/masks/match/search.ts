/** What is known while masks look for their weights; local to one call. */
import type { Graph } from '../../ir/graph.ts'
import type { Placed, Way } from './assignment.ts'
import type { MaskFileError } from './error.ts'
import type { MaskTensor } from './mask-tensors.ts'
import type { Slot } from './slots.ts'

/** A mask that found no weight, or too many. */
export interface Undecided {
  readonly mask: MaskTensor
  readonly problem: MaskFileError
  /** Where it could be. */
  readonly candidates: ReadonlyArray<Slot>
}

/** What is known so far; written to as masks find their places. */
export interface Search {
  readonly graph: Graph
  readonly slots: ReadonlyArray<Slot>
  readonly masks: ReadonlyArray<MaskTensor>
  /** Masks without a place. */
  readonly left: Set<MaskTensor>
  readonly placed: Placed[]
  readonly undecided: Undecided[]
  /** Masks whose weights are given, and that no constant holds. */
  readonly nowhere: Set<MaskTensor>
  /** Masks that were passed over: they keep everything, or are of a module that is not there. */
  readonly unplaced: MaskTensor[]
  readonly notes: string[]
}

export type Place = Pick<Placed, 'slot' | 'layouts'>

export const place = (search: Search, mask: MaskTensor, way: Way, places: ReadonlyArray<Place>): void => {
  for (const { slot, layouts } of places) search.placed.push({ mask, slot, layouts, way })
  search.left.delete(mask)
}

export const fail = (
  search: Search,
  mask: MaskTensor,
  problem: MaskFileError,
  candidates: ReadonlyArray<Slot> = [],
): void => {
  search.undecided.push({ mask, problem, candidates })
  search.left.delete(mask)
}

export const freeSlots = ({ slots, placed }: Search): ReadonlyArray<Slot> => {
  const taken = new Set(placed.map(({ slot }) => slot))
  return slots.filter((slot) => !taken.has(slot))
}
