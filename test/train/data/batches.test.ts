/** Orders, cuts and batches: the same for the same seed, complete, and resumable at any step. */
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/ir/random.ts'
import { normalised } from '../../../src/train/data/augment.ts'
import { batchesInOrder, drawBatch, drawTrainingBatch, loadBatch } from '../../../src/train/data/batch.ts'
import { type Augmentation, cutDrawer, type Cuts } from '../../../src/train/data/cuts.ts'
import { type DataSet, inMemory } from '../../../src/train/data/data-set.ts'
import { divide } from '../../../src/train/data/divide.ts'
import { openData } from '../../../src/train/data/open.ts'
import {
  type Cursor,
  cursorFrom,
  cursorWords,
  shuffled,
  startOf,
  stepsPerEpoch,
} from '../../../src/train/data/order.ts'
import { errorOf, orThrow, randomBytes, temporaryFolder, writeMnist } from './make.ts'

const root = temporaryFolder()
const augmentations: ReadonlyArray<Augmentation> = [
  { crop: 'padded', padding: 4, flip: true },
  { crop: 'resized', scale: [0.08, 1], ratio: [3 / 4, 4 / 3], flip: true },
]
const range = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i)

/** A data set of `count` images of 3x6x5 whose channel means differ. */
const dataOf = async (count: number, seed = 1): Promise<DataSet> => {
  const shape = [3, 6, 5] as const
  const pixels = randomBytes(count * 90, seed).map((byte, i) => Math.floor(byte / (1 + (Math.floor(i / 30) % 3))))
  const source = inMemory(
    pixels,
    Uint16Array.from(range(count), (i) => i % 7),
    shape,
  )
  const classes = range(7).map(String)
  return orThrow(await divide({ name: 'test', classes, shape, train: source, test: source }, { seed }))
}

describe('an epoch’s order', () => {
  test('holds each image once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 300 }), fc.integer(), (size, seed) => {
        const { order } = shuffled(size, seededRandom(seed))
        expect([...order].sort((a, b) => a - b)).toEqual(range(size))
      }),
    )
  })

  test('is any order, equally likely', () => {
    const counts = new Map<string, number>()
    let state = seededRandom(2)
    for (let i = 0; i < 24_000; i++) {
      const { order, next } = shuffled(4, state)
      counts.set(order.join(), (counts.get(order.join()) ?? 0) + 1)
      state = next
    }
    expect(counts.size).toBe(24)
    // Five standard deviations around a thousand of each.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(5 * Math.sqrt(1000))
  })
})

describe('steps', () => {
  test.each([true, false])('of an epoch take each image once, partial batches %s', (partial) => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 90 }), fc.integer({ min: 1, max: 40 }), (size, batch) => {
        let cursor = startOf(5)
        for (let epoch = 0; epoch < 3; epoch++) {
          const seen: number[] = []
          let steps = 0
          for (let last = false; !last; steps++) {
            const drawn = drawBatch(size, cursor, { batch, partial })
            seen.push(...drawn.indices)
            if (!drawn.last) expect(drawn.indices).toHaveLength(batch)
            last = drawn.last
            cursor = drawn.next
          }
          const left = partial || size < batch ? 0 : size % batch
          expect(seen).toHaveLength(size - left)
          expect(new Set(seen).size).toBe(seen.length)
          expect(steps).toBe(stepsPerEpoch(size, batch, partial))
          expect(cursor).toMatchObject({ epoch: epoch + 1, position: 0 })
        }
      }),
    )
  })

  test('of two epochs come in different orders, those of one seed always in the same', () => {
    const first = drawBatch(100, startOf(1), { batch: 100 })
    const second = drawBatch(100, first.next, { batch: 100 })
    expect(second.indices).not.toEqual(first.indices)
    expect(drawBatch(100, startOf(1), { batch: 100 }).indices).toEqual(first.indices)
    expect(drawBatch(100, startOf(2), { batch: 100 }).indices).not.toEqual(first.indices)
  })

  test('in order are all images, the last ones fewer', () => {
    expect([...batchesInOrder(7, 3)].map(({ indices }) => [...indices])).toEqual([[0, 1, 2], [3, 4, 5], [6]])
  })
})

