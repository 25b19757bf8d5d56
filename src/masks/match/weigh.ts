/**
 * Weighs the evidence of where masks belong, the surest first: a map, equal numbers, names, modules, shapes. Each kind has a file
 * of its own; here is their order, and what is done where they disagree.
 */
import * as E from 'fp-ts/lib/Either.js'
import { closestName, editDistance } from '../../ir/closest.ts'
import type { Graph } from '../../ir/graph.ts'
import { type Dense, elements, isNumeric, materialize, tensorOf } from '../../ir/tensor.ts'
import { sizeOf } from '../../ir/type.ts'
import type { FileEntry } from '../file-entry.ts'
import type { Assignment, Placed, Way } from './assignment.ts'
import { type MaskMap, placeByMap } from './by-map.ts'
import { type Named, nameEvidence, type NameEvidence, ownPath, pathInGraph } from './by-name.ts'
import { eliminate, fitsOf, isWithin, shapedLike } from './by-shape.ts'
import { splitProjection } from './by-split.ts'
import { cachedValues, isTelling, layoutsByValue, throughWeight } from './by-value.ts'
import type { MaskFileError } from './error.ts'
import { layoutsOn } from './layout.ts'
import { decodeMaskTensors, type MaskTensor, sortEntries } from './mask-tensors.ts'
import { orient } from './orient.ts'
import { isFactor, isGenerated, isSameName, parameterName, sameTokens } from './parameter-name.ts'
import {
  ambiguousLayout,
  ambiguousSlots,
  anotherModel,
  copyProblem,
  folded,
  otherNumbers,
  tiedProblem,
  unknownName,
  weightsAreInputs,
  wrongShape,
} from './refusal.ts'
import { isCalledAgain, isPrunable, roleOf, type Slot, slotsOf } from './slots.ts'
import { areTied, isSameNumbers, tiesOf, tiedLayout } from './tied.ts'

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
    nowhere: new Set(),
    unplaced: [],
    notes: [],
  }
  placeMapped(search, options.map ?? new Map())
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
  /** Masks whose weights are given, and that no constant holds. */
  readonly nowhere: Set<MaskTensor>
  /** Masks that were passed over: they keep everything, or are of a module that is not there. */
  readonly unplaced: MaskTensor[]
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

const isOneParameter = (a: Slot, b: Slot, ties: ReturnType<typeof tiesOf>): boolean =>
  isSameNumbers(a, b) || (ties.get(a) ?? []).includes(b)

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

interface FoundByValue {
  readonly places: ReadonlyArray<Pick<Placed, 'slot' | 'layouts' | 'way'>>
  /** `silent`: the weight is not given; `vague`: its numbers say nothing. `several`: it is in more than one place. */
  readonly verdict: 'found' | 'none' | 'several' | 'silent' | 'vague'
  readonly candidates: ReadonlyArray<Slot>
}

/** What a search by numbers looks at. */
interface Given {
  readonly weights: ReadonlyMap<string, FileEntry>
  readonly masks: ReadonlyArray<MaskTensor>
  readonly slots: ReadonlyArray<Slot>
  readonly ties: ReturnType<typeof tiesOf>
  readonly valuesOf: ReturnType<typeof cachedValues>
}

const silent: FoundByValue = { places: [], verdict: 'silent', candidates: [] }

/**
 * Where the weight of a mask is by its numbers: as it was trained, or as an export of the masked model holds it; among the slots
 * that names say before all others.
 */
const findByValue = (mask: MaskTensor, named: ReadonlyArray<Named>, given: Given): FoundByValue => {
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

const isSameMask = (a: MaskTensor, b: MaskTensor): boolean =>
  a.shape.length === b.shape.length &&
  a.shape.every((d, i) => d === b.shape[i]) &&
  a.kept.every((keep, i) => keep === b.kept[i])

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
const placeRemaining = (search: Search, { rewriting, found, torn, unfit }: NameEvidence): void => {
  const free = freeSlots(search)
  const ties = tiesOf(search.graph)
  const fits = new Map([...search.left].map((mask) => [mask, fitsOf(mask, free, search.slots, rewriting)]))
  const decided = eliminate(fits, (a, b) => a.root === b.root || (ties.get(a) ?? []).includes(b))
  for (const [mask, fit] of decided) {
    if (![found, torn, unfit, search.nowhere].some((known) => known.has(mask))) place(search, mask, 'shape', [fit])
  }
}

/** Leaves out masks that change nothing, and those of modules that were not exported. */
const passOver = (search: Search, { rewriting, found, torn, unfit }: NameEvidence): void => {
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
const couldHold = (search: Search, mask: MaskTensor): ReadonlyArray<Slot> =>
  openSlots(search).filter(
    ({ tensor }) =>
      tensor.shape.filter((d) => d > 1).length >= Math.min(2, mask.shape.length) &&
      tensor.shape.some((d) => d > 1 && mask.shape.includes(d)),
  )

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

/**
 * The same masks on further copies of a parameter: a module that is called again may have its weights stored again. Copies in
 * another form are refused, as they may be equal parameters.
 */
const withCopies = (search: Search, assignments: ReadonlyArray<Assignment>): ReadonlyArray<Assignment> => {
  const valuesOf = cachedValues()
  const taken = new Set(assignments.map(({ slot }) => slot))
  const open = search.slots.filter((slot) => isPrunable(slot) && slot.name === undefined && !taken.has(slot))
  const out = [...assignments]
  for (const one of assignments) {
    const { mask, slot } = one
    if (mask.whole || !isPrunable(slot)) continue
    for (const other of open) {
      if (taken.has(other) || other.root === slot.root) continue
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
const withTies = (search: Search, assignments: ReadonlyArray<Assignment>): ReadonlyArray<Assignment> => {
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
