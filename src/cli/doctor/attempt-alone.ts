/** Trying a training backend in a process of its own: a native library that crashes takes nothing else with it. */
import { fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { builtProgram } from '../../disk/built-program.ts'
import { describeDeath } from '../../run/worker-process.ts'
import { isRecord } from '../../ir/record.ts'
import { type Attempt, failedAttempt } from '../../train/backend/attempt.ts'
import { noGpu } from '../../train/backend/loaders/tfjs-node.ts'
import type { BackendName } from '../../train/backend/backend.ts'

export interface AloneOptions {
  /** The program that tries a backend. */
  readonly program?: URL
  readonly seconds?: number
}

const ownProgram = builtProgram('cli/doctor/backend-program.js')

/** Finding devices and compiling shaders may take this long. */
const usualSeconds = 120

/** The end of what a process wrote that may tell why it died. */
const logCharacters = 16_384

/** Tries a backend in a process of its own, which is ended afterwards. What the process writes is not shown. */
export const attemptAlone =
  ({ program = ownProgram, seconds = usualSeconds }: AloneOptions = {}) =>
  (name: BackendName) =>
  (): Promise<Attempt> =>
    new Promise((resolve) => {
      const path = fileURLToPath(program)
      if (!existsSync(path)) return resolve(failedAttempt(`${path} is missing, which tries it: run npm run build`))
      const child = fork(path, [name], { execArgv: [], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
      let log = ''
      const end = (attempt: Attempt): void => {
        clearTimeout(timer)
        child.kill('SIGKILL')
        resolve(attempt)
      }
      const timer = setTimeout(() => end(failedAttempt(`does not start within ${seconds} s`)), seconds * 1000)
      for (const stream of [child.stdout, child.stderr]) {
        stream?.setEncoding('utf8').on('data', (text: string) => {
          log = (log + text).slice(-logCharacters)
        })
      }
      let answer: Attempt | undefined
      child.once('message', (message) => {
        answer = isAttempt(message) ? message : failedAttempt('does not start: its answer makes no sense')
        if (answer.available) end(answer)
        else child.kill('SIGKILL')
      })
      child.once('error', (error) => end(failedAttempt(`no process could be started: ${error.message}`)))
      // Unlike `exit`, `close` comes when the messages and the log are complete.
      child.once('close', (code, signal) => {
        if (answer === undefined) end(failedAttempt(`does not start: ${describeDeath(code, signal, log)}`))
        else end({ ...answer, found: withReason(answer.found, log) })
      })
    })

/** What TensorFlow writes where it cannot use a GPU. */
const reasons = /Could not find cuda drivers on your machine|failed call to cuInit: .*|Cannot dlopen some GPU libraries/

/** Why TensorFlow finds no GPU, in its own words, behind ours; 303 is CUDA's number for a driver that cannot be loaded. */
const withReason = (found: string, log: string): string => {
  const said = found === noGpu ? reasons.exec(log)?.[0].trim() : undefined
  if (said === undefined) return found
  return `${found}: ${said}${said.includes('(303)') ? ' (libcuda.so.1, which is part of the NVIDIA driver, is missing)' : ''}`
}

const isAttempt = (x: unknown): x is Attempt =>
  isRecord(x) &&
  typeof x['available'] === 'boolean' &&
  typeof x['software'] === 'boolean' &&
  typeof x['found'] === 'string'
