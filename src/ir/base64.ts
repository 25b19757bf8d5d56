/** Bytes as base64 text (RFC 4648, padded). */

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

const digits: ReadonlyMap<string, number> = new Map([...alphabet].map((c, i) => [c, i]))

export const toBase64 = (bytes: Uint8Array): string => {
  const out: string[] = []
  for (let i = 0; i < bytes.length; i += 3) {
    const rest = bytes.length - i
    const word = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    const digit = (shift: number): string => alphabet[(word >> shift) & 63] ?? ''
    out.push(digit(18) + digit(12) + (rest > 1 ? digit(6) : '=') + (rest > 2 ? digit(0) : '='))
  }
  return out.join('')
}

/** The bytes that `text` spells; undefined where it is not padded base64. */
export const fromBase64 = (text: string): Uint8Array | undefined => {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  if (text.length % 4 !== 0) return undefined
  const out = new Uint8Array((text.length / 4) * 3 - padding)
  let word = 0
  let at = 0
  for (let i = 0; i < text.length; i++) {
    const digit = i >= text.length - padding ? 0 : digits.get(text[i] ?? '')
    if (digit === undefined) return undefined
    word = (word << 6) | digit
    if (i % 4 !== 3) continue
    for (let b = 2; b >= 0 && at < out.length; b--) out[at++] = (word >> (b * 8)) & 255
    word = 0
  }
  return out
}
