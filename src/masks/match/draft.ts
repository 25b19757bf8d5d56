/** A map of masks to weights for a person to look over: what is certain, and what is left to say. */
import { labelOf } from '../../ir/graph.ts'
import type { Assignment } from './assignment.ts'
import type { MapEntry } from './by-map.ts'
import { describeSlot, type Slot } from './slots.ts'
import type { Weighed } from './weigh.ts'

export interface DraftLine {
  readonly mask: string
  /** Where it belongs; `null` to leave it out; undefined for what finds its place by itself and that a map cannot say. */
  readonly entry: MapEntry | null | undefined
  /** What to know of the line: that it is a guess, and what else would fit. */
  readonly comment: string
}

/**
 * A line for each mask. Those without a certain place get the next weight that is free among those that they fit, in the order
 * of the file and of the graph, and say so; those that fit none are left out.
 */
export const draftMap = ({ masks, slots, assignments, undecided }: Weighed): ReadonlyArray<DraftLine> => {
  const shared = (slot: Slot): boolean => slots.some((other) => other !== slot && other.alias === slot.alias)
  /** By its constant, or by its reader where several parameters are in one constant. */
  const nameOf = (slot: Slot): string => {
    const [read] = slot.reads
    return read !== undefined && shared(slot) ? labelOf(read.node) : slot.alias
  }
  const placed = new Map<string, Assignment>()
  for (const one of assignments) if (!placed.has(one.mask.label)) placed.set(one.mask.label, one)
  const open = new Map(undecided.map(({ mask, candidates }) => [mask.label, candidates]))
  const taken = new Set<Slot>(assignments.map(({ slot }) => slot))
  return masks.flatMap(({ label }): ReadonlyArray<DraftLine> => {
    const candidates = open.get(label)
    if (candidates !== undefined) {
      const guess = candidates.find((slot) => !taken.has(slot)) ?? candidates[0]
      if (guess === undefined) return [{ mask: label, entry: null, comment: 'fits no weight: it is left out' }]
      taken.add(guess)
      const others = candidates.filter((slot) => slot !== guess).map(describeSlot)
      const also = others.length === 0 ? '' : `; it fits ${others.join('; ')} as well`
      const entry = { weight: nameOf(guess) }
      return [{ mask: label, entry, comment: `a guess by order, ${describeSlot(guess)}${also}` }]
    }
    const one = placed.get(label)
    if (one === undefined) return []
    const entry = entryOf(one, nameOf(one.slot))
    const comment = entry === undefined ? `found by ${one.way} on ${describeSlot(one.slot)}, in parts` : ''
    return [{ mask: label, entry, comment }]
  })
}

const entryOf = ({ layout }: Assignment, weight: string): MapEntry | undefined => {
  const { kind } = layout
  if (kind === 'rows' || kind === 'permuted') return undefined
  if (kind === 'transposed') return { weight, transpose: true }
  return kind === 'same' ? { weight, transpose: false } : { weight }
}
