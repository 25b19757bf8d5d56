/** What a command came to, and how it is told. */
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, renderError } from '../ir/failure.ts'
import { toJson } from '../report/json.ts'
import { fitLines } from '../report/terminal/width.ts'
import type { InterruptedCode } from './interrupt.ts'
import type { Terminal } from './terminal.ts'

/** 0: done. 1: the answer is no. 2: bad usage or input. 130, 143: ended by the user or the machine, to be gone on with. */
export type ExitCode = 0 | 1 | 2 | InterruptedCode

export interface Outcome {
  readonly exitCode: ExitCode
  /** For people. */
  readonly text: string
  /** The same for machines. */
  readonly json: unknown
  /** In one line, why there is nothing to show for it: said on stderr where nothing else is said. */
  readonly refusal?: string
}

export const done = (text: string, json: unknown): Outcome => ({ exitCode: 0, text, json })

/** Prints an outcome, or a failure with what to do about it, and gives the exit code. */
export const tell = (
  terminal: Terminal,
  { json = false, quiet = false }: { readonly json?: boolean; readonly quiet?: boolean },
  result: E.Either<Failure, Outcome>,
): ExitCode => {
  terminal.showProgress('')
  if (E.isLeft(result)) {
    if (json) terminal.print(toJson({ error: result.left }))
    else terminal.note(`${terminal.noteStyle.red('error:')} ${renderError(result.left)}`)
    return 2
  }
  const { exitCode, text, json: value, refusal } = result.right
  if (json) terminal.print(toJson(value))
  else if (!quiet) terminal.print(fitLines(text, terminal.style.columns))
  if (quiet && refusal !== undefined) terminal.note(`${terminal.noteStyle.red('error:')} ${refusal}`)
  return exitCode
}
