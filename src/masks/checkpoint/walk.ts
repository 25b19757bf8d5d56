/**
 * Finds the tensors of a checkpoint: goes through dictionaries, lists, objects and modules, each once, and names each
 * tensor by its place. A loop with a stack of its own; nothing is copied.
 */
import * as E from 'fp-ts/lib/Either.js'
import { type FileContents, type FileEntry, tensorFileError, type TensorFileError } from '../file-entry.ts'
import type { Found } from './found.ts'
import { isSkipped } from './storage.ts'
import { type Sources, tensorOf } from './tensor.ts'
import { classOf, isMade, isTagged, itemsOf, type Made, nameOf, pairsOf, type Value } from './value.ts'

/** Containers in one another. */
const depthLimit = 64
/** Characters of a name. */
const nameLimit = 1000
/** More tensors than any checkpoint has, optimizer included. */
const entryLimit = 200_000
/** Items of containers that are looked at again under another name: a few bytes can make a container contain itself 2^30 times. */
const repeatLimit = 100_000
/** Kinds of things passed over that are named; the rest is counted. */
const noteLimit = 50

/** A value and where it is. */
interface Item {
  readonly key: string
  /** The keys of the containers around it; undefined for the whole. */
  readonly within: ReadonlyArray<string> | undefined
  /** What the names of a module's tensors begin with. */
  readonly prefix: string
  readonly value: Value
  /** Whether it stands where a module has its modules. */
  readonly isModule: boolean
}

interface Frame {
  readonly container: object
  readonly items: Iterator<Item>
  readonly again: boolean
  /** The class of what is no container by itself, and how many tensors there were before it. */
  readonly unknown?: { readonly name: string; readonly before: number }
}

/** Classes whose objects are numbers, sizes and the like, and are passed over without a word. */
const plain: ReadonlySet<string> = new Set([
  'torch.Size',
  'torch.device',
  'torch.serialization._get_layout',
  'numpy.dtype',
  'numpy.core.multiarray.scalar',
  '_codecs.encode',
  'builtins.bytearray',
  'builtins.bytes',
  'builtins.complex',
  'builtins.range',
  'builtins.slice',
])

const sets: ReadonlySet<string> = new Set(['builtins.set', 'builtins.frozenset', 'builtins.list', 'builtins.tuple'])
const dictionaries: ReadonlySet<string> = new Set([
  'collections.OrderedDict',
  'collections.defaultdict',
  'collections.Counter',
  'builtins.dict',
])

