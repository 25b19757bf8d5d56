/** Text as wide as a terminal shows it: wide characters take two columns, combining ones and colour codes none. */
import stringWidth from 'string-width'

// Besides ASCII an arrow and an ellipsis, which all tables have.
const plain = /^[\u0020-\u007e\u2026\u2192]*$/

/** Columns that `text`, of one line, takes. */
export const widthOf = (text: string): number => (plain.test(text) ? text.length : stringWidth(text))

const graphemes = (text: string): ReadonlyArray<string> =>
  plain.test(text) ? [...text] : Array.from(new Intl.Segmenter().segment(text), ({ segment }) => segment)

/** How many of the first ones fit into `width` columns. */
const countThatFit = (parts: ReadonlyArray<string>, width: number): number => {
  let room = width
  let count = 0
  for (const part of parts) {
    room -= widthOf(part)
    if (room < 0) break
    count += 1
  }
  return count
}

/** `text` in at most `width` columns, `…` in place of what is left out in its middle: the end of a name tells most. */
export const shorten = (text: string, width: number): string => {
  if (widthOf(text) <= width) return text
  const parts = graphemes(text)
  const tail = Math.ceil((2 * (width - 1)) / 3)
  const last = countThatFit(parts.toReversed(), tail)
  const end = parts.slice(parts.length - last).join('')
  const first = countThatFit(parts, Math.max(0, width - 1 - widthOf(end)))
  return `${parts.slice(0, first).join('')}…${end}`
}

/** `text` in at most `width` columns, its end replaced by `…`. */
export const clip = (text: string, width: number): string => {
  if (widthOf(text) <= width) return text
  const parts = graphemes(text)
  return `${parts.slice(0, countThatFit(parts, Math.max(0, width - 1))).join('')}…`
}

/** `text` in lines of at most `width` columns, broken between words; a word that is wider is broken too, unless it is coloured. */
export const wrapWords = (text: string, width: number): ReadonlyArray<string> =>
  widthOf(text) <= width
    ? [text]
    : filled(
        text.split(' ').flatMap((word) => pieces(word, width)),
        width,
      )

/** Words in lines of at most `width` columns, as far as none is wider. */
const filled = (words: ReadonlyArray<string>, width: number): ReadonlyArray<string> => {
  const lines: string[] = []
  let line: string | undefined
  let used = 0
  for (const word of words) {
    const wide = widthOf(word)
    if (line !== undefined && used + 1 + wide <= width) {
      line = `${line} ${word}`
      used += 1 + wide
      continue
    }
    if (line !== undefined) lines.push(line)
    line = word
    used = wide
  }
  return line === undefined ? lines : [...lines, line]
}

const pieces = (word: string, width: number): ReadonlyArray<string> => {
  if (widthOf(word) <= width || word.includes('\u001b')) return [word]
  const out: string[] = []
  for (let rest = graphemes(word); rest.length > 0;) {
    const count = Math.max(1, countThatFit(rest, width))
    out.push(rest.slice(0, count).join(''))
    rest = rest.slice(count)
  }
  return out
}

/** In front of what is said of a command below it. */
const below = ' '.repeat(6)

/**
 * Sentences in lines of at most `width` columns, each line's indentation kept. Commands, to be copied, stay whole, what
 * is said of one behind it comes below, and a word that is wider stays whole, too.
 */
export const fitLines = (text: string, width: number): string =>
  width === Infinity
    ? text
    : text
        .split('\n')
        .flatMap((line) => {
          const indent = /^ */.exec(line)?.[0] ?? ''
          if (widthOf(line) <= width) return [line]
          const [, command, about] = /^( *\$ .*?\S) {2,}(\S.*)$/.exec(line) ?? []
          if (command !== undefined && about !== undefined) {
            return [command, ...filled(about.split(' '), width - below.length).map((part) => below + part)]
          }
          if (/(^|[:$] +)chasec /.test(line.trim())) return [line]
          return filled(line.slice(indent.length).split(' '), width - indent.length).map((part) => indent + part)
        })
        .join('\n')
