/** What commands may do to the terminal they run in. */
import { printable, printableStyled } from '../ir/printable.ts'
import { type Style, styleFor } from '../report/terminal/style.ts'
import { clip, fitLines } from '../report/terminal/width.ts'
import { type Environment, readEnvironment } from './environment.ts'

export interface Terminal {
  /** Results, on stdout. */
  readonly print: (text: string) => void
  /** Everything else, on stderr. */
  readonly note: (text: string) => void
  /** Shows `text` on a line of its own that the next one replaces; an empty text clears it. Does nothing off a terminal. */
  readonly showProgress: (text: string) => void
  /** Whether stderr is a terminal, where progress is shown unasked. */
  readonly interactive: boolean
  /** Styles for stdout and stderr. */
  readonly style: Style
  readonly noteStyle: Style
  readonly environment: Environment
  /** Whether nothing is to be said but errors. */
  readonly quiet?: boolean
}

/** A terminal on which work is done without a word. */
export const quietly = (terminal: Terminal): Terminal => ({
  ...terminal,
  note: () => undefined,
  showProgress: () => undefined,
  interactive: false,
  quiet: true,
})

/** Columns of a terminal where nothing says how many. */
const usualColumns = 80

/**
 * How wide the text on a stream may be. What does not go to a terminal has no end on the right: it is the same text, whole,
 * whatever it was started from, as of git and of docker.
 */
export const columnsOf = (
  stream: { readonly isTTY?: boolean; readonly columns?: number },
  { columns }: Pick<Environment, 'columns'>,
): number => (stream.isTTY === true ? stream.columns || (columns ?? usualColumns) : Infinity)

/** The process's own terminal. Colours only on a terminal, and not with NO_COLOR; FORCE_COLOR wins over both. */
export const systemTerminal = (): Terminal => {
  const environment = readEnvironment(process.env)
  const coloured = (stream: NodeJS.WriteStream): boolean => environment.colour ?? stream.isTTY === true
  const interactive = process.stderr.isTTY === true
  let shown = false
  const shownOn = (stream: NodeJS.WriteStream, text: string): string =>
    coloured(stream) ? printableStyled(text) : printable(text)
  const clear = (): void => {
    if (shown) process.stderr.write('\r\u001b[2K')
    shown = false
  }
  return {
    print: (text) => {
      clear()
      process.stdout.write(`${shownOn(process.stdout, text)}\n`)
    },
    note: (text) => {
      clear()
      process.stderr.write(`${fitLines(shownOn(process.stderr, text), columnsOf(process.stderr, environment))}\n`)
    },
    showProgress: (text) => {
      if (!interactive) return
      clear()
      if (text === '') return
      process.stderr.write(clip(printable(text).replaceAll('\n', ' '), columnsOf(process.stderr, environment) - 1))
      shown = true
    },
    interactive,
    style: styleFor(coloured(process.stdout), columnsOf(process.stdout, environment)),
    noteStyle: styleFor(coloured(process.stderr), columnsOf(process.stderr, environment)),
    environment,
  }
}
