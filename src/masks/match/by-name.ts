/**
 * Finding parameters by what they are called: by their own name, and by the path of the module that reads them. Names in a
 * file may have a common prefix that the graph's have not, or the other way round; which one is decided for the whole file.
 */
import type { Layout } from './region.ts'
import { layoutsOn } from './layout.ts'
import type { MaskTensor } from './mask-tensors.ts'
import { isFactor, isOffset, type ParameterName } from './parameter-name.ts'
import { recurrentName } from './recurrence.ts'
import { isCalledAgain, isComputed, roleOf, type Slot } from './slots.ts'
import { isSameNumbers } from './tied.ts'

export interface Named {
  readonly slot: Slot
  readonly layouts: ReadonlyArray<Layout>
  /** By the parameter's own name, or by the module of the node that reads it. */
  readonly way: 'name' | 'node'
}

/** The beginning that names of the file have and those of the graph do not, and the other way round; one is empty. */
interface Rewriting {
  readonly dropped: string
  readonly added: string
}

interface Called extends Named {
  readonly mask: MaskTensor
  readonly rewriting: Rewriting
}

export interface NameEvidence {
  /** The slots that each mask's name stands for; several where the name stands for several. */
  readonly found: ReadonlyMap<MaskTensor, ReadonlyArray<Named>>
  /** Masks whose names stand for different slots by prefixes that explain as much. */
  readonly torn: ReadonlyMap<MaskTensor, ReadonlyArray<Named>>
  /** Slots of a mask's name that it fits in no way. */
  readonly unfit: ReadonlyMap<MaskTensor, ReadonlyArray<Slot>>
  /** What turns names of the file into those of the graph; undefined where no name did. */
  readonly rewriting: Rewriting | undefined
}

/** The rest of `long` before `short` at its end. */
const beginning = (long: ReadonlyArray<string>, short: ReadonlyArray<string>): string | undefined => {
  const start = long.length - short.length
  return start >= 0 && short.every((token, i) => token === long[start + i]) ? long.slice(0, start).join('.') : undefined
}

const rewritingOf = (file: ReadonlyArray<string>, graph: ReadonlyArray<string>): Rewriting | undefined => {
  const dropped = beginning(file, graph)
  if (dropped !== undefined) return { dropped, added: '' }
  const added = beginning(graph, file)
  return added === undefined ? undefined : { dropped: '', added }
}

const keyOf = ({ dropped, added }: Rewriting): string => `${dropped}|${added}`

/** Parameter names that a mask's name can mean: a parameter, or a module for its weight. */
const readingsOf = ({ tokens, style }: ParameterName): ReadonlyArray<ReadonlyArray<string>> => {
  if (style === 'tensorflow') return [tokens, [...tokens.slice(0, -1), 'weight']]
  return tokens.at(-1) === 'weight' ? [tokens] : [tokens, [...tokens, 'weight']]
}

/** The path under which a layer's parameters can be found: a folded normalisation leaves its own on the layer before. */
export const ownPath = (slot: Slot): ReadonlyArray<string> | undefined => {
  const isNorm = slot.layer !== undefined && slot.module !== undefined && /norm/i.test(slot.module)
  return isNorm || isComputed(slot) ? undefined : slot.path
}

/** Which of the recurrences of a module reads a slot: stacked layers are nodes one after the other, calls repeat them. */
const stackIndexOf = (slot: Slot, slots: ReadonlyArray<Slot>): number => {
  const layers: Slot[] = []
  for (const other of slots) {
    if (roleOf(other) !== roleOf(slot) || other.path?.join('.') !== slot.path?.join('.')) continue
    if (!layers.some((known) => isSameNumbers(known, other))) layers.push(other)
  }
  return layers.findIndex((known) => isSameNumbers(known, slot))
}

const callsOf = (masks: ReadonlyArray<MaskTensor>, slots: ReadonlyArray<Slot>): ReadonlyArray<Called> => {
  const out: Called[] = []
  for (const mask of masks) {
    const recurrent = recurrentName(mask.name)
    for (const slot of slots) {
      const layouts = layoutsOn(slot, mask.shape, mask.name)
      const enter = (rewriting: Rewriting | undefined, way: Named['way']): void => {
        if (rewriting !== undefined) out.push({ mask, slot, layouts, way, rewriting })
      }
      const own = slot.name?.tokens
      const path = ownPath(slot)
      for (const reading of readingsOf(mask.name)) {
        const rewriting = own && rewritingOf(reading, own)
        // A last part alone (`weight`) is no name: it must be the whole of it on both sides.
        const shared = Math.min(reading.length, own?.length ?? 0)
        if (shared > 1 || (rewriting?.dropped === '' && rewriting.added === '')) enter(rewriting, 'name')
        if (
          layouts.length === 0 ||
          path === undefined ||
          isOffset(mask.name) ||
          isFactor(mask.name) ||
          reading.length === 0
        )
          continue
        if (recurrent !== undefined && stackIndexOf(slot, slots) !== recurrent.layer) continue
        if (slot.layer === undefined && recurrent === undefined && slot.tensor.shape.length < 2) continue
        // One number for each output channel is a mask of the weight only if it says so: it may be that of a bias.
        if (mask.shape.length < 2 && !/^(weight|kernel)$/.test(reading.at(-1) ?? '')) continue
        const module = reading.slice(0, -1)
        const through = rewritingOf(module, path)
        const whole = through?.dropped === '' && through.added === ''
        if (whole || Math.min(module.length, path.length) > 0) enter(through, 'node')
      }
    }
  }
  return out
}

