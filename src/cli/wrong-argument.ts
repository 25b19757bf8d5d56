/** Arguments of options that make no sense, and arguments that are files. */
import { existsSync, readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { InvalidArgumentError } from 'commander'
import { closestName } from '../ir/closest.ts'
import type { Failure } from '../ir/failure.ts'

/** What an option or argument expects, thrown by what reads it; the check of the command line says what was found. */
export class WrongArgument extends InvalidArgumentError {
  readonly expected: string
  readonly help: string
  constructor(expected: string, help = '') {
    super(`Expected ${expected}. ${help}`.trim())
    this.expected = expected
    this.help = help
  }
}

/** A failure of what looks into an argument, in the words of the option that it was given to. */
export const wrongBy = ({ expected, help }: Failure): WrongArgument => new WrongArgument(expected, help)

/** What people call otherwise. */
const synonyms: ReadonlyMap<string, string> = new Map([
  ['gpu', 'cuda'],
  ['nvidia', 'cuda'],
])

/** `Did you mean umm?`; empty where no candidate is like `text`. */
export const didYouMean = (text: string, candidates: ReadonlyArray<string>): string => {
  const synonym = synonyms.get(text.toLowerCase()) ?? ''
  const close = candidates.includes(synonym) ? synonym : closestName(text.toLowerCase(), candidates)
  return close === undefined ? '' : `Did you mean ${close}?`
}

const namesIn = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** What to do about a path at which nothing is: the name in the same folder that is most like it, or to check it. */
const helpFor = (path: string): string => {
  const folder = dirname(path)
  if (!existsSync(folder)) return `There is no folder ${folder}.`
  const close = closestName(basename(path), namesIn(folder))
  return close === undefined ? 'Check the path.' : `Did you mean ${folder === '.' ? close : join(folder, close)}?`
}

/** What completion by a shell offers for an argument. */
export interface Offers {
  readonly words: ReadonlyArray<string>
  /** Whether it may be a file or a folder, too. */
  readonly files: boolean
  /** What comes between a word and a file, where both make an argument: then files are offered behind it alone. */
  readonly behind?: string
}

/** What reads an argument, with what may be offered for it. */
export const offering = (read: (text: string) => string, offers: Offers) => Object.assign(read, { offers })

/** Endings by which programs tell formats that are not safetensors. */
const otherFormat = /\.(npz|npy|pt|pth|bin|ckpt|pkl|onnx|h5|json|ya?ml)$/i

/** Reads the name of a safetensors file that is to be written. */
export const safetensorsFile = (path: string): string => {
  if (!otherFormat.test(path)) return path
  throw new WrongArgument('a name as of a safetensors file', 'That is what is written: end it in .safetensors.')
}

/** Reads a path at which something is, or one of `words`. */
export const existing = (what: string, words: ReadonlyArray<string> = []) =>
  offering(
    (path) => {
      if (words.includes(path) || existsSync(path)) return path
      const help = didYouMean(path, words)
      const choice = words.length === 0 ? '' : `, or ${words.join(', ')}`
      throw new WrongArgument(`${what} that exists${choice}`, help === '' ? helpFor(path) : help)
    },
    { words, files: true },
  )
