/** A child process that runs `worker.ts`: how it starts, is asked, and dies. */
import { type ChildProcess, fork } from 'node:child_process'
import { closeSync, existsSync, fstatSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { builtProgram } from '../disk/built-program.ts'
import { systemCode } from '../disk/file-system.ts'
import { systemReason } from '../ir/system-reason.ts'
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

/** What a process wrote to stdout and stderr, in a file that has no name where it needs none. */
interface Log {
  readonly file: number
  /** Its end, also when it is closed. */
  readonly tail: () => string
  readonly close: () => void
}

/** Errors: there is no folder for temporary files, or none that can be written. */
const openLog = (): E.Either<RunError, Log> => {
  try {
    return E.right(logIn(mkdtempSync(join(tmpdir(), 'chasec-run-'))))
  } catch (thrown) {
    if (systemCode(thrown) === '') throw thrown
    const found = `${tmpdir()}: ${systemReason(thrown)}`
    const help = 'Set TMPDIR (TEMP on Windows) to a folder that can be written, with some space.'
    return E.left(runError('temporary files', 'a folder that can be written', found, help))
  }
}

const logIn = (folder: string): Log => {
  const file = openSync(join(folder, 'log'), 'a+')
  // The open file outlives its name, except on Windows, where the name can only go once the file is closed.
  const keepsName = process.platform === 'win32'
  const forget = (): void => rmSync(folder, { recursive: true, force: true })
  if (!keepsName) forget()
  let last: string | undefined
  return {
    file,
    tail: () => last ?? readTail(file),
    close: () => {
      last = readTail(file)
      closeSync(file)
      if (keepsName) forget()
    },
  }
}

/** Requests that have no answer yet. */
interface Pending {
  /** The number by which the answer is told; `late` is called when none has come within the time. */
  readonly add: (finish: (answer: Answer) => void, timeoutSeconds: number, late: () => void) => number
  /** Hands an answer over; nothing where the request has one. */
  readonly settle: (id: number, answer: Answer) => void
  readonly settleAll: (answer: Answer) => void
}

type Answer = E.Either<Trouble, unknown>

const pendingRequests = (): Pending => {
  const waiting = new Map<number, { readonly finish: (answer: Answer) => void; readonly timer: NodeJS.Timeout }>()
  let last = 0
  const settle = (id: number, answer: Answer): void => {
    const entry = waiting.get(id)
    if (entry === undefined) return
    waiting.delete(id)
    clearTimeout(entry.timer)
    entry.finish(answer)
  }
  return {
    add: (finish, timeoutSeconds, late) => {
      last += 1
      waiting.set(last, { finish, timer: setTimeout(late, timeoutSeconds * 1000) })
      return last
    },
    settle,
    settleAll: (answer) => {
      for (const id of [...waiting.keys()]) settle(id, answer)
    },
  }
}

/** How a process ends, once, whether it has ever run or not. */
const endOf = (child: ChildProcess, log: Log): Promise<Trouble> =>
  new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ kind: 'died', message: describeDeath(code, signal, log.tail()) }))
    child.once('error', (error) => {
      if (child.pid !== undefined) return
      resolve({ kind: 'died', message: `no process could be started: ${error.message}` })
    })
  })

/** Milliseconds that a process has to end when it is asked to. */
const patience = 2000

/**
 * Starts a worker process. Its stdout and stderr go to a temporary file, because the worker reads there where ONNX
 * Runtime placed the nodes of a model, and because a crash is explained by its last lines.
 *
 * Errors: the worker is not built, no temporary file can be made, or no process can be started.
 */
export const startWorker = (worker: URL, env: Readonly<Record<string, string>>): E.Either<RunError, WorkerProcess> => {
  const path = fileURLToPath(worker)
  if (!existsSync(path)) {
    return E.left(
      runError(path, 'the compiled worker of src/run', 'no such file', 'Run `npm run build`, then try again.'),
    )
  }
  const opened = openLog()
  if (E.isLeft(opened)) return opened
  const log = opened.right
  let child: ChildProcess
  try {
    child = fork(path, [], {
      serialization: 'advanced',
      execArgv: [],
      env: { ...process.env, ...cudaEnvironment(process.env), ...env },
      stdio: ['ignore', log.file, log.file, 'ipc'],
    })
  } catch (error) {
    log.close()
    return E.left(
      runError('onnxruntime-node', 'a child process to run it in', String(error), 'Free some memory, then try again.'),
    )
  }
  return E.right(workerOf(child, log))
}

const workerOf = (child: ChildProcess, log: Log): WorkerProcess => {
  const pending = pendingRequests()
  let dead: Trouble | undefined
  const gone = endOf(child, log).then((trouble) => {
    log.close()
    dead ??= trouble
    pending.settleAll(E.left(dead))
  })
  child.on('message', (message: unknown) => {
    if (!isReply(message)) return
    pending.settle(
      message.id,
      message.ok ? E.right(message.value) : E.left({ kind: message.kind, message: cleanMessage(message.message) }),
    )
  })
  return {
    pid: child.pid ?? -1,
    alive: () => dead === undefined,
    ask: (request, timeoutSeconds) =>
      new Promise((finish) => {
        if (dead !== undefined) {
          finish(E.left(dead))
          return
        }
        const id = pending.add(finish, timeoutSeconds, () => {
          dead ??= { kind: 'timeout', message: `no answer within ${timeoutSeconds} s, so the process was ended` }
          child.kill('SIGKILL')
        })
        // A failed send means that the process is going; its exit settles the request.
        child.send({ id, request }, () => undefined)
      }),
    log: log.tail,
    close: async () => {
      dead ??= { kind: 'died', message: 'its runner was closed' }
      if (child.connected) child.disconnect()
      const timer = setTimeout(() => child.kill('SIGKILL'), patience)
      await gone
      clearTimeout(timer)
    },
  }
}
