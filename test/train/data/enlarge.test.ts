/** Published images at another size, and what pixels become. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { renderError } from '../../../src/ir/failure.ts'
import { inMemory } from '../../../src/train/data/data-set.ts'
import { enlarged } from '../../../src/train/data/enlarge.ts'
import { type DataSet, loadBatch, normalisations } from '../../../src/train/data/index.ts'
import { openData, type OpenOptions } from '../../../src/train/data/open.ts'
import { enlarger } from '../../../src/train/data/resize.ts'
import { errorOf, orThrow, randomBytes, temporaryFolder, writeMnist } from './make.ts'

const folder = join(temporaryFolder(), 'mnist')
writeMnist(folder, 20, 3)

const open = async (options: Partial<OpenOptions>): Promise<DataSet> =>
  orThrow(await openData(`mnist:${folder}`, { seed: 1, validationShare: 0.2, ...options })())

const refused = async (options: Partial<OpenOptions>): Promise<string> =>
  renderError(errorOf(await openData(`mnist:${folder}`, { seed: 1, validationShare: 0.2, ...options })()))

describe('an image size', () => {
  test('enlarges every plane of every image by itself, in the order asked for', async () => {
    const [height, width, size] = [4, 5, 9]
    const pixels = randomBytes(3 * 2 * height * width, 5)
    const source = inMemory(pixels, Uint16Array.of(0, 1, 0), [2, height, width])
    const published = {
      name: 'p',
      classes: ['a', 'b'],
      shape: [2, height, width],
      train: source,
      test: source,
    } as const
    const { shape, train } = orThrow(enlarged(published, size))
    expect(shape).toEqual([2, size, size])
    expect([...train.labels]).toEqual([0, 1, 0])
    const found = orThrow(await train.pixels(Uint32Array.of(2, 0))())
    const enlarge = enlarger({ from: { height, width }, to: { height: size, width: size } })
    const expected = new Uint8Array(4 * size * size)
    for (const [p, plane] of [4, 5, 0, 1].entries()) enlarge(pixels, plane * 20, width, expected, p * size * size)
    expect(found).toEqual(expected)
  })

  test('that images have already leaves them alone; a smaller one is refused', async () => {
    const source = inMemory(randomBytes(2 * 16, 1), Uint16Array.of(0, 1), [1, 4, 4])
    const published = { name: 'p', classes: ['a', 'b'], shape: [1, 4, 4], train: source, test: source } as const
    expect(orThrow(enlarged(published, 4))).toBe(published)
    expect(await refused({ imageSize: 4 })).toMatch('expected at least the 5 that the images have, found 4')
  })

  test('is that of all three parts, and of their mean and deviation', async () => {
    const [plain, large] = [await open({}), await open({ imageSize: 10 })]
    expect(large.shape).toEqual([1, 10, 10])
    for (const part of ['train', 'validation', 'test'] as const) {
      expect(large[part].size).toBe(plain[part].size)
      expect(orThrow(await large[part].pixels(Uint32Array.of(0))())).toHaveLength(100)
    }
    // Interpolation draws values together.
    expect(large.deviation[0] ?? NaN).toBeLessThan(plain.deviation[0] ?? NaN)
    const { images } = orThrow(
      await loadBatch(large, large.train, { indices: Uint32Array.from({ length: 16 }, (_, i) => i) })(),
    )
    const mean = images.reduce((sum, x) => sum + x, 0) / images.length
    expect(Math.abs(mean)).toBeLessThan(1e-5)
  })
})

describe('the normalisation', () => {
  test.each([
    ['unit', 0, 1],
    ['signed', -1, 1],
  ] as const)('%s brings pixels from %d to %d', async (normalisation, low, high) => {
    const data = await open({ normalisation })
    const indices = Uint32Array.of(0, 3)
    const pixels = orThrow(await data.train.pixels(indices)())
    const { images } = orThrow(await loadBatch(data, data.train, { indices })())
    for (const [i, x] of images.entries()) {
      expect(x).toBe(Math.fround(((pixels[i] ?? NaN) / 255) * (high - low) + low))
    }
  })

  test('imagenet is for three channels, data for what the images are; there are no others', async () => {
    expect(await refused({ normalisation: 'imagenet' })).toMatch('expected images of 3 channels, found 1')
    expect(await open({ normalisation: 'data' })).toMatchObject({ mean: (await open({})).mean })
    const wrong: Partial<OpenOptions> = JSON.parse('{ "normalisation": "z-score" }')
    expect(await refused(wrong)).toMatch(`expected ${normalisations.join(', ')}, found z-score`)
  })
})
