/** Maps that say where masks belong: what may be in one, what is done with it, and how one is drafted. */
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { renderError } from '../../../src/ir/failure.ts'
import { Gemm, MatMul } from '../../../src/ir/ops/index.ts'
import { makeNode } from '../../../src/ir/make-node.ts'
import type { FileEntry } from '../../../src/masks/file-entry.ts'
import {
  decodeMap,
  draftMap,
  type DraftLine,
  type MapEntry,
  type MaskMap,
  type Matching,
  weigh,
} from '../../../src/masks/match/index.ts'
import { graphOf } from '../nets.ts'
import { bits, keptOf, maskEntry, matched, type Numbers, real, refusal, turned, waysOf } from './files.ts'

const decoded = (value: unknown): MaskMap => {
  const map = decodeMap(value)
  if (E.isLeft(map)) throw new Error(renderError(map.left))
  return map.right
}

const wrong = (value: unknown): string => {
  const map = decodeMap(value)
  if (E.isRight(map)) throw new Error('no failure')
  return renderError(map.left)
}

describe('decoding', () => {
  it('takes a name, an object or null', () => {
    expect([...decoded({ a: 'w', b: { weight: 'v', transpose: [1, 0], at: 4 }, c: null, d: { weight: 'u' } })]).toEqual(
      [
        ['a', { weight: 'w' }],
        ['b', { weight: 'v', transpose: [1, 0], at: 4 }],
        ['c', null],
        ['d', { weight: 'u' }],
      ],
    )
    // A file of comments alone.
    expect(decoded(null).size).toBe(0)
    expect(decoded({ a: { weight: 'w', transpose: false } }).get('a')).toEqual({ weight: 'w', transpose: false })
  })

  it.each([
    [undefined, 'mask map: expected an object with an entry for each mask, found nothing.'],
    [['w'], 'mask map: expected an object with an entry for each mask, found ["w"].'],
    [{ a: 3 }, 'mask map, a: expected a name, an object or null, found 3.'],
    [{ a: ['w'] }, 'mask map, a: expected a name, an object or null, found ["w"].'],
    [
      { a: { weight: 'w', transposed: true } },
      'mask map, a: expected weight, transpose and at only, found transposed.',
    ],
    [{ a: {} }, 'mask map, a: expected weight: a name, found none.'],
    [{ a: { weight: 3 } }, 'mask map, a: expected weight: a name, found 3.'],
    [
      { a: { weight: 'w', transpose: 'yes' } },
      'mask map, a: expected transpose: true, false or an order of axes, found "yes".',
    ],
    [{ a: { weight: 'w', transpose: [] } }, 'true, false or an order of axes, found [].'],
    [{ a: { weight: 'w', transpose: [0, 0] } }, 'true, false or an order of axes, found [0,0].'],
    [{ a: { weight: 'w', transpose: [1, 2] } }, 'true, false or an order of axes, found [1,2].'],
    [{ a: { weight: 'w', transpose: [0.5, 0] } }, 'true, false or an order of axes, found [0.5,0].'],
    [{ a: { weight: 'w', at: -1 } }, 'mask map, a: expected at: a whole number, found -1.'],
    [{ a: { weight: 'w', at: 1.5 } }, 'at: a whole number, found 1.5.'],
    [{ a: { weight: 'w', at: '1' } }, 'at: a whole number, found "1".'],
  ])('refuses %j', (value, sentence) => {
    expect(wrong(value)).toContain(sentence)
  })

  it('shows how a map is written', () => {
    expect(wrong({ a: 3 })).toContain(
      'Write MASK: WEIGHT, or MASK: { weight: WEIGHT, transpose: true, at: 0 }, or MASK: null',
    )
  })
})

/** A square and an oblong product, and three joined ones, their names lost. */
const graph = graphOf(
  { x: ['N', 4] },
  { square: real([4, 4]), oblong: real([4, 6], 2), joined: real([4, 12], 3), linear: real([6, 4], 4) },
  [
    makeNode(MatMul, ['x', 'square'], ['a'], {}, 'first'),
    makeNode(MatMul, ['a', 'oblong'], ['b'], {}, 'second'),
    makeNode(MatMul, ['a', 'joined'], ['c'], {}, 'third'),
    makeNode(Gemm, ['a', 'linear'], ['d'], { transB: 1 }, 'fourth'),
  ],
  ['b', 'c', 'd'],
)

