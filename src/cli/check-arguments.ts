/**
 * All that is wrong with a command line, in the words of its options. Commander, which reads it after this, ends at the first
 * problem; what is known of options and arguments is what was told to commander.
 */
import { type Argument, type Command, InvalidArgumentError, type Option } from 'commander'
import { type Failure, failure } from '../ir/failure.ts'
import { plural } from '../report/units.ts'
import { AlternativeOption, DependentOption } from './flags.ts'
import { didYouMean, WrongArgument } from './wrong-argument.ts'

/** The problems of `args` for the commands of `program`, in the order of the command line; none where help is asked for. */
export const problemsOf = (program: Command, args: ReadonlyArray<string>): ReadonlyArray<Failure> => {
  const [name, ...rest] = args
  if (name === undefined || name === '--' || name === 'help') return []
  if (isFlag(name)) {
    if (name === '--help' || name === '-h' || optionOf(program, name) !== undefined) return []
    const known = [...flagsOf(program), '--help'].join(', ')
    const help = 'The options of a command come behind it: chasec COMMAND --help lists them.'
    return [wrong('command', `a name, or one of ${known}`, name, help)]
  }
  const command = program.commands.find((one) => one.name() === name || one.aliases().includes(name))
  if (command !== undefined) return problemsOfCommand(command, rest)
  const names = program.commands.map((one) => one.name())
  const close = didYouMean(name, names)
  return [
    wrong('command', `one of ${names.join(', ')}`, name, close === '' ? 'chasec --help says what each does.' : close),
  ]
}

const problemsOfCommand = (command: Command, args: ReadonlyArray<string>): ReadonlyArray<Failure> => {
  const problems: Failure[] = []
  const given = new Set<Option>()
  const values = new Map<Option, unknown>()
  const operands: string[] = []
  // Behind an option that nobody knows, its argument cannot be told from those of the command.
  let certain = true
  let unknown = false
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? ''
    if (arg === '--') {
      operands.push(...args.slice(at + 1))
      break
    }
    if (!isFlag(arg)) {
      operands.push(arg)
      continue
    }
    if (arg === '--help' || arg === '-h') return []
    const { option, flag, inline } = splitFlag(command, arg)
    if (option === undefined) {
      unknown = true
      const close = didYouMean(flag, flagsOf(command))
      const meant = command.options.find((one) => close !== '' && close === `Did you mean ${one.long}?`)
      problems.push(wrong(flag, `an option of ${fullName(command)}`, 'none of that name', close || helpOf(command)))
      if (meant !== undefined) given.add(meant)
      const next = args[at + 1]
      if (meant?.required === true && inline === undefined && next !== undefined && !isFlag(next)) at++
      else if (meant === undefined) certain = false
      continue
    }
    given.add(option)
    if (!option.required) continue
    const value = inline ?? args[++at]
    if (value === undefined) {
      problems.push(wrong(labelOf(option), argumentOf(option), 'nothing', `${sentence(option.description)}.`))
      continue
    }
    const before = values.has(option) ? values.get(option) : option.defaultValue
    const read = readArgument(labelOf(option), option, value, before)
    if ('problem' in read) problems.push(read.problem)
    else values.set(option, read.value)
  }
  for (const option of command.options) {
    if (option.mandatory && !given.has(option)) {
      problems.push(wrong(labelOf(option), argumentOf(option), 'nothing', `${sentence(option.description)}.`))
    }
    if (option instanceof DependentOption && given.has(option) && !unknown) {
      const others = option.needs.flatMap((name) => optionOf(command, name) ?? [])
      if (others.length > 0 && !others.some((other) => given.has(other))) {
        const names = others.map(labelOf).join(' or ')
        const help = `Give ${names} too, or leave ${labelOf(option)} out.`
        problems.push(wrong(labelOf(option), `${names} beside it`, 'it alone', help))
      }
    }
  }
  if (!unknown) problems.push(...problemsOfAlternatives(command, given))
  return [...problems, ...problemsOfOperands(command, operands, certain)]
}

/** Of options that exclude each other exactly one is given, or none where they may all be left out. */
const problemsOfAlternatives = (command: Command, given: ReadonlySet<Option>): ReadonlyArray<Failure> => {
  const groups = new Map<string, AlternativeOption[]>()
  for (const option of command.options) {
    if (!(option instanceof AlternativeOption)) continue
    const known = groups.get(option.group)
    if (known === undefined) groups.set(option.group, [option])
    else known.push(option)
  }
  return [...groups].flatMap(([group, options]) => {
    const found = options.filter((option) => given.has(option)).map(labelOf)
    if (found.length === 1 || (found.length === 0 && options.every(({ mayLack }) => mayLack))) return []
    const names = options.map(labelOf).join(', ')
    const help = found.length === 0 ? `${fullName(command)} --help says what each does.` : 'Leave all but one out.'
    return [wrong(group, `one of ${names}`, found.length === 0 ? 'nothing' : found.join(' and '), help)]
  })
}