describe('resuming', () => {
  test.each(augmentations)('at any step gives the same bytes from there on, $crop', async (augmentation) => {
    const data = await dataOf(50)
    const options = { batch: 8, partial: true, augmentation }
    const run = async (from: Cursor, steps: number): Promise<{ bytes: ReadonlyArray<string>; end: Cursor }> => {
      const bytes: string[] = []
      let cursor = from
      for (let i = 0; i < steps; i++) {
        const drawn = drawTrainingBatch(data, cursor, options)
        const { images, labels } = orThrow(await loadBatch(data, data.train, drawn)())
        bytes.push(`${images.join()} ${labels.join()}`)
        cursor = drawn.next
      }
      return { bytes, end: cursor }
    }
    const whole = await run(startOf(9), 20)
    expect(new Set(whole.bytes).size).toBe(20)
    for (let stop = 0; stop <= 20; stop++) {
      const { bytes, end } = await run(startOf(9), stop)
      const saved: unknown = JSON.parse(JSON.stringify([...cursorWords(end)]))
      if (!Array.isArray(saved)) throw new Error('not a list')
      const resumed = cursorFrom(Uint32Array.from(saved))
      if (resumed === undefined) throw new Error('no cursor')
      expect([...bytes, ...(await run(resumed, 20 - stop)).bytes]).toEqual(whole.bytes)
    }
    expect(cursorFrom(new Uint32Array(9))).toBeUndefined()
  })
})

describe('augmentation', () => {
  const shape = [2, 4, 3] as const
  const statistics = { mean: [0, 0.5], deviation: [1 / 255, 0.5] }

  /** Pads, cuts and mirrors one step after the other, as the definition says. */
  const reference = (pixels: Uint8Array, top: number, left: number, mirrored: boolean): ReadonlyArray<number> => {
    const [channels, height, width] = shape
    const at = (c: number, y: number, x: number): number =>
      y < 0 || x < 0 || y >= height || x >= width ? 0 : (pixels[(c * height + y) * width + x] ?? NaN)
    return range(channels).flatMap((c) =>
      range(height).flatMap((y) => {
        const row = range(width).map((x) => at(c, y + top, x + left))
        if (mirrored) row.reverse()
        return row.map((p) => Math.fround((p / 255 - (statistics.mean[c] ?? 0)) / (statistics.deviation[c] ?? 1)))
      }),
    )
  }

  test('cuts and mirrors as defined, black outside', () => {
    const pixels = randomBytes(24, 3)
    for (let top = -3; top <= 3; top++) {
      for (let left = -4; left <= 4; left++) {
        for (const mirrored of [0, 1]) {
          const cuts = {
            top: Int32Array.of(top),
            left: Int32Array.of(left),
            height: Int32Array.of(4),
            width: Int32Array.of(3),
            mirrored: Uint8Array.of(mirrored),
          }
          expect([...normalised(pixels, shape, statistics, cuts)]).toEqual(reference(pixels, top, left, mirrored === 1))
        }
      }
    }
    expect([...normalised(pixels, shape, statistics)]).toEqual(reference(pixels, 0, 0, false))
  })

  test('draws every cut, equally often', () => {
    const count = 81 * 2 * 400
    const { cuts } = cutDrawer({ crop: 'padded', padding: 4, flip: true }, shape)(count, seededRandom(1))
    const seen = new Map<string, number>()
    for (let i = 0; i < count; i++) {
      const key = `${cuts.top[i]},${cuts.left[i]},${cuts.mirrored[i]}`
      seen.set(key, (seen.get(key) ?? 0) + 1)
    }
    expect(seen.size).toBe(162)
    for (const times of seen.values()) expect(Math.abs(times - 400)).toBeLessThan(5 * Math.sqrt(400))
    expect(cutDrawer({ crop: 'padded', padding: 0, flip: false }, shape)(100, seededRandom(1)).cuts).toEqual({
      top: new Int32Array(100),
      left: new Int32Array(100),
      height: new Int32Array(100).fill(4),
      width: new Int32Array(100).fill(3),
      mirrored: new Uint8Array(100),
    })
  })

  test('does not reach a batch that asks for none', async () => {
    const data = await dataOf(30)
    const plain = drawBatch(data.train.size, startOf(1), { batch: 5 })
    expect(plain.cuts).toBeUndefined()
    const { images } = orThrow(await loadBatch(data, data.train, plain)())
    const pixels = orThrow(await data.train.pixels(plain.indices)())
    expect(images).toEqual(normalised(pixels, data.shape, data))
  })
})

