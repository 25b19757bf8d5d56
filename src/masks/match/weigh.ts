/**
 * Weighs the evidence of where masks belong, the surest first: a map, equal numbers, names, modules, shapes. Each kind has a file
 * of its own; here is their order, and what is done where they disagree.
 */
import * as E from 'fp-ts/lib/Either.js'
import { editDistance } from '../../ir/closest.ts'
import type { Graph } from '../../ir/graph.ts'
import type { FileEntry } from '../file-entry.ts'
import { couldHold, passOver } from './absence.ts'
import type { Assignment } from './assignment.ts'
import { type MaskMap, placeByMap } from './by-map.ts'
import { type Named, nameEvidence, type NameEvidence, pathInGraph } from './by-name.ts'
import { eliminate, fitsOf, shapedLike } from './by-shape.ts'
import { splitProjection } from './by-split.ts'
import { cachedValues } from './by-value.ts'
import { withCopies, withTies } from './copies.ts'
import type { MaskFileError } from './error.ts'
import { findByValue, type FoundByValue, type Given, silent } from './holders.ts'
import { layoutsOn } from './layout.ts'
import { decodeMaskTensors, labelOf, type MaskTensor, sortEntries } from './mask-tensors.ts'
import { orient } from './orient.ts'
import { isGenerated, parameterName } from './parameter-name.ts'
import {
  ambiguousLayout,
  ambiguousSlots,
  anotherModel,
  folded,
  otherNumbers,
  unknownInMap,
  unknownName,
  weightsAreInputs,
  wrongShape,
} from './refusal.ts'
import { fail, freeSlots, place, type Search, type Undecided } from './search.ts'
import { type Slot, slotsOf } from './slots.ts'
import { isOneParameter, tiesOf } from './tied.ts'

export interface MatchOptions {
  /** The weights that the masks belong to: masks are then found by what the constants of the graph hold. */
  readonly weights?: ReadonlyArray<FileEntry>
  /** Where masks belong by their names, before anything is looked for. */
  readonly map?: MaskMap
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
  const { map = new Map<string, null>() } = options
  const search: Search = {
    graph,
    slots: slotsOf(graph),
    masks,
    left: new Set(masks),
    placed: [],
    undecided: [],
    nowhere: new Set(),
    unplaced: [],
    notes: [],
  }
  placeMapped(search, map)
  const evidence = placeNamed(search, weightsByName([...(options.weights ?? []), ...sorted.weights]))
  placeSplit(search, evidence)
  placeRemaining(search, evidence)
  passOver(search, evidence)
  refuseRest(search, evidence)
  const ties = tiesOf(graph)
  const { assignments, open } = orient(search.placed, (slot) => (ties.get(slot)?.length ?? 0) > 0)
  for (const { mask, slot, layouts } of open) {
    search.undecided.push({ mask, problem: ambiguousLayout(mask, slot, layouts), candidates: [slot] })
  }
  const tied = withCopies(search, withTies(search, assignments))
  const order = new Map(masks.map((mask, i) => [mask, i]))
  return {
    problems: [...problems, ...namesOfNothing(map, masks, entries)],
    masks,
    slots: search.slots,
    assignments: tied.toSorted((a, b) => (order.get(a.mask) ?? 0) - (order.get(b.mask) ?? 0)),
    undecided: search.undecided,
    notes: search.notes,
  }
}

/** What a map says of masks that the file does not hold: a mistake, after which the mask that was meant would be used otherwise. */
const namesOfNothing = (
  map: MaskMap,
  masks: ReadonlyArray<MaskTensor>,
  entries: ReadonlyArray<FileEntry>,
): ReadonlyArray<MaskFileError> => {
  const labels = masks.flatMap(({ label, name }) => [label, name.raw])
  // Those of which nothing could be read are told of by themselves.
  const known = new Set([...labels, ...entries.flatMap((entry) => [entry.name, labelOf(entry)])])
  return [...map.keys()].filter((name) => !known.has(name)).map((name) => unknownInMap(name, labels))
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
  const evidence = nameEvidence([...search.left], search.slots)
  const named = new Map<MaskTensor, ReadonlyArray<Named>>()
  for (const mask of search.left) {
    const slots = exact.get(mask)
    const own = slots?.map((slot) => ({ slot, layouts: layoutsOn(slot, mask.shape, mask.name), way: 'name' as const }))
    named.set(mask, own ?? evidence.found.get(mask) ?? [])
  }
  const ties = tiesOf(search.graph)
  const given: Given = { weights, masks: search.masks, slots: search.slots, ties, valuesOf: cachedValues() }
  const look = (trusted: boolean): ReadonlyMap<MaskTensor, FoundByValue> =>
    new Map(Array.from(named, ([mask, places]) => [mask, findByValue(mask, trusted ? places : [], given)]))
  const byNames = look(true)
  // Names that numbers prove wrong prove nothing of the others.
  const lie = [...byNames].some(([mask, { places }]) => isElsewhere(places, named.get(mask) ?? []))
  const found = lie ? look(false) : byNames
  const isPrefixed = evidence.rewriting !== undefined && evidence.rewriting.dropped + evidence.rewriting.added !== ''
  const proves = [...found.values()].some((one) => one.places.length > 0)
  for (const [mask, places] of named) {
    const { places: byNumbers, verdict, candidates } = found.get(mask) ?? silent
    const [first] = places
    if (verdict === 'none') search.nowhere.add(mask)
    if (byNumbers.length > 0) for (const one of byNumbers) place(search, mask, one.way, [one])
    else if (verdict === 'several') fail(search, mask, ambiguousSlots(mask, candidates), candidates)
    else if ((verdict === 'none' && (proves || isPrefixed)) || (lie && !mask.whole)) {
      if (first !== undefined) fail(search, mask, otherNumbers(mask, first.slot), [first.slot])
    } else if (verdict === 'vague' && first !== undefined && first.layouts.length > 1) {
      fail(search, mask, ambiguousLayout(mask, first.slot, first.layouts), [first.slot])
    } else if (exact.has(mask)) placeExact(search, mask, places)
    else if (first !== undefined && places.every(({ slot }) => isOneParameter(first.slot, slot, ties))) {
      place(search, mask, first.way, places)
    }
  }
  return evidence
}

