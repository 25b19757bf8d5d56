/**
 * Weighs the evidence of where masks belong, the surest first: a map, equal numbers, names, modules, shapes. Each kind has a file
 * of its own; here is their order, and what is done where they disagree.
 */
import * as E from 'fp-ts/lib/Either.js'
import { closestName } from '../../ir/closest.ts'
import type { Graph } from '../../ir/graph.ts'
import { type Dense, elements, tensorOf } from '../../ir/tensor.ts'
import { sizeOf } from '../../ir/type.ts'
import type { FileEntry } from '../file-entry.ts'
import type { Assignment, Placed, Way } from './assignment.ts'
import { type MaskMap, placeByMap } from './by-map.ts'
import { nameEvidence, type NameEvidence, pathInGraph } from './by-name.ts'
import { eliminate, fitsOf, shapedLike } from './by-shape.ts'
import { splitProjection } from './by-split.ts'
import { cachedValues, layoutsByValue } from './by-value.ts'
import type { MaskFileError } from './error.ts'
import { layoutsOn } from './layout.ts'
import { decodeMaskTensors, type MaskTensor, sortEntries } from './mask-tensors.ts'
import { orient } from './orient.ts'
import { isGenerated, parameterName } from './parameter-name.ts'
import {
  ambiguousLayout,
  ambiguousSlots,
  anotherModel,
  folded,
  tiedProblem,
  unknownName,
  wrongShape,
} from './refusal.ts'
import { type Slot, slotsOf } from './slots.ts'
import { isSameNumbers, tiesOf, tiedLayout } from './tied.ts'

export interface MatchOptions {
  /** The weights that the masks belong to: masks are then found by what the constants of the graph hold. */
  readonly weights?: ReadonlyArray<FileEntry>
  /** Where masks belong by their names, before anything is looked for. */
  readonly map?: MaskMap
}

/** A mask that found no weight, or too many. */
export interface Undecided {
  readonly mask: MaskTensor
  readonly problem: MaskFileError
  /** Where it could be. */
  readonly candidates: ReadonlyArray<Slot>
}

export interface Weighed {
  /** Of tensors that cannot be read, or are no masks. */
  readonly problems: ReadonlyArray<MaskFileError>
  readonly masks: ReadonlyArray<MaskTensor>
  readonly slots: ReadonlyArray<Slot>
  readonly assignments: ReadonlyArray<Assignment>
  readonly undecided: ReadonlyArray<Undecided>
  readonly notes: ReadonlyArray<string>
}

/** What evidence says of every mask among `entries`. */
export const weigh = (entries: ReadonlyArray<FileEntry>, graph: Graph, options: MatchOptions): Weighed => {
  const sorted = sortEntries(entries)
  const { masks, problems } = decodeMaskTensors(sorted.masks, graph)
  const search: Search = {
    graph,
    slots: slotsOf(graph),
    masks,
    left: new Set(masks),
    placed: [],
    undecided: [],
    notes: [],
  }
  placeMapped(search, options.map ?? new Map())
  const evidence = placeNamed(search, weightsByName([...(options.weights ?? []), ...sorted.weights]))
  placeSplit(search, evidence)
  placeRemaining(search, evidence)
  passOver(search, evidence)
  refuseRest(search, evidence)
  const { assignments, open } = orient(search.placed)
  for (const { mask, slot, layouts } of open) {
    search.undecided.push({ mask, problem: ambiguousLayout(mask, slot, layouts), candidates: [slot] })
  }
  const tied = withTies(search, assignments)
  const order = new Map(masks.map((mask, i) => [mask, i]))
  return {
    problems,
    masks,
    slots: search.slots,
    assignments: tied.toSorted((a, b) => (order.get(a.mask) ?? 0) - (order.get(b.mask) ?? 0)),
    undecided: search.undecided,
    notes: search.notes,
  }
}

/** What is known so far. Local to one call. */
interface Search {
  readonly graph: Graph
  readonly slots: ReadonlyArray<Slot>
  readonly masks: ReadonlyArray<MaskTensor>
  /** Masks without a place. */
  readonly left: Set<MaskTensor>
  readonly placed: Placed[]
  readonly undecided: Undecided[]
  readonly notes: string[]
}

