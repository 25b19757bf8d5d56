/** Processes by their number, which systems give to others when they have ended. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { systemCode } from '../../disk/file-system.ts'

/** Whether process `id` runs, and has `word` among its arguments. */
export const isRunning = (id: number, word: string): boolean => {
  try {
    process.kill(id, 0)
  } catch (thrown) {
    if (systemCode(thrown) !== 'EPERM') return false
  }
  return argumentsOf(id).includes(word)
}

/** The command line of a process; empty where it is not to be had. */
const argumentsOf = (id: number): ReadonlyArray<string> => {
  if (existsSync('/proc/self/cmdline')) {
    try {
      return readFileSync(`/proc/${id}/cmdline`, 'utf8').split('\0')
    } catch {
      return []
    }
  }
  return (
    spawnSync('ps', ['-o', 'args=', '-p', String(id)], { encoding: 'utf8' })
      .stdout?.trim()
      .split(' ') ?? []
  )
}
