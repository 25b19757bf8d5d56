/** Which slots hold the weight that a mask is given with, by its numbers; names only choose among equal ones. */
import * as E from 'fp-ts/lib/Either.js'
import { type Dense, elements, isNumeric, tensorOf } from '../../ir/tensor.ts'
import { sizeOf } from '../../ir/type.ts'
import type { FileEntry } from '../file-entry.ts'
import type { Placed } from './assignment.ts'
import type { Named } from './by-name.ts'
import { type cachedValues, isTelling, layoutsByValue, throughWeight } from './by-value.ts'
import { layoutsOn } from './layout.ts'
import { isSameMask, type MaskTensor } from './mask-tensors.ts'
import { isFactor, isSameName, sameTokens } from './parameter-name.ts'
import type { Place } from './search.ts'
import type { Slot } from './slots.ts'
import { isOneParameter, isSameNumbers, type tiesOf } from './tied.ts'

/** Where numbers say that a weight is. */
export interface FoundByValue {
  readonly places: ReadonlyArray<Pick<Placed, 'slot' | 'layouts' | 'way'>>
  /** `silent`: the weight is not given; `vague`: its numbers say nothing. `several`: it is in more than one place. */
  readonly verdict: 'found' | 'none' | 'several' | 'silent' | 'vague'
  readonly candidates: ReadonlyArray<Slot>
}

/** What a search by numbers looks at. */
export interface Given {
  readonly weights: ReadonlyMap<string, FileEntry>
  readonly masks: ReadonlyArray<MaskTensor>
  readonly slots: ReadonlyArray<Slot>
  readonly ties: ReturnType<typeof tiesOf>
  readonly valuesOf: ReturnType<typeof cachedValues>
}

export const silent: FoundByValue = { places: [], verdict: 'silent', candidates: [] }

/**
 * Where the weight of a mask is by its numbers: as it was trained, or as an export of the masked model holds it; among the slots
 * that names say before all others.
 */
export const findByValue = (mask: MaskTensor, named: ReadonlyArray<Named>, given: Given): FoundByValue => {
  const { weights, valuesOf } = given
  if (isFactor(mask.name)) return silent
  const name = mask.name.tokens.join('.')
  const weight = (weights.get(name) ?? weights.get(`${name}.weight`))?.decode()
  if (weight === undefined || E.isLeft(weight) || !isNumeric(weight.right.dtype)) return silent
  const whole = weight.right
  if (!isTelling(valuesOf(whole))) return { places: [], verdict: 'vague', candidates: [] }
  const sources = [whole, masked(whole, mask)].filter((source) => source !== undefined)
  const ways = new Map(named.map(({ slot, way }) => [slot, way]))
  for (const slots of [[...ways.keys()], given.slots]) {
    for (const source of sources) {
      const { full, parts } = holdersOf(source, mask, slots, valuesOf)
      const [first] = full
      if (first === undefined && parts.length === 0) continue
      if (first === undefined) return { places: parts, verdict: 'found', candidates: [] }
      const isNamed = ways.has(first.slot)
      const isOne = full.every(
        ({ slot }) =>
          isOneParameter(first.slot, slot, given.ties) &&
          (isNamed || slot === first.slot || !isSameNumbers(first.slot, slot) || isOneName(slot, first.slot)),
      )
      const isShared = !isNamed || (full.length === 1 && first.slot.reads.length > 1 && first.slot.path === undefined)
      const areCopies = full.every(({ slot, sure }) => sure && isSameNumbers(first.slot, slot))
      if (!(isOne || areCopies) || ((isShared || !isOne) && hasTwin(whole, name, mask, given))) {
        return { places: [], verdict: 'several', candidates: full.map(({ slot }) => slot) }
      }
      // Numbers that are the same in several orders leave the order to names.
      const places = full.map((one) => ({
        ...one,
        way: one.sure ? ('value' as const) : (ways.get(one.slot) ?? 'value'),
      }))
      return { places, verdict: 'found', candidates: [] }
    }
  }
  return { places: [], verdict: 'none', candidates: [] }
}

/** Whether slots with the same numbers are called the same, or read by the same module. */
const isOneName = (a: Slot, b: Slot): boolean =>
  (a.alias === b.alias && isSameName(a.name, b.name)) ||
  (a.path !== undefined && b.path !== undefined && sameTokens(a.path, b.path))

/**
 * Whether another of the weights has the same numbers and not the same mask: then numbers do not say which of both a constant is.
 */
const hasTwin = (weight: Dense, name: string, mask: MaskTensor, { weights, masks, valuesOf }: Given): boolean => {
  const own = valuesOf(weight)
  for (const [other, entry] of weights) {
    if (other === name || other === `${name}.weight` || entry.size !== weight.bytes.length) continue
    const rival = masks.find(({ name: { tokens } }) => tokens.join('.') === other)
    if (rival !== undefined && isSameMask(rival, mask)) continue
    const tensor = entry.decode()
    if (E.isLeft(tensor) || !isNumeric(tensor.right.dtype)) continue
    const values = valuesOf(tensor.right)
    if (values.length === own.length && own.every((x, i) => x === values[i])) return true
  }
  return false
}

interface Holder extends Place {
  /** Whether numbers leave one layout. */
  readonly sure: boolean
}

/** Slots that hold a weight, and, where none holds it whole, those that hold all of its parts. */
const holdersOf = (
  source: Dense,
  mask: MaskTensor,
  slots: ReadonlyArray<Slot>,
  valuesOf: ReturnType<typeof cachedValues>,
): { readonly full: ReadonlyArray<Holder>; readonly parts: FoundByValue['places'] } => {
  const size = sizeOf(source.shape)
  const full: Holder[] = []
  const parts: Array<FoundByValue['places'][number]> = []
  let covered = 0
  for (const slot of slots) {
    const matches = layoutsByValue(source, slot, valuesOf)
    const [match, ...others] = matches
    if (match === undefined) continue
    const layout = throughWeight(match, source.shape, mask.shape)
    if (others.length > 0) full.push({ slot, layouts: layoutsOn(slot, mask.shape, mask.name), sure: false })
    else if (match.covered === size) {
      const layouts = layout === undefined ? layoutsOn(slot, mask.shape, mask.name) : [layout]
      full.push({ slot, layouts, sure: true })
    } else if (layout !== undefined) {
      parts.push({ slot, layouts: [layout], way: 'value' })
      covered += match.covered
    }
  }
  return { full: full.filter(({ layouts }) => layouts.length > 0), parts: covered === size ? parts : [] }
}

/** The weight as an export of the masked model holds it. */
const masked = (weight: Dense, mask: MaskTensor): Dense | undefined => {
  if (mask.whole || sizeOf(weight.shape) !== mask.kept.length) return undefined
  const values = Float64Array.from(elements(weight), Number)
  for (let i = 0; i < values.length; i++) if (mask.kept[i] === 0) values[i] = 0
  return tensorOf(weight.dtype, weight.shape, values)
}
