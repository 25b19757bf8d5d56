/**
 * Programs of documents, each in its folder, one after another in one process of Node's own: what they import is loaded once. It is
 * as they find it that counts, so it runs no tests and knows no sources.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isRecord } from '../../src/ir/record.ts'

/** Imports what it is told to, and says how that ended: with nothing, or with what was thrown. */
const loader = `
import { pathToFileURL } from 'node:url'
const say = (error) => process.send({ error: error === undefined ? '' : String(error?.stack ?? error) })
process.on('uncaughtException', say)
process.on('message', async ({ folder, file }) => {
  try {
    process.chdir(folder)
    await import(pathToFileURL(file).href)
    say(process.exitCode ? 'exit code ' + process.exitCode : undefined)
  } catch (error) {
    say(error)
  }
  process.exitCode = 0
})`

export interface Programs {
  /** Runs a file of JavaScript in a folder; fails as it fails. */
  readonly run: (folder: string, file: string) => Promise<void>
  /** Waits until nothing keeps the process any more, and gives its exit code. */
  readonly end: () => Promise<number | null>
}

export const startPrograms = (env: NodeJS.ProcessEnv): Programs => {
  const place = mkdtempSync(join(tmpdir(), 'chasec-programs-'))
  const main = join(place, 'loader.mjs')
  writeFileSync(main, loader)
  let child: ChildProcess | undefined
  const started = (): ChildProcess => {
    if (child?.connected !== true)
      child = fork(main, { env, execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    return child
  }
  return {
    run: (folder, file) =>
      new Promise((resolve, reject) => {
        const process = started()
        const done = (error: string): void => {
          process.off('message', told).off('exit', ended)
          if (error === '') resolve()
          else reject(new Error(error))
        }
        const told = (message: unknown): void => done(isRecord(message) ? String(message['error']) : 'no answer')
        const ended = (code: number | null): void => done(`it ended the process, with exit code ${code}`)
        process.on('message', told).on('exit', ended)
        process.send({ folder, file })
      }),
    end: () =>
      new Promise((resolve) => {
        rmSync(place, { recursive: true })
        if (child === undefined) return resolve(0)
        child.on('exit', resolve)
        child.disconnect()
      }),
  }
}
