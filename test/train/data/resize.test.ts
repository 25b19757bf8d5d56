/** Enlarged parts against the numbers of Pillow 13, `Image.resize(size, BILINEAR)`. */
import { describe, expect, it } from 'vitest'
import { enlarger } from '../../../src/train/data/resize.ts'
import { randomBytes } from './make.ts'

interface Example {
  readonly from: { readonly height: number; readonly width: number }
  readonly to: { readonly height: number; readonly width: number }
  readonly source: ReadonlyArray<number>
  readonly enlarged: ReadonlyArray<number>
}

const examples: ReadonlyArray<Example> = [
  {
    from: { height: 2, width: 3 },
    to: { height: 4, width: 5 },
    source: [198, 126, 129, 107, 75, 251],
    enlarged: [198, 169, 126, 128, 129, 175, 150, 113, 141, 160, 130, 113, 88, 168, 221, 107, 94, 75, 181, 251],
  },
  {
    from: { height: 1, width: 1 },
    to: { height: 2, width: 3 },
    source: [226],
    enlarged: [226, 226, 226, 226, 226, 226],
  },
  {
    from: { height: 5, width: 4 },
    to: { height: 7, width: 4 },
    source: [251, 84, 246, 189, 223, 124, 28, 225, 135, 1, 191, 49, 222, 86, 114, 15, 71, 103, 102, 135],
    enlarged: [
      251, 84, 246, 189, 235, 107, 121, 210, 198, 89, 75, 175, 135, 1, 191, 49, 197, 62, 136, 25, 157, 93, 109, 66, 71,
      103, 102, 135,
    ],
  },
  {
    from: { height: 3, width: 5 },
    to: { height: 3, width: 11 },
    source: [89, 170, 136, 60, 89, 234, 86, 19, 123, 210, 133, 161, 216, 60, 84],
    enlarged: [
      89, 104, 141, 167, 151, 136, 101, 67, 71, 84, 89, 234, 207, 140, 80, 49, 19, 66, 114, 155, 194, 210, 133, 138,
      151, 166, 191, 216, 145, 74, 69, 80, 84,
    ],
  },
  {
    from: { height: 7, width: 2 },
    to: { height: 8, width: 9 },
    source: [85, 47, 55, 174, 101, 91, 218, 2, 121, 152, 204, 227, 26, 118],
    enlarged: [
      85, 85, 83, 74, 66, 58, 49, 47, 47, 61, 61, 66, 85, 106, 125, 145, 150, 150, 87, 87, 88, 95, 102, 109, 115, 117,
      117, 167, 167, 160, 132, 104, 76, 48, 41, 41, 176, 176, 170, 146, 122, 97, 74, 68, 68, 147, 147, 149, 155, 162,
      167, 174, 175, 175, 171, 171, 172, 180, 189, 197, 205, 207, 207, 26, 26, 31, 52, 72, 92, 113, 118, 118,
    ],
  },
]

describe('enlarger', () => {
  it.each(examples)('$from.height x $from.width to $to.height x $to.width', ({ from, to, source, enlarged }) => {
    const target = new Uint8Array(enlarged.length)
    enlarger({ from, to })(Uint8Array.from(source), 0, from.width, target, 0)
    expect([...target]).toEqual(enlarged)
  })

  it('reads the part and writes the result where it is told to, and nothing else', () => {
    const [from, to] = [
      { height: 3, width: 5 },
      { height: 6, width: 7 },
    ]
    const source = randomBytes(200, 1)
    const part = Uint8Array.from({ length: 15 }, (_, i) => source[23 + 11 * Math.floor(i / 5) + (i % 5)] ?? 0)
    const [alone, target] = [new Uint8Array(42), new Uint8Array(60).fill(7)]
    enlarger({ from, to })(part, 0, 5, alone, 0)
    enlarger({ from, to })(source, 23, 11, target, 9)
    expect([...target]).toEqual([...new Uint8Array(9).fill(7), ...alone, ...new Uint8Array(9).fill(7)])
  })

  it('leaves what has the size as it is', () => {
    const size = { height: 9, width: 8 }
    const [source, target] = [randomBytes(72, 2), new Uint8Array(72)]
    enlarger({ from: size, to: size })(source, 0, 8, target, 0)
    expect(target).toEqual(source)
  })
})
