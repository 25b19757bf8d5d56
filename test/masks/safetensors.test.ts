import * as E from 'fp-ts/lib/Either.js'
import * as fc from 'fast-check'
import { decodeFile } from '../../src/masks/files.ts'
import { describe, expect, it } from 'vitest'
import { byteLength } from '../../src/ir/dtype.ts'
import { renderError } from '../../src/ir/failure.ts'
import { dense, type Dense, elements, gather, tensorOf } from '../../src/ir/tensor.ts'
import { sizeOf } from '../../src/ir/type.ts'
import { decodeSafetensors, encodeSafetensors, type TensorFile } from '../../src/masks/safetensors.ts'
import { concat, safetensors } from './files.ts'

const decoded = (bytes: Uint8Array): TensorFile => {
  const file = decodeSafetensors(bytes)
  if (E.isLeft(file)) throw new Error(renderError(file.left))
  return file.right
}

const dtypes = [
  'bool',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'float16',
  'bfloat16',
  'uint32',
  'int32',
  'float32',
  'uint64',
  'int64',
  'float64',
] as const

const tensors: fc.Arbitrary<Dense> = fc
  .tuple(fc.constantFrom(...dtypes), fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 4 }))
  .chain(([dtype, shape]) => {
    const length = byteLength(dtype, sizeOf(shape))
    return fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => dense(dtype, shape, bytes))
  })

const names = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((name) => name !== '__metadata__')
const files = fc.tuple(fc.array(fc.tuple(names, tensors)), fc.array(fc.tuple(names, names)))

describe('safetensors', () => {
  it('reads what it wrote', () => {
    fc.assert(
      fc.property(files, ([pairs, notes]) => {
        const [given, metadata] = [new Map(pairs), new Map(notes)]
        const file = decoded(concat(...encodeSafetensors(given, metadata)))
        expect(new Map([...file.tensors].sort())).toEqual(new Map([...given].sort()))
        expect(new Map([...file.metadata].sort())).toEqual(new Map([...metadata].sort()))
      }),
    )
  })

  it('writes the same bytes in whatever order the tensors were made', () => {
    fc.assert(
      fc.property(files, fc.infiniteStream(fc.nat()), ([pairs, notes], random) => {
        const [given, metadata] = [[...new Map(pairs)], [...new Map(notes)]]
        const shuffled = <T>(list: ReadonlyArray<T>): ReadonlyArray<T> =>
          list
            .map((item) => ({ item, key: random.next().value }))
            .sort((a, b) => a.key - b.key)
            .map(({ item }) => item)
        expect(concat(...encodeSafetensors(new Map(shuffled(given)), new Map(shuffled(metadata))))).toEqual(
          concat(...encodeSafetensors(new Map(given), new Map(metadata))),
        )
      }),
    )
  })

  it('aligns every tensor to its elements', () => {
    fc.assert(
      fc.property(files, ([pairs]) => {
        const bytes = concat(...encodeSafetensors(new Map(pairs)))
        for (const tensor of decoded(bytes).tensors.values()) {
          const width = byteLength(tensor.dtype, 1)
          if (tensor.bytes.length > 0) expect(tensor.bytes.byteOffset % width).toBe(0)
        }
      }),
    )
  })

  it('writes exactly these bytes', () => {
    const bytes = concat(
      ...encodeSafetensors(
        new Map([
          ['b', dense('bool', [3], Uint8Array.of(1, 0, 1))],
          ['a', dense('bool', [1], Uint8Array.of(1))],
          ['z', tensorOf('float32', [1], [1.5])],
        ]),
        new Map([['note', 'x']]),
      ),
    )
    const header =
      '{"__metadata__":{"note":"x"},"z":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},' +
      '"a":{"dtype":"BOOL","shape":[1],"data_offsets":[4,5]},"b":{"dtype":"BOOL","shape":[3],"data_offsets":[5,8]}}'
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8)
    expect(padded.length).toBeGreaterThan(header.length)
    expect(bytes).toEqual(safetensors(padded, [0, 0, 0xc0, 0x3f, 1, 1, 0, 1]))
  })

  it('passes a weight on without copying it, and writes a selection of one', () => {
    const tensor = tensorOf('float32', [4], [1, 2, 3, 4])
    expect(encodeSafetensors(new Map([['w', tensor]]))[1]).toBe(tensor.bytes)
    const file = decoded(concat(...encodeSafetensors(new Map([['w', gather(tensor, 0, Int32Array.of(3, 1))]]))))
    expect([...elements(file.tensors.get('w') ?? tensor)]).toEqual([4, 2])
  })

  it('refuses to write types the format has not', () => {
    expect(() => encodeSafetensors(new Map([['w', tensorOf('uint4', [2], [1, 2])]]))).toThrow(/a uint4 tensor w/)
  })

  it('gives views of the file, in the order of their data', () => {
    const bytes = safetensors(
      { b: { dtype: 'U8', shape: [2], data_offsets: [1, 3] }, a: { dtype: 'U8', shape: [1], data_offsets: [0, 1] } },
      [7, 8, 9],
    )
    const { tensors } = decoded(bytes)
    expect([...tensors.keys()]).toEqual(['a', 'b'])
    expect(tensors.get('b')?.bytes.buffer).toBe(bytes.buffer)
    expect(tensors.get('b')?.bytes).toEqual(Uint8Array.of(8, 9))
  })

  it('reads names that mean something to JavaScript, and padding after the header', () => {
    const bytes = safetensors(
      '{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"1":{"dtype":"U8","shape":[],"data_offsets":[1,2]}}   ',
      [1, 2],
    )
    expect([...decoded(bytes).tensors.keys()]).toEqual(['__proto__', '1'])
  })
})

