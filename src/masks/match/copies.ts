/** Masks on what is stored more than once: tied parameters, and the weights of modules that are called again. */
import { materialize } from '../../ir/tensor.ts'
import { sizeOf } from '../../ir/type.ts'
import type { Assignment } from './assignment.ts'
import { cachedValues, layoutsByValue } from './by-value.ts'
import type { MaskTensor } from './mask-tensors.ts'
import { isSameName, sameTokens } from './parameter-name.ts'
import { copyProblem, tiedProblem } from './refusal.ts'
import type { Search } from './search.ts'
import { isCalledAgain, isPrunable, roleOf, type Slot } from './slots.ts'
import { areTied, isSameNumbers, tiedLayout, tiesOf } from './tied.ts'

/**
 * The same masks on further copies of a parameter: a module that is called again may have its weights stored again. Copies in
 * another form are refused, as they may be equal parameters.
 */
export const withCopies = (search: Search, assignments: ReadonlyArray<Assignment>): ReadonlyArray<Assignment> => {
  const valuesOf = cachedValues()
  const taken = new Set(assignments.map(({ slot }) => slot))
  const open = search.slots.filter((slot) => isPrunable(slot) && !taken.has(slot))
  const out = [...assignments]
  for (const one of assignments) {
    const { mask, slot } = one
    if (mask.whole || slot.tensor.shape.length < 2) continue
    for (const other of open) {
      if (taken.has(other) || other.root === slot.root) continue
      if (other.name !== undefined && !isSameName(other.name, slot.name)) continue
      const isCopy = roleOf(slot) === roleOf(other) && isSameNumbers(slot, other)
      if (isCopy && isSameModule(slot, other) && slot.path !== undefined) {
        for (const all of assignments) if (all.slot === slot) out.push({ ...all, slot: other })
        taken.add(other)
      } else if (isCopy && slot.path !== undefined && other.path !== undefined) {
        // Equal weights of another module: an untrained network whose layers were copied.
        continue
      } else if (layoutsByValue(materialize(slot.tensor), other, valuesOf).length > 0) {
        search.undecided.push({ mask, problem: copyProblem(mask, slot, other), candidates: [other] })
        taken.add(other)
      }
    }
  }
  return out
}

const isSameModule = ({ path }: Slot, other: Slot): boolean =>
  path === undefined || other.path === undefined
    ? path === other.path
    : sameTokens(path, other.path) || isCalledAgain(path, other.path)

/** The same masks on what is tied to the weights they were found for. */
export const withTies = (search: Search, assignments: ReadonlyArray<Assignment>): ReadonlyArray<Assignment> => {
  const ties = tiesOf(search.graph)
  const taken = new Set(assignments.map(({ slot }) => slot))
  const out = [...assignments]
  const owners = new Map<Slot, Set<MaskTensor>>()
  for (const { mask, slot } of assignments) owners.set(slot, (owners.get(slot) ?? new Set()).add(mask))
  for (const { mask, slot, layout: own } of assignments) {
    const alone = (one: Slot): boolean => (owners.get(one)?.size ?? 0) <= 1
    const both = assignments.find((one) => one.mask === mask && areTied(one.slot, slot))?.slot
    if (mask.name.pruned && both !== undefined && !mask.whole && alone(slot) && alone(both)) {
      search.undecided.push({ mask, problem: tiedProblem(mask, slot, both), candidates: [slot, both] })
      continue
    }
    for (const other of ties.get(slot) ?? []) {
      if (taken.has(other) || mask.whole) continue
      const layout = tiedLayout(mask, own, slot, other)
      const rival = search.unplaced.some(({ shape }) => sizeOf(shape) === sizeOf(mask.shape))
      if (mask.name.pruned || layout === undefined || rival) {
        search.undecided.push({ mask, problem: tiedProblem(mask, slot, other), candidates: [other] })
        continue
      }
      taken.add(other)
      out.push({ mask, slot: other, layout, way: 'tied' })
    }
  }
  return out
}