/** The tensors in `root`, with what was passed over. */
export const tensorsIn = (root: Value, sources: Sources): E.Either<TensorFileError, FileContents> => {
  const entries: FileEntry[] = []
  const notes = new Set<string>()
  const found = new Map<Made, Found | undefined>()
  const visited = new Set<object>()
  const open = new Set<object>()
  const frames: Frame[] = []
  let repeats = repeatLimit

  const enter = (container: object, items: Iterator<Item>, unknown?: string): void => {
    if (open.has(container)) return
    const again = visited.has(container) || frames.at(-1)?.again === true
    if (again && repeats <= 0) {
      notes.add('Containers that the file has under several names were not looked at under all of them.')
      return
    }
    if (frames.length === depthLimit) {
      notes.add(`Containers within ${depthLimit} others were passed over.`)
      return
    }
    visited.add(container)
    open.add(container)
    const frame = { container, items, again }
    frames.push(unknown === undefined ? frame : { ...frame, unknown: { name: unknown, before: entries.length } })
  }

  const visit = (item: Item): TensorFileError | undefined => {
    const { value, within = [], prefix, key } = item
    if (!isTagged(value)) return undefined
    if (!isMade(value)) {
      if (value.tag === 'persistent') notes.add('Memory that is no tensor was passed over.')
      const items = value.tag === 'set' ? value.items : itemsOf(value)
      const pairs = pairsOf(value)
      if (items !== undefined && items.length > 0) enter(value, listItems(items, inside(item)))
      else if (pairs !== undefined && pairs.size > 0) enter(value, dictItems(pairs, inside(item), notes))
      return undefined
    }
    const name = `${prefix}${key}`
    if (name.length > nameLimit) {
      notes.add(longNames)
      return undefined
    }
    if (!found.has(value)) {
      const tensor = tensorOf(value, sources, name === '' ? 'the tensor' : `tensor ${name}`)
      if (tensor !== undefined && E.isLeft(tensor)) return tensor.left
      if (tensor !== undefined && isSkipped(tensor.right)) notes.add(tensor.right.skipped)
      if (tensor === undefined) {
        visitMade(item, value)
        return undefined
      }
      found.set(value, isSkipped(tensor.right) ? undefined : { storage: `object ${found.size}`, ...tensor.right })
    }
    const tensor = found.get(value)
    if (tensor === undefined) return undefined
    entries.push({ name, ...(within.length === 0 ? {} : { within }), ...tensor })
    return undefined
  }

  const visitMade = (item: Item, made: Made): void => {
    const name = classOf(made)
    if (plain.has(name)) return
    if (sets.has(name)) {
      enter(made, setItems(made, inside(item)))
    } else if (dictionaries.has(name)) {
      enter(made, dictionaryItems(made, inside(item), notes))
    } else if (isModule(made)) {
      // Its name is the beginning of all those within.
      const prefix = item.isModule ? `${item.prefix}${item.key}.` : ''
      enter(made, moduleItems(made, item.isModule ? (item.within ?? []) : inside(item), prefix, notes))
    } else {
      const known = name === '' ? 'unknown' : name
      if (made.state === undefined && made.items === undefined && made.pairs === undefined)
        notes.add(noteOf(known, false))
      else if (!visited.has(made)) enter(made, objectItems(made, inside(item), notes), known)
    }
  }

  let problem = visit({ key: '', within: undefined, prefix: '', value: root, isModule: false })
  for (let frame = frames.at(-1); frame !== undefined && problem === undefined; frame = frames.at(-1)) {
    const next = frame.items.next()
    if (frame.again) repeats -= 1
    if (next.done === true || (frame.again && repeats <= 0)) {
      frames.pop()
      open.delete(frame.container)
      if (frame.unknown !== undefined) notes.add(noteOf(frame.unknown.name, entries.length > frame.unknown.before))
      continue
    }
    problem = visit(next.value)
    if (entries.length > entryLimit) {
      problem = tensorFileError(
        'checkpoint',
        `at most ${entryLimit} tensors`,
        'more',
        'Save the tensors that are needed only.',
      )
    }
  }
  return problem === undefined ? E.right({ entries, notes: listed(notes) }) : E.left(problem)
}

const noteOf = (name: string, held: boolean): string =>
  held ? `Of objects of class ${name} only the tensors were read.` : `Objects of class ${name} were passed over.`

const listed = (notes: ReadonlySet<string>): ReadonlyArray<string> => {
  const all = [...notes]
  return all.length <= noteLimit
    ? all
    : [...all.slice(0, noteLimit), `Things of ${all.length - noteLimit} more kinds were passed over.`]
}

/** The keys of the containers around what is in this one. */
const inside = ({ key, within, prefix }: Item): ReadonlyArray<string> =>
  within === undefined ? [] : [...within, `${prefix}${key}`]

/** Stands for an item that cannot hold a tensor; it is counted all the same. */
const nothing: Item = { key: '', within: [], prefix: '', value: null, isModule: false }

function* listItems(values: ReadonlyArray<Value>, within: ReadonlyArray<string>): Generator<Item> {
  for (const [i, value] of values.entries()) {
    yield isTagged(value) ? { key: String(i), within, prefix: '', value, isModule: false } : nothing
  }
}

const dictItem = (name: Value, value: Value, within: ReadonlyArray<string>, notes: Set<string>): Item => {
  if (!isTagged(value)) return nothing
  const key = keyOf(name)
  if (key !== undefined) return { key, within, prefix: '', value, isModule: false }
  notes.add(typeof name === 'string' ? longNames : 'Items under keys that are no names were passed over.')
  return nothing
}

const longNames = `Items with names of more than ${nameLimit} characters were passed over.`

