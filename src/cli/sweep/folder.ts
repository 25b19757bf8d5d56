/** The folder of a sweep: what is in it, and who may write in it. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { writeError } from '../../disk/error.ts'
import { makeFolders, systemCode } from '../../disk/file-system.ts'
import { tryFolders } from '../../disk/writable.ts'
import { type Failure, failure } from '../../ir/failure.ts'
import { isRecord } from '../../ir/record.ts'
import { systemReason } from '../../ir/system-reason.ts'
import { toJson } from '../../report/json.ts'
import type { SweepRun } from '../../train/index.ts'
import { writeFileWhole } from '../write-file.ts'
import { isRunning } from './processes.ts'

/** The places in the folder of a sweep; paths are absolute. */
export interface SweepFolder {
  /** The table for machines; it also tells that the folder is one of a sweep. */
  readonly results: string
  readonly page: string
  /** The folder of a run, as `chasec train -o` makes it. */
  readonly run: (name: string) => string
  readonly recipe: (name: string) => string
  /** What a run says. */
  readonly log: (name: string) => string
  /** The process that trains a run on this machine. */
  readonly process: (name: string) => string
  /** The process that has the sweep in hand. */
  readonly lock: string
  /** What was handed to Slurm, a file each. */
  readonly slurm: string
  readonly logs: string
}

export const sweepFolder = (folder: string): SweepFolder => {
  const at = (...names: ReadonlyArray<string>): string => resolve(folder, ...names)
  return {
    results: at('sweep.json'),
    page: at('sweep.html'),
    run: (name) => at('runs', name),
    recipe: (name) => at('recipes', `${name}.json`),
    log: (name) => at('logs', `${name}.log`),
    process: (name) => at('logs', `${name}.process`),
    lock: at('sweep.lock'),
    slurm: at('slurm'),
    logs: at('logs'),
  }
}

const unusable = (folder: string, thrown: unknown): E.Either<Failure, never> => {
  if (!(thrown instanceof Error) || systemCode(thrown) === '') throw thrown
  return E.left(writeError(folder, 'a folder for the sweep', systemReason(thrown), 'Give another one with --output.'))
}

/** Whether the folder is one of a sweep, or may become one. Errors: other files in it, a place that cannot be written. */
export const trySweepFolder = async (folder: string): Promise<E.Either<Failure, undefined>> => {
  try {
    await tryFolders(folder)
    const names = existsSync(folder) ? readdirSync(folder) : []
    // What a sweep that was killed at its very beginning left.
    const others = names.filter((name) => name !== 'sweep.lock' && !name.startsWith('.sweep.json.chasec-'))
    if (others.length === 0 || names.includes('sweep.json')) return E.right(undefined)
    const help = 'Give another folder.'
    return E.left(failure('UsageError', `--output ${folder}`, 'a new folder, or one of a sweep', 'other files', help))
  } catch (thrown) {
    return unusable(folder, thrown)
  }
}

/** Does work while no other process has the same sweep in hand. Errors: another one has. */
export const holding = async <A>(
  folder: string,
  work: () => Promise<E.Either<Failure, A>>,
): Promise<E.Either<Failure, A>> => {
  const { lock } = sweepFolder(folder)
  try {
    await makeFolders(folder)
    const holder = lockedBy(lock)
    if (holder !== undefined) {
      const help = `Wait for it, or stop it; if it runs no more, remove ${lock}.`
      return E.left(failure('UsageError', `--output ${folder}`, 'a sweep that nobody has in hand', holder, help))
    }
    rmSync(lock, { force: true })
    writeFileSync(lock, toJson({ host: hostname(), process: process.pid }), { flag: 'wx' })
  } catch (thrown) {
    if (systemCode(thrown) !== 'EEXIST') return unusable(folder, thrown)
    const help = 'Call again when it has ended.'
    return E.left(failure('UsageError', `--output ${folder}`, 'a sweep that nobody has in hand', 'another one', help))
  }
  try {
    return await work()
  } finally {
    rmSync(lock, { force: true })
  }
}

/** The process that holds a lock, in words; undefined where none does. */
const lockedBy = (lock: string): string | undefined => {
  const found = existsSync(lock) ? parsed(readFileSync(lock, 'utf8')) : undefined
  if (!isRecord(found)) return undefined
  const { host, process: id } = found
  if (typeof host !== 'string' || typeof id !== 'number') return undefined
  if (host !== hostname()) return `process ${id} on ${host}`
  return id !== process.pid && isRunning(id, 'sweep') ? `process ${id}` : undefined
}

/** The data of a text of JSON; undefined where it is none. */
export const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Makes the folders, and writes the recipes of runs. */
export const layOut = async (folder: string, runs: ReadonlyArray<SweepRun>): Promise<E.Either<Failure, undefined>> => {
  const places = sweepFolder(folder)
  if (!existsSync(places.results)) {
    // From here on the folder is one of a sweep.
    const begun = await writeFileWhole(places.results, [encoded({ runs: [] })], { force: true })
    if (E.isLeft(begun)) return begun
  }
  try {
    for (const name of ['runs', 'recipes', 'logs', 'slurm']) await makeFolders(join(folder, name))
  } catch (thrown) {
    return unusable(folder, thrown)
  }
  for (const { name, recipe } of runs) {
    const bytes = encoded(recipe)
    const path = places.recipe(name)
    if (existsSync(path) && readFileSync(path).equals(bytes)) continue
    const written = await writeFileWhole(path, [bytes], { force: true })
    if (E.isLeft(written)) return written
  }
  return E.right(undefined)
}

export const encoded = (data: unknown): Uint8Array => new TextEncoder().encode(`${toJson(data)}\n`)

/** Options of the sweep that each of its runs is given as they are. */
export interface PassedOn {
  readonly backend: string
  readonly target: string
  readonly provider: string
  readonly checkpointEvery?: number
  readonly threads?: number
}

/** The command line, behind `chasec`, that begins a run or goes on with it. */
export const trainArguments = (
  folder: string,
  { name, settings }: SweepRun,
  { backend, target, provider, checkpointEvery, threads }: PassedOn,
): ReadonlyArray<string> => {
  const places = sweepFolder(folder)
  const { model, data, masks, trainSize, validationShare, validationSeed, imageSize, normalisation } = settings
  const option = (flag: string, value: string | number | undefined): ReadonlyArray<string> =>
    value === undefined ? [] : [flag, String(value)]
  return [
    ...['train', '--resume', '--model', model, '--data', data, '--recipe', places.recipe(name)],
    ...option('--masks', masks),
    ...option('--train-size', trainSize),
    ...option('--validation-share', validationShare),
    ...option('--validation-seed', validationSeed),
    ...option('--image-size', imageSize),
    ...option('--normalisation', normalisation),
    ...option('--checkpoint-every', checkpointEvery),
    ...option('--threads', threads),
    ...['--backend', backend, '--target', target, '--provider', provider, '-o', places.run(name)],
  ]
}
