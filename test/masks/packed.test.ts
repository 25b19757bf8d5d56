/** Packed masks: what other programs and this one write expands to the masks that it stands for, and nothing else does. */
import { readFileSync } from 'node:fs'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import { drawsFrom, seededRandom } from '../../src/ir/random.ts'
import { type Dense, dense, int64s, type Tensor, tensorOf } from '../../src/ir/tensor.ts'
import { sizeOf } from '../../src/ir/type.ts'
import { decodeFile, encodeMasks } from '../../src/masks/files.ts'
import { elementMask, expandMask, type Masks } from '../../src/masks/mask.ts'
import { bitmask, packBitmask } from '../../src/masks/packed/bitmask.ts'
import { blocks, packBlocks } from '../../src/masks/packed/blocks.ts'
import { diagonals, packDiagonals } from '../../src/masks/packed/diagonals.ts'
import { fanIn, packFanIn } from '../../src/masks/packed/fan-in.ts'
import { groups, packGroups } from '../../src/masks/packed/groups.ts'
import { packedKey } from '../../src/masks/packed/index.ts'
import type { Pack, PackedLayout } from '../../src/masks/packed/layout.ts'
import { encodePackedMasks } from '../../src/masks/packed/pack.ts'
import { decodeSafetensors, encodeSafetensors } from '../../src/masks/safetensors.ts'

const joined = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => Uint8Array.from(Buffer.concat([...chunks]))

const ours = new Map([[packedKey, 'packed']])

/** The tensors of a file by name, or the error that any of them is. */
const decoded = (bytes: Uint8Array): ReadonlyMap<string, Dense> | string => {
  const file = decodeFile(bytes)
  if (E.isLeft(file)) return renderError(file.left)
  const out = new Map<string, Dense>()
  for (const entry of file.right.entries) {
    const tensor = entry.decode()
    if (E.isLeft(tensor)) return renderError(tensor.left)
    expect(entry.shape).toEqual(tensor.right.shape)
    expect(entry.size).toBe(tensor.right.bytes.length)
    out.set(entry.name, tensor.right)
  }
  return out
}

const fixture = (name: string): Uint8Array =>
  Uint8Array.from(readFileSync(new URL(`packed/${name}.safetensors`, import.meta.url)))

it('what compressed-tensors and PyTorch write are the masks that it stands for, under the names of the weights', () => {
  const found = decoded(fixture('foreign'))
  const expected = decodeSafetensors(fixture('expected'))
  if (typeof found === 'string' || E.isLeft(expected)) throw new Error(String(found))
  expect([...found.keys()].toSorted()).toEqual([...expected.right.tensors.keys()].toSorted())
  for (const [name, { shape, bytes }] of expected.right.tensors) {
    expect([name, found.get(name)?.shape, found.get(name)?.bytes]).toEqual([name, shape, bytes])
  }
})

const shapes: ReadonlyArray<ReadonlyArray<number>> = [
  ...[[], [1], [0], [7], [8], [9], [64], [1, 1], [0, 4], [4, 0], [3, 17], [16, 8], [8, 64]],
  ...[
    [5, 3, 3, 3],
    [8, 16, 1, 1],
    [4, 8, 3, 3],
    [2, 0, 3],
    [64, 128],
  ],
]

