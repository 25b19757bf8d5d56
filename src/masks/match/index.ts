/**
 * Matching: which tensor of a file of masks belongs to which weight of a graph, and how its axes lie there. Names come from
 * a training framework and the graph from an exporter that renames, transposes, folds and fuses. What evidence does not
 * decide is refused, never guessed.
 */
import * as E from 'fp-ts/lib/Either.js'
import type { Graph } from '../../ir/graph.ts'
import type { FileEntry } from '../file-entry.ts'
import type { Matching } from './assignment.ts'
import { combine } from './combine.ts'
import type { MaskFileError } from './error.ts'
import { allProblems } from './refusal.ts'
import { isPrunable, slotsOf } from './slots.ts'
import { type MatchOptions, weigh } from './weigh.ts'

export type { Assignment, Matching, Way } from './assignment.ts'
export { decodeMap, type MapEntry, type MaskMap } from './by-map.ts'
export type { MaskError, MaskFileError } from './error.ts'
export { describeSlot, type Slot } from './slots.ts'

export { draftMap, type DraftLine } from './draft.ts'
export { type MatchedMask, type MatchSummary, summariseMatching } from './summary.ts'
export type { Undecided } from './search.ts'
export { type MatchOptions, weigh, type Weighed } from './weigh.ts'

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
  if (all.length > 0) return E.left(allProblems(all, new Set(assignments.map(({ mask }) => mask)).size))
  const combined = combine(graph, assignments)
  if (E.isLeft(combined)) return E.left(allProblems(combined.left))
  const masked = new Set(assignments.map(({ slot }) => slot.root))
  const unmasked = slotsOf(graph).filter((slot) => isPrunable(slot) && !masked.has(slot.root))
  return E.right({ ...combined.right, assignments, unmasked, notes })
}
