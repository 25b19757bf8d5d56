/** Which of several layouts is meant where sizes are equal: by what the file's other masks show, never by chance. */
import { sizeOf } from '../../ir/type.ts'
import type { Assignment, Placed } from './assignment.ts'
import { conventional } from './layout.ts'
import type { Layout, LayoutKind } from './region.ts'
import { isGenerated } from './parameter-name.ts'
import type { Slot } from './slots.ts'

export interface Oriented {
  readonly assignments: ReadonlyArray<Assignment>
  /** Masks whose layout stays open, with the layouts that are left. */
  readonly open: ReadonlyArray<Placed>
}

/** Whether a weight was found under a name of its own, and so is stored as the framework stores it, as far as it shows. */
const keepsName = ({ slot, way }: Placed): boolean =>
  !slot.generated &&
  (way === 'name' || way === 'value' || slot.borrowed || (way === 'node' && (slot.name?.tokens.length ?? 0) > 1))

/** How a weight was found: under a name that its framework gave it, under one that only this file has, or renamed by an exporter. */
type Found = 'kept' | 'own' | 'renamed'

/** What knows a name that an exporter made up has its masks from this file, and so as they lie in it. */
const foundAs = (one: Placed): Found =>
  keepsName(one) ? 'kept' : one.slot.generated && one.mask.name.raw === one.slot.alias ? 'own' : 'renamed'

/**
 * The layout that is left, but for a mask of one number for each input of a weight that was turned: masks that have one number
 * for several weights have it for outputs, and this weight holds more than the mask is for.
 */
const alone = (one: Placed): Layout | undefined => {
  const [layout] = one.layouts
  const isPart = sizeOf(one.mask.shape) < sizeOf(one.slot.tensor.shape) && one.mask.shape.length === 2
  return isPart && layout?.kind === 'same' && isOpen(one.slot) && one.way === 'node' && !keepsName(one)
    ? undefined
    : layout
}

/** Matrices `[in, out]`, of which frameworks store either the same or the transposed. */
const isOpen = ({ layer }: Slot): boolean =>
  layer !== undefined && layer.tensor.shape.length === 2 && layer.contraction.weightOutputAxis === 1

/**
 * A square mask on a matrix product's `[in, out]` lies as its name and its file say: a weight that kept its name was not turned,
 * one that an exporter renamed when it computed it (`onnx::MatMul_88`, `val_12`) was, but for masks that call it that themselves. Masks
 * of the same file on weights that are not square must not say otherwise, and where a name says nothing they must say it.
 */
export const orient = (placed: ReadonlyArray<Placed>, isTied: (slot: Slot) => boolean): Oriented => {
  const usual = placed.map((one) => ({ ...one, layouts: conventional(one.slot, one.layouts, one.mask.name) }))
  const seen: Readonly<Record<Found, Set<LayoutKind>>> = { kept: new Set(), own: new Set(), renamed: new Set() }
  for (const one of usual) {
    const [layout] = one.layouts
    if (layout !== undefined && one.layouts.length === 1 && isOpen(one.slot) && one.mask.shape.length === 2) {
      seen[foundAs(one)].add(layout.kind)
    }
  }
  const assignments: Assignment[] = []
  const open: Placed[] = []
  for (const one of usual) {
    const layout = one.layouts.length === 1 ? alone(one) : decide(one, seen[foundAs(one)], isTied(one.slot))
    if (layout === undefined) open.push(one)
    else assignments.push({ mask: one.mask, slot: one.slot, way: one.way, layout })
  }
  return { assignments, open }
}

const decide = (one: Placed, seen: ReadonlySet<LayoutKind>, tied: boolean): Layout | undefined => {
  const of = (kind: LayoutKind): Layout | undefined => one.layouts.find((layout) => layout.kind === kind)
  const [turned, same] = [of('transposed'), of('same')]
  if (one.mask.whole) return one.layouts[0]
  if (turned === undefined || same === undefined || one.layouts.length > 2) return undefined
  if (one.slot.layer === undefined) return one.slot.alias === one.mask.name.raw ? same : undefined
  // A head that is a table turned round was turned, whatever its name.
  if (foundAs(one) === 'kept') return seen.has('transposed') || tied ? undefined : same
  if (foundAs(one) === 'own') return seen.has('transposed') ? undefined : same
  const byClass = classSays(one, turned, same)
  if (byClass !== undefined) return byClass
  return isGenerated(one.slot.alias) && !seen.has('same') ? turned : undefined
}

/** PyTorch's Linear stores `[out, in]`, the Conv1D of transformers `[in, out]`. */
const classSays = ({ slot }: Placed, turned: Layout, same: Layout): Layout | undefined => {
  if (slot.module === undefined) return undefined
  if (/\.Conv1D$/.test(slot.module)) return same
  return /\.linear\.\w*Linear$/.test(slot.module) ? turned : undefined
}