describe('parts brought to the size of the image', () => {
  type Resized = Extract<Augmentation, { readonly crop: 'resized' }>
  const usual: Resized = { crop: 'resized', scale: [0.08, 1], ratio: [3 / 4, 4 / 3], flip: true }

  interface Cut {
    readonly [part: string]: number
    readonly top: number
    readonly left: number
    readonly height: number
    readonly width: number
    readonly mirrored: number
  }

  const drawn = (augmentation: Resized, height: number, width: number, count: number): ReadonlyArray<Cut> => {
    const { cuts } = cutDrawer(augmentation, [3, height, width])(count, seededRandom(4))
    const at = (part: keyof Cuts, i: number): number => cuts[part][i] ?? NaN
    return range(count).map((i) => ({
      top: at('top', i),
      left: at('left', i),
      height: at('height', i),
      width: at('width', i),
      mirrored: at('mirrored', i),
    }))
  }

  const meanOf = (numbers: ReadonlyArray<number>): number => numbers.reduce((sum, x) => sum + x, 0) / numbers.length

  test('lie in the image, anywhere, half of them mirrored', () => {
    const cuts = drawn(usual, 224, 160, 4000)
    for (const { top, left, height, width } of cuts) {
      expect(top >= 0 && left >= 0 && height >= 1 && width >= 1).toBe(true)
      expect(top + height <= 224 && left + width <= 160).toBe(true)
    }
    // Mean places among those there are; five standard deviations of a mean of 4000 uniform numbers.
    const places = cuts.map(({ top, height }) => (height === 224 ? 0.5 : top / (224 - height)))
    expect(Math.abs(meanOf(places) - 0.5)).toBeLessThan((5 * Math.sqrt(1 / 12)) / Math.sqrt(4000))
    expect(Math.abs(meanOf(cuts.map(({ mirrored }) => mirrored)) - 0.5)).toBeLessThan(2.5 / Math.sqrt(4000))
  })

  test('have areas uniform in their span and ratios uniform in its logarithm', () => {
    // Small enough that every attempt fits, so that nothing favours some over others.
    const cuts = drawn({ ...usual, scale: [0.05, 0.2], ratio: [1 / 4, 2] }, 4000, 4000, 20_000)
    const unit = (low: number, high: number, x: number): number => (x - low) / (high - low)
    const areas = cuts.map(({ height, width }) => unit(0.05, 0.2, (height * width) / 16e6))
    const ratios = cuts.map(({ height, width }) => unit(Math.log(1 / 4), Math.log(2), Math.log(width / height)))
    for (const numbers of [areas, ratios]) {
      const sorted = numbers.toSorted((a, b) => a - b)
      // Kolmogorov and Smirnov: 1.95 / √n at one in a thousand.
      const distance = Math.max(...sorted.map((x, i) => Math.abs(x - (i + 0.5) / sorted.length)))
      expect(distance).toBeLessThan(1.95 / Math.sqrt(sorted.length))
    }
  })

  test('are the largest in the middle where none fits', () => {
    const wide = drawn({ ...usual, scale: [1, 1], ratio: [3 / 4, 4 / 3] }, 30, 100, 5)
    for (const cut of wide) expect(cut).toMatchObject({ top: 0, left: 30, height: 30, width: 40 })
    const high = drawn({ ...usual, scale: [1, 1] }, 100, 30, 5)
    for (const cut of high) expect(cut).toMatchObject({ top: 30, left: 0, height: 40, width: 30 })
    const whole = drawn({ ...usual, scale: [1, 1], ratio: [0.99, 1.02] }, 100, 101, 5)
    for (const cut of whole) expect(cut).toMatchObject({ top: 0, left: 0, height: 100, width: 101 })
  })

  test('are enlarged channel by channel, then mirrored', () => {
    const shape = [2, 2, 4] as const
    const pixels = Uint8Array.of(...range(16).map((i) => 10 * i), ...range(16).map((i) => 255 - i))
    const cuts = (mirrored: number): Cuts => ({
      top: Int32Array.of(0, 1),
      left: Int32Array.of(0, 2),
      height: Int32Array.of(2, 1),
      width: Int32Array.of(4, 2),
      mirrored: Uint8Array.of(0, mirrored),
    })
    const rows = (channel: number): ReadonlyArray<number> => {
      const [p = 0, q = 0] = pixels.subarray(16 + 8 * channel + 6)
      const row = [p, 0.75 * p + 0.25 * q, 0.25 * p + 0.75 * q, q].map((x) => Math.floor(x + 0.5))
      return [...row, ...row]
    }
    const plain = { mean: [0, 0], deviation: [1 / 255, 1 / 255] }
    const numbers = (mirrored: number): ReadonlyArray<number> =>
      Array.from(normalised(pixels, shape, plain, cuts(mirrored)), (x) => Math.round(x))
    expect(numbers(0)).toEqual([...pixels.subarray(0, 16), ...rows(0), ...rows(1)])
    expect(numbers(1).slice(16, 20)).toEqual(rows(0).slice(0, 4).toReversed())
  })
})

