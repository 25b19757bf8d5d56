/** Observers of the pipeline for those who debug it; switched on by environment variables. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import * as E from 'fp-ts/lib/Either.js'
import { checkGraph } from '../ir/check.ts'
import { renderError } from '../ir/failure.ts'
import { print } from '../ir/print.ts'
import { totalsOf } from '../passes/compile.ts'
import { type Observer, stopAfter } from '../passes/pass.ts'
import { formatBytes, formatMilliseconds } from '../report/units.ts'
import type { Terminal } from './terminal.ts'

/** Where dumps go: the folder the command runs in. */
const dumpFolder = 'chasec-dump'

/** The observers that the environment asks for. */
export const debugObservers = (terminal: Terminal): ReadonlyArray<Observer> => {
  const { debug, stopAfter: count } = terminal.environment
  return [
    ...(debug >= 1 ? [listPasses(terminal)] : []),
    ...(debug >= 2 ? [checkPasses(terminal)] : []),
    ...(debug >= 3 ? [dumpPasses(terminal)] : []),
    ...(count === undefined ? [] : [stopAfter(count)]),
  ]
}

/** Numbers the runs of passes from 1. */
const counted = (observe: (run: number, ...args: Parameters<Observer>) => void): Observer => {
  let run = 0
  return (pass, before, after) => {
    run += 1
    observe(run, pass, before, after)
  }
}

const two = (run: number): string => String(run).padStart(2, '0')

const listPasses = (terminal: Terminal): Observer => {
  let last = performance.now()
  return counted((run, pass, before, after) => {
    const now = performance.now()
    const { nodes, bytes } = totalsOf(after)
    const change = before === after ? 'unchanged' : `${before.nodes.length} -> ${nodes} nodes, ${formatBytes(bytes)}`
    terminal.note(`${two(run)} ${pass.name.padEnd(24)} ${formatMilliseconds(now - last).padStart(8)}  ${change}`)
    last = performance.now()
  })
}

const checkPasses = (terminal: Terminal): Observer => {
  let broken = false
  return counted((run, pass, before, after) => {
    if (broken || before === after) return
    const checked = checkGraph(after)
    if (E.isRight(checked)) return
    broken = true
    terminal.note(
      `${terminal.noteStyle.red(`pass ${pass.name} (run ${run}) broke the graph:`)} ${renderError(checked.left)}\n` +
        `Set CHASEC_DEBUG=3 and compare ${dumpFolder}/${two(run)}-${pass.name}.ir with the dump before it, ` +
        `or set CHASEC_STOP_AFTER=${run} to compile up to here.`,
    )
  })
}

const dumpPasses = (terminal: Terminal): Observer => {
  mkdirSync(dumpFolder, { recursive: true })
  terminal.note(`dumping the graph after each pass that changes it to ${dumpFolder}/`)
  return counted((run, pass, before, after) => {
    const write = (name: string, text: string): void => writeFileSync(join(dumpFolder, `${name}.ir`), text)
    if (run === 1) write('00-input', print(before))
    if (before !== after) write(`${two(run)}-${pass.name}`, print(after))
  })
}
