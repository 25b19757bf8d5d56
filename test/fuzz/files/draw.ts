/** Seeded choices for made-up files. */
import { uniforms } from '../../inflate.ts'

export interface Draw {
  /** A whole number from 0 to below `n`. */
  readonly below: (n: number) => number
  readonly chance: (share: number) => boolean
  readonly pick: <T>(list: readonly [T, ...ReadonlyArray<T>]) => T
  /** One of a list that may be empty. */
  readonly one: <T>(list: ReadonlyArray<T>) => T | undefined
  readonly uniform: () => number
}

export const drawOf = (seed: number): Draw => {
  const uniform = uniforms(seed)
  const below = (n: number): number => Math.floor(uniform() * n)
  return {
    below,
    uniform,
    chance: (share) => uniform() < share,
    pick: (list) => list[below(list.length)] ?? list[0],
    one: (list) => list[below(list.length)],
  }
}

/** Whole numbers at which sizes, offsets and counts go wrong. */
export const edgeIntegers = [
  ...[0, 1, 2, 3, 7, 64, 127, 255, 1000, 65_536, 1_000_000].map(BigInt),
  ...[-1, -2, -100].map(BigInt),
  ...[31n, 32n, 53n, 62n].flatMap((power) => [2n ** power - 1n, 2n ** power, -(2n ** power)]),
  2n ** 63n - 1n,
  -(2n ** 63n),
] as const

export const edgeInteger = (draw: Draw): bigint => draw.one(edgeIntegers) ?? 0n

export const edgeNumbers = [0, -0, 1, -1, 0.5, NaN, Infinity, -Infinity, 1e38, -1e38, 1e-45, 1e300, 2 ** 53] as const

/** Names at which lists, terminals and pages go wrong. */
export const edgeName = (draw: Draw): string =>
  draw.pick([
    '',
    ' ',
    '\0',
    '\u001b[31mred\u001b[0m',
    '\u0085\u009b',
    '\u202egnp.x\u2066',
    '\ufffd'.repeat(1 + draw.below(200)),
    '\ud83d\ude00',
    '__proto__',
    'constructor',
    '../x',
    '<script>alert(1)</script>',
    'a'.repeat(1 + draw.below(3000)),
    '"\\\n',
    'x',
    'weight',
  ])

/** A piece of `from` put into `bytes` at `at` in place of `length` bytes. */
export const splice = (bytes: Uint8Array, at: number, length: number, from: Uint8Array): Uint8Array => {
  const rest = bytes.subarray(at + length)
  const out = new Uint8Array(at + from.length + rest.length)
  out.set(bytes.subarray(0, at))
  out.set(from, at)
  out.set(rest, at + from.length)
  return out
}

const edgeBytes = [0, 1, 0x7f, 0x80, 0xff] as const

/** One to four edits: bytes set, bits flipped, pieces cut out, repeated, moved here from `other`, or the end cut off. */
export const mutate = (bytes: Uint8Array, draw: Draw, other: Uint8Array = bytes): Uint8Array => {
  const { below } = draw
  let out = Uint8Array.from(bytes)
  for (let edits = 1 + below(4); edits > 0; edits--) {
    const at = below(out.length)
    const length = Math.min(out.length - at, 1 + below(12))
    switch (below(8)) {
      case 0:
        if (at < out.length) out[at] = below(256)
        break
      case 1:
        if (at < out.length) out[at] = (out[at] ?? 0) ^ (1 << below(8))
        break
      case 2:
        out.fill(draw.pick(edgeBytes), at, at + length)
        break
      case 3:
        out = Uint8Array.from(splice(out, at, length, new Uint8Array()))
        break
      case 4:
        out = Uint8Array.from(splice(out, at, 0, out.slice(at, at + length)))
        break
      case 5: {
        const start = below(other.length)
        out = Uint8Array.from(splice(out, at, length, other.subarray(start, start + 1 + below(40))))
        break
      }
      case 6:
        out.copyWithin(at, below(out.length), below(out.length))
        break
      default:
        if (draw.chance(0.25)) out = out.slice(0, at)
    }
  }
  return out
}

/** The text with one to four edits of the same kinds, and pieces of `pieces` put in. */
export const mutateText = (text: string, draw: Draw, pieces: readonly [string, ...ReadonlyArray<string>]): string => {
  let out = text
  for (let edits = 1 + draw.below(4); edits > 0; edits--) {
    const at = draw.below(out.length + 1)
    const end = Math.min(out.length, at + draw.below(12))
    const put = draw.pick([draw.pick(pieces), '', out.slice(at, end).repeat(2), String.fromCharCode(draw.below(300))])
    out = out.slice(0, at) + put + out.slice(draw.chance(0.5) ? at : end)
  }
  return out
}
