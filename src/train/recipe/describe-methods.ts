/** What there is to say of every method: its source, and its entries with what they may be. */
import { invariant } from '../../ir/failure.ts'
import { intervalText, sentences } from '../sparse/methods/entries.ts'
import { methodNames, methods } from '../sparse/methods/index.ts'
import type { Source } from '../sparse/methods/method.ts'
import { entriesUnder, type FoundEntry } from './found-entries.ts'

export interface DescribedEntry {
  readonly key: string
  /** What it is, in a sentence. */
  readonly about: string
  /** What it may be, in words or as a list of choices. */
  readonly may: string
  /** What it is where it is left out, as JSON, and under which choice. */
  readonly absent: string
}

export interface Described {
  readonly name: string
  readonly about: string
  readonly source: Source | null
  readonly entries: ReadonlyArray<DescribedEntry>
}

/** The entries of a method of that name, but for the name. */
export const entriesOfMethod = (name: (typeof methodNames)[number]): ReadonlyArray<FoundEntry> =>
  entriesUnder((entries) => methods[name].read(entries))

/** Numbers to four digits. */
const shown = (value: unknown): string =>
  JSON.stringify(value, (_, x: unknown) => (typeof x === 'number' ? Number(x.toPrecision(4)) : x))

const absentOf = ({ absent, under }: FoundEntry): string =>
  under.length === 0
    ? shown(absent)
    : under.map(({ key, choice, absent: value }) => `${shown(value)} where ${key} is ${choice}`).join(', ')

export const describeMethods = (): ReadonlyArray<Described> =>
  methodNames.map((name) => {
    const { about, source, sentences: own } = methods[name]
    const said: Readonly<Record<string, string>> = { ...sentences, ...own }
    const entries = entriesOfMethod(name).map((entry): DescribedEntry => {
      const sentence = said[entry.key]
      invariant(sentence !== undefined, `the method ${name} says nothing of its entry ${entry.key}`)
      const may = entry.choices.length > 0 ? entry.choices.join(', ') : (entry.may ?? intervalText)
      return { key: entry.key, about: sentence.replace(/, see \[.*\]\(.*\)/, ''), may, absent: absentOf(entry) }
    })
    return { name, about, source, entries }
  })
