/** What a Keras layer says of itself in JSON, and what its translation is given and answers. */
import * as E from 'fp-ts/lib/Either.js'
import { isRecord } from '../../../ir/record.ts'
import type { Builder } from '../builder.ts'
import type { Known, Layout, Operand } from '../operand.ts'
import { activations } from '../emit/activation.ts'

/** Entries of a configuration; one that is absent, null or of another type takes the value given for that. */
export interface Config {
  readonly has: (name: string) => boolean
  readonly raw: (name: string) => unknown
  readonly number: (name: string, absent: number) => number
  /** A whole number, or the first of a list of them. */
  readonly integer: (name: string, absent: number) => number
  readonly bool: (name: string, absent: boolean) => boolean
  /** In snake case, however it is written: TensorFlow.js takes both. */
  readonly text: (name: string, absent: string) => string
  /** A list of `count` whole numbers, which may be given as one number for all. */
  readonly numbers: (name: string, count: number, absent: number) => ReadonlyArray<number>
  /** A list of whole numbers of any length. */
  readonly list: (name: string) => ReadonlyArray<number>
}

const snakeCase = (text: string): string => text.replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `_${letter}`).toLowerCase()

const isInteger = (x: unknown): x is number => Number.isSafeInteger(x)

export const configOf = (given: unknown): Config => {
  const raw = (name: string): unknown => (isRecord(given) && Object.hasOwn(given, name) ? given[name] : undefined)
  const list = (name: string): ReadonlyArray<number> => {
    const value = raw(name)
    return isInteger(value) ? [value] : Array.isArray(value) ? value.filter(isInteger) : []
  }
  return {
    has: (name) => raw(name) !== undefined && raw(name) !== null,
    raw,
    number: (name, absent) => {
      const value = raw(name)
      return typeof value === 'number' && Number.isFinite(value) ? value : absent
    },
    integer: (name, absent) => list(name)[0] ?? absent,
    bool: (name, absent) => {
      const value = raw(name)
      return typeof value === 'boolean' ? value : absent
    },
    text: (name, absent) => {
      const value = raw(name)
      return typeof value === 'string' ? snakeCase(value) : absent
    },
    numbers: (name, count, absent) => {
      const value = list(name)
      return Array.from({ length: count }, (_, i) => (value.length === 1 ? value[0] : value[i]) ?? absent)
    },
    list,
  }
}

export interface LayerCall {
  readonly b: Builder
  readonly layer: string
  readonly config: Config
  readonly inputs: ReadonlyArray<Operand>
  /** A weight of the layer `owner`, which is this one or one that it wraps; or that there is none. */
  readonly weight: (name: string, owner?: string) => E.Either<string, Known>
}

/** The outputs of a layer; or why it cannot be translated, as what was found. */
export type LayerResult = E.Either<string, ReadonlyArray<Operand>>

export type LayerLowering = (call: LayerCall) => LayerResult

export const one = (x: Operand): LayerResult => E.right([x])

/** Of the only input. */
export const onInput =
  (use: (call: LayerCall, x: Operand) => LayerResult): LayerLowering =>
  (call) => {
    const [x, ...others] = call.inputs
    return x === undefined || others.length > 0 ? E.left(`${call.inputs.length} inputs`) : use(call, x)
  }

/** Of the only input, whose rank is known. */
export const onRanked = (use: (call: LayerCall, x: Operand, rank: number) => LayerResult): LayerLowering =>
  onInput((call, x) => {
    const rank = call.b.rankOf(x)
    return rank === undefined ? E.left('an input of unknown rank') : use(call, x, rank)
  })

/** The weights of those names, or of the first that there is not. */
export const weightsOf = (call: LayerCall, names: ReadonlyArray<string>): E.Either<string, ReadonlyArray<Known>> => {
  const out: Known[] = []
  for (const name of names) {
    const weight = call.weight(name)
    if (E.isLeft(weight)) return weight
    out.push(weight.right)
  }
  return E.right(out)
}

/** What `x` becomes by the activation function that the configuration names. */
export const activated = ({ b, config }: LayerCall, x: Operand, absent = 'linear'): LayerResult => {
  const name = config.text('activation', absent)
  const apply = activations.get(name)
  return apply === undefined ? E.left(`activation ${name}`) : one(apply(b, x))
}

/** Where the layer has its channels. */
export const channelsOf = ({ config }: LayerCall): Layout =>
  config.text('data_format', 'channels_last') === 'channels_first' ? 'first' : 'last'
