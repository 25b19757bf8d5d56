/** Finding parameters by elimination: the only one left of a shape, for the only mask left of that shape. */
import { sizeOf } from '../../ir/type.ts'
import { conventional, layoutsOn } from './layout.ts'
import type { MaskTensor } from './mask-tensors.ts'
import { pathInGraph, type NameEvidence } from './by-name.ts'
import { isFactor, isNameless, isOffset } from './parameter-name.ts'
import type { Layout } from './region.ts'
import { isComputed, isPrunable, isTable, type Slot } from './slots.ts'

export interface Fit {
  readonly slot: Slot
  readonly layouts: ReadonlyArray<Layout>
}

/** Whether the modules of `scope` are among those of `path`, in their order: exporters leave some out. */
export const isWithin = (scope: ReadonlyArray<string>, path: ReadonlyArray<string>): boolean => {
  let at = 0
  for (const token of path) if (token === scope[at]) at++
  return at === scope.length
}

/**
 * The free slots that a mask can lie on in its full shape, whatever it is called: their own names must say nothing, or it.
 *
 * Where names of the file were found in the graph they mean something there: a slot that has a name is no candidate then, nor one
 * that is read by a module that the mask's is not in. Masks without a name (`arr_0`) go anywhere.
 */
export const fitsOf = (
  mask: MaskTensor,
  free: ReadonlyArray<Slot>,
  slots: ReadonlyArray<Slot>,
  rewriting: NameEvidence['rewriting'],
): ReadonlyArray<Fit> => {
  const path = pathInGraph(mask, rewriting)
  const isNumbered = mask.name.tokens.slice(0, -1).some((token) => /^\d+$/.test(token))
  // Where other modules are named, a mask of a module that is not is no mask of what is left.
  const named = slots.some((slot) => (slot.path?.length ?? 0) > 0 || (slot.name?.tokens.length ?? 0) > 1)
  const related = (slot: Slot): boolean => {
    const { name, path: scope } = slot
    if (isNameless(mask.name)) return true
    if (isComputed(slot)) return false
    if (name !== undefined && name.tokens.length > 1) return false
    const pathless = scope === undefined || scope.length === 0
    // A numbered module may have brothers whose weights have the same shape.
    return rewriting === undefined
      ? pathless && !isNumbered && !named
      : !pathless && path !== undefined && isWithin(scope, path)
  }
  return shapedLike(mask, free).filter(({ slot }) => related(slot))
}

/** The free slots that a mask can lie on in its full shape. */
export const shapedLike = (mask: MaskTensor, free: ReadonlyArray<Slot>): ReadonlyArray<Fit> => {
  if (isOffset(mask.name) || isFactor(mask.name) || mask.shape.length < 2) return []
  return free.flatMap((slot) => {
    const fits = isPrunable(slot) || isTable(slot) ? layoutsOn(slot, mask.shape, mask.name) : []
    const whole = fits.filter(({ kind }) => kind === 'gates' || sizeOf(mask.shape) === sizeOf(slot.tensor.shape))
    const layouts = conventional(slot, whole, mask.name)
    return layouts.length > 0 ? [{ slot, layouts }] : []
  })
}

/**
 * Masks and slots that are left for each other alone. `fits` has all masks that are left; a tied slot counts as the one it is
 * tied to. Repeats as long as one more pair is decided.
 */
export const eliminate = (
  fits: ReadonlyMap<MaskTensor, ReadonlyArray<Fit>>,
  isSame: (a: Slot, b: Slot) => boolean,
): ReadonlyMap<MaskTensor, Fit> => {
  const left = new Map(fits)
  const out = new Map<MaskTensor, Fit>()
  for (let again = true; again;) {
    again = false
    for (const [mask, candidates] of left) {
      const [only] = candidates
      if (only === undefined || !candidates.every(({ slot }) => isSame(slot, only.slot))) continue
      const rivals = [...left].filter(
        ([other, fit]) => other !== mask && fit.some(({ slot }) => isSame(slot, only.slot)),
      )
      if (rivals.length > 0) continue
      out.set(mask, only)
      left.delete(mask)
      again = true
    }
  }
  return out
}