type Place = Pick<Placed, 'slot' | 'layouts'>

const place = (search: Search, mask: MaskTensor, way: Way, places: ReadonlyArray<Place>): void => {
  for (const { slot, layouts } of places) search.placed.push({ mask, slot, layouts, way })
  search.left.delete(mask)
}

const fail = (search: Search, mask: MaskTensor, problem: MaskFileError, candidates: ReadonlyArray<Slot> = []): void => {
  search.undecided.push({ mask, problem, candidates })
  search.left.delete(mask)
}

const freeSlots = ({ slots, placed }: Search): ReadonlyArray<Slot> => {
  const taken = new Set(placed.map(({ slot }) => slot))
  return slots.filter((slot) => !taken.has(slot))
}

const placeMapped = (search: Search, map: MaskMap): void => {
  for (const mask of search.masks) {
    const entry = map.get(mask.label) ?? map.get(mask.name.raw)
    if (entry === undefined) continue
    if (entry === null) {
      search.notes.push(`${mask.label} is left out, as the map says.`)
      search.left.delete(mask)
      continue
    }
    const found = placeByMap(mask, entry, search.slots)
    if (E.isLeft(found)) fail(search, mask, found.left)
    else
      place(
        search,
        mask,
        'map',
        found.right.slots.map((slot) => ({ slot, layouts: found.right.layouts })),
      )
  }
}

/** Masks by names, and, where their weights are given, by what these hold: then names only choose among equal weights. */
const placeNamed = (search: Search, weights: ReadonlyMap<string, FileEntry>): NameEvidence => {
  const exact = exactNames(search)
  const others = [...search.left].filter((mask) => !exact.has(mask))
  const evidence = nameEvidence([...search.left], search.slots)
  const valuesOf = cachedValues()
  for (const [mask, slots] of exact) {
    const places = slots.map((slot) => ({ slot, layouts: layoutsOn(slot, mask.shape, mask.name) }))
    const [first] = slots
    if (!byValue(search, mask, weights, places, valuesOf) && first !== undefined) {
      if (places.every(({ layouts }) => layouts.length === 0)) fail(search, mask, wrongShape(mask, first))
      else place(search, mask, 'name', keepingOrder(places))
    }
  }
  for (const mask of others) {
    const named = evidence.found.get(mask) ?? []
    if (byValue(search, mask, weights, named, valuesOf)) continue
    const [first] = named
    if (first !== undefined && named.every(({ slot }) => isSameNumbers(first.slot, slot)))
      place(search, mask, first.way, named)
  }
  return evidence
}

/** A weight under the mask's own name lies as the mask does, where its shape allows it: the file is written for this model. */
const keepingOrder = (places: ReadonlyArray<Place>): ReadonlyArray<Place> =>
  places.filter(({ layouts }) => layouts.length > 0)

/** Slots that are called exactly as the mask is. */
const exactNames = ({ slots, left }: Search): ReadonlyMap<MaskTensor, ReadonlyArray<Slot>> => {
  const byAlias = new Map<string, Slot[]>()
  for (const slot of slots) {
    if (slot.name === undefined && !isGenerated(slot.alias)) continue
    const known = byAlias.get(slot.alias)
    if (known) known.push(slot)
    else byAlias.set(slot.alias, [slot])
  }
  const out = new Map<MaskTensor, ReadonlyArray<Slot>>()
  for (const mask of left) {
    const found = byAlias.get(mask.name.raw)
    if (found !== undefined) out.set(mask, found)
  }
  return out
}

const weightsByName = (entries: ReadonlyArray<FileEntry>): ReadonlyMap<string, FileEntry> =>
  new Map(entries.map((entry) => [parameterName(entry.name).tokens.join('.'), entry]))

