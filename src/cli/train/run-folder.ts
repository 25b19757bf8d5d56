/** The folder of a training run: what is in it, and opening it for a new run or to go on with one. */
import { existsSync } from 'node:fs'
import { readdir, readFile, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { writeError } from '../../disk/error.ts'
import { makeFolders, systemCode } from '../../disk/file-system.ts'
import { tryFolders } from '../../disk/writable.ts'
import { type Failure, failure } from '../../ir/failure.ts'
import { toJson } from '../../report/json.ts'
import { version } from '../../package/version.ts'
import { writeFileWhole } from '../write-file.ts'
import {
  differenceOf,
  longer,
  saidBy,
  saysSettings,
  type Settings,
  settingsFrom,
  type SettingsFlags,
  settingsOf,
} from './settings.ts'
import { systemReason } from '../../ir/system-reason.ts'

/** The places in the folder of a run. */
export interface RunFolder {
  /** The settings. */
  readonly settings: string
  readonly checkpoint: string
  /** JSON lines, and the epochs as comma-separated values. */
  readonly historyLines: string
  readonly historyTable: string
  /** The trained network and its masks, as `chasec compile` takes them. */
  readonly model: string
  readonly masks: string
  /** The compiled package. */
  readonly package: string
  /** The run of the dense network, a folder like this one. */
  readonly dense: string
}

export const runFolder = (folder: string): RunFolder => ({
  settings: join(folder, 'run.json'),
  checkpoint: join(folder, 'checkpoint.safetensors'),
  historyLines: join(folder, 'history.jsonl'),
  historyTable: join(folder, 'history.csv'),
  model: join(folder, 'trained.onnx'),
  masks: join(folder, 'masks.safetensors'),
  package: join(folder, 'package'),
  dense: join(folder, 'dense'),
})

/** Makes a folder, and those above it. */
export const makeFolder = async (folder: string): Promise<E.Either<Failure, undefined>> => {
  try {
    await makeFolders(folder)
    return E.right(undefined)
  } catch (thrown) {
    return unusable(folder, thrown)
  }
}

/** Whether the folder of a run can be made, or written into; nothing is made. */
export const tryRunFolder = async (folder: string): Promise<E.Either<Failure, undefined>> => {
  try {
    await tryFolders(folder)
    return E.right(undefined)
  } catch (thrown) {
    return unusable(folder, thrown)
  }
}

const unusable = (path: string, thrown: unknown): E.Either<Failure, never> => {
  if (!(thrown instanceof Error) || systemCode(thrown) === '') throw thrown
  return E.left(writeError(path, 'a folder for the run', systemReason(thrown), 'Give another one with --output.'))
}

/**
 * The settings of a run in `folder` by these options. With `resume` they are those that lie in the folder; options may say
 * the same again, more epochs, and where the images are now. Nothing is written yet.
 *
 * Errors: a folder that holds a run already, or other files; with `resume` none that holds a run, another one, or fewer
 * epochs than it was begun with.
 */
export const settingsFor = async (
  folder: string,
  flags: SettingsFlags,
  resume: boolean,
): Promise<E.Either<Failure, Settings>> => {
  const saved = await savedSettings(folder)
  if (E.isLeft(saved)) return saved
  const found = saved.right
  const { data, ...others } = flags
  if (resume && found !== undefined && !saysSettings(others)) {
    return longer(data === undefined ? found : { ...found, data }, flags.epochs)
  }
  if (resume && found === undefined && !saysSettings(flags)) {
    const help = 'Give the folder of a run, or the options to start one.'
    return E.left(failure('UsageError', `--resume, folder ${folder}`, 'a run', 'none', help))
  }
  if (!resume && found !== undefined) {
    const help = 'Add --resume to go on with it, or give another folder.'
    return E.left(failure('UsageError', `--output ${folder}`, 'a new or empty folder', 'a run', help))
  }
  const settings = await settingsFrom(flags)
  if (E.isLeft(settings) && found !== undefined && (flags.model === undefined || data === undefined)) {
    const help =
      'Leave it out: a run goes on as it was begun, with --epochs for longer, with --data where its images are now.'
    return E.left(
      failure('UsageError', `--resume, folder ${folder}`, 'no option of the run besides', saidBy(others), help),
    )
  }
  if (E.isLeft(settings)) return settings
  if (found === undefined) return settings
  const extended = longer(found, settings.right.recipe.epochs)
  if (E.isLeft(extended)) return extended
  // Whether they are the same images the checkpoint tells.
  const other = differenceOf({ ...extended.right, data: settings.right.data }, settings.right)
  if (other !== undefined) {
    const help = 'Leave the options out to go on as the run was started, or give another folder.'
    return E.left(failure('UsageError', `--resume, folder ${folder}`, 'the same run', `another ${other}`, help))
  }
  return settings
}

/** Makes the folder the one of this run; gives what takes that back where nothing has been trained yet. */
export const claimFolder = async (
  folder: string,
  settings: Settings,
): Promise<E.Either<Failure, () => Promise<void>>> => {
  const places = runFolder(folder)
  const wasThere = existsSync(folder)
  const made = await makeFolder(folder)
  if (E.isLeft(made)) return made
  const text = `${toJson({ chasec: version, ...settings })}\n`
  const written = await writeFileWhole(places.settings, [new TextEncoder().encode(text)], { force: true })
  if (E.isLeft(written)) return written
  return E.right(async () => {
    if (existsSync(places.checkpoint) || existsSync(runFolder(places.dense).checkpoint)) return
    await rm(places.settings, { force: true })
    for (const one of wasThere ? [places.dense] : [places.dense, folder]) await rmdir(one).catch(() => undefined)
  })
}

/** The settings in a folder; undefined where there is none, or it is empty. */
const savedSettings = async (folder: string): Promise<E.Either<Failure, Settings | undefined>> => {
  const path = runFolder(folder).settings
  try {
    const names = await readdir(folder)
    if (names.length === 0) return E.right(undefined)
    if (!names.includes('run.json')) {
      const help = 'Give another folder.'
      return E.left(failure('UsageError', `--output ${folder}`, 'a new or empty folder', 'other files', help))
    }
    return settingsOf(path, parsed(await readFile(path, 'utf8')))
  } catch (thrown) {
    return thrown instanceof Error && systemCode(thrown) === 'ENOENT' ? E.right(undefined) : unusable(folder, thrown)
  }
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