/** Whether a mask's weight is in another slot than its name says. */
const isElsewhere = (places: FoundByValue['places'], named: ReadonlyArray<Named>): boolean =>
  places.some(({ layouts: [layout] }) => layout !== undefined && layout.kind !== 'rows') &&
  named.some(({ way }) => way === 'name') &&
  places.every(({ slot }) => !named.some((one) => one.slot.root === slot.root))

/** A weight of just the mask's name is taken at its word, where the shape fits. */
const placeExact = (search: Search, mask: MaskTensor, places: ReadonlyArray<Named>): void => {
  const fitting = places.filter(({ layouts }) => layouts.length > 0)
  const [first] = places
  if (fitting.length > 0) place(search, mask, 'name', fitting)
  else if (first !== undefined) fail(search, mask, wrongShape(mask, first.slot))
}

/** Slots that are called exactly as the mask is. */
const exactNames = ({ slots, left }: Search): ReadonlyMap<MaskTensor, ReadonlyArray<Slot>> => {
  const byAlias = new Map<string, Slot[]>()
  for (const slot of slots) {
    if (slot.borrowed || (slot.name === undefined && !isGenerated(slot.alias))) continue
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

const placeSplit = (search: Search, { rewriting }: NameEvidence): void => {
  for (const mask of [...search.left]) {
    const pieces = splitProjection(
      mask,
      rewriting === undefined ? mask.name.tokens.slice(0, -1) : pathInGraph(mask, rewriting),
      freeSlots(search),
    )
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
const placeRemaining = (search: Search, { rewriting, found, torn, unfit }: NameEvidence): void => {
  const free = freeSlots(search)
  const ties = tiesOf(search.graph)
  const fits = new Map([...search.left].map((mask) => [mask, fitsOf(mask, free, search.slots, rewriting)]))
  const decided = eliminate(fits, (a, b) => a.root === b.root || (ties.get(a) ?? []).includes(b))
  for (const [mask, fit] of decided) {
    if (![found, torn, unfit, search.nowhere].some((known) => known.has(mask))) place(search, mask, 'shape', [fit])
  }
}

const refuseRest = (search: Search, { found, torn, unfit, rewriting }: NameEvidence): void => {
  const { placed, graph, undecided } = search
  const free = freeSlots(search)
  const left = [...search.left]
  const fits = new Map(left.map((mask) => [mask, shapedLike(mask, free).map(({ slot }) => slot)]))
  const inputs = left.some(({ label }) => graph.defaults.has(label))
  const nothing = !inputs && placed.length === 0 && found.size + torn.size === 0 && undecided.length === 0
  const [first] = left
  if (nothing && first !== undefined && left.length > 1 && [...fits.values()].every((slots) => slots.length === 0)) {
    undecided.push({ mask: first, problem: anotherModel(left, graph), candidates: [] })
    return
  }
  if (placed.length === 0 && first !== undefined && inputs) {
    undecided.push({ mask: first, problem: weightsAreInputs(left.length), candidates: [] })
    return
  }
  for (const mask of left) {
    const [misfit] = unfit.get(mask) ?? []
    if (misfit !== undefined) {
      fail(search, mask, wrongShape(mask, misfit), [misfit])
      continue
    }
    const own = search.slots.find(({ alias }) => alias === mask.name.raw)
    if (own !== undefined) {
      fail(search, mask, folded(mask, [own]))
      continue
    }
    const named = [...(found.get(mask) ?? []), ...(torn.get(mask) ?? [])].map(({ slot }) => slot)
    const candidates = named.length > 0 ? named : fitsOf(mask, free, search.slots, rewriting).map(({ slot }) => slot)
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
  slots.some(({ alias }) => alias !== name.raw && editDistance(alias, name.raw) <= 2)
