/** Options that several commands share, and how their arguments are read. */
import { Option } from 'commander'
import { targets } from '../passes/target.ts'
import type { Bindings } from '../run/inputs.ts'
import { backendNames } from '../train/backend/backend.ts'
import { existing, WrongArgument } from './wrong-argument.ts'

export interface CommonFlags {
  readonly json?: true
  readonly progress?: true
  readonly quiet?: true
}

/** An option that says something only beside another, one of `needs`, where a command has one of them. */
export class DependentOption extends Option {
  readonly needs: ReadonlyArray<string>
  constructor(flags: string, description: string, ...needs: ReadonlyArray<string>) {
    super(flags, description)
    this.needs = needs
  }
}

/** An option of several that exclude each other: a command takes exactly one of a `group`, or at most one where it `mayLack`. */
export class AlternativeOption extends Option {
  readonly group: string
  readonly mayLack: boolean
  constructor(flags: string, description: string, group: string, mayLack = false) {
    super(flags, description)
    this.group = group
    this.mayLack = mayLack
  }
}

export const jsonOption = (): Option => new Option('--json', 'print the result as JSON on stdout')

export const quietOption = (): Option =>
  new Option('-q, --quiet', 'say nothing but errors, and what --json asks for; the exit code tells')

const dryRunDescription = 'do all but write: say what would be written, with the exit code and the errors of writing it'

export const dryRunOption = (): Option => new Option('--dry-run', dryRunDescription)

/** For commands that write only where another option, one of `needs`, says so. */
export const dryRunBeside = (...needs: ReadonlyArray<string>): Option =>
  new DependentOption('--dry-run', dryRunDescription, ...needs)

export const progressOption = (): Option =>
  new Option('--progress', 'report progress on stderr even when it is not a terminal')

export const targetOption = (): Option =>
  new Option(
    '--target <target>',
    'what the model will run on; decides which widths are rounded up (measured for cpu only)',
  )
    .choices(targets)
    .default('cpu')

export interface MaskFlags {
  readonly masks?: string
  readonly weights?: string
  readonly maskMap?: string
}

export const masksOption = (): Option =>
  new Option(
    '--masks <file>',
    'masks of 0 and 1 by weight or module name: safetensors, npz, or a PyTorch checkpoint; "zeros" takes the zeros already in the weights',
  ).argParser(existing('a file of masks', ['zeros']))

export const weightsOption = (): Option =>
  new DependentOption(
    '--weights <file>',
    'the weights that the masks belong to: masks are found by what the model holds',
    '--masks',
  ).argParser(existing('a file'))

export const maskMapOption = (): Option =>
  new DependentOption(
    '--mask-map <file>',
    'where masks belong by name (JSON or YAML); chasec masks --write-map drafts one',
    '--masks',
  ).argParser(existing('a file'))

export const whyOption = (): Option =>
  new Option('--why <name>', 'tell why the channels of a value, layer or weight stay')

export const shapeOption = (): Option =>
  new Option(
    '--shape <name=size>',
    'size of an open dimension (N=4), of one without a name (x[0]=4), or of a whole input (x=1,3,224,224); repeatable',
  )
    .argParser(addShape)
    .default({}, 'usual sizes')

export const providerOption = (): Option =>
  new Option('--provider <provider>', 'where ONNX Runtime runs; a named one never falls back to another')
    .choices(['cpu', 'cuda', 'webgpu', 'auto'])
    .default('cpu')

export const backendOption = (): Option =>
  new Option('--backend <backend>', 'what computes; auto takes the first of these that works')
    .choices(['auto', ...backendNames])
    .default('auto')

export const threadsOption = (): Option =>
  new Option('--threads <count>', 'threads (default: one for each core; on the backend wasm at most 4)').argParser(
    wholeBetween(1, 256),
  )

const addShape = (text: string, known: Bindings): Bindings => {
  const at = text.lastIndexOf('=')
  if (at < 1) throw new WrongArgument('a name and its size', 'Write it like N=4 or x=1,3,224,224.')
  const name = text.slice(0, at)
  const sizes = text
    .slice(at + 1)
    .split(',')
    .map(wholeNumber)
  const [size = 0] = sizes
  return { ...known, [name]: sizes.length === 1 ? size : sizes }
}

const wholeNumber = (text: string): number => {
  if (!/^\d+$/.test(text)) throw new WrongArgument('a whole number')
  return Number(text)
}

/** Reads a whole number of at least `least`. */
export const atLeast =
  (least: number) =>
  (text: string): number => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN
    if (!(value >= least)) throw new WrongArgument(`a whole number of at least ${least}`)
    return value
  }

/** Reads a whole number in a range, both ends included. */
export const wholeBetween =
  (least: number, most: number) =>
  (text: string): number => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN
    if (!(value >= least && value <= most)) throw new WrongArgument(`a whole number from ${least} to ${most}`)
    return value
  }

/** Reads a number between two others, these excluded. */
export const inside =
  (least: number, most: number) =>
  (text: string): number => {
    const value = text.trim() === '' ? NaN : Number(text)
    if (!(value > least && value < most)) throw new WrongArgument(`a number above ${least} and below ${most}`)
    return value
  }

/** Reads a fraction of a whole, of which something has to be left. */
export const share = (text: string): number => {
  const value = text.trim() === '' ? NaN : Number(text)
  if (!(value > 0 && value <= 1)) throw new WrongArgument('a number of more than 0 and at most 1')
  return value
}

const byteUnits = new Map([
  ['', 1],
  ['b', 1],
  ['kb', 1e3],
  ['mb', 1e6],
  ['gb', 1e9],
  ['kib', 2 ** 10],
  ['mib', 2 ** 20],
  ['gib', 2 ** 30],
])

/** Reads a number of bytes: `4MB`, `500 kB`, `3.5MiB`, `4000000`. */
export const byteCount = (text: string): number => {
  const [, number = '', unit = ''] = /^\s*(\d*\.?\d+)\s*([a-z]*)\s*$/i.exec(text) ?? []
  const bytes = Math.floor(Number(number) * (byteUnits.get(unit.toLowerCase()) ?? NaN))
  if (!(bytes >= 1)) throw new WrongArgument('a number of bytes', 'Write it like 4MB, 500kB or 3.5MiB.')
  return bytes
}

/** Reads a number in a range, both ends included. */
export const between =
  (least: number, most: number) =>
  (text: string): number => {
    const value = text.trim() === '' ? NaN : Number(text)
    if (!(value >= least && value <= most)) throw new WrongArgument(`a number from ${least} to ${most}`)
    return value
  }
