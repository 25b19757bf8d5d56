/**
 * Reading plain data entry by entry. A wrong entry is noted and a stand-in given, so that one pass finds all that is wrong.
 * (A schema library would do; this is smaller than its use and words errors like the rest.)
 */
import { isRecord } from '../../ir/record.ts'
import { closestName } from '../../ir/closest.ts'
import { recipeError, type RecipeError } from './error.ts'

export interface Range {
  readonly min: number
  readonly max?: number
  /** Whether `min` or `max` themselves are too small or too large. */
  readonly aboveMin?: boolean
  readonly belowMax?: boolean
  readonly whole?: boolean
}

export type Span = readonly [low: number, high: number]

/** The entries of one object. What has no default is required. */
export interface Entries {
  readonly number: (key: string, range: Range, absent?: number) => number
  readonly flag: (key: string, absent: boolean) => boolean
  /** Entries that have a meaning only under some choices, `decides`, are not judged where the choice is wrong. */
  readonly choice: <T extends string>(
    key: string,
    choices: readonly [T, ...ReadonlyArray<T>],
    absent?: T,
    decides?: 'all' | ReadonlyArray<string>,
  ) => T
  /** A list of numbers, ascending. */
  readonly numbers: (key: string, range: Range, absent: ReadonlyArray<number>) => ReadonlyArray<number>
  /** A least and a largest number. */
  readonly span: (key: string, range: Range, absent: Span) => Span
  /** What is under a key, not looked at. */
  readonly raw: (key: string) => unknown
  /** The entries of an object under a key; undefined where there is none. */
  readonly inner: (key: string) => Entries | undefined
  readonly note: (key: string, expected: string, found: string, help: string) => void
  /** Notes every key that nothing asked for, unless a choice that decides about all keys was wrong. */
  readonly end: () => void
}

/** A value as it was written, its beginning where it is long. */
export const shown = (x: unknown): string => {
  if (x === undefined) return 'nothing'
  return typeof x === 'number' ? String(x) : (JSON.stringify(x)?.slice(0, 60) ?? typeof x)
}

/** Which numbers a range holds, in words. */
export const rangeText = ({ min, max, aboveMin, belowMax, whole }: Range): string =>
  [
    whole === true ? 'a whole number' : 'a number',
    aboveMin === true ? `above ${min}` : `of at least ${min}`,
    ...(max === undefined ? [] : [belowMax === true ? `and below ${max}` : `and at most ${max}`]),
  ].join(' ')

const isWithin = (x: unknown, { min, max = Infinity, aboveMin, belowMax, whole }: Range): x is number =>
  typeof x === 'number' &&
  Number.isFinite(x) &&
  (aboveMin === true ? x > min : x >= min) &&
  (belowMax === true ? x < max : x <= max) &&
  (whole !== true || Number.isSafeInteger(x))

/** Entries of no meaning that are told one by one. */
const mostUnknown = 20

const changeIt = 'Change or remove the entry.'

const ascending = (found: unknown, range: Range): ReadonlyArray<number> | undefined => {
  const list: ReadonlyArray<unknown> = Array.isArray(found) ? found : [undefined]
  const good = list.filter((x) => isWithin(x, range))
  return good.length === list.length && good.every((x, i) => i === 0 || x >= (good[i - 1] ?? x)) ? good : undefined
}

/** The entries of `value`, which `path` names in errors; these are pushed to `problems`. */
export const entriesOf = (value: unknown, path: string, problems: RecipeError[]): Entries => {
  const record = isRecord(value) ? value : {}
  const asked = new Set<string>()
  let judged = true
  const at = (key: string): string => (path === '' ? key : `${path}.${key}`)
  const note: Entries['note'] = (key, expected, found, help) => {
    if (isRecord(value)) problems.push(recipeError(`recipe entry ${at(key)}`, expected, found, help))
  }
  if (!isRecord(value)) {
    const subject = path === '' ? 'recipe' : `recipe entry ${path}`
    problems.push(recipeError(subject, 'an object', shown(value), 'See the presets for what recipes look like.'))
  }
  const take = (key: string): unknown => {
    asked.add(key)
    return record[key]
  }
  return {
    note,
    raw: take,
    number: (key, range, absent) => {
      const found = take(key)
      if (found === undefined && absent !== undefined) return absent
      if (isWithin(found, range)) return found
      note(key, rangeText(range), shown(found), changeIt)
      return absent ?? range.min
    },
    flag: (key, absent) => {
      const found = take(key)
      if (found === undefined || typeof found === 'boolean') return found ?? absent
      note(key, 'true or false', shown(found), changeIt)
      return absent
    },
    choice: (key, choices, absent, decides = []) => {
      const found = take(key)
      const known = found === undefined ? absent : choices.find((choice) => choice === found)
      if (known !== undefined) return known
      const close = typeof found === 'string' ? closestName(found, choices) : undefined
      const help = close === undefined ? 'Choose one of these.' : `Did you mean ${close}?`
      note(key, `one of ${choices.join(', ')}`, shown(found), help)
      if (decides === 'all') judged = false
      else for (const other of decides) asked.add(other)
      return absent ?? choices[0]
    },
    numbers: (key, range, absent) => {
      const found = take(key)
      const list = found === undefined ? absent : ascending(found, range)
      if (list === undefined) note(key, `an ascending list, each ${rangeText(range)}`, shown(found), changeIt)
      return list ?? absent
    },
    span: (key, range, absent) => {
      const found = take(key)
      if (found === undefined) return absent
      const [low, high, ...more] = ascending(found, range) ?? []
      if (low !== undefined && high !== undefined && more.length === 0) return [low, high]
      note(key, `a list of two numbers, ascending, each ${rangeText(range)}`, shown(found), changeIt)
      return absent
    },
    inner: (key) => {
      const found = take(key)
      return found === undefined ? undefined : entriesOf(found, at(key), problems)
    },
    end: () => {
      if (!judged) return
      const unknown = Object.keys(record).filter((key) => !asked.has(key))
      for (const key of unknown.slice(0, mostUnknown)) {
        const close = closestName(key, asked)
        const advice = close === undefined ? 'Remove it.' : `Did you mean ${close}?`
        const help = `${advice} Entries here are ${[...asked].join(', ')}.`
        note(key, 'an entry that exists', 'one of no meaning', help)
      }
      const more = unknown.length - mostUnknown
      if (more > 0) note(unknown[mostUnknown] ?? '', 'an entry that exists', `it and ${more - 1} more`, 'Remove them.')
    },
  }
}
