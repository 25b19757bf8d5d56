/** How far the runs of a sweep are, by what lies in their folders. */
import { existsSync, readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import * as E from 'fp-ts/lib/Either.js'
import { renderError } from '../../ir/failure.ts'
import type { ComparedRun } from '../../report/comparison.ts'
import type { SweepRun } from '../../train/index.ts'
import { readRun } from '../compare/read-run.ts'
import { runFolder } from '../train/run-folder.ts'
import { sweepFolder } from './folder.ts'

/** A run of the plan, and what there is of it. */
export interface Gathered {
  readonly run: SweepRun
  readonly compared: ComparedRun
  /** Whether it has come to its end, so that there is nothing left to do. */
  readonly ended: boolean
  /** Why it cannot go on: another run is in its folder, or one of more epochs. */
  readonly blocked?: string
}

/** What is in the folders of the runs now. */
export const gather = async (folder: string, runs: ReadonlyArray<SweepRun>): Promise<ReadonlyArray<Gathered>> => {
  const gathered: Gathered[] = []
  for (const run of runs) gathered.push(await gatherOne(folder, run))
  return gathered
}

const gatherOne = async (folder: string, run: SweepRun): Promise<Gathered> => {
  const { name, configuration, settings, recipe } = run
  const place = sweepFolder(folder).run(name)
  const fresh: ComparedRun = { name, configuration, settings: { ...settings }, recipe, history: [] }
  if (!existsSync(runFolder(place).settings)) return { run, compared: fresh, ended: false }
  const read = await readRun(place)
  if (E.isLeft(read)) return blockedBy(run, fresh, renderError(read.left))
  const { figures, history, ...found } = read.right
  const epochs = found.recipe.epochs
  if (!isDeepStrictEqual([found.settings, { ...found.recipe, epochs: recipe.epochs }], [{ ...settings }, recipe])) {
    const problem = `its folder ${place} holds a run of other settings: remove it, or sweep into another folder`
    return blockedBy(run, fresh, problem)
  }
  if (epochs > recipe.epochs) {
    const problem = `its folder holds a run of ${epochs} epochs, more than the ${recipe.epochs} of the plan`
    return blockedBy(run, { ...fresh, history }, problem)
  }
  const ended = figures !== undefined && epochs === recipe.epochs
  return { run, compared: { ...fresh, history, ...(ended ? { figures } : {}) }, ended }
}

const blockedBy = (run: SweepRun, compared: ComparedRun, problem: string): Gathered => ({
  run,
  compared: { ...compared, problem },
  ended: false,
  blocked: problem,
})

/** Characters of a log that are shown at most. */
const mostShown = 600

/** What a log holds of the last time that its run was begun: its lines, and where an error begins in them; -1 where none does. */
const lastTime = (log: string): { readonly lines: ReadonlyArray<string>; readonly error: number } => {
  const all = existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : []
  const lines = all.slice(all.findLastIndex((line) => line.startsWith('$ ')) + 1)
  return { lines, error: lines.findLastIndex((line) => /^(slurmstepd: )?error: /.test(line)) }
}

/** The error with which a run ended; undefined where it told of none. */
export const lastError = (log: string): string | undefined => {
  const { lines, error } = lastTime(log)
  if (error < 0) return undefined
  const said = lines.slice(error).join('\n')
  return said.replace(/^error: /, '').slice(0, mostShown)
}

/** Why a run ended without a result, by the end of what it said; empty where it said nothing. */
export const lastWords = (log: string): string =>
  lastError(log) ?? (lastTime(log).lines.at(-1) ?? '').slice(0, mostShown)
