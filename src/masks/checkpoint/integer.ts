/** Python's integers in pickles: exact, as numbers where they are safe ones. */

/** Longer ones are no sizes: they stay bytes. */
const longest = 1024

/** A number where it holds the integer exactly. */
export const integerOf = (wide: bigint): number | bigint => {
  const narrow = Number(wide)
  return Number.isSafeInteger(narrow) ? narrow : wide
}

/** Two's complement, little-endian, of any length. */
export const fromLittleEndian = (bytes: Uint8Array): number | bigint | Uint8Array => {
  if (bytes.length > longest) return bytes
  if (bytes.length === 0) return 0
  const digits = Array.from(bytes.toReversed(), (byte) => byte.toString(16).padStart(2, '0')).join('')
  return integerOf(BigInt.asIntN(8 * bytes.length, BigInt(`0x${digits}`)))
}

/** Decimal digits; undefined for anything else. */
export const fromDecimal = (text: string): number | bigint | undefined =>
  /^[+-]?\d{1,2000}$/.test(text) ? integerOf(BigInt(text.replace('+', ''))) : undefined
