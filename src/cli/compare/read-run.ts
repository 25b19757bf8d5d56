/** The folder of a training run, as a comparison needs it; the run may be going on. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { systemCode } from '../../disk/file-system.ts'
import { type Failure, failure } from '../../ir/failure.ts'
import { isRecord } from '../../ir/record.ts'
import type { ComparedRun, FinalFigures } from '../../report/comparison.ts'
import type { Quartiles } from '../../run/statistics.ts'
import { type History, type HistoryEntry, isEntry, lastPlan, revived, type SoupChoice } from '../../train/index.ts'
import { soupFile, type SoupSettings, soupSettingsOf } from '../soup/folder.ts'
import { runFolder } from '../train/run-folder.ts'
import { type Settings, settingsOf } from '../train/settings.ts'

/** A run without a name. Errors: a folder that holds none, files of a run that are something else. */
export const readRun = async (folder: string): Promise<E.Either<Failure, Omit<ComparedRun, 'name'>>> => {
  const found = await settingsIn(folder)
  if (E.isLeft(found)) return found
  const { settings, package: place, network, soup } = found.right
  const { recipe, dense: _dense, ...others } = settings
  const history = await historyIn(runFolder(folder).historyLines)
  if (E.isLeft(history)) return history
  const ended = soup !== undefined || isOver(history.right, recipe.epochs)
  const figures = ended ? await figuresIn(place, network, recipe.epochs) : undefined
  return E.right({
    settings: soup === undefined ? others : { ...others, soup: soup.choice },
    ...{ recipe, history: history.right },
    ...(figures === undefined ? {} : { figures }),
    ...(soup === undefined ? {} : { soup: soup.of }),
  })
}

/** What a folder is a run of, and where the figures of its network will be. */
interface Found {
  readonly settings: Settings
  readonly package: string
  readonly network: 'dense' | 'compiled'
  /** Of how many runs it is a soup. */
  readonly soup?: { readonly choice: SoupChoice; readonly of: number }
}

/** What a folder is a run of: its own, the dense one in another run, or a soup of runs. */
export const settingsIn = async (folder: string): Promise<E.Either<Failure, Found>> => {
  const own = runFolder(folder)
  if (existsSync(own.settings)) {
    const settings = await settingsAt(own.settings)
    return E.map((known: Settings): Found => ({ settings: known, package: own.package, network: 'compiled' }))(settings)
  }
  if (existsSync(soupFile(folder))) {
    const soup = await soupAt(soupFile(folder))
    return E.map(({ settings, choice, runs }: SoupSettings): Found => ({
      ...{ settings, package: own.package, network: 'compiled' },
      soup: { choice, of: runs.length },
    }))(soup)
  }
  // The dense network that a run trains to compare with has a folder in that run's.
  const [path, above] = [resolve(folder), dirname(resolve(folder))]
  const outer = runFolder(above)
  if (basename(path) === basename(outer.dense) && existsSync(path) && existsSync(outer.settings)) {
    const settings = await settingsAt(outer.settings)
    return E.map((known: Settings): Found => ({
      settings: { ...known, recipe: { ...known.recipe, method: { name: 'dense' } } },
      package: outer.package,
      network: 'dense',
    }))(settings)
  }
  const there = existsSync(folder) ? 'no run.json in it' : 'no such folder'
  const help = 'Give folders that chasec train -o or chasec soup -o has made.'
  return E.left(failure('UsageError', `folder ${folder}`, 'the folder of a training run', there, help))
}

const settingsAt = async (path: string): Promise<E.Either<Failure, Settings>> => {
  const text = await textAt(path)
  if (E.isLeft(text)) return text
  return settingsOf(path, parsed(text.right ?? ''))
}

const soupAt = async (path: string): Promise<E.Either<Failure, SoupSettings>> => {
  const text = await textAt(path)
  return E.isLeft(text) ? text : soupSettingsOf(path, parsed(text.right ?? ''))
}

/** The entries so far; none where the run has not begun. */
export const historyIn = async (path: string): Promise<E.Either<Failure, History>> => {
  const text = await textAt(path)
  if (E.isLeft(text)) return text
  const entries: HistoryEntry[] = []
  for (const [i, line] of (text.right ?? '').split('\n').entries()) {
    if (line === '') continue
    const entry = parsed(line, revived)
    if (isEntry(entry)) entries.push(entry)
    else {
      const help = 'Resume the run, which writes the file anew, or leave it out.'
      return E.left(
        failure('UsageError', `${path}, line ${i + 1}`, 'an entry of the history of a run', 'something else', help),
      )
    }
  }
  return E.right(entries)
}

/** Whether a run has been trained to the end of its recipe, and tested. */
export const isOver = (history: History, epochs: number): boolean => {
  const [last, plan] = [history.at(-1), lastPlan(history)]
  return last?.kind === 'test' && plan !== undefined && last.step === epochs * plan.stepsPerEpoch
}

/** The figures in a package; undefined where there is none yet, or one of when the run was shorter. */
const figuresIn = async (folder: string, name: Found['network'], epochs: number): Promise<FinalFigures | undefined> => {
  const text = await textAt(join(folder, 'chasec.json'))
  const manifest = E.isLeft(text) ? undefined : parsed(text.right ?? '')
  const training = isRecord(manifest) ? manifest['training'] : undefined
  if (!isRecord(training) || !isRecord(training['recipe']) || training['recipe']['epochs'] !== epochs) return undefined
  const networks: ReadonlyArray<unknown> = Array.isArray(training['networks']) ? training['networks'] : []
  const network = networks.find((one) => isRecord(one) && one['name'] === name)
  return isRecord(network) ? figuresOf(network, training['test']) : undefined
}

const figuresOf = (network: Readonly<Record<string, unknown>>, test: unknown): FinalFigures | undefined => {
  const { accuracy, parameters, macs, speed } = network
  if (typeof parameters !== 'number' || typeof macs !== 'number' || !isRecord(speed)) return undefined
  const [throughput, speedup] = [speed['throughput'], speed['speedup']]
  const images = isRecord(test) ? test['images'] : undefined
  if (!isQuartiles(throughput) || !isQuartiles(speedup) || typeof images !== 'number') return undefined
  return {
    ...(typeof accuracy === 'number' ? { accuracy } : {}),
    ...{ parameters, macs, throughput, speedup, testImages: images },
    where: `${String(speed['runtime'])} on ${String(speed['provider'])}, batch ${String(speed['batch'])}`,
  }
}

const isQuartiles = (x: unknown): x is Quartiles =>
  isRecord(x) && ['q1', 'median', 'q3'].every((key) => typeof x[key] === 'number')

/** The text of a file; undefined where there is none. */
const textAt = async (path: string): Promise<E.Either<Failure, string | undefined>> => {
  try {
    return E.right(await readFile(path, 'utf8'))
  } catch (thrown) {
    if (!(thrown instanceof Error) || systemCode(thrown) === '') throw thrown
    if (systemCode(thrown) === 'ENOENT') return E.right(undefined)
    return E.left(failure('UsageError', path, 'a file that can be read', thrown.message, 'Check its permissions.'))
  }
}

const parsed = (text: string, reviver?: typeof revived): unknown => {
  try {
    return JSON.parse(text, reviver)
  } catch {
    return undefined
  }
}
