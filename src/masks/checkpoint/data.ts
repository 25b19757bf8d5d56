/** Bytes in pickles: as they are, as a text whose characters are bytes, or what a function of Python makes of either. */
import { isMade, isTagged, itemsOf, nameOf, type Value } from './value.ts'

/** Bytes that a pickle has, in one way or another. */
export interface Data {
  /** Bounds of its length, known before it is decoded. */
  readonly least: number
  readonly most: number
  readonly bytes: () => Uint8Array | undefined
}

/** The bytes that `value` stands for, or undefined where it stands for none. */
export const dataOf = (value: Value | undefined): Data | undefined => {
  const plain = bytesOf(value)
  if (plain !== undefined) return { least: plain.length, most: plain.length, bytes: () => plain }
  if (!isMade(value)) return undefined
  const [first, encoding] = itemsOf(value.args) ?? []
  const name = nameOf(value.callee)
  // Before protocol 3 pickles have no bytes: they are a text of as many characters, encoded again.
  if (name === '_codecs.encode' && (encoding === 'latin1' || encoding === 'latin-1')) {
    const utf8 = bytesOf(first)
    if (utf8 === undefined) return undefined
    return { least: Math.ceil(utf8.length / 2), most: utf8.length, bytes: () => latin1(utf8) }
  }
  return name === 'builtins.bytearray' || name === 'builtins.bytes' ? dataOfBytes(first) : undefined
}

const dataOfBytes = (value: Value | undefined): Data | undefined => {
  const plain = value === undefined ? new Uint8Array() : bytesOf(value)
  return plain && { least: plain.length, most: plain.length, bytes: () => plain }
}

/** Bytes of the pickle; those of a text, and of the strings of Python 2, are its UTF-8. */
const bytesOf = (value: Value | undefined): Uint8Array | undefined => {
  if (value instanceof Uint8Array) return value
  if (typeof value === 'string') return new TextEncoder().encode(value)
  return isTagged(value) && value.tag === 'text' ? value.utf8 : undefined
}

/** The characters of a text, all below 256, as bytes. */
const latin1 = (utf8: Uint8Array): Uint8Array | undefined => {
  const out = new Uint8Array(utf8.length)
  let length = 0
  for (let at = 0; at < utf8.length; at++) {
    const byte = utf8[at] ?? 0
    if (byte < 0x80) {
      out[length++] = byte
      continue
    }
    at += 1
    const next = utf8[at] ?? 0
    if ((byte !== 0xc2 && byte !== 0xc3) || (next & 0xc0) !== 0x80) return undefined
    out[length++] = ((byte & 3) << 6) | (next & 0x3f)
  }
  return out.subarray(0, length)
}
