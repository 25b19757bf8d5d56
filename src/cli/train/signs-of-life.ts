/** Progress of training on stderr, off a terminal too. */
import { Worker } from 'node:worker_threads'
import { builtProgram } from '../../disk/built-program.ts'
import { printable } from '../../ir/printable.ts'
import { progressOn, type Say } from '../progress.ts'
import type { Terminal } from '../terminal.ts'
import type { Sign } from './pulse.ts'

export const builtThread = builtProgram('cli/train/pulse-thread.js')

export interface Life {
  readonly tell: (sign: Sign) => void
  readonly end: () => void
}

/**
 * Starts a thread that writes to a file what was last said to be done, whenever nothing has been written for `silence`
 * milliseconds, however busy this thread is; it looks every `look` milliseconds.
 */
export const startLife = (file: number, silence: number, look: number): Life => {
  const thread = new Worker(builtThread, { workerData: { file, silence, look } })
  thread.unref()
  return { tell: (sign) => thread.postMessage(sign), end: () => void thread.terminate() }
}

const stderrFile = 2

/** Half a minute at the most from one line to the next. */
const usual = { silence: 25_000, look: 1000 } as const

/** Milliseconds from one thing that is said of training to the next: on a terminal, in a log that is asked for, else. */
const intervals = { terminal: 100, log: 10_000, unheard: 1000 } as const

export interface Alive {
  /** The terminal, whose lines count as signs of life. */
  readonly terminal: Terminal
  readonly say: Say
  /** Milliseconds from which on saying something new is of use. */
  readonly interval: number
  readonly end: () => void
}

/**
 * On a terminal, one line that changes. Elsewhere a line at least every half minute of what is being done; with `always` one for
 * each thing that is said.
 */
export const alive = (terminal: Terminal, always: boolean, start = startLife): Alive => {
  if (terminal.quiet === true) return { terminal, say: () => undefined, interval: Infinity, end: () => undefined }
  const say = progressOn(terminal, always)
  if (terminal.interactive) return { terminal, say, interval: intervals.terminal, end: () => undefined }
  const life = start(stderrFile, usual.silence, usual.look)
  const wrote =
    (write: (text: string) => void) =>
    (text: string): void => {
      write(text)
      life.tell({ kind: 'wrote' })
    }
  return {
    terminal: { ...terminal, print: wrote(terminal.print), note: wrote(terminal.note) },
    say: (text) => {
      life.tell({ kind: 'doing', text: printable(text).replaceAll('\n', ' ') })
      if (always) wrote(say)(text)
    },
    interval: always ? intervals.log : intervals.unheard,
    end: life.end,
  }
}

/** Does long work with signs of life, which end with it. */
export const whileAlive = async <A>(
  terminal: Terminal,
  { progress = false }: { readonly progress?: boolean },
  work: (life: Alive) => Promise<A>,
): Promise<A> => {
  const life = alive(terminal, progress)
  try {
    return await work(life)
  } finally {
    life.end()
  }
}
