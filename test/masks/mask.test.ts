import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { stridesOf } from '../../src/ir/evaluate.ts'
import { elements, tensorOf } from '../../src/ir/tensor.ts'
import { sizeOf } from '../../src/ir/type.ts'
import {
  axisMask,
  elementMask,
  expandMask,
  intersectMask,
  intersectMasks,
  keptCount,
  keptReader,
  type Mask,
  maskRows,
  sameMask,
  wholeMask,
} from '../../src/masks/mask.ts'

const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 })
const bits = (length: number) => fc.array(fc.integer({ min: 0, max: 1 }), { minLength: length, maxLength: length })

/** A mask of any kind, and for every element whether it is kept, by the definition. */
const masks = (shape: ReadonlyArray<number>): fc.Arbitrary<Mask> =>
  fc
    .tuple(fc.option(bits(sizeOf(shape))), fc.option(bits(sizeOf(shape))), ...shape.map((d) => fc.option(bits(d))))
    .map(([elements, within, ...axes]) => ({
      shape,
      elements: elements ? Uint8Array.from(elements) : undefined,
      axes: axes.map((kept) => (kept ? Uint8Array.from(kept) : undefined)),
      within: within ? tensorOf('float32', shape, within) : undefined,
    }))

const keeps = (mask: Mask, flat: number): number => {
  const strides = stridesOf(mask.shape)
  const onAxes = mask.axes.every((kept, a) => {
    const index = Math.floor(flat / (strides[a] ?? 1)) % (mask.shape[a] ?? 1)
    return kept === undefined || kept[index] === 1
  })
  const isZero = mask.within !== undefined && elements(mask.within)[flat] === 0
  return onAxes && mask.elements?.[flat] !== 0 && !isZero ? 1 : 0
}

const byDefinition = (mask: Mask): Uint8Array =>
  Uint8Array.from({ length: sizeOf(mask.shape) }, (_, flat) => keeps(mask, flat))

describe('mask', () => {
  it('expands by its definition, and counts what it keeps', () => {
    fc.assert(
      fc.property(shapes.chain(masks), (mask) => {
        const expected = byDefinition(mask)
        expect(expandMask(mask)).toEqual(expected)
        expect(keptCount(mask)).toBe(expected.reduce((n, kept) => n + kept, 0))
        const isKept = keptReader(mask)
        expect(isKept === undefined).toBe(mask.within !== undefined)
        if (isKept) expect(Array.from(expected, (_, i) => Number(isKept(i)))).toEqual([...expected])
      }),
    )
  })

  it('says of some rows what it says of all', () => {
    fc.assert(
      fc.property(shapes.chain(masks), fc.nat({ max: 4 }), fc.nat({ max: 4 }), (mask, a, b) => {
        const rows = mask.shape[0] ?? 1
        const [first, end] = [Math.min(a, b, rows), Math.min(Math.max(a, b), rows)]
        const inner = sizeOf(mask.shape.slice(1))
        const some = expandMask(maskRows(mask, first, end))
        expect(some).toEqual(
          mask.shape.length === 0 ? byDefinition(mask) : byDefinition(mask).slice(first * inner, end * inner),
        )
      }),
    )
  })

  it('never writes into the bytes it was made from', () => {
    const elements = Uint8Array.of(1, 1, 1, 1)
    const mask = intersectMask(elementMask([2, 2], elements), axisMask([2, 2], 0, Uint8Array.of(0, 1)))
    expect(expandMask(mask)).toEqual(Uint8Array.of(0, 0, 1, 1))
    expect(elements).toEqual(Uint8Array.of(1, 1, 1, 1))
    expect(mask.elements).toBe(elements)
  })

  it('intersects element by element', () => {
    fc.assert(
      fc.property(
        shapes.chain((shape) => fc.tuple(masks(shape), masks(shape))),
        ([a, b]) => {
          const [x, y] = [byDefinition(a), byDefinition(b)]
          const both = intersectMask(a, b)
          expect(expandMask(both)).toEqual(x.map((kept, i) => kept & (y[i] ?? 0)))
          expect(sameMask(both, intersectMask(b, a))).toBe(true)
          expect(sameMask(a, b)).toBe(x.every((kept, i) => kept === y[i]))
        },
      ),
    )
  })

  it('intersects sets by name', () => {
    const a = new Map([
      ['v', axisMask([2], 0, Uint8Array.of(1, 0))],
      ['w', wholeMask([1])],
    ])
    const b = new Map([
      ['v', axisMask([2], 0, Uint8Array.of(0, 1))],
      ['u', wholeMask([3])],
    ])
    const both = intersectMasks(a, b)
    expect([...both.keys()].sort()).toEqual(['u', 'v', 'w'])
    expect(both.get('v')?.axes).toEqual([Uint8Array.of(0, 0)])
    expect(intersectMasks(a, new Map())).toBe(a)
  })

  it('keeps channels of a weight of 25 million elements in as many bytes as there are channels', () => {
    const mask = axisMask([5000, 5000], 0, new Uint8Array(5000))
    expect(mask.elements).toBeUndefined()
    expect(keptCount(mask)).toBe(0)
  })

  it('refuses bytes that do not cover the weight', () => {
    expect(() => elementMask([2, 2], new Uint8Array(3))).toThrow(/3 bytes mask a weight of shape \[2,2\]/)
    expect(() => axisMask([2, 2], 1, new Uint8Array(3))).toThrow(/axis 1 of shape \[2,2\]/)
  })
})
