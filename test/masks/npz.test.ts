import { readFileSync } from 'node:fs'
import { Inflate } from 'fflate'
import * as E from 'fp-ts/lib/Either.js'
import * as fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import { type Dense, elements } from '../../src/ir/tensor.ts'
import type { FileEntry } from '../../src/masks/file-entry.ts'
import { decodeNpy } from '../../src/masks/npy.ts'
import { readNpz } from '../../src/masks/npz.ts'
import { concat, npy, npyHeader, utf8, zip, type ZipFile } from './files.ts'

const array = npy(npyHeader("'|b1'", '(2, 3)'), [1, 0, 1, 0, 1, 0])

const entriesOf = (bytes: Uint8Array): ReadonlyArray<FileEntry> => {
  const entries = readNpz(bytes)
  if (E.isLeft(entries)) throw new Error(renderError(entries.left))
  return entries.right
}

const decoded = (tensor: E.Either<Parameters<typeof renderError>[0], Dense>): Dense => {
  if (E.isLeft(tensor)) throw new Error(renderError(tensor.left))
  return tensor.right
}

/** The first thing that goes wrong in reading all of a file. */
const problemOf = (bytes: Uint8Array): string => {
  const entries = readNpz(bytes)
  if (E.isLeft(entries)) return renderError(entries.left)
  for (const entry of entries.right) {
    const tensor = entry.decode()
    if (E.isLeft(tensor)) return renderError(tensor.left)
  }
  return 'read'
}

