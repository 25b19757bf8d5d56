/**
 * Matching: which tensor of a file of masks belongs to which weight of a graph, and how its axes lie there. Names come from
 * a training framework and the graph from an exporter that renames, transposes, folds and fuses. What evidence does not
 * decide is refused, never guessed.
 */
import * as E from 'fp-ts/lib/Either.js'
import type { Graph } from '../../ir/graph.ts'
import type { FileEntry } from '../file-entry.ts'
import type { Masks } from '../mask.ts'
import type { Assignment } from './assignment.ts'
import { combine } from './combine.ts'
import type { MaskFileError } from './error.ts'
import { allProblems } from './refusal.ts'
import { isPrunable, type Slot, slotsOf } from './slots.ts'
import { type MatchOptions, weigh } from './weigh.ts'

export type { Assignment, Way } from './assignment.ts'
export { decodeMap, type MapEntry, type MaskMap } from './by-map.ts'
export type { MaskError, MaskFileError } from './error.ts'
export { describeSlot, type Slot } from './slots.ts'

export type { MatchOptions, Undecided, Weighed } from './weigh.ts'

export interface Matching {
  /**
   * The graph that was given, or, where it holds equal parameters in one constant and their masks differ, the same with a
   * constant for each.
   */
  readonly graph: Graph
  /** By the name of the constant that holds the weight. */
  readonly masks: Masks
  /** In the order of the file; a mask that lies on several constants is there several times. */
  readonly assignments: ReadonlyArray<Assignment>
  /** Weights that people prune and that got no mask. */
  readonly unmasked: ReadonlyArray<Slot>
  /** What was passed over and why, one sentence each. */
  readonly notes: ReadonlyArray<string>
}

/**
 * Finds the weights that the masks among `entries` belong to; the other entries, if any, are the weights they belong to (a
 * checkpoint holds both). Every mask must find its weight: all that do not are reported.
 */
export const matchMasks = (
  entries: ReadonlyArray<FileEntry>,
  graph: Graph,
  options: MatchOptions = {},
): E.Either<MaskFileError, Matching> => {
  const { problems, assignments, undecided, notes } = weigh(entries, graph, options)
  const all = [...problems, ...undecided.map(({ problem }) => problem)]
  if (all.length > 0) return E.left(allProblems(all))
  const combined = combine(graph, assignments)
  if (E.isLeft(combined)) return E.left(allProblems(combined.left))
  const masked = new Set(assignments.map(({ slot }) => slot.root))
  const unmasked = slotsOf(graph).filter((slot) => isPrunable(slot) && !masked.has(slot.root))
  return E.right({ ...combined.right, assignments, unmasked, notes })
}