/** A key as a name, undefined where it is none. */
const keyOf = (key: Value): string | undefined => {
  if (typeof key === 'string') return key.length <= nameLimit ? key : undefined
  return typeof key === 'number' || typeof key === 'bigint' || typeof key === 'boolean' ? String(key) : undefined
}

function* dictItems(
  pairs: ReadonlyMap<Value, Value>,
  within: ReadonlyArray<string>,
  notes: Set<string>,
): Generator<Item> {
  for (const [name, value] of pairs) yield dictItem(name, value, within, notes)
}

function* setItems(made: Made, within: ReadonlyArray<string>): Generator<Item> {
  yield* listItems(itemsOf(itemsOf(made.args)?.[0]) ?? [], within)
  yield* listItems(made.items ?? [], within)
}

/** An OrderedDict may be made of a list of pairs. */
function* dictionaryItems(made: Made, within: ReadonlyArray<string>, notes: Set<string>): Generator<Item> {
  const [first] = itemsOf(made.args) ?? []
  yield* dictItems(pairsOf(first) ?? new Map(), within, notes)
  for (const pair of itemsOf(first) ?? []) {
    const [name = null, value = null] = itemsOf(pair) ?? []
    yield dictItem(name, value, within, notes)
  }
  yield* dictItems(made.pairs ?? new Map(), within, notes)
}

/** The attributes of an object: a dictionary, or two, of which the second has those in slots. */
const attributesOf = ({ state }: Made): ReadonlyArray<ReadonlyMap<Value, Value>> => {
  const parts = itemsOf(state)
  const dictionaries = parts === undefined ? [state] : parts.slice(0, 2)
  return dictionaries.flatMap((one) => pairsOf(one) ?? [])
}

function* objectItems(made: Made, within: ReadonlyArray<string>, notes: Set<string>): Generator<Item> {
  for (const attributes of attributesOf(made)) yield* dictItems(attributes, within, notes)
  yield* dictItems(made.pairs ?? new Map(), within, notes)
  yield* listItems(made.items ?? [], within)
}

/** Modules of TorchScript have their parameters and modules as plain attributes. */
const isScript = (made: Made): boolean => nameOf(made.callee).startsWith('__torch__.')

/** Whether an object has what every `torch.nn.Module` has. */
const isModule = (made: Made): boolean => {
  if (isScript(made)) return true
  const [attributes] = attributesOf(made)
  return isDictionary(attributes?.get('_parameters')) && isDictionary(attributes?.get('_modules'))
}

const isDictionary = (value: Value | undefined): boolean =>
  isMade(value) ? dictionaries.has(classOf(value)) : isTagged(value) && value.tag === 'dict'

/** More buffers than any one module has. */
const bufferLimit = 1000

/** What `module.state_dict()` has: parameters, buffers that are to be saved, and those of the modules within. */
function* moduleItems(made: Made, within: ReadonlyArray<string>, prefix: string, notes: Set<string>): Generator<Item> {
  const [attributes = new Map<Value, Value>()] = attributesOf(made)
  if (isScript(made)) {
    for (const item of dictItems(attributes, within, notes)) {
      yield isMade(item.value) ? { ...item, prefix, isModule: true } : nothing
    }
    return
  }
  const dropped = attributes.get('_non_persistent_buffers_set')
  const names = isTagged(dropped) && dropped.tag === 'set' ? dropped.items : isMade(dropped) ? setOf(dropped) : []
  const unsaved = new Set(names.slice(0, bufferLimit))
  for (const part of ['_parameters', '_buffers', '_modules']) {
    const held = attributes.get(part)
    const items = isMade(held)
      ? dictionaryItems(held, within, notes)
      : dictItems(pairsOf(held) ?? new Map(), within, notes)
    for (const item of items) {
      const left = !isMade(item.value) || (part === '_buffers' && unsaved.has(item.key))
      yield left ? nothing : { ...item, prefix, isModule: part === '_modules' }
    }
  }
}

const setOf = (made: Made): ReadonlyArray<Value> => made.items ?? itemsOf(itemsOf(made.args)?.[0]) ?? []
