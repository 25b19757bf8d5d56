/** The state of the pickle machine, and its bounded reads: every one gives undefined where the file ends first. */
import type { Persistent, Text, Value } from './value.ts'

/** What was expected and what was found. */
export type Problem = readonly [expected: string, found: string]

export interface Machine {
  readonly bytes: Uint8Array
  readonly view: DataView
  /** The next byte to read. */
  at: number
  readonly stack: Value[]
  /** Where in the stack its marks are; nothing below the last one is taken off. */
  readonly marks: number[]
  readonly memo: Map<number, Value>
  /** Full names of what the pickle wants called. */
  readonly calls: Set<string>
  /** What it refers to outside of itself, in order. */
  readonly persistent: Persistent[]
}

export const machineAt = (bytes: Uint8Array, at: number): Machine => ({
  bytes,
  view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  at,
  stack: [],
  marks: [],
  memo: new Map(),
  calls: new Set(),
  persistent: [],
})

export const truncated: Problem = ['a pickle that ends with its stop instruction', 'the end of the file before it']
export const underflow: Problem = ['a value to work on', 'an empty stack']

/** Whether the next `length` bytes are there. Lengths may be any number a file can hold. */
const reach = (m: Machine, length: number): boolean => length <= m.bytes.length - m.at

/** An unsigned integer of so many bytes, little-endian. Eight-byte ones above 2^53 come out rounded, which is too long anyway. */
export const unsigned = (m: Machine, width: 1 | 2 | 4 | 8): number | undefined => {
  if (!reach(m, width)) return undefined
  const at = m.at
  m.at += width
  if (width === 1) return m.view.getUint8(at)
  if (width === 2) return m.view.getUint16(at, true)
  return width === 4 ? m.view.getUint32(at, true) : Number(m.view.getBigUint64(at, true))
}

export const signed = (m: Machine): number | undefined => {
  if (!reach(m, 4)) return undefined
  m.at += 4
  return m.view.getInt32(m.at - 4, true)
}

export const double = (m: Machine): number | undefined => {
  if (!reach(m, 8)) return undefined
  m.at += 8
  return m.view.getFloat64(m.at - 8)
}

/** A view of the next bytes, after their count in `width` bytes. */
export const counted = (m: Machine, width: 1 | 4 | 8): Uint8Array | undefined => {
  const length = unsigned(m, width)
  if (length === undefined || !reach(m, length)) return undefined
  m.at += length
  return m.bytes.subarray(m.at - length, m.at)
}

/** The bytes up to the next line feed, without it. */
export const line = (m: Machine): Uint8Array | undefined => {
  const end = m.bytes.indexOf(0x0a, m.at)
  if (end < 0) return undefined
  const start = m.at
  m.at = end + 1
  return m.bytes.subarray(start, end)
}

/** Longer texts are no names and stay bytes. */
const longestText = 4096

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Bytes as text where they are short and well-formed. */
export const textOf = (utf8: Uint8Array): string | Text => {
  if (utf8.length > longestText) return { tag: 'text', utf8 }
  try {
    return decoder.decode(utf8)
  } catch {
    return { tag: 'text', utf8 }
  }
}

export const pop = (m: Machine): Value | undefined =>
  m.stack.length > (m.marks.at(-1) ?? 0) ? m.stack.pop() : undefined

export const top = (m: Machine): Value | undefined =>
  m.stack.length > (m.marks.at(-1) ?? 0) ? m.stack.at(-1) : undefined

/** Everything above the last mark, taken off with it. */
export const popMark = (m: Machine): Value[] | undefined => {
  const mark = m.marks.pop()
  return mark === undefined ? undefined : m.stack.splice(mark)
}
