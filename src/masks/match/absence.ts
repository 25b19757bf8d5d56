/** Masks that change nothing where they find no weight: they keep everything, or are of modules that were not exported. */
import { closestName } from '../../ir/closest.ts'
import { sizeOf } from '../../ir/type.ts'
import { type NameEvidence, ownPath, pathInGraph } from './by-name.ts'
import { isWithin } from './by-shape.ts'
import { layoutsOn } from './layout.ts'
import { isSameMask, type MaskTensor } from './mask-tensors.ts'
import { sameTokens } from './parameter-name.ts'
import type { Search } from './search.ts'
import { isPrunable, type Slot } from './slots.ts'

/** Leaves out masks that change nothing, and those of modules that were not exported. */
export const passOver = (search: Search, { rewriting, found, torn, unfit }: NameEvidence): void => {
  for (const mask of [...search.left]) {
    if (mask.whole) {
      search.notes.push(`${mask.label} found no weight, and keeps everything.`)
      search.unplaced.push(mask)
    } else if ([found, torn, unfit].some((known) => known.has(mask))) continue
    else if (isAbsent(search, mask, rewriting) && isMinority(search)) {
      search.notes.push(`${mask.label} is of a module that is not part of the model.`)
      search.unplaced.push(mask)
    } else if (isRepeated(search, mask))
      search.notes.push(`${mask.label} is a mask that found its weight under another name too.`)
    else continue
    search.left.delete(mask)
  }
}

/**
 * Whether a mask's module is certainly not in the graph: names of the file were found there, none of this module, none that its
 * name may be a slip of; and every weight that is not masked wholly has a name, or a module that this one is not in.
 */
const isAbsent = (search: Search, mask: MaskTensor, rewriting: NameEvidence['rewriting']): boolean => {
  const path = pathInGraph(mask, rewriting)
  if (path === undefined || path.length === 0 || search.placed.length === 0 || mask.shape.length < 2) return false
  if (!search.slots.every((slot) => ownPath(slot) !== undefined || !isPrunable(slot))) return false
  const known = search.slots.flatMap((slot) => [slot.path ?? [], slot.name?.tokens.slice(0, -1) ?? []])
  const depth = known.reduce((most, tokens) => Math.max(most, sharedTokens(tokens, path)), 0)
  // A number that is missing where others are there is an element of a longer list: masks of a larger model.
  if (depth === path.length || /^\d+$/.test(path[depth] ?? '')) return false
  const open = openSlots(search)
  const names = open.flatMap(({ alias, path: scope }) => [alias, ...(scope === undefined ? [] : [scope.join('.')])])
  const scopes = path.map((_, i) => path.slice(0, i + 1).join('.'))
  if ([mask.name.raw, ...scopes].some((name) => closestName(name, names) !== undefined)) return false
  if (open.some(({ name }) => name !== undefined && sameTokens(name.tokens.slice(-2), mask.name.tokens.slice(-2))))
    return false
  return open.every((slot) => (slot.name?.tokens.length ?? 0) > 1 || !isWithin(ownPath(slot) ?? [], path))
}

/** Whether most masks that mask something have found a weight: else they are of another model. */
const isMinority = ({ left, placed }: Search): boolean => {
  const found = new Set(placed.filter(({ mask }) => !mask.whole).map(({ mask }) => mask))
  return [...left].filter((mask) => !mask.whole).length < found.size
}

/** Whether a mask is equal to one that found its weight, and no weight is left that it could be for: a tied parameter's. */
const isRepeated = (search: Search, mask: MaskTensor): boolean =>
  search.placed.some((one) => isSameMask(one.mask, mask)) &&
  mask.shape.length > 1 &&
  openSlots(search).every((slot) => layoutsOn(slot, mask.shape, mask.name).length === 0)

const sharedTokens = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): number => {
  let count = 0
  while (count < a.length && count < b.length && a[count] === b[count]) count++
  return count
}

/** Slots of which some element has no mask. */
const openSlots = ({ slots, placed }: Search): ReadonlyArray<Slot> => {
  const covered = new Map<Slot, number>()
  for (const { slot, layouts } of placed) {
    const [layout] = layouts
    const isPart = layout?.kind === 'rows' || layout?.kind === 'gates'
    const size = isPart ? layout.regions.reduce((n, { shape }) => n + sizeOf(shape), 0) : sizeOf(slot.tensor.shape)
    covered.set(slot, (covered.get(slot) ?? 0) + size)
  }
  return slots.filter((slot) => (covered.get(slot) ?? 0) < sizeOf(slot.tensor.shape))
}

/** Slots without a mask that may hold what a mask is for: some of their sizes are its own. */
export const couldHold = (search: Search, mask: MaskTensor): ReadonlyArray<Slot> =>
  openSlots(search).filter(
    ({ tensor }) =>
      tensor.shape.filter((d) => d > 1).length >= Math.min(2, mask.shape.length) &&
      tensor.shape.some((d) => d > 1 && mask.shape.includes(d)),
  )