/** Masks of each kind that a layout is for, and of none. */
const kinds: Readonly<Record<string, (shape: ReadonlyArray<number>, draw: (below: number) => number) => Uint8Array>> = {
  nothing: (shape) => new Uint8Array(sizeOf(shape)),
  everything: (shape) => new Uint8Array(sizeOf(shape)).fill(1),
  half: (shape, draw) => Uint8Array.from({ length: sizeOf(shape) }, () => draw(2)),
  few: (shape, draw) => Uint8Array.from({ length: sizeOf(shape) }, () => (draw(40) === 0 ? 1 : 0)),
  diagonals: (shape, draw) => {
    const [rows = 1, columns = 1] = shape.length === 2 ? shape : [1, sizeOf(shape)]
    const kept = new Set([draw(rows + columns), draw(rows + columns)].map((at) => at - rows))
    return Uint8Array.from({ length: rows * columns }, (_, i) =>
      kept.has((i % columns) - Math.floor(i / columns)) ? 1 : 0,
    )
  },
  blocks: (shape, draw) => {
    const columns = shape.length < 2 ? sizeOf(shape) : sizeOf(shape.slice(1))
    const bits = Array.from({ length: 4096 }, () => draw(2))
    return Uint8Array.from({ length: sizeOf(shape) }, (_, i) => {
      const [row, column] = [Math.floor(i / Math.max(1, columns)), i % Math.max(1, columns)]
      return bits[(Math.floor(row / 4) * 31 + Math.floor(column / 8)) % 4096] ?? 0
    })
  },
  'fan-in': (shape, draw) => {
    const out = new Uint8Array(sizeOf(shape))
    const [rows, columns] = shape.length < 2 ? [1, sizeOf(shape)] : [shape[0] ?? 0, sizeOf(shape.slice(1))]
    const count = Math.min(columns, 1 + draw(2))
    for (let row = 0; row < rows; row++) {
      if (draw(4) === 0) continue
      for (let k = 0; k < count; k++) out[row * columns + ((row * 5 + k) % columns)] = 1
    }
    return out
  },
  'N:M': (shape, draw) => {
    const last = shape.at(-1) ?? 1
    const size = [4, 8, 16].findLast((m) => last % m === 0) ?? 1
    const shifts = Array.from({ length: sizeOf(shape) }, () => draw(size))
    return Uint8Array.from({ length: sizeOf(shape) }, (_, i) => (shifts[Math.floor(i / size)] === i % size ? 1 : 0))
  },
}

const drawn = (seed: number): ReadonlyArray<readonly [string, ReadonlyArray<number>, Uint8Array]> => {
  const draws = drawsFrom(seededRandom(seed))
  return Object.entries(kinds).flatMap(([kind, make]) =>
    shapes.map((shape) => [kind, shape, make(shape, (below) => draws.below(below))] as const),
  )
}

const layouts: ReadonlyArray<PackedLayout & { readonly pack: Pack }> = [
  { ...bitmask, pack: packBitmask },
  { ...diagonals, pack: packDiagonals },
  { ...blocks, pack: packBlocks },
  { ...fanIn, pack: packFanIn },
  { ...groups, pack: packGroups },
]

describe.each(layouts)('$name', ({ pack, unpack, key, required, optional }) => {
  it('gives back whatever it takes', () => {
    const taken = new Set<string>()
    for (const seed of [1, 2, 3]) {
      for (const [kind, shape, kept] of drawn(seed)) {
        const parts = pack(kept, shape)
        if (parts === undefined) continue
        taken.add(kind)
        expect([...parts.keys()].every((part) => [key, ...required, ...optional].includes(part))).toBe(true)
        expect([kind, shape, unpack(parts, shape)]).toEqual([kind, shape, E.right(kept)])
      }
    }
    expect(taken.size).toBeGreaterThan(2)
  })

  it('refuses parts of another type, and indices that are out of range or do not rise', () => {
    const [rows, columns] = [8, 64]
    for (const [, shape, kept] of drawn(4).filter(
      (one) => one[1].length === 2 && one[1][0] === rows && one[1][1] === columns,
    )) {
      const parts = pack(kept, shape)
      if (parts === undefined) continue
      for (const [part, { dtype, shape: own, bytes }] of parts) {
        const swap = (tensor: Dense): unknown => E.isLeft(unpack(new Map(parts).set(part, tensor), shape))
        expect([part, swap(tensorOf('float32', own, new Float32Array(sizeOf(own))))]).toEqual([part, true])
        if (dtype !== 'bool' && sizeOf(own) > 0 && dtype !== 'uint8') {
          expect([
            part,
            swap(
              int64s(
                [...Array(sizeOf(own))].map(() => -(2 ** 40)),
                own,
              ),
            ),
          ]).toEqual([part, true])
        }
        expect([part, swap(dense(dtype, [1, ...own], bytes))]).toEqual([part, true])
      }
    }
  })
})

