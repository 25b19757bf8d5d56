/** Progress of long work on stderr. */
import type { OnProgress, Progress } from '../run/progress.ts'
import type { Terminal } from './terminal.ts'

/** Says what is being done now. */
export type Say = (text: string) => void

/** On a terminal one line that changes; with `always`, elsewhere too, a line for each step. */
export const progressOn = (terminal: Terminal, always: boolean): Say => {
  if (terminal.interactive) return terminal.showProgress
  return always && terminal.quiet !== true ? terminal.note : () => undefined
}

const doing: Readonly<Record<Progress['phase'], string>> = {
  load: 'loading',
  sizes: 'looking for sizes that the model accepts',
  verify: 'verifying',
  'warm-up': 'warming up',
  measure: 'measuring',
}

/** Progress of running models, as text. */
export const runProgress =
  (say: Say): OnProgress =>
  ({ phase, done, total, note }) => {
    if (note !== 'done') say(`${doing[phase]} ${done + 1}/${total}: ${note}`)
  }
