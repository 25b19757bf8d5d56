import { countCodes } from './codes.ts'
import type { Draws } from '../../ir/random.ts'

/**
 * Gives `count` elements, drawn without replacement from those whose code has one of the bits `eligible`, the code that `to`
 * makes of theirs: exactly `count`, or all if there are fewer. Every subset is as likely as any other (Knuth's algorithm S: an
 * element is taken with probability wanted / left). What is drawn depends on the order of the eligible elements alone, not
 * on where they lie. Returns how many each array gave.
 */
export const selectAtRandom = (
  arrays: ReadonlyArray<Uint8Array>,
  eligible: number,
  count: number,
  to: (from: number) => number,
  draws: Draws,
): ReadonlyArray<number> => {
  let left = arrays.reduce((n, codes) => n + countCodes(codes, eligible), 0)
  let wanted = Math.min(count, left)
  return arrays.map((codes) => {
    const before = wanted
    for (let i = 0; i < codes.length && wanted > 0; i++) {
      const from = codes[i] ?? 0
      if ((from & eligible) === 0) continue
      if (draws.next() * left < wanted) {
        codes[i] = to(from)
        wanted -= 1
      }
      left -= 1
    }
    return before - wanted
  })
}
