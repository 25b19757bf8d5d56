/** What may stand at the end of a command line, from what commander was told of commands: for completion by a shell. */
import type { Argument, Command, Option } from 'commander'
import type { Offers } from './wrong-argument.ts'

interface Candidate {
  readonly word: string
  readonly about: string
}

interface Candidates {
  readonly words: ReadonlyArray<Candidate>
  /** Whether files and folders may stand there, too; behind what of the last word (`mnist:`). */
  readonly filesBehind?: string
}

const none: Candidates = { words: [] }

/** What may take the place of the last of `words`, those behind the name of the program. */
const candidatesFor = (program: Command, words: ReadonlyArray<string>): Candidates => {
  const [name = '', ...rest] = words
  if (rest.length === 0) return name.startsWith('-') ? flagsOf(program) : commandsOf(program)
  if (name === 'help') return rest.length === 1 ? commandsOf(program) : none
  const command = program.commands.find((one) => one.name() === name)
  return command === undefined ? none : candidatesOfCommand(command, rest.slice(0, -1), rest.at(-1) ?? '')
}

const candidatesOfCommand = (command: Command, before: ReadonlyArray<string>, word: string): Candidates => {
  let operands = 0
  let plain = false
  let pending: Option | undefined
  for (const one of before) {
    if (pending !== undefined) pending = undefined
    else if (plain || !/^-./.test(one)) operands += 1
    else if (one === '--') plain = true
    else pending = optionWithArgument(command, one)
  }
  if (pending !== undefined) return valuesOf(pending, word, '')
  if (!plain && word.startsWith('-')) {
    const equals = word.indexOf('=')
    if (equals < 0) return flagsOf(command)
    const option = optionWithArgument(command, word.slice(0, equals))
    return option === undefined ? none : valuesOf(option, word.slice(equals + 1), word.slice(0, equals + 1))
  }
  const declared = command.registeredArguments
  const argument = declared[operands] ?? (declared.at(-1)?.variadic === true ? declared.at(-1) : undefined)
  return argument === undefined ? none : valuesOf(argument, word, '')
}

/** The option of this name, if what comes behind it is its argument. */
const optionWithArgument = (command: Command, flag: string): Option | undefined =>
  command.options.find(({ long, short, required }) => required && (flag === long || flag === short))

const commandsOf = (program: Command): Candidates => ({
  words: program
    .createHelp()
    .visibleCommands(program)
    .map((command) => ({ word: command.name(), about: command.summary() || command.description() })),
})

const flagsOf = (command: Command): Candidates => ({
  words: command
    .createHelp()
    .visibleOptions(command)
    .flatMap(({ long, description }) => (typeof long === 'string' ? [{ word: long, about: description }] : [])),
})

/** The values that an option or argument takes, where `word` has been begun, behind `front`. */
const valuesOf = (by: Option | Argument, word: string, front: string): Candidates => {
  const { words, files, behind } = offersOf(by)
  const found = words.map((one) => ({ word: front + one, about: '' }))
  if (!files) return { words: found }
  if (behind === undefined) return { words: found, filesBehind: front }
  const at = word.indexOf(behind)
  return at < 0 ? { words: found } : { words: [], filesBehind: front + word.slice(0, at + behind.length) }
}

const offersOf = (by: Option | Argument): Offers => {
  const { argChoices, parseArg } = by
  if (argChoices !== undefined) return { words: argChoices, files: false }
  if (hasOffers(parseArg)) return parseArg.offers
  // All that commands themselves are given are files and folders; what is behind an option, its flags say.
  return { words: [], files: !('flags' in by) || /<(file|folder|program)>/.test(by.flags) }
}

const hasOffers = (parse: unknown): parse is { readonly offers: Offers } =>
  typeof parse === 'function' && 'offers' in parse

/**
 * The answer to a shell that asks what may take the place of the last of `words`, in lines: `words`, or `files`, a tab and the
 * part of the last word that files come behind; then a word in each, with a tab and what it is. A word that ends with `:` is to
 * be gone on with.
 */
export const complete = (program: Command, words: ReadonlyArray<string>): string => {
  const { words: found, filesBehind } = candidatesFor(program, words)
  const head = filesBehind === undefined ? 'words' : `files\t${filesBehind}`
  return [head, ...found.map(({ word, about }) => `${word}\t${about.replace(/\s+/g, ' ')}`)].join('\n')
}
