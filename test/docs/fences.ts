/** Fenced blocks of Markdown. */

export interface Fence {
  readonly language: string
  readonly text: string
  /** Number of the line that it begins at. */
  readonly line: number
}

/** The fenced blocks of a document, in its order. */
export const fencesOf = (markdown: string): ReadonlyArray<Fence> => {
  const fences: Fence[] = []
  let open: { readonly language: string; readonly line: number; readonly body: string[] } | undefined
  for (const [i, line] of markdown.split('\n').entries()) {
    const mark = /^```(.*)$/.exec(line)
    if (mark === null) open?.body.push(line)
    else if (open === undefined) open = { language: mark[1] ?? '', line: i + 1, body: [] }
    else {
      fences.push({ language: open.language, line: open.line, text: open.body.join('\n') })
      open = undefined
    }
  }
  if (open !== undefined) throw new Error(`the block of line ${open.line} does not end`)
  return fences
}

/** The name of the file that a block is, where a comment in its first line says one. */
export const fileNameOf = ({ text }: Fence): string | undefined =>
  /^(?:\/\/|#|<!--) ([\w.-]+\.(?:ts|yaml|html))(?: -->)?$/m.exec(text.split('\n')[0] ?? '')?.[1]

export interface Command {
  readonly line: number
  readonly text: string
  /** What it prints by the document, `...` for what is left out; undefined where the document does not say. */
  readonly prints: string | undefined
}

/** The commands of a block `sh`, one a line, those that end in a backslash put together. */
export const commandsOf = ({ text, line }: Fence): ReadonlyArray<Command> =>
  text
    .replace(/\\\n/g, '')
    .split('\n')
    .flatMap((command, i) => {
      const bare = command.replace(/(^|\s+)#.*$/, '').trim()
      return bare === '' ? [] : [{ line: line + 1 + i, text: bare, prints: undefined }]
    })

/** The commands of a block `console`, behind `$`, each with the lines up to the next one. */
export const sessionOf = ({ text, line }: Fence): ReadonlyArray<Command> => {
  const commands: { readonly line: number; readonly text: string; readonly prints: string[] }[] = []
  for (const [i, given] of text.split('\n').entries()) {
    if (given.startsWith('$ ')) commands.push({ line: line + 1 + i, text: given.slice(2), prints: [] })
    else commands.at(-1)?.prints.push(given)
  }
  return commands.map((command) => ({ ...command, prints: command.prints.join('\n') }))
}

/** Text by which two prints of one command are compared: of other sizes and times, in columns of other widths. */
const numbersAside = (text: string): string =>
  text
    .replace(/\d[\d.,]*(e-?\d+)?/g, '#')
    .replace(/\s+/g, ' ')
    .trim()

/** The first part of what a document says is printed that is not in `found`, or comes in another order; numbers aside. */
export const missingFrom = (found: string, prints: string): string | undefined => {
  let rest = numbersAside(found)
  for (const part of prints.split('...').map(numbersAside)) {
    const at = rest.indexOf(part)
    if (at < 0) return part
    rest = rest.slice(at + part.length)
  }
  return undefined
}