describe('masks of a file', () => {
  it('that are packed are those that were, in whatever layout, and take fewer bytes', () => {
    for (const seed of [5, 6]) {
      const masks: Masks = new Map(
        drawn(seed).map(([kind, shape, kept], i) => [`${kind}.${i}/x.shape`, elementMask(shape, kept)]),
      )
      const bytes = joined(encodePackedMasks(masks))
      const found = decoded(bytes)
      if (typeof found === 'string') throw new Error(found)
      expect([...found.keys()].toSorted()).toEqual([...masks.keys()].toSorted())
      for (const [name, mask] of masks) expect([name, found.get(name)?.bytes]).toEqual([name, expandMask(mask)])
      expect(joined(encodePackedMasks(new Map([...masks].toReversed())))).toEqual(bytes)
    }
    const regular: Masks = new Map([
      [
        'a.weight',
        elementMask(
          [512, 512],
          Uint8Array.from({ length: 2 ** 18 }, (_, i) => (i % 513 === 0 ? 1 : 0)),
        ),
      ],
    ])
    const [whole, packed] = [encodeMasks(regular), encodePackedMasks(regular)].map(joined)
    expect(whole?.length).toBeGreaterThan(2 ** 18)
    expect(packed?.length).toBeLessThan(512)
  })

  it('may lie beside others, and beside weights, which are then told from masks by their names', () => {
    const bits = new Map<string, Tensor>([
      ['a.shape', int64s([2, 3])],
      ['a.bitmask', tensorOf('uint8', [2, 1], [5, 2])],
      ['a.compressed', tensorOf('float32', [3], [1, 2, 3])],
      ['norm.weight', tensorOf('float32', [2], [1, 2])],
    ])
    const found = decoded(joined(encodeSafetensors(bits)))
    expect(typeof found === 'string' ? found : [...found.keys()].toSorted()).toEqual(['a.weight_mask', 'norm.weight'])
    const named = decoded(joined(encodeSafetensors(bits, ours)))
    expect(typeof named === 'string' ? named : named.get('a')?.bytes).toEqual(Uint8Array.of(1, 0, 1, 0, 1, 0))
    // Without a shape it is a tensor like any other.
    const alone = decoded(joined(encodeSafetensors(new Map([['a.bitmask', int64s([1, 0])]]))))
    expect(typeof alone === 'string' ? alone : [...alone.keys()]).toEqual(['a.bitmask'])
  })

  it('without elements are read whatever their shape', () => {
    for (const part of ['bitmask', 'fan_in_indices', 'diagonals']) {
      const tensors = new Map([
        ['a.shape', int64s([2 ** 40, 0])],
        [`a.${part}`, int64s([])],
      ])
      const found = decoded(joined(encodeSafetensors(tensors)))
      expect(typeof found === 'string' ? found : found.get('a.weight')?.bytes.length).toBe(0)
    }
  })

  const u8 = (shape: ReadonlyArray<number>, values: ReadonlyArray<number>): Tensor => tensorOf('uint8', shape, values)

  it.each<readonly [string, Readonly<Record<string, Tensor>>, RegExp]>([
    [
      'two layouts',
      { shape: int64s([2, 2]), bitmask: u8([2, 1], [0, 0]), diagonals: int64s([0]) },
      /one layout, found (bitmask and diagonals|diagonals and bitmask)/,
    ],
    [
      'a part that is missing',
      { shape: int64s([2, 2]), crow_indices: int64s([0, 0, 0]) },
      /a\.col_indices: expected a part of the blocks, found none/,
    ],
    [
      'a shape of fractions',
      { shape: tensorOf('float32', [2], [2, 2]), bitmask: u8([2, 1], [0, 0]) },
      /a\.shape: .* found float32 \[2,2\]/,
    ],
    ['a negative shape', { shape: int64s([2, -2]), bitmask: u8([2, 1], [0, 0]) }, /a\.shape: .* found int64 \[2,-2\]/],
    ['a huge shape', { shape: int64s([2 ** 20, 2 ** 20]), diagonals: int64s([0]) }, /fewer than 2\^31 elements/],
    ['a shape of too many axes', { shape: int64s(Array(65).fill(1)), diagonals: int64s([0]) }, /a\.shape/],
    [
      'bits of another shape',
      { shape: int64s([2, 9]), bitmask: u8([2, 1], [0, 0]) },
      /a\.bitmask: expected uint8 \[2,2\]/,
    ],
    [
      'bits behind the end',
      { shape: int64s([2, 3]), bitmask: u8([2, 1], [1, 8]) },
      /no bits behind the end of a row, found some in row 1/,
    ],
    ['a diagonal outside', { shape: int64s([2, 3]), diagonals: int64s([3]) }, /from -1 to 2, found 3/],
    ['a diagonal twice', { shape: int64s([2, 3]), diagonals: int64s([1, 1]) }, /offsets that rise, found \[1,1\]/],
    [
      'diagonals of a kernel',
      { shape: int64s([2, 3, 1, 1]), diagonals: int64s([0]) },
      /a\.shape: expected that of a matrix/,
    ],
    [
      'blocks that do not divide',
      { shape: int64s([3, 4]), crow_indices: int64s([0, 0]), col_indices: int64s([]), blocksize: int64s([2, 2]) },
      /a\.blocksize: expected rows and columns that divide 3 and 4/,
    ],
    [
      'a block of no rows',
      { shape: int64s([4, 4]), crow_indices: int64s([0, 0]), col_indices: int64s([]), blocksize: int64s([0, 2]) },
      /a\.blocksize/,
    ],
    [
      'rows of blocks that fall',
      { shape: int64s([4, 4]), crow_indices: int64s([0, 2, 1, 1, 2]), col_indices: int64s([0, 1]) },
      /a\.crow_indices: .*none below the one before/,
    ],
    [
      'rows that leave indices out',
      { shape: int64s([2, 4]), crow_indices: int64s([0, 1, 1]), col_indices: int64s([0, 1]) },
      /a\.crow_indices/,
    ],
    [
      'a block outside',
      { shape: int64s([2, 4]), crow_indices: int64s([0, 1, 2]), col_indices: int64s([0, 4]) },
      /a\.col_indices: .* from 0 to 3, found 4/,
    ],
    [
      'a block twice',
      { shape: int64s([1, 4]), crow_indices: int64s([0, 2]), col_indices: int64s([2, 2]) },
      /columns that rise in every row, found \[2,2\]/,
    ],
    [
      'an input twice',
      { shape: int64s([2, 4]), fan_in_indices: int64s([0, 1, 3, 3], [2, 2]) },
      /columns that rise in every row, found \[3,3\]/,
    ],
    [
      'too few neurons',
      { shape: int64s([3, 4]), fan_in_indices: int64s([0, 1, 2, 3], [2, 2]) },
      /\[3, K\], a row for each neuron, found \[2,2\]/,
    ],
    [
      'a wrong list of neurons',
      { shape: int64s([2, 4]), fan_in_indices: int64s([0], [1, 1]), active_neuron_idx: int64s([1]) },
      /active_neuron_idx: expected bool \[2\], found int64 \[1\]/,
    ],
    [
      'a group that does not divide',
      { shape: int64s([2, 6]), group_indices: int64s([0]), group: int64s([4, 1]) },
      /a\.group: .* found \[4,1\]/,
    ],
    ['groups along no axis', { shape: int64s([2, 4]), group_indices: int64s([0]), group: int64s([4, 2]) }, /a\.group/],
    [
      'a place outside of its group',
      { shape: int64s([1, 4]), group_indices: int64s([4], [1, 1, 1, 1]), group: int64s([4, 1]) },
      /from 0 to 3, found 4/,
    ],
    [
      'a place twice',
      { shape: int64s([1, 4]), group_indices: int64s([1, 1], [1, 1, 1, 2]), group: int64s([4, 1]) },
      /places that rise in every group, found \[1,1\]/,
    ],
  ])('are refused with %s', (_, parts, expected) => {
    const tensors = new Map(Object.entries(parts).map(([part, tensor]) => [`a.${part}`, tensor]))
    for (const metadata of [new Map<string, string>(), ours]) {
      expect(decoded(joined(encodeSafetensors(tensors, metadata)))).toMatch(expected)
    }
  })
})