/** The arguments of a command that belong to no option. */
const problemsOfOperands = (
  command: Command,
  operands: ReadonlyArray<string>,
  certain: boolean,
): ReadonlyArray<Failure> => {
  const problems: Failure[] = []
  const declared = command.registeredArguments
  for (const [at, argument] of declared.entries()) {
    const own = argument.variadic ? operands.slice(at) : operands.slice(at, at + 1)
    const label = `<${argument.name()}>`
    if (argument.required && own.length === 0) {
      problems.push(wrong(label, argument.description, 'nothing', `Usage: ${fullName(command)} ${command.usage()}`))
    }
    if (!certain) continue
    for (const value of own) {
      const read = readArgument(label, argument, value, argument.defaultValue)
      if ('problem' in read) problems.push(read.problem)
    }
  }
  if (!certain || declared.at(-1)?.variadic === true || operands.length <= declared.length) return problems
  const more = operands.slice(declared.length).join(' ')
  const help = 'Put a name with spaces into quotes, and -- before one that begins with -.'
  return [...problems, wrong(fullName(command), plural(declared.length, 'argument'), `${more} besides`, help)]
}

type Read = { readonly value: unknown } | { readonly problem: Failure }

/** The value of an argument, as commander will read it. */
const readArgument = (label: string, by: Option | Argument, text: string, before: unknown): Read => {
  const { argChoices, parseArg } = by
  if (argChoices !== undefined) {
    if (argChoices.includes(text)) return { value: text }
    const expected = `one of ${argChoices.join(', ')}`
    return { problem: wrong(label, expected, shown(text), didYouMean(text, argChoices)) }
  }
  if (parseArg === undefined) return { value: text }
  try {
    return { value: parseArg(text, before) }
  } catch (thrown) {
    if (thrown instanceof WrongArgument) {
      return { problem: wrong(label, thrown.expected, shown(text), thrown.help) }
    }
    if (!(thrown instanceof InvalidArgumentError)) throw thrown
    return { problem: wrong(label, 'something else', shown(text), thrown.message) }
  }
}

interface SplitFlag {
  readonly option: Option | undefined
  readonly flag: string
  /** What is behind `=`, or behind a short option at once. */
  readonly inline: string | undefined
}

const splitFlag = (command: Command, arg: string): SplitFlag => {
  const whole = optionOf(command, arg)
  if (whole !== undefined) return { option: whole, flag: arg, inline: undefined }
  const equals = arg.startsWith('--') ? arg.indexOf('=') : -1
  const flag = equals > 0 ? arg.slice(0, equals) : arg
  const inline = equals > 0 ? arg.slice(equals + 1) : undefined
  const long = inline === undefined ? undefined : optionOf(command, flag)
  if (long?.required === true) return { option: long, flag, inline }
  const short = arg.startsWith('--') ? undefined : optionOf(command, arg.slice(0, 2))
  if (short?.required === true) return { option: short, flag: arg.slice(0, 2), inline: arg.slice(2) }
  return { option: undefined, flag, inline }
}

/** Whether commander takes `arg` for an option: `-1` and `-` are none. */
const isFlag = (arg: string): boolean =>
  arg.length > 1 && arg.startsWith('-') && !/^-(\d+|\d*\.\d+)(e[+-]?\d+)?$/.test(arg)

const optionOf = (command: Command, flag: string): Option | undefined =>
  command.options.find(({ long, short }) => flag === long || flag === short)

const flagsOf = (command: Command): ReadonlyArray<string> =>
  command.options.flatMap(({ long }) => (typeof long === 'string' ? [long] : []))

const labelOf = ({ long, short, flags }: Option): string => long ?? short ?? flags

/** `<folder>` of `-o, --output <folder>`. */
const argumentOf = ({ flags }: Option): string => /<.*>/.exec(flags)?.[0] ?? 'an argument'

const fullName = (command: Command): string => `chasec ${command.name()}`

const helpOf = (command: Command): string => `${fullName(command)} --help lists them.`

const sentence = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`

const shown = (text: string): string => (text === '' ? 'an empty text' : text)

const wrong = (subject: string, expected: string, found: string, help: string): Failure =>
  failure('UsageError', subject, expected, found, help)