/** Places a mask where the weight it belongs to is found; false where that is not given, or not found. */
const byValue = (
  search: Search,
  mask: MaskTensor,
  weights: ReadonlyMap<string, FileEntry>,
  named: ReadonlyArray<Place>,
  valuesOf: ReturnType<typeof cachedValues>,
): boolean => {
  const entry = weights.get(mask.name.tokens.join('.')) ?? weights.get([...mask.name.tokens, 'weight'].join('.'))
  const weight = entry?.decode()
  if (weight === undefined || E.isLeft(weight)) return false
  for (const source of [weight.right, masked(weight.right, mask)]) {
    if (source === undefined) continue
    const own = places(
      source,
      mask,
      named.map(({ slot }) => slot),
      valuesOf,
    )
    if (own.whole.length > 0) {
      place(search, mask, 'value', own.whole)
      return true
    }
    const all = places(source, mask, search.slots, valuesOf)
    const [first] = all.whole
    if (
      first !== undefined &&
      all.whole.every(
        ({ slot }) => slot.root === first.slot.root || slot.path?.join('.') === first.slot.path?.join('.'),
      )
    ) {
      place(search, mask, 'value', all.whole)
      return true
    }
    if (first !== undefined) {
      fail(
        search,
        mask,
        ambiguousSlots(
          mask,
          all.whole.map(({ slot }) => slot),
        ),
      )
      return true
    }
    if (all.parts.length > 0) {
      place(search, mask, 'value', all.parts)
      return true
    }
  }
  return false
}

/** Slots that hold a weight, or, where none holds it whole, those that hold all of its parts. */
const places = (
  source: Dense,
  mask: MaskTensor,
  slots: ReadonlyArray<Slot>,
  valuesOf: ReturnType<typeof cachedValues>,
): { readonly whole: ReadonlyArray<Place>; readonly parts: ReadonlyArray<Place> } => {
  const size = sizeOf(source.shape)
  const whole: Place[] = []
  const parts: Place[] = []
  let covered = 0
  const sameShape = source.shape.length === mask.shape.length && source.shape.every((d, a) => d === mask.shape[a])
  for (const slot of slots) {
    const matches = layoutsByValue(source, slot, valuesOf)
    const full = matches.filter((match) => match.covered === size)
    const layouts = sameShape
      ? full.map(({ layout }) => layout)
      : full.length > 0
        ? layoutsOn(slot, mask.shape, mask.name)
        : []
    if (layouts.length > 0) whole.push({ slot, layouts })
    const [part] = matches
    if (full.length === 0 && sameShape && part !== undefined && matches.length === 1) {
      parts.push({ slot, layouts: [part.layout] })
      covered += part.covered
    }
  }
  return { whole, parts: covered === size ? parts : [] }
}

/** The weight as an export of the masked model holds it. */
const masked = (weight: Dense, mask: MaskTensor): Dense | undefined => {
  if (mask.whole || sizeOf(weight.shape) !== mask.kept.length) return undefined
  const values = Float64Array.from(elements(weight), Number)
  for (let i = 0; i < values.length; i++) if (mask.kept[i] === 0) values[i] = 0
  return tensorOf(weight.dtype, weight.shape, values)
}

const placeSplit = (search: Search, { rewriting }: NameEvidence): void => {
  for (const mask of [...search.left]) {
    const pieces = splitProjection(mask, pathInGraph(mask, rewriting), freeSlots(search))
    if (pieces === undefined) continue
    place(
      search,
      mask,
      'node',
      pieces.map(({ slot, layout }) => ({ slot, layouts: [layout] })),
    )
  }
}

/** What only shapes tell, of masks that names do not put in several places. */
const placeRemaining = (search: Search, { rewriting, found, torn }: NameEvidence): void => {
  const free = freeSlots(search)
  const ties = tiesOf(search.graph)
  const fits = new Map([...search.left].map((mask) => [mask, fitsOf(mask, free, rewriting)]))
  const decided = eliminate(fits, (a, b) => a.root === b.root || (ties.get(a) ?? []).includes(b))
  for (const [mask, fit] of decided) {
    if (!found.has(mask) && !torn.has(mask)) place(search, mask, 'shape', [fit])
  }
}

