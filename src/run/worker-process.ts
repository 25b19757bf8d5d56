/** A child process that runs `worker.ts`: how it starts, is asked, and dies. */
import { type ChildProcess, fork } from 'node:child_process'
import { closeSync, existsSync, fstatSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { builtProgram } from '../disk/built-program.ts'
import { cleanMessage, type RunError, runError } from './error.ts'
import { cudaEnvironment } from './runtime/cuda.ts'
import { isReply, type ProblemKind, type Request } from './protocol.ts'

/** Why a request has no answer. `died` and `timeout` mean that the process is gone. */
export interface Trouble {
  readonly kind: ProblemKind | 'died' | 'timeout'
  readonly message: string
}

export interface WorkerProcess {
  readonly pid: number
  readonly alive: () => boolean
  /** Sends a request; the process is killed when no answer comes within `timeoutSeconds`. Never rejects. */
  readonly ask: (request: Request, timeoutSeconds: number) => Promise<E.Either<Trouble, unknown>>
  /** The end of what the process wrote to stdout and stderr. */
  readonly log: () => string
  /** Ends the process, and whatever it is still asked for, and waits until it is gone. */
  readonly close: () => Promise<void>
}

export const builtWorker = builtProgram('run/worker.js')

const logTailBytes = 16384

const readTail = (file: number): string => {
  const { size } = fstatSync(file)
  const buffer = Buffer.alloc(Math.min(size, logTailBytes))
  const length = readSync(file, buffer, 0, buffer.length, size - buffer.length)
  return buffer.toString('utf8', 0, length)
}

const crashSignals: ReadonlySet<string> = new Set(['SIGSEGV', 'SIGBUS', 'SIGILL', 'SIGFPE', 'SIGABRT', 'SIGTRAP'])

/** Exit codes with which Windows reports a crash start here (0xC0000000). */
const windowsCrash = 0xc0000000

/** What happened to a process that ended by itself, for people. */
export const describeDeath = (code: number | null, signal: string | null, log: string): string => {
  const isFrame = (line: string): boolean =>
    /^(#?\d+:? |at |-{3,}|Native stack trace|JavaScript stack trace)/.test(line)
  const lines = log
    .split('\n')
    .map(cleanMessage)
    .filter((line) => line !== '' && !isFrame(line))
  const last = lines.slice(-2).join(' ')
  const said = last === '' ? '' : `; the last it wrote: ${last}`
  if (/heap out of memory|std::bad_alloc|Cannot allocate memory/.test(log)) {
    return `the process that ran it ran out of memory${said}`
  }
  if (signal === 'SIGKILL') return `the process that ran it was killed (SIGKILL), most often because memory ran out`
  if (signal !== null && crashSignals.has(signal)) return `the process that ran it crashed (${signal})${said}`
  if (signal !== null) return `the process that ran it was ended by ${signal}${said}`
  if (code !== null && code >= windowsCrash) {
    return `the process that ran it crashed (0x${code.toString(16).toUpperCase()})${said}`
  }
  return `the process that ran it ended with exit code ${code ?? 'unknown'}${said}`
}

/**
 * Starts a worker process. Its stdout and stderr go to a temporary file, because the worker reads there where ONNX
 * Runtime placed the nodes of a model, and because a crash is explained by its last lines.
 *
 * Errors: the worker is not built, or no process can be started.
 */
export const startWorker = (worker: URL, env: Readonly<Record<string, string>>): E.Either<RunError, WorkerProcess> => {
  const path = fileURLToPath(worker)
  if (!existsSync(path)) {
    return E.left(
      runError(path, 'the compiled worker of src/run', 'no such file', 'Run `npm run build`, then try again.'),
    )
  }
  const folder = mkdtempSync(join(tmpdir(), 'chasec-run-'))
  const logFile = openSync(join(folder, 'log'), 'a+')
  let child: ChildProcess
  try {
    child = fork(path, [], {
      serialization: 'advanced',
      execArgv: [],
      env: { ...process.env, ...cudaEnvironment(process.env), ...env },
      stdio: ['ignore', logFile, logFile, 'ipc'],
    })
  } catch (error) {
    closeSync(logFile)
    rmSync(folder, { recursive: true, force: true })
    return E.left(
      runError('onnxruntime-node', 'a child process to run it in', String(error), 'Free some memory, then try again.'),
    )
  }
  // The open file outlives its name, except on Windows, where the name can only go once the file is closed.
  if (process.platform !== 'win32') rmSync(folder, { recursive: true, force: true })

  interface Waiting {
    readonly finish: (answer: E.Either<Trouble, unknown>) => void
    readonly timer: NodeJS.Timeout
  }
  const waiting = new Map<number, Waiting>()
  let nextId = 1
  let dead: Trouble | undefined
  let exited = false
  let tail = ''

  const settle = (id: number, answer: E.Either<Trouble, unknown>): void => {
    const entry = waiting.get(id)
    if (entry === undefined) return
    waiting.delete(id)
    clearTimeout(entry.timer)
    entry.finish(answer)
  }

  const gone = new Promise<void>((resolve) => {
    const end = (trouble: Trouble): void => {
      tail = readTail(logFile)
      closeSync(logFile)
      exited = true
      if (process.platform === 'win32') rmSync(folder, { recursive: true, force: true })
      dead ??= trouble
      for (const id of [...waiting.keys()]) settle(id, E.left(dead))
      resolve()
    }
    let ended = false
    child.once('exit', (code, signal) => {
      if (ended) return
      ended = true
      end({ kind: 'died', message: describeDeath(code, signal, readTail(logFile)) })
    })
    child.once('error', (error) => {
      if (ended || child.pid !== undefined) return
      ended = true
      end({ kind: 'died', message: `no process could be started: ${error.message}` })
    })
  })

  child.on('message', (message: unknown) => {
    if (!isReply(message)) return
    settle(
      message.id,
      message.ok ? E.right(message.value) : E.left({ kind: message.kind, message: cleanMessage(message.message) }),
    )
  })

  const ask = (request: Request, timeoutSeconds: number): Promise<E.Either<Trouble, unknown>> =>
    new Promise((finish) => {
      if (dead !== undefined) {
        finish(E.left(dead))
        return
      }
      const id = nextId++
      const timer = setTimeout(() => {
        dead ??= { kind: 'timeout', message: `no answer within ${timeoutSeconds} s, so the process was ended` }
        child.kill('SIGKILL')
      }, timeoutSeconds * 1000)
      waiting.set(id, { finish, timer })
      // A failed send means that the process is going; its exit settles the request.
      child.send({ id, request }, () => undefined)
    })

  const close = async (): Promise<void> => {
    dead ??= { kind: 'died', message: 'its runner was closed' }
    if (child.connected) child.disconnect()
    const timer = setTimeout(() => child.kill('SIGKILL'), 2000)
    await gone
    clearTimeout(timer)
  }

  return E.right({
    pid: child.pid ?? -1,
    alive: () => dead === undefined,
    ask,
    log: () => (exited ? tail : readTail(logFile)),
    close,
  })
}