const mapOf = (entries: Readonly<Record<string, MapEntry | null>>): { readonly map: MaskMap } => ({
  map: new Map(Object.entries(entries)),
})

const mapped = (shape: Numbers, place: MapEntry): Matching =>
  matched(graph, [maskEntry('m', shape)], mapOf({ m: place }))

const misplaced = (shape: Numbers, place: MapEntry): string =>
  renderError(refusal(graph, [maskEntry('m', shape)], mapOf({ m: place })))

describe('a map', () => {
  it('names an initializer, or a node', () => {
    for (const weight of ['oblong', 'second']) {
      const matching = mapped([6, 4], { weight })
      expect(waysOf(matching)).toEqual(['map'])
      expect([...matching.masks.keys()]).toEqual(['oblong'])
      expect(keptOf(matching, 'oblong')).toEqual(turned(bits([6, 4]), [6, 4]))
    }
  })

  it('goes before names', () => {
    const masks = [maskEntry('linear', [6, 4])]
    expect([...matched(graph, masks).masks.keys()]).toEqual(['linear'])
    expect([...matched(graph, masks, mapOf({ linear: { weight: 'oblong' } })).masks.keys()]).toEqual(['oblong'])
  })

  it('says which way a square mask lies', () => {
    expect(keptOf(mapped([4, 4], { weight: 'square', transpose: true }), 'square')).toEqual(
      turned(bits([4, 4]), [4, 4]),
    )
    expect(keptOf(mapped([4, 4], { weight: 'square', transpose: false }), 'square')).toEqual(bits([4, 4]))
    expect(keptOf(mapped([4, 4], { weight: 'square', transpose: [1, 0] }), 'square')).toEqual(
      turned(bits([4, 4]), [4, 4]),
    )
    expect(keptOf(mapped([4, 4], { weight: 'square', transpose: [0, 1] }), 'square')).toEqual(bits([4, 4]))
  })

  it('says where in a constant a mask is', () => {
    const rows = bits([4, 4])
    const matching = mapped([4, 4], { weight: 'joined', at: 8, transpose: true })
    const kept = Array.from({ length: 48 }, (_, i) => {
      const [row, column] = [Math.floor(i / 12), i % 12]
      return column < 8 ? 1 : rows[(column - 8) * 4 + row]
    })
    expect(keptOf(matching, 'joined')).toEqual(kept)
    const straight = keptOf(mapped([4, 4], { weight: 'joined', at: 4 }), 'joined')
    expect(straight?.filter((_, i) => i % 12 >= 4 && i % 12 < 8)).toEqual(rows)
    const parts = { q: { weight: 'joined', at: 0 }, k: { weight: 'joined', at: 4 }, v: { weight: 'joined', at: 8 } }
    const masks = Object.keys(parts).map((name, i) => maskEntry(name, [4, 4], i + 1))
    const all = keptOf(matched(graph, masks, mapOf(parts)), 'joined')
    for (const i of [0, 1, 2])
      expect(all?.filter((_, at) => Math.floor((at % 12) / 4) === i)).toEqual(bits([4, 4], i + 1))
  })

  it('leaves out what it gives null', () => {
    const masks = [maskEntry('linear', [6, 4]), maskEntry('whatever', [9, 9])]
    const matching = matched(graph, masks, mapOf({ whatever: null }))
    expect([...matching.masks.keys()]).toEqual(['linear'])
    expect(matching.notes).toEqual(['whatever is left out, as the map says.'])
  })

  it('refuses what it says of masks that the file does not hold, and says which may be meant', () => {
    const masks = [maskEntry('linear', [6, 4]), maskEntry('model.square', [4, 4])]
    const of = (map: Readonly<Record<string, MapEntry | null>>): string =>
      renderError(refusal(graph, masks, mapOf(map)))
    expect(of({ 'model.square': null, linaer: null })).toBe(
      'mask map, linaer: expected the name of a mask in the file, found none of that name. Did you mean linear?',
    )
    expect(of({ 'model.square': null, other: { weight: 'linear' } })).toMatch('Take the entry out of the map.')
    // By itself or as of a framework's parameter, and of a tensor that is no mask.
    expect(matched(graph, masks, mapOf({ 'model.square': null })).masks.size).toBe(1)
  })

  it('suggests a name for one that is not there', () => {
    expect(misplaced([6, 4], { weight: 'oblnog' })).toBe(
      'mask map, m: expected an initializer or a node of the model, found oblnog. Did you mean oblong?',
    )
    expect(misplaced([6, 4], { weight: 'something.else.entirely' })).toContain(
      'chasec masks lists the weights of the model.',
    )
  })

  it('refuses what does not fit where it says', () => {
    expect(misplaced([5, 4], { weight: 'oblong' })).toContain(
      'mask map, m: expected a mask that fits oblong [4,6], read by second, found shape [5,4].',
    )
    expect(misplaced([6, 4], { weight: 'oblong', transpose: false })).toContain(
      'found shape [6,4] with transpose: false.',
    )
    expect(misplaced([4, 6], { weight: 'oblong', transpose: true })).toContain(
      'found shape [4,6] with transpose: true.',
    )
    expect(misplaced([4, 4], { weight: 'joined', at: 9 })).toContain('found shape [4,4].')
    expect(misplaced([4, 4], { weight: 'square', transpose: [0, 1, 2] })).toContain('with transpose: [0,1,2].')
  })
})

