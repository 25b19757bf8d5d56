/** Options as JavaScript may give them: names and words that TypeScript would have refused. */
import { type Failure, failure } from './failure.ts'

/** What an option may be: one of some words, or anything of its type. */
export type Choice = ReadonlyArray<string> | 'any'

/** The first option that does not exist or is none of its words, as a failure of the call's own tag; undefined where all are fine. */
export const wrongOption = <Tag extends string>(
  tag: Tag,
  options: object,
  known: Readonly<Record<string, Choice>>,
): Failure<Tag> | undefined => {
  const names = Object.keys(known).join(', ')
  for (const [name, value] of Object.entries(options)) {
    const choice = Object.hasOwn(known, name) ? known[name] : undefined
    if (choice === undefined) return failure(tag, 'options', names, name, 'Correct its name, or leave it out.')
    if (choice === 'any' || value === undefined || choice.some((word) => word === value)) continue
    return failure(tag, name, choice.join(', '), String(value), 'Give one of these, or leave it out for the default.')
  }
  return undefined
}

/** The first count that is given and is no whole number of at least 1, as a failure of the call's own tag; undefined where all are fine. */
export const wrongCount = <Tag extends string>(
  tag: Tag,
  counts: Readonly<Record<string, number | undefined>>,
): Failure<Tag> | undefined => {
  for (const [name, value] of Object.entries(counts)) {
    if (value === undefined || (Number.isSafeInteger(value) && value > 0)) continue
    return failure(tag, name, 'a whole number of at least 1', `${value}`, 'Leave it out for the default.')
  }
  return undefined
}