const one = { dtype: 'U8', shape: [2], data_offsets: [0, 2] }
const a = (changes: object): Uint8Array => safetensors({ a: { ...one, ...changes } }, [0, 1])

/** Each: what is wrong, the file, and what the error says was found. */
const malformed: ReadonlyArray<readonly [string, Uint8Array, RegExp]> = [
  ['an empty file', new Uint8Array(), /at least 8 bytes, found 0/],
  ['no whole length', new Uint8Array(7), /at least 8 bytes, found 7/],
  ['an empty header', safetensors(''), /starts with \{, found byte none/],
  ['a header longer than the file', safetensors('{}', [], 3), /a header of 3 bytes, found 2 bytes/],
  ['a header longer than allowed', safetensors('{}', [], 100_000_001), /at most 100000000 bytes, found 100000001/],
  [
    'a header of 2^64 - 1 bytes',
    concat(new Uint8Array(8).fill(255), Uint8Array.of(0x7b)),
    /found 18446744073709551615/,
  ],
  ['a header that is an array', safetensors('[]'), /starts with \{/],
  ['space before the header', safetensors(' {}'), /starts with \{/],
  ['a byte order mark', safetensors('\ufeff{}'), /starts with \{/],
  ['broken JSON', safetensors('{"a":'), /JSON in UTF-8/],
  ['two objects', safetensors('{}{}'), /JSON in UTF-8/],
  ['zero bytes as padding', safetensors('{}\0\0'), /JSON in UTF-8/],
  ['no UTF-8', concat(Uint8Array.of(4, 0, 0, 0, 0, 0, 0, 0), Uint8Array.of(0x7b, 0x22, 0xff, 0x22)), /JSON in UTF-8/],
  ['nesting of a million', safetensors(`{"a":${'['.repeat(1_000_000)}`), /JSON in UTF-8/],
  ['a name twice', safetensors(`{"a":${JSON.stringify(one)},"a":${JSON.stringify(one)}}`, [0, 1]), /a twice/],
  [
    'a name twice, once escaped',
    safetensors(`{"a":${JSON.stringify(one)},"\\u0061":${JSON.stringify(one)}}`, [0, 1]),
    /a twice/,
  ],
  [
    'a field twice',
    safetensors('{"a":{"dtype":"U8","dtype":"I8","shape":[2],"data_offsets":[0,2]}}', [0, 1]),
    /dtype twice/,
  ],
  ['metadata twice', safetensors('{"__metadata__":{},"__metadata__":{}}'), /__metadata__ twice/],
  ['metadata that is no object', safetensors({ __metadata__: ['a'] }), /an object of strings/],
  ['metadata that is no string', safetensors({ __metadata__: { a: 1 } }), /__metadata__ a: expected a string, found 1/],
  ['a tensor that is no object', safetensors({ a: null }), /an object, found null/],
  ['an unknown field', a({ strides: [1] }), /found strides/],
  ['no type', safetensors({ a: { shape: [2], data_offsets: [0, 2] } }, [0, 1]), /element type of .*found none/],
  ['an unknown type', a({ dtype: 'F6' }), /found "F6"/],
  ['a type in lower case', a({ dtype: 'u8' }), /found "u8"/],
  [
    'no shape',
    safetensors({ a: { dtype: 'U8', data_offsets: [0, 2] } }, [0, 1]),
    /a shape of whole numbers, found none/,
  ],
  ['a negative size', a({ shape: [-2] }), /found \[-2\]/],
  ['half an element', a({ shape: [0.5, 4] }), /found \[0.5,4\]/],
  ['a size beyond 2^53', a({ shape: [2 ** 53] }), /shape of whole numbers/],
  ['sizes whose product overflows', a({ shape: [2 ** 32, 2 ** 32] }), /fewer than 2\^53 elements/],
  ['sizes whose product overflows to 0', a({ shape: [2 ** 32, 2 ** 32, 0] }), /fewer than 2\^53 elements/],
  ['a size as text', a({ shape: ['2'] }), /found \["2"\]/],
  ['no offsets', safetensors({ a: { dtype: 'U8', shape: [2] } }, [0, 1]), /two data_offsets, found none/],
  ['three offsets', a({ data_offsets: [0, 1, 2] }), /two data_offsets/],
  ['a negative offset', a({ data_offsets: [-1, 1] }), /two data_offsets/],
  ['offsets the wrong way round', a({ data_offsets: [2, 0] }), /found -2/],
  ['fewer bytes than the shape needs', a({ data_offsets: [0, 1] }), /2 bytes for U8\[2\], found 1/],
  ['more bytes than the shape needs', a({ shape: [1] }), /1 bytes for U8\[1\], found 2/],
  ['data beyond the end', safetensors({ a: one }, [0]), /within the 1 bytes there are, found an end at 2/],
  ['data left over', safetensors({ a: one }, [0, 1, 2]), /2 bytes of data, as the header says, found 3/],
  ['a gap at the start', safetensors({ a: { ...one, data_offsets: [1, 3] } }, [0, 1, 2]), /starts at byte 0/],
  [
    'a gap between tensors',
    safetensors({ a: one, b: { ...one, data_offsets: [3, 5] } }, [0, 1, 2, 3, 4]),
    /starts at byte 2/,
  ],
  ['tensors that overlap', safetensors({ a: one, b: { ...one, data_offsets: [1, 3] } }, [0, 1, 2]), /starts at byte 2/],
  ['one range for two tensors', safetensors({ a: one, b: one }, [0, 1]), /starts at byte 2/],
  ['data and no tensor', safetensors('{}', [1]), /0 bytes of data/],
]

describe('malformed safetensors', () => {
  it.each(malformed)('refuses %s', (_, bytes, message) => {
    const file = decodeSafetensors(bytes)
    expect(E.isLeft(file) ? renderError(file.left) : 'read').toMatch(message)
    expect(E.isLeft(file) && file.left._tag).toBe('TensorFileError')
  })

  it('accepts the file that the cases are made from', () => {
    expect(decoded(a({})).tensors.get('a')?.bytes).toEqual(Uint8Array.of(0, 1))
  })
})

describe('a header whose length looks like the start of a pickle', () => {
  it.each([0x280, 0x380, 0x480, 0x580])('is read with %i bytes of header', (length) => {
    const json = JSON.stringify({ w: { dtype: 'BOOL', shape: [2], data_offsets: [0, 2] } }).padEnd(length)
    const head = new Uint8Array(8)
    new DataView(head.buffer).setBigUint64(0, BigInt(length), true)
    const file = decodeFile(Uint8Array.from([...head, ...new TextEncoder().encode(json), 1, 0]))
    expect(E.isRight(file) && file.right.entries.map(({ name }) => name)).toEqual(['w'])
  })
})