describe('a draft', () => {
  const twins = graphOf(
    { x: ['N', 4] },
    { 'fc.weight': real([6, 4]), 'onnx::MatMul_8': real([4, 5], 2), 'onnx::MatMul_9': real([4, 5], 3) },
    [
      makeNode(Gemm, ['x', 'fc.weight'], ['a'], { transB: 1 }, 'n1'),
      makeNode(MatMul, ['x', 'onnx::MatMul_8'], ['b'], {}, 'n2'),
      makeNode(MatMul, ['x', 'onnx::MatMul_9'], ['c'], {}, 'n3'),
    ],
    ['a', 'b', 'c'],
  )
  const draft = (entries: ReadonlyArray<FileEntry>, over = twins): ReadonlyArray<DraftLine> =>
    draftMap(weigh(entries, over, {}))

  it('has what is certain without a comment', () => {
    expect(draft([maskEntry('module.fc.weight', [6, 4])])).toEqual([
      { mask: 'module.fc.weight', entry: { weight: 'fc.weight', transpose: false }, comment: '' },
    ])
    expect(draft([maskEntry('oblong', [6, 4])], graph)).toEqual([
      { mask: 'oblong', entry: { weight: 'oblong', transpose: true }, comment: '' },
    ])
  })

  it('flags guesses, each another weight, and names what would fit as well', () => {
    expect(draft([maskEntry('arr_0', [5, 4]), maskEntry('arr_1', [5, 4], 2)])).toEqual([
      {
        mask: 'arr_0',
        entry: { weight: 'onnx::MatMul_8' },
        comment: 'a guess by order, onnx::MatMul_8 [4,5], read by n2; it fits onnx::MatMul_9 [4,5], read by n3 as well',
      },
      {
        mask: 'arr_1',
        entry: { weight: 'onnx::MatMul_9' },
        comment: 'a guess by order, onnx::MatMul_9 [4,5], read by n3; it fits onnx::MatMul_8 [4,5], read by n2 as well',
      },
    ])
  })

  it('leaves out what fits nothing', () => {
    const lines = draft([maskEntry('module.fc.weight', [6, 4]), maskEntry('arr_9', [9, 8])])
    expect(lines[1]).toEqual({ mask: 'arr_9', entry: null, comment: 'fits no weight: it is left out' })
  })

  it('is a map that places the masks again', () => {
    const masks = [maskEntry('module.fc.weight', [6, 4]), maskEntry('arr_0', [5, 4]), maskEntry('arr_1', [5, 4], 2)]
    const map = new Map(draft(masks).flatMap(({ mask, entry: place }) => (place === undefined ? [] : [[mask, place]])))
    const matching = matched(twins, masks, { map })
    expect(waysOf(matching)).toEqual(['map', 'map', 'map'])
    expect(keptOf(matching, 'onnx::MatMul_9')).toEqual(turned(bits([5, 4], 2), [5, 4]))
  })
})
