/** A fast digest of bytes: 64 bits, the same on every machine. Not a defence against forgery. */

const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by))

const mix = (x: number): number => {
  const a = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  const b = Math.imul(a ^ (a >>> 13), 0xc2b2ae35)
  return b ^ (b >>> 16)
}

const hex = (x: number): string => (x >>> 0).toString(16).padStart(8, '0')

/** Sixteen hexadecimal digits. Equal bytes have equal digests; different ones almost certainly not. */
export const digestOf = (bytes: Uint8Array): string => {
  const whole = bytes.byteLength & ~3
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let [a, b] = [0x9747b28c, bytes.byteLength]
  const absorb = (word: number): void => {
    a = Math.imul(rotate(a ^ Math.imul(word, 0xcc9e2d51), 13), 5) + 0x6b64
    b = Math.imul(rotate(b ^ Math.imul(word, 0x1b873593), 15), 3) + 0x38b3
  }
  for (let i = 0; i < whole; i += 4) absorb(view.getUint32(i, true))
  for (let i = whole; i < bytes.byteLength; i++) absorb(bytes[i] ?? 0)
  return hex(mix(a ^ rotate(b, 7))) + hex(mix(b))
}