describe('dividing', () => {
  test('leaves training images of mean 0 and deviation 1', async () => {
    const data = await dataOf(400)
    const drawn = drawBatch(data.train.size, startOf(1), { batch: data.train.size })
    const { images } = orThrow(await loadBatch(data, data.train, drawn)())
    for (let c = 0; c < 3; c++) {
      const own = images.filter((_, i) => Math.floor(i / 30) % 3 === c)
      const mean = own.reduce((sum, x) => sum + x, 0) / own.length
      expect(Math.abs(mean)).toBeLessThan(1e-5)
      expect(own.reduce((sum, x) => sum + (x - mean) ** 2, 0) / own.length).toBeCloseTo(1, 4)
    }
    expect(data.mean[0]).toBeGreaterThan(1.8 * (data.mean[1] ?? 1))
  })

  test('takes the validation images from the training images, by seed', async () => {
    const folder = join(root, 'mnist')
    const { images } = writeMnist(folder, 60, 6)
    const open = async (seed: number, trainSize?: number): Promise<DataSet> =>
      orThrow(
        await openData(`mnist:${folder}`, {
          seed,
          validationShare: 0.25,
          ...(trainSize === undefined ? {} : { trainSize }),
        })(),
      )
    const bytesOf = async (part: DataSet['train']): Promise<ReadonlyArray<string>> =>
      Promise.all(range(part.size).map(async (i) => orThrow(await part.pixels(Uint32Array.of(i))()).join()))
    const [one, same, other] = [await open(1), await open(1), await open(2)]
    const [train, held] = [await bytesOf(one.train), await bytesOf(one.validation)]
    expect([train.length, held.length]).toEqual([45, 15])
    const published = range(60).map((i) => images.subarray(20 * i, 20 * (i + 1)).join())
    expect([...train, ...held].sort()).toEqual([...published].sort())
    expect(await bytesOf(same.validation)).toEqual(held)
    expect(await bytesOf(other.validation)).not.toEqual(held)
    // A subset is the beginning of the whole, and the same images stay for validation.
    const fewer = await open(1, 20)
    expect(await bytesOf(fewer.train)).toEqual(train.slice(0, 20))
    expect(await bytesOf(fewer.validation)).toEqual(held)
  })

  test('refuses parts that would be empty', async () => {
    const folder = join(root, 'small')
    writeMnist(folder, 10, 2)
    const refused = async (options: { readonly validationShare?: number; readonly trainSize?: number }) =>
      errorOf(await openData(`mnist:${folder}`, { seed: 1, ...options })())
    for (const validationShare of [0, 1, 0.01, -1, NaN, 2]) {
      expect((await refused({ validationShare })).expected).toBe('a validation share that leaves images on both sides')
    }
    for (const trainSize of [0, 10, 2.5])
      expect((await refused({ trainSize })).expected).toBe('at most 9 training images')
  })
})
