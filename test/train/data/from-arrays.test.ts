/** Data sets of images that a program has: divided as published ones are, and refused where they do not fit. */
import * as E from 'fp-ts/lib/Either.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dataSetOf, type ImageArrays } from '../../../src/train/data/index.ts'
import { right } from '../loop/fixtures.ts'

const shape = [2, 3, 1] as const

/** Images whose bytes tell which ones they are. */
const part = (count: number, first = 0) => ({
  images: Uint8Array.from({ length: 6 * count }, (_, i) => first + Math.floor(i / 6)),
  labels: Array.from({ length: count }, (_, i) => i % 3),
})

const arrays = (more: Partial<ImageArrays> = {}): ImageArrays => ({
  ...{ name: 'mine', classes: ['a', 'b', 'c'], shape },
  ...{ train: part(20), test: part(5, 100) },
  ...more,
})

describe('a data set of arrays', () => {
  it('has every image in one part, with its label, in the same parts for the same seed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 60 }),
        fc.integer({ min: 0, max: 10 }),
        fc.nat(9),
        async (count, tests, seed) => {
          const made = dataSetOf(arrays({ train: part(count), test: part(tests, 100) }), { seed, validationShare: 0.5 })
          const [data, again] = [right(await made()), right(await made())]
          const firstBytes = async (of: 'train' | 'validation' | 'test') => {
            const { pixels, size, labels } = data[of]
            const bytes = right(await pixels(Uint32Array.from({ length: size }, (_, i) => i))())
            const found = Array.from({ length: size }, (_, i) => bytes[6 * i] ?? NaN)
            expect(found.map((image) => (image % 100) % 3)).toEqual([...labels])
            return found
          }
          const [train, validation, test] = [
            await firstBytes('train'),
            await firstBytes('validation'),
            await firstBytes('test'),
          ]
          expect([...train, ...validation].toSorted((a, b) => a - b)).toEqual(
            Array.from({ length: count }, (_, i) => i),
          )
          expect(test).toEqual(Array.from({ length: tests }, (_, i) => 100 + i))
          expect([again.train.labels, again.mean]).toEqual([data.train.labels, data.mean])
        },
      ),
      { numRuns: 60 },
    )
  })

  const wrong: ReadonlyArray<readonly [string, Partial<ImageArrays>, object]> = [
    ['a byte too few', { train: { ...part(20), images: new Uint8Array(119) } }, { subject: 'train images of mine' }],
    ['a label too few', { test: { ...part(5), labels: [0] } }, { subject: 'test images of mine', found: '30' }],
    ['no class', { test: { ...part(5), labels: [0, 1, 2, 3, 0] } }, { subject: 'test label 3 of mine', found: '3' }],
    ['half a class', { train: { ...part(1), labels: [0.5] } }, { subject: 'train label 0 of mine', found: '0.5' }],
    ['a label that is no number', { train: { ...part(1), labels: [NaN] } }, { found: 'NaN' }],
    ['no classes', { classes: [] }, { subject: 'classes of mine', found: '0' }],
    ['images without pixels', { shape: [1, 0, 3] }, { subject: 'shape of mine', found: '[1,0,3]' }],
    ['no images to learn from', { train: part(0) }, { subject: 'mine' }],
  ]
  it.each(wrong)('%s is an error', async (_, more, expected) => {
    const made = await dataSetOf(arrays(more), { seed: 1 })()
    expect(E.isLeft(made) && made.left).toMatchObject({ _tag: 'DataError', ...expected })
  })

  it('refuses options that there are not', async () => {
    const division: { seed: number } = { ...{ seed: 1 }, ...{ sead: 2 } }
    expect(await dataSetOf(arrays(), division)()).toMatchObject({ left: { subject: 'options', found: 'sead' } })
  })
})
