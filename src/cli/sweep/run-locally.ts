/** The runs of a sweep as processes of this machine, so many at a time. */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { builtProgram } from '../../disk/built-program.ts'
import { systemCode } from '../../disk/file-system.ts'
import { invariant } from '../../ir/failure.ts'
import { stateOf, testAccuracy } from '../../report/comparison.ts'
import { formatAccuracy, formatSeconds } from '../../report/units.ts'
import type { Say } from '../progress.ts'
import { interruptedCodes } from '../interrupt.ts'
import { type PassedOn, sweepFolder, trainArguments } from './folder.ts'
import { gather, type Gathered, lastWords } from './gather.ts'
import { isRunning } from './processes.ts'

/** The command line, which runs are processes of. */
export const mainProgram = fileURLToPath(builtProgram('cli/main.js'))

export interface LocalSweep {
  readonly folder: string
  /** Those that have not ended. */
  readonly waiting: ReadonlyArray<Gathered>
  /** Runs at a time. */
  readonly jobs: number
  readonly passedOn: PassedOn
  readonly signal: AbortSignal
  /** A line that stays. */
  readonly note: (text: string) => void
  /** What is being done now. */
  readonly say: Say
}

/** Milliseconds between two looks at runs. */
const look = 500

/** What a run came to: undefined is its end, or that it was asked to stop. */
type Ended = string | undefined

/**
 * Trains runs, each in a process of its own, and gives why those failed that did. Runs that a sweep that was killed has left
 * running are waited for. Once the signal is aborted none is begun, and those that run are asked to save and stop.
 */
export const runLocally = async (sweep: LocalSweep): Promise<ReadonlyMap<string, string>> => {
  const { waiting, jobs, signal, say } = sweep
  const problems = new Map<string, string>()
  const running = new Map<string, Promise<void>>()
  // A run that is running already comes first, so that no more than `jobs` run.
  const queue = waiting.toSorted((a, b) => Number(foundRunning(sweep, b) > 0) - Number(foundRunning(sweep, a) > 0))
  let over = 0
  const told = setInterval(() => {
    say(`${over} of ${waiting.length} over; training ${[...running.keys()].join(', ')}`)
  }, look)
  try {
    for (const one of queue) {
      if (running.size >= jobs) await Promise.race(running.values())
      if (signal.aborted) break
      const { name } = one.run
      const ending = runOne(sweep, one).then((problem) => {
        over += 1
        running.delete(name)
        if (problem !== undefined) problems.set(name, problem)
      })
      running.set(name, ending)
    }
    await Promise.all(running.values())
  } finally {
    clearInterval(told)
  }
  return problems
}

/** The process of this machine that trains a run already; 0 where none does. */
export const foundRunning = ({ folder }: Pick<LocalSweep, 'folder'>, { run }: Pick<Gathered, 'run'>): number => {
  const places = sweepFolder(folder)
  const path = places.process(run.name)
  const id = existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0
  return Number.isSafeInteger(id) && id > 0 && isRunning(id, places.run(run.name)) ? id : 0
}

const runOne = async (sweep: LocalSweep, one: Gathered): Promise<Ended> => {
  const { folder, note, signal } = sweep
  const { name } = one.run
  const places = sweepFolder(folder)
  const began = performance.now()
  const id = foundRunning(sweep, one)
  if (id > 0) note(`${name}: runs already, as process ${id}`)
  const how = id > 0 ? await joined(id, places.run(name), signal) : await trained(sweep, one)
  rmSync(places.process(name), { force: true })
  const [after] = await gather(folder, [one.run])
  invariant(after !== undefined, 'as many runs as were asked for')
  const seconds = formatSeconds((performance.now() - began) / 1000)
  if (after.ended) {
    const accuracy = testAccuracy(after.compared)
    note(`${name}: ended after ${seconds}${accuracy === undefined ? '' : `, test ${formatAccuracy(accuracy)}`}`)
    return undefined
  }
  if (signal.aborted) {
    note(`${name}: stopped, ${stateOf(after.compared)}`)
    return undefined
  }
  const words = lastWords(places.log(name))
  const problem = [how, words].filter((text) => text !== '').join(': ')
  note(`${name}: failed, ${problem}`)
  return problem
}

/** Trains a run; gives how its process ended, empty where it ended well. */
const trained = ({ folder, passedOn, signal, note }: LocalSweep, one: Gathered): Promise<string> => {
  const { name } = one.run
  const places = sweepFolder(folder)
  const args = trainArguments(folder, one.run, passedOn)
  const log = openSync(places.log(name), 'a')
  writeSync(log, `$ chasec ${args.map(quoted).join(' ')}\n`)
  // In a group of its own: Ctrl-C reaches it through us alone, once, and a killed sweep leaves it running.
  const child = spawn(process.execPath, [mainProgram, ...args], { stdio: ['ignore', log, log], detached: true })
  closeSync(log)
  if (child.pid !== undefined) writeFileSync(places.process(name), String(child.pid))
  note(`${name}: ${one.compared.history.length === 0 ? 'begins' : `goes on, ${stateOf(one.compared)}`}`)
  const stop = (): void => void child.kill('SIGINT')
  signal.addEventListener('abort', stop)
  if (signal.aborted) stop()
  return new Promise((resolve) => {
    child.once('error', ({ message }) => resolve(message))
    child.once('close', (code, killed) => {
      signal.removeEventListener('abort', stop)
      const stopped = code === interruptedCodes.SIGINT || code === interruptedCodes.SIGTERM
      resolve(killed === null ? (code === 0 ? '' : stopped ? 'was stopped' : `exit code ${code}`) : `killed, ${killed}`)
    })
  })
}

/** Waits for a process that another sweep has begun. */
const joined = async (id: number, word: string, signal: AbortSignal): Promise<string> => {
  const stop = (): void => {
    try {
      process.kill(id, 'SIGINT')
    } catch (thrown) {
      if (systemCode(thrown) !== 'ESRCH') throw thrown
    }
  }
  signal.addEventListener('abort', stop)
  if (signal.aborted) stop()
  while (isRunning(id, word)) await sleep(look)
  signal.removeEventListener('abort', stop)
  return ''
}

/** An argument as a shell takes it. */
export const quoted = (text: string): string =>
  /^[A-Za-z0-9_./:=,@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