/** Leaves out masks that change nothing, and those of modules that were not exported. */
const passOver = (search: Search, { rewriting, found, torn }: NameEvidence): void => {
  for (const mask of [...search.left]) {
    if (mask.whole) search.notes.push(`${mask.label} found no weight, and keeps everything.`)
    else if (!found.has(mask) && !torn.has(mask) && isAbsent(search, mask, rewriting))
      search.notes.push(`${mask.label} is of a module that is not part of the model.`)
    else continue
    search.left.delete(mask)
  }
}

/** Whether other names were found, none of this mask's module, and nothing without a mask is left that it could be in. */
const isAbsent = (search: Search, mask: MaskTensor, rewriting: NameEvidence['rewriting']): boolean => {
  const path = pathInGraph(mask, rewriting)
  if (path === undefined || path.length === 0 || search.placed.length === 0) return false
  const within = (tokens: ReadonlyArray<string> | undefined): boolean =>
    tokens !== undefined && path.every((token, i) => token === tokens[i])
  if (search.slots.some((slot) => within(slot.path) || within(slot.name?.tokens))) return false
  return couldHold(search, mask).length === 0
}

/** Slots without a mask that may hold what a mask is for: some of their sizes are its own. */
const couldHold = (search: Search, mask: MaskTensor): ReadonlyArray<Slot> =>
  freeSlots(search).filter(
    ({ tensor }) =>
      tensor.shape.filter((d) => d > 1).length >= Math.min(2, mask.shape.length) &&
      tensor.shape.some((d) => d > 1 && mask.shape.includes(d)),
  )

const refuseRest = (search: Search, { found, torn, rewriting }: NameEvidence): void => {
  const { placed, graph, undecided } = search
  const free = freeSlots(search)
  const left = [...search.left]
  const fits = new Map(left.map((mask) => [mask, shapedLike(mask, free).map(({ slot }) => slot)]))
  const nothing = placed.length === 0 && found.size + torn.size === 0 && undecided.length === 0
  const [first] = left
  if (nothing && first !== undefined && left.length > 1 && [...fits.values()].every((slots) => slots.length === 0)) {
    if (!left.some(({ label }) => graph.defaults.has(label))) {
      undecided.push({ mask: first, problem: anotherModel(left, graph), candidates: [] })
      return
    }
  }
  for (const mask of left) {
    const named = [...(found.get(mask) ?? []), ...(torn.get(mask) ?? [])].map(({ slot }) => slot)
    const candidates = named.length > 0 ? named : fitsOf(mask, free, rewriting).map(({ slot }) => slot)
    const shaped = fits.get(mask) ?? []
    const held = couldHold(search, mask)
    if (candidates.length > 1) fail(search, mask, ambiguousSlots(mask, candidates), candidates)
    else if (placed.length > 0 && shaped.length === 0 && held.length > 0 && !isMisspelt(mask, search)) {
      fail(search, mask, folded(mask, held))
    } else fail(search, mask, unknownName(mask, graph, shaped), shaped)
  }
}

/** Whether a mask's name is nearly that of a weight. */
const isMisspelt = ({ name }: MaskTensor, { slots }: Search): boolean =>
  closestName(
    name.raw,
    slots.map(({ alias }) => alias),
  ) !== undefined

/** The same masks on what is tied to the weights they were found for. */
const withTies = (search: Search, assignments: ReadonlyArray<Assignment>): ReadonlyArray<Assignment> => {
  const ties = tiesOf(search.graph)
  const taken = new Set(assignments.map(({ slot }) => slot))
  const out = [...assignments]
  for (const { mask, slot } of assignments) {
    for (const other of ties.get(slot) ?? []) {
      if (taken.has(other) || mask.whole) continue
      const layout = tiedLayout(mask, other)
      if (mask.name.pruned || layout === undefined) {
        search.undecided.push({ mask, problem: tiedProblem(mask, slot, other), candidates: [other] })
        continue
      }
      taken.add(other)
      out.push({ mask, slot: other, layout, way: 'tied' })
    }
  }
  return out
}