describe('npy', () => {
  it('reads every type of number, in either byte order', () => {
    const read = (descr: string, data: ReadonlyArray<number>): ReadonlyArray<number> =>
      Array.from(elements(decoded(decodeNpy(npy(npyHeader(`'${descr}'`, '(2,)'), data), 'a'))), Number)
    expect(read('|b1', [1, 0])).toEqual([1, 0])
    expect(read('?', [1, 0])).toEqual([1, 0])
    expect(read('|u1', [1, 255])).toEqual([1, 255])
    expect(read('|i1', [1, 255])).toEqual([1, -1])
    expect(read('<u2', [1, 0, 0, 1])).toEqual([1, 256])
    expect(read('>u2', [0, 1, 1, 0])).toEqual([1, 256])
    expect(read('<i4', [1, 0, 0, 0, 255, 255, 255, 255])).toEqual([1, -1])
    expect(read('>i8', [0, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255, 255])).toEqual([1, -1])
    expect(read('<f2', [0, 0x3c, 0, 0xc0])).toEqual([1, -2])
    expect(read('>f4', [0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0])).toEqual([1, -2])
    expect(read('<f8', [0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0])).toEqual([1, -2])
  })

  it('turns Fortran order into row-major order', () => {
    // a[i, j, k] = 6i + 3j + k of shape [2, 2, 3], stored with i fastest.
    const data = [0, 6, 3, 9, 1, 7, 4, 10, 2, 8, 5, 11]
    const tensor = decoded(decodeNpy(npy(npyHeader("'|u1'", '(2, 2, 3)', 'True'), data), 'a'))
    expect([...tensor.bytes]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  })

  it('reads scalars, empty arrays and any order of the header', () => {
    expect(decoded(decodeNpy(npy(npyHeader("'|u1'", '()'), [7]), 'a'))).toMatchObject({
      shape: [],
      bytes: Uint8Array.of(7),
    })
    expect(decoded(decodeNpy(npy(npyHeader("'|u1'", '(0, 5)'), []), 'a')).shape).toEqual([0, 5])
    expect(decoded(decodeNpy(npy("{'shape':(1,),'fortran_order':False,'descr':'|u1'}", [7]), 'a')).shape).toEqual([1])
  })

  it.each([1, 2, 3])('reads version %i', (version) => {
    expect(decoded(decodeNpy(npy(npyHeader("'|u1'", '(1,)'), [7], version), 'a')).bytes).toEqual(Uint8Array.of(7))
  })
})

describe('npz', () => {
  it('reads stored and deflated arrays', () => {
    for (const deflated of [false, true]) {
      const [entry] = entriesOf(zip([{ name: 'layer/a.weight.npy', content: array, deflated }]))
      expect(entry).toMatchObject({ name: 'layer/a.weight', size: array.length })
      expect(entry && decoded(entry.decode())).toMatchObject({
        dtype: 'bool',
        shape: [2, 3],
        bytes: Uint8Array.of(1, 0, 1, 0, 1, 0),
      })
    }
  })

  it('reads an archive with a comment, and one without files', () => {
    expect(entriesOf(zip([], { comment: 'made by hand' }))).toEqual([])
    expect(entriesOf(zip([{ name: 'a.npy', content: array }], { comment: 'PK\x05\x06' })).map((e) => e.name)).toEqual([
      'a',
    ])
  })

  it('stops inflating at the size that was declared', () => {
    // 64 MiB of zeros in 64 KiB, declared as 1,000 bytes.
    const bomb = { name: 'a.npy', content: new Uint8Array(2 ** 26), deflated: true }
    const bytes = zip([{ ...bomb, size: 1000, crc: 0 }])
    expect(bytes.length).toBeLessThan(100_000)
    const pushed = vi.spyOn(Inflate.prototype, 'push')
    expect(problemOf(bytes)).toContain('zip entry a.npy: expected deflated data of 1000 bytes')
    expect(pushed).toHaveBeenCalledTimes(1)
    pushed.mockRestore()
  })

  it('inflates nothing before it is asked for', () => {
    const [entry] = entriesOf(zip([{ name: 'a.npy', content: utf8('no deflated data'), method: 8, size: 16_000 }]))
    expect(entry?.size).toBe(16_000)
    expect(entry && E.isLeft(entry.decode())).toBe(true)
  })
})

const file = (changes: Partial<ZipFile>): Uint8Array => zip([{ name: 'a.npy', content: array, ...changes }])
const withHeader = (header: string, data: ReadonlyArray<number> = [1]): Uint8Array =>
  file({ content: npy(header, data) })
const good = zip([{ name: 'a.npy', content: array }])

/** `bytes` with the two-byte number at `at`, counted from the end record, set to `value`. */
const endSet = (at: number, value: number): Uint8Array => {
  const out = Uint8Array.from(good)
  new DataView(out.buffer).setUint16(out.length - 22 + at, value, true)
  return out
}

const malformed: ReadonlyArray<readonly [string, Uint8Array, RegExp]> = [
  ['a file that ends early', good.subarray(0, good.length - 1), /a directory at its end/],
  ['bytes after the end', concat(good, Uint8Array.of(0)), /a directory at its end/],
  ['bytes before the start', concat(utf8('#!'), good), /a directory right before its end record/],
  ['an archive in several parts', endSet(4, 1), /one part/],
  ['a directory offset beyond the file', zip([], { directoryOffset: 0xfffffff0 }), /right before its end record/],
  ['Zip64', endSet(16, 0xffff).map((b, i, all) => (i === all.length - 4 || i === all.length - 3 ? 255 : b)), /Zip64/],
  [
    'more entries than there are',
    zip([{ name: 'a.npy', content: array }], { count: 2 }),
    /a directory entry, found none/,
  ],
  ['fewer entries than there are', zip([{ name: 'a.npy', content: array }], { count: 0 }), /bytes more/],
  [
    'a name twice',
    zip([
      { name: 'a.npy', content: array },
      { name: 'a.npy', content: array },
    ]),
    /a.npy twice/,
  ],
  [
    'files that overlap',
    zip([
      { name: 'a.npy', content: array },
      { name: 'b.npy', content: array, offset: 0 },
    ]),
    /overlap/,
  ],
  ['a file beyond the directory', file({ offset: 10_000 }), /a header, found none at 10000/],
  ['a file of more bytes than there are', file({ compressed: 5000, size: 5000 }), /ends before the directory/],
  ['two names for one file', file({ localName: 'b.npy' }), /the same name in its header/],
  ['encryption', file({ flags: 1 }), /no encryption/],
  ['strong encryption', file({ flags: 0x40 }), /no encryption/],
  ['another compression method', file({ method: 12 }), /compression method 12/],
  ['stored data of two sizes', file({ size: array.length + 1 }), /stored as they are/],
  ['a wrong checksum', file({ crc: 1 }), /checksum/],
  ['a wrong checksum of deflated data', file({ deflated: true, crc: 1 }), /checksum/],
  ['deflated data that is too short', file({ deflated: true, size: array.length + 1 }), /deflated data of/],
  ['deflated data that is too long', file({ deflated: true, size: array.length - 1 }), /deflated data of/],
  [
    'deflated data that no data can deflate to',
    file({ deflated: true, size: 2 ** 31 }),
    /deflated ones, found 2147483648/,
  ],
  ['deflated data that is none', file({ method: 8, content: utf8('this was never deflated') }), /deflated data of/],
  ['a name that is a path', file({ name: '../a.npy' }), /a path/],
  ['a name that is a path inside', file({ name: 'a/../../b.npy' }), /a path/],
  ['a Windows path', file({ name: 'C:\\a.npy' }), /a path/],
  ['a name with a zero byte', file({ name: 'a\0b.npy' }), /a path/],
  ['a folder', file({ name: 'a/', content: new Uint8Array() }), /named NAME.npy/],
  ['an array without a name', file({ name: '.npy' }), /named NAME.npy/],
  ['a file that is no array', file({ name: 'readme.txt' }), /named NAME.npy/],
  ['no array inside', file({ content: utf8('something else') }), /a numpy array/],
  [
    'an unknown version',
    file({ content: npy(npyHeader("'|b1'", '(1,)'), [1], 4) }),
    /version 1.0, 2.0 or 3.0, found 4.0/,
  ],
  ['an array that ends in its prefix', file({ content: array.subarray(0, 9) }), /10 bytes before the header/],
  [
    'a header beyond the end',
    file({ content: npy(npyHeader("'|b1'", '(1,)'), [1], 1, 9_999) }),
    /a header of 9999 bytes/,
  ],
  ['a header of 4 GiB', file({ content: npy(npyHeader("'|b1'", '(1,)'), [1], 2, 2 ** 32 - 1) }), /at most 10000 bytes/],
  ['a header that is no dictionary', withHeader('[1, 2]'), /no dictionary/],
  [
    'a header that runs a program',
    withHeader("{'descr': __import__('os').system('x'), 'fortran_order': False, 'shape': (1,)}"),
    /the entry/,
  ],
  ['a key twice', withHeader("{'descr': '|b1', 'descr': '|b1', 'fortran_order': False, 'shape': (1,)}"), /descr twice/],
  [
    'a key too many',
    withHeader("{'descr': '|b1', 'fortran_order': False, 'shape': (1,), 'x': True}"),
    /descr, fortran_order and shape/,
  ],
  ['a key too few', withHeader("{'descr': '|b1', 'shape': (1,)}"), /descr, fortran_order and shape/],
  [
    'an order that is neither',
    withHeader("{'descr': '|b1', 'fortran_order': (1,), 'shape': (1,)}"),
    /descr, fortran_order and shape/,
  ],
  ['a structured type', withHeader(npyHeader("[('a', '<f4')]", '(1,)')), /the entry/],
  ['an unknown type', withHeader(npyHeader("'<V2'", '(1,)')), /element type of .*<V2/],
  ['text', withHeader(npyHeader("'<U4'", '(1,)')), /element type of/],
  ['complex numbers', withHeader(npyHeader("'<c8'", '(1,)')), /element type of/],
  ['pickled objects', withHeader(npyHeader("'|O'", '(1,)')), /pickled Python objects/],
  ['a shape that is no tuple', withHeader(npyHeader("'|b1'", '(1)')), /shape \(1\)/],
  ['a negative size', withHeader(npyHeader("'|b1'", '(-1,)')), /the entry/],
  [
    'a shape of 8 TiB',
    withHeader(npyHeader("'<f8'", '(1099511627776,)')),
    /8796093022208 bytes for <f8 \[1099511627776\], found 1/,
  ],
  ['sizes whose product overflows', withHeader(npyHeader("'|b1'", '(4294967296, 4294967296, 0)')), /fewer than 2\^53/],
  ['a size beyond 2^53', withHeader(npyHeader("'|b1'", '(9007199254740993,)')), /fewer than 2\^53/],
  ['too few elements', withHeader(npyHeader("'|b1'", '(2,)')), /2 bytes for \|b1 \[2\], found 1/],
  ['too many elements', withHeader(npyHeader("'|b1'", '(1,)'), [1, 0]), /1 bytes for \|b1 \[1\], found 2/],
]

describe('malformed npz', () => {
  it.each(malformed)('refuses %s', (_, bytes, message) => expect(problemOf(bytes)).toMatch(message))

  it('accepts the file that the cases are made from', () => expect(problemOf(good)).toBe('read'))

  it('refuses more arrays than any model has', () => {
    const many = Array.from({ length: 10_001 }, (_, i) => ({ name: `${i}.npy`, content: new Uint8Array() }))
    expect(problemOf(zip(many))).toContain('at most 10000 arrays, found 10001')
  })

  it('reads files of random bytes without throwing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => problemOf(bytes).length > 0),
      { numRuns: 2000 },
    )
  })

  it('refuses what numpy pickles', () => {
    const bytes = new Uint8Array(readFileSync(new URL('fixtures/objects.npz', import.meta.url)))
    expect(problemOf(bytes)).toContain('expected an array of numbers, found pickled Python objects')
  })
})