/**
 * What names tell. The prefix that explains most masks is taken, no prefix before all others; a mask that another prefix puts
 * elsewhere is torn between both, unless all that the other explains is explained by the first as well.
 */
export const nameEvidence = (masks: ReadonlyArray<MaskTensor>, slots: ReadonlyArray<Slot>): NameEvidence => {
  const groups = new Map<string, { readonly rewriting: Rewriting; readonly by: Map<MaskTensor, Called[]> }>()
  const misfits: Called[] = []
  for (const called of callsOf(masks, slots)) {
    if (called.layouts.length === 0) {
      misfits.push(called)
      continue
    }
    const key = keyOf(called.rewriting)
    const group = groups.get(key) ?? { rewriting: called.rewriting, by: new Map<MaskTensor, Called[]>() }
    groups.set(key, group)
    const known = group.by.get(called.mask)
    if (known) known.push(called)
    else group.by.set(called.mask, [called])
  }
  const length = ({ dropped, added }: Rewriting): number => dropped.length + added.length
  const ranked = [...groups.values()].sort((a, b) => b.by.size - a.by.size || length(a.rewriting) - length(b.rewriting))
  const [best, ...others] = ranked
  const found = new Map<MaskTensor, ReadonlyArray<Named>>()
  const torn = new Map<MaskTensor, ReadonlyArray<Named>>()
  for (const [mask, calls] of best?.by ?? []) {
    const own = preferred(calls)
    const rivals = others.filter(
      ({ by }) =>
        length(best?.rewriting ?? { dropped: '', added: '' }) > 0 &&
        by.has(mask) &&
        ![...by.keys()].every((other) => best?.by.has(other) && best.by.size > by.size) &&
        preferred(by.get(mask) ?? []).some(({ slot }) => !own.some((one) => one.slot.root === slot.root)),
    )
    const isOnly = rivals.length === 0 && !isNumbered(best?.rewriting) && !hasNamesake(own, best?.rewriting, slots)
    if (isOnly) found.set(mask, own)
    else torn.set(mask, [...own, ...rivals.flatMap(({ by }) => preferred(by.get(mask) ?? []))])
  }
  const unfit = new Map<MaskTensor, Slot[]>()
  for (const { mask, slot, rewriting } of misfits) {
    if (best !== undefined && keyOf(rewriting) !== keyOf(best.rewriting)) continue
    if (found.has(mask) || torn.has(mask)) continue
    const known = unfit.get(mask)
    if (known) known.push(slot)
    else unfit.set(mask, [slot])
  }
  return { found, torn, unfit, rewriting: best?.rewriting }
}

/**
 * Whether, less a prefix, a module has the name of another: PyTorch's older exporter leaves dictionaries of modules out of paths,
 * and calls the second `b` of two dictionaries `b_1`.
 */
const hasNamesake = (
  own: ReadonlyArray<Called>,
  rewriting: Rewriting | undefined,
  slots: ReadonlyArray<Slot>,
): boolean =>
  rewriting !== undefined &&
  rewriting.dropped !== '' &&
  own.some(
    ({ way, slot }) =>
      way === 'node' &&
      slots.some(
        (other) =>
          roleOf(other) === roleOf(slot) &&
          isCalledAgain(slot.path ?? [], other.path ?? []) &&
          !isSameNumbers(slot, other),
      ),
  )

/** Whether a prefix names one of several modules (`blocks.0`): masks of one block may be given for another. */
const isNumbered = (rewriting: Rewriting | undefined): boolean =>
  /(^|\.)\d+(\.|$)/.test(`${rewriting?.dropped ?? ''}.${rewriting?.added ?? ''}`)

/** A parameter's own name before the module of its reader; among the latter, slots without a name before those with another. */
const preferred = (calls: ReadonlyArray<Called>): ReadonlyArray<Called> => {
  const byName = calls.filter(({ way }) => way === 'name')
  if (byName.length > 0) return byName
  const nameless = calls.filter(({ slot }) => slot.name === undefined)
  return nameless.length > 0 ? nameless : calls
}

/** How a mask's path would be written in the graph; undefined where no prefix was found, or this name does not have it. */
export const pathInGraph = (
  { name }: MaskTensor,
  rewriting: Rewriting | undefined,
): ReadonlyArray<string> | undefined => {
  if (rewriting === undefined) return undefined
  const { dropped, added } = rewriting
  const module = name.tokens.slice(0, -1)
  if (added !== '') return [...added.split('.'), ...module]
  if (dropped === '') return module
  const prefix = dropped.split('.')
  return prefix.every((token, i) => token === module[i]) ? module.slice(prefix.length) : undefined
}
