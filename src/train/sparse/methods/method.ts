/** What a training method is: one object, from which the reader of recipes, the documentation and the command line follow. */
import type { Entries } from '../../recipe/reader.ts'
import type { Policy } from '../policy.ts'
import type { Length } from './entries.ts'

/** Where a method comes from. */
export interface Source {
  /** The paper's title. */
  readonly paper: string
  /** Its number on arXiv. */
  readonly arxiv: string
  /** The authors' code, or what else is held to be the original: owner/repository on GitHub. */
  readonly code?: string
}

export interface MethodDef<Name extends string, Entry extends object> {
  /** As recipes call it. */
  readonly name: Name
  /** What it does, in a sentence. */
  readonly about: string
  /** Null for what nobody has to be named for. */
  readonly source: Source | null
  /** What an entry of the recipe is, in a sentence each; needed where `sentences` of `entries.ts` says nothing, or something else. */
  readonly sentences: Readonly<Record<string, string>>
  /** Its entries in a recipe, what they leave out as the paper has it; wrong ones are noted. */
  readonly read: (entries: Entries) => Entry
  /**
   * The policy for a run of that length. The densities of `snip`, for which it takes a batch, are for the caller to fill in:
   * the policy has an empty list of given ones.
   */
  readonly policy: (entry: Entry, length: Length) => Policy
}

/** A method whose entries have its name among them. */
export const defineMethod = <const Name extends string, Entry extends object>(
  def: MethodDef<Name, Entry>,
): MethodDef<Name, { readonly name: Name } & Entry> => ({
  ...def,
  read: (entries) => ({ name: def.name, ...def.read(entries) }),
})
