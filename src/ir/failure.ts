/**
 * What a user can get wrong, as data. Every error of the project has this shape, tagged by where it arose.
 * A broken invariant of ours is not a `Failure`: it throws through {@link invariant}.
 */
export interface Failure<Tag extends string = string> {
  readonly _tag: Tag
  /** The file, value, node or option at fault, by the name the user knows it by. */
  readonly subject: string
  readonly expected: string
  readonly found: string
  /** What to do about it: a full sentence. */
  readonly help: string
}

export const failure = <Tag extends string>(
  tag: Tag,
  subject: string,
  expected: string,
  found: string,
  help: string,
): Failure<Tag> => ({ _tag: tag, subject, expected, found, help })

/** One sentence for people: what is wrong, what was expected, what to do; or several of that, one a line. */
export const renderError = (error: Failure): string =>
  `${error.subject}: expected ${error.expected}, found ${error.found}${error.help.startsWith('\n') ? ':' : '. '}${error.help}`.trim()

/** Several problems of one thing as one failure, which lists them: `whole` words what was expected of it and found instead. */
export const together = (first: Failure, others: ReadonlyArray<Failure>, whole: Failure): Failure =>
  others.length === 0
    ? first
    : { ...whole, help: [first, ...others].map((problem) => `\n  ${renderError(problem)}`).join('') }

/** Throws when `condition` does not hold. For our own bugs only; what a user can cause is an `Either`. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`chasec: internal invariant broken: ${message}. Please report this as a bug.`)
}
