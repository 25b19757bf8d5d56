/** What a pickle holds, as inert data: nothing here runs, and nothing is looked up by name. */

export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Text
  | List
  | Tuple
  | SetOf
  | Dict
  | Global
  | Made
  | Persistent

/** A text too long for a name, or not well-formed: its bytes in UTF-8, as the file has them. */
export interface Text {
  readonly tag: 'text'
  readonly utf8: Uint8Array
}

export interface List {
  readonly tag: 'list'
  readonly items: Value[]
}

export interface Tuple {
  readonly tag: 'tuple'
  readonly items: ReadonlyArray<Value>
}

export interface SetOf {
  readonly tag: 'set'
  readonly items: Value[]
}

/** Keys that are numbers or texts are compared, others are told apart by where they are. */
export interface Dict {
  readonly tag: 'dict'
  /** Made with the first pair: an empty dictionary is one byte of a pickle. */
  pairs: Map<Value, Value> | undefined
}

/** A class, function or other thing that a pickle names. */
export interface Global {
  readonly tag: 'global'
  readonly module: string
  readonly name: string
}

/** What a call would have returned: the call as the pickle describes it, and what it then does to the result. */
export interface Made {
  readonly tag: 'made'
  readonly callee: Value
  readonly args: Value
  items: Value[] | undefined
  pairs: Map<Value, Value> | undefined
  state: Value | undefined
}

/** Something kept outside the pickle: for PyTorch the memory of tensors. */
export interface Persistent {
  readonly tag: 'persistent'
  readonly id: Value
}

type Tagged = Extract<Value, { readonly tag: string }>

export const isTagged = (value: Value | undefined): value is Tagged =>
  typeof value === 'object' && value !== null && !(value instanceof Uint8Array)

export const isMade = (value: Value | undefined): value is Made => isTagged(value) && value.tag === 'made'

/** The items of a list or tuple. */
export const itemsOf = (value: Value | undefined): ReadonlyArray<Value> | undefined =>
  isTagged(value) && (value.tag === 'list' || value.tag === 'tuple') ? value.items : undefined

export const pairsOf = (value: Value | undefined): ReadonlyMap<Value, Value> | undefined => {
  if (!isTagged(value)) return undefined
  if (value.tag === 'dict') return value.pairs ?? new Map()
  return value.tag === 'made' ? value.pairs : undefined
}

/** Modules that Python and numpy have renamed, by their names today. */
const renamed: ReadonlyMap<string, string> = new Map([
  ['__builtin__', 'builtins'],
  ['copy_reg', 'copyreg'],
  ['numpy._core.multiarray', 'numpy.core.multiarray'],
  ['numpy._core.numeric', 'numpy.core.numeric'],
])

/** The full name of what a pickle names, in characters that are safe to print; empty for anything else. */
export const nameOf = (value: Value | undefined): string => {
  if (!isTagged(value) || value.tag !== 'global') return ''
  const name = `${renamed.get(value.module) ?? value.module}.${value.name}`
  return name.replaceAll(/[^\w.<>-]/g, '?').slice(0, 100)
}

/** The class of what was made, where the pickle names one. */
export const classOf = (made: Made): string => {
  const name = nameOf(made.callee)
  // https://github.com/python/cpython/blob/main/Lib/copyreg.py: both are called with the class first.
  if (name === 'copyreg._reconstructor' || name === 'copyreg.__newobj__') return nameOf(itemsOf(made.args)?.[0])
  if (name !== '') return name
  // Legacy files of PyTorch keep the classes of modules, with their source, outside the pickle.
  if (isTagged(made.callee) && made.callee.tag === 'persistent') return nameOf(itemsOf(made.callee.id)?.[1])
  return ''
}
