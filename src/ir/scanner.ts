/** Reads tokens from one line of text. The first mismatch is remembered; after it every read gives nothing. */
import { fromBase64 } from './base64.ts'

export interface Mismatch {
  /** Columns count from 1. */
  readonly column: number
  readonly expected: string
  readonly found: string
}

export interface Scanner {
  /** Skips blanks and reads `text` if it comes next. */
  readonly take: (text: string) => boolean
  /** Whether `text` comes next. */
  readonly peek: (text: string) => boolean
  /** Like `take`, but `text` must come next. */
  readonly expect: (text: string) => void
  /** Reads what `pattern` (sticky) matches; '' and a mismatch where it does not. */
  readonly token: (pattern: RegExp, expected: string) => string
  /** Reads what `pattern` (sticky) matches, if it does. */
  readonly tryToken: (pattern: RegExp) => string | undefined
  /** A JSON string. */
  readonly quoted: (expected: string) => string
  /** A quoted base64 text. */
  readonly base64: () => Uint8Array
  /** Calls `read` for each item of a list between `open` and `close`, separated by commas. */
  readonly list: (open: string, close: string, read: (index: number) => void) => void
  /** Whether only blanks or a comment are left. */
  readonly atEnd: () => boolean
  /** Where the last token starts. */
  readonly place: () => number
  /** Notes a mismatch, at the last token unless another place is given. */
  readonly reject: (expected: string, found?: string, place?: number) => void
  readonly mismatch: () => Mismatch | undefined
}

const blanks = /[ \t\r]*/y
const rest = /"(?:[^"\\]|\\.)*"?|[\w./%@-]+|./y
const string = /"(?:[^"\\]|\\.)*"/y

export const scan = (line: string): Scanner => {
  let at = 0
  let token = 0
  let wrong: Mismatch | undefined
  const match = (pattern: RegExp, from: number): string | undefined => {
    pattern.lastIndex = from
    return pattern.exec(line)?.[0]
  }
  const skip = (): void => {
    at += match(blanks, at)?.length ?? 0
    token = at
  }
  const atEnd = (): boolean => {
    skip()
    return at >= line.length || line[at] === '#'
  }
  const reject = (expected: string, found?: string, place = token): void => {
    const next = token >= line.length || line[token] === '#' ? 'the end of the line' : (match(rest, token) ?? '')
    wrong ??= { column: place + 1, expected, found: found ?? next }
  }
  const tryToken = (pattern: RegExp): string | undefined => {
    if (wrong) return undefined
    skip()
    const text = match(pattern, at)
    if (text === undefined || text === '') return undefined
    at += text.length
    return text
  }
  const peek = (text: string): boolean => {
    if (wrong) return false
    skip()
    return line.startsWith(text, at)
  }
  const take = (text: string): boolean => {
    if (!peek(text)) return false
    at += text.length
    return true
  }
  const expect = (text: string): void => {
    if (!take(text)) reject(`'${text}'`)
  }
  const tokenOf = (pattern: RegExp, expected: string): string => {
    const text = tryToken(pattern)
    if (text === undefined) reject(expected)
    return text ?? ''
  }
  const quoted = (expected: string): string => {
    const text = tokenOf(string, expected)
    if (text === '') return ''
    const value = unquote(text)
    if (value === undefined) reject('a string as JSON spells it', text)
    return value ?? ''
  }
  return {
    take,
    peek,
    expect,
    token: tokenOf,
    tryToken,
    quoted,
    base64: () => {
      const bytes = fromBase64(quoted('base64 in quotes'))
      if (bytes === undefined) reject('base64')
      return bytes ?? new Uint8Array()
    },
    list: (open, close, read) => {
      expect(open)
      if (take(close)) return
      let index = 0
      do read(index++)
      while (take(','))
      if (!take(close)) reject(`',' or '${close}'`)
    },
    atEnd,
    place: () => token,
    reject,
    mismatch: () => wrong,
  }
}

/** The value of a JSON string; undefined where it is not one. */
const unquote = (text: string): string | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined
  }
}
