/** The built command line, in a child process. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Where {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
}

/** Runs `chasec` with `args`; no variable of the environment reaches it but PATH and those given. */
export const chasec = (args: ReadonlyArray<string>, { cwd, env = {} }: Where): Ran => {
  if (!existsSync(main)) throw new Error(`${main} is not there: run npm run build first`)
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    encoding: 'utf8',
  })
  return { code: status, stdout, stderr }
}

/** What a command printed with `--json`. */
export const json = ({ stdout }: Ran): unknown => JSON.parse(stdout)

/** Starts `chasec`, presses Ctrl-C after `milliseconds`, and waits until it is gone. */
export const interrupted = (args: ReadonlyArray<string>, cwd: string, milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [main, ...args], { cwd, stdio: 'ignore' })
    const timer = setTimeout(() => child.kill('SIGINT'), milliseconds)
    child.once('exit', () => {
      clearTimeout(timer)
      resolve()
    })
  })

export interface Started {
  /** Resolves when stderr matches; rejects when the command ends before that. */
  readonly says: (pattern: RegExp) => Promise<void>
  readonly kill: (signal: NodeJS.Signals) => void
  readonly ended: Promise<Ran>
}

/** Starts `chasec` and leaves it running. */
export const started = (args: ReadonlyArray<string>, cwd: string): Started => {
  const child = spawn(process.execPath, [main, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  let waiting: (() => void) | undefined
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    waiting?.()
  })
  const ended = new Promise<Ran>((resolve) => {
    child.once('close', (code) => {
      resolve({ code, stdout, stderr })
      waiting?.()
    })
  })
  return {
    says: (pattern) =>
      new Promise((resolve, reject) => {
        waiting = () => {
          if (pattern.test(stderr)) resolve()
          else if (child.exitCode !== null) reject(new Error(`ended before it said ${pattern}: ${stderr}`))
        }
        waiting()
      }),
    kill: (signal) => {
      child.kill(signal)
    },
    ended,
  }
}
