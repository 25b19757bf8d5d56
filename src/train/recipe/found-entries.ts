/** The entries of recipes, found by running the decoders of `src/train/recipe` on no data and noting what they ask for. */
import { invariant } from '../../ir/failure.ts'
import { isRecord } from '../../ir/record.ts'
import { type Entries, rangeText } from './reader.ts'

export interface FoundEntry {
  readonly key: string
  /** What it may be, in words; undefined where the decoder looks at it by itself: the kinds of an interval, an object. */
  readonly may: string | undefined
  readonly choices: ReadonlyArray<string>
  /** What it is where it is left out. */
  readonly absent: unknown
  /** The choice under which it has a meaning, and what it then is where it is left out; none: always. */
  readonly under: ReadonlyArray<{ readonly key: string; readonly choice: string; readonly absent: unknown }>
}

type Asked = Pick<FoundEntry, 'key' | 'may' | 'choices'>

type Choices = Readonly<Record<string, string>>

/** Entries that are not there, but for `choices`; what is asked for goes into `asked`. */
const recording = (asked: Map<string, Asked>, choices: Choices): Entries => {
  const ask = (key: string, may?: string, of: ReadonlyArray<string> = []): void => {
    asked.set(key, { key, may, choices: of })
  }
  return {
    number: (key, range, absent) => {
      ask(key, rangeText(range))
      return absent ?? range.min
    },
    flag: (key, absent) => {
      ask(key, 'true or false')
      return absent
    },
    choice: (key, among, absent) => {
      ask(key, undefined, among)
      return among.find((choice) => choice === choices[key]) ?? absent ?? among[0]
    },
    numbers: (key, range, absent) => {
      ask(key, `a list of numbers, ascending, each ${rangeText(range)}`)
      return absent
    },
    span: (key, range, absent) => {
      ask(key, `a list of two numbers, ascending, each ${rangeText(range)}`)
      return absent
    },
    raw: (key) => {
      ask(key)
      return undefined
    },
    inner: (key) => {
      ask(key)
      return undefined
    },
    note: () => {},
    end: () => {},
  }
}

/** What `read` asks for and makes of it, under `choices`. */
const runWith = (
  read: (entries: Entries) => unknown,
  choices: Choices,
): { readonly asked: ReadonlyMap<string, Asked>; readonly made: Readonly<Record<string, unknown>> } => {
  const asked = new Map<string, Asked>()
  const made = read(recording(asked, choices))
  invariant(isRecord(made), 'a decoder of recipes gives an object')
  return { asked, made }
}

/** The entries that `read` asks for under `choices`, and those that one more choice brings. */
export const entriesUnder = (read: (entries: Entries) => unknown, choices: Choices = {}): ReadonlyArray<FoundEntry> => {
  const { asked, made } = runWith(read, choices)
  const found = new Map<string, FoundEntry>(
    [...asked.values()].map((entry) => [entry.key, { ...entry, absent: made[entry.key], under: [] }]),
  )
  for (const { key, choices: among } of asked.values()) {
    if (key in choices) continue
    for (const choice of among) {
      const other = runWith(read, { ...choices, [key]: choice })
      for (const entry of other.asked.values()) {
        if (asked.has(entry.key)) continue
        const absent = other.made[entry.key]
        const under = [...(found.get(entry.key)?.under ?? []), { key, choice, absent }]
        found.set(entry.key, { ...entry, absent: undefined, under })
      }
    }
  }
  return [...found.values()]
}
