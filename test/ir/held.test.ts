/** Constants that are held as smaller ones: what they hold, what selections and edits make of them, and how they are written. */
import { describe, expect, test } from 'vitest'
import { checkGraph } from '../../src/ir/check.ts'
import { withParts } from '../../src/ir/graph.ts'
import { makeNode } from '../../src/ir/make-node.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { sliceConstants } from '../../src/ir/slices.ts'
import { editElements } from '../../src/ir/edits.ts'
import {
  dense,
  elements,
  type External,
  gather,
  type Held,
  pieces,
  storedBytes,
  tensorOf,
} from '../../src/ir/tensor.ts'
import { isOp } from '../../src/ir/registry.ts'
import { tensorType } from '../../src/ir/type.ts'
import { writtenOut } from '../../src/ir/written.ts'
import { foldConstants } from '../../src/passes/fold-constants.ts'
import { read, right } from '../passes/laws.ts'

const numbers = (tensor: Held | ReturnType<typeof gather>): ReadonlyArray<number> =>
  Array.from(elements(tensor), Number)

/** Integers 0, 1, 2, … of some shape, with scales of powers of two so that all is exact. */
const held = (shape: ReadonlyArray<number>, parts: Partial<Held>): Held => {
  const count = shape.reduce((n, d) => n * d, 1)
  const stored = tensorOf(
    'int8',
    shape,
    Array.from({ length: count }, (_, i) => i),
  )
  return { tag: 'Held', dtype: 'float32', shape, stored, axis: 0, ...parts }
}

const byRow = held([3, 2], {
  scale: tensorOf('float32', [3], [1, 0.5, 2]),
  zero: tensorOf('int8', [3], [0, 2, 5]),
})

describe('what is held', () => {
  test('is the difference from zero, scaled', () => {
    expect(numbers(byRow)).toEqual([0, 1, 0, 0.5, -2, 0])
    expect(numbers(held([2, 2], { axis: 1, scale: tensorOf('float32', [2], [1, 4]) }))).toEqual([0, 4, 2, 12])
  })

  test('is read piece by piece', () => {
    const rows = [...pieces(byRow, 8)].map(({ first, rows: some }) => [first, Array.from(elements(some), Number)])
    expect(rows).toEqual([
      [0, [0, 1]],
      [1, [0, 0.5]],
      [2, [-2, 0]],
    ])
  })

  test('takes the bytes of its parts', () => {
    expect(storedBytes(byRow)).toBe(6 + 12 + 3)
  })

  test('is selected from in terms of its parts', () => {
    const rows = gather(byRow, 0, Int32Array.of(0, 2))
    expect(rows).toMatchObject({ tag: 'Held', shape: [2, 2], stored: { shape: [2, 2] }, scale: { shape: [2] } })
    expect(numbers(rows)).toEqual([0, 1, -2, 0])
    expect(numbers(gather(byRow, 1, Int32Array.of(1)))).toEqual([1, 0.5, 0])
  })

  test('is edited in terms of its parts: a zero becomes what stands for it', () => {
    const edited = editElements(byRow, (values, first) => {
      for (let i = 0; i < values.length; i++) if (first + Math.floor(i / 2) === 1) values[i] = i % 2 === 0 ? 0 : 1
    })
    expect(edited).toMatchObject({ tag: 'Held' })
    expect(numbers(edited)).toEqual([0, 1, 0, 1, -2, 0])
    expect(edited.tag === 'Held' && numbers(edited.stored)).toEqual([0, 1, 2, 4, 4, 5])
  })

  test('does not take numbers that it cannot hold', () => {
    expect(() => numbers(editElements(byRow, (values) => values.fill(0.3)))).toThrow('invariant')
  })

  test('has slices of zeros where integers equal their zero', () => {
    const flat = held([2, 2], { stored: tensorOf('uint8', [2, 2], [7, 7, 1, 2]), zero: tensorOf('uint8', [], [7]) })
    expect([...sliceConstants(flat, 0)]).toEqual([0, NaN])
  })

  test('may be of less than a byte', () => {
    const four = held([2, 3], {
      stored: tensorOf('int4', [2, 3], [-8, 7, 0, 1, 2, 3]),
      scale: tensorOf('float32', [], [0.5]),
    })
    expect(numbers(four)).toEqual([-4, 3.5, 0, 0.5, 1, 1.5])
    expect(numbers(gather(four, 1, Int32Array.of(0, 2)))).toEqual([-4, 0, 0.5, 1.5])
    const zeroed = editElements(four, (values) => values.fill(0, 0, 3))
    expect(numbers(zeroed)).toEqual([0, 0, 0, 0.5, 1, 1.5])
  })
})

describe('rows of less than a byte for each element', () => {
  const shape = [6, 4]
  const whole = tensorOf(
    'uint4',
    shape,
    Array.from({ length: 24 }, (_, i) => (7 * i) % 16),
  )
  const ranges: Array<readonly [number, number]> = []
  const file: External = {
    tag: 'External',
    dtype: 'uint4',
    shape,
    location: 'weights',
    offset: 0,
    length: 12,
    read: (offset, length) => {
      ranges.push([offset, length])
      return whole.bytes.slice(offset, offset + length)
    },
  }

  test('are read one by one where they are whole bytes', () => {
    const read = [...pieces(file, 4)].map(({ first, rows }) => [first, Array.from(elements(rows), Number)])
    expect(read.map(([first]) => first)).toEqual([0, 2, 4])
    expect(read.flatMap(([, values]) => values)).toEqual(numbers(whole))
    expect(ranges).toEqual([
      [0, 4],
      [4, 4],
      [8, 4],
    ])
  })

  test.each([
    ['rows', 0, [4, 1]],
    ['columns that fill bytes', 1, [3, 0]],
    ['columns that do not', 1, [0, 1, 3]],
  ] as const)('are selected: %s', (_, axis, kept) => {
    const expected = numbers(whole).filter((_number, i) => axis === 1 && kept.some((k) => k === i % 4))
    const rows = kept.flatMap((k) => numbers(whole).slice(4 * k, 4 * k + 4))
    const selected = gather(file, axis, Int32Array.from(axis === 0 ? kept : kept.toSorted()))
    expect([...pieces(selected, 1)].flatMap(({ rows: some }) => numbers(some))).toEqual(axis === 0 ? rows : expected)
  })

  test('are changed where they are held, row by row', () => {
    const four: Held = { ...held(shape, {}), stored: file, scale: tensorOf('float32', [], [0.5]) }
    const edited = editElements(four, (values, first) => {
      if (first === 0) values.fill(0, 0, 6)
    })
    expect(numbers(edited)).toEqual(numbers(whole).map((x, i) => (i < 6 ? 0 : x / 2)))
  })
})

describe('blocks', () => {
  const scale = tensorOf('float32', [3, 2], [1, 2, 4, 8, 16, 32])
  const blocks = held([5, 2], { block: 2, scale })

  test('share a scale', () => {
    expect(numbers(blocks)).toEqual([0, 2, 2, 6, 16, 40, 24, 56, 128, 288])
  })

  test('go as a whole, along their axis and across it', () => {
    expect(gather(blocks, 0, Int32Array.of(0, 1, 4))).toMatchObject({ block: 2, scale: { shape: [2, 2] } })
    expect(numbers(gather(blocks, 0, Int32Array.of(0, 1, 4)))).toEqual([0, 2, 2, 6, 128, 288])
    expect(numbers(gather(blocks, 1, Int32Array.of(1)))).toEqual([2, 6, 40, 56, 288])
  })

  test('are taken apart where they lose different numbers of indices', () => {
    const rest = gather(blocks, 0, Int32Array.of(0, 2, 3, 4))
    expect(rest).toMatchObject({ tag: 'Held', block: 1, scale: { shape: [4, 2] } })
    expect(numbers(rest)).toEqual([0, 2, 16, 40, 24, 56, 128, 288])
  })
})

describe('a node that makes constants of integers', () => {
  const graph = (attrs: { readonly axis: number; readonly block_size: number }, scales: ReadonlyArray<number>) =>
    withParts(
      read(`
        input x: float32[N,4]
        y = Identity(x)
        output y: float32[N,4]`),
      {
        nodes: [
          makeNode(ops.DequantizeLinear, ['q', 's', 'z'], ['w'], attrs, 'of integers'),
          makeNode(ops.MatMul, ['x', 'w'], ['y'], {}, 'product'),
        ],
        constants: new Map([
          ['q', held([4, 4], {}).stored],
          ['s', tensorOf('float32', scales, new Array<number>(scales.reduce((a, b) => a * b, 1)).fill(0.5))],
          ['z', tensorOf('int8', scales, new Array<number>(scales.reduce((a, b) => a * b, 1)).fill(3))],
        ]),
        opsets: new Map([['', 21]]),
      },
    )

  test.each([
    ['one scale', { axis: 1, block_size: 0 }, []],
    ['a scale for each column', { axis: -1, block_size: 0 }, [4]],
    ['blocks', { axis: 0, block_size: 2 }, [2, 4]],
  ] as const)('becomes a constant, and is written again: %s', (_, attrs, scales) => {
    const before = graph(attrs, scales)
    const folded = right(foldConstants.run(before))
    expect(folded.nodes.map(({ op }) => op)).toEqual(['MatMul'])
    expect(folded.constants.get('w')).toMatchObject({ tag: 'Held', dtype: 'float32', shape: [4, 4] })
    expect(checkGraph(folded)).toMatchObject({ _tag: 'Right' })
    const written = writtenOut(folded)
    expect(written.nodes).toEqual(before.nodes)
    expect([...written.constants.keys()].toSorted()).toEqual(['q', 's', 'z'])
  })

  test('is written with blocks of the size that is left, and parts under names of their own', () => {
    const folded = right(foldConstants.run(graph({ axis: 0, block_size: 2 }, [2, 4])))
    const weight = folded.constants.get('w')
    if (weight?.tag !== 'Held') throw new Error('w is not held')
    const rest = gather(weight, 0, Int32Array.of(0, 2, 3))
    const both = withParts(folded, {
      nodes: [...folded.nodes, makeNode(ops.MatMul, ['x3', 'rest'], ['out'], {}, 'of the rest')],
      constants: new Map([...folded.constants, ['rest', rest]]),
      inputs: [...folded.inputs, { name: 'x3', type: tensorType('float32', ['N', 3]) }],
      outputs: [...folded.outputs, { name: 'out', type: tensorType('float32', ['N', 4]) }],
    })
    const written = writtenOut(both)
    const makers = written.nodes.filter((node) => isOp(node, ops.DequantizeLinear))
    expect(makers.map(({ attrs }) => attrs.block_size)).toEqual([2, 1])
    const stored = makers.map(({ inputs: [name = ''] }) => written.constants.get(name)?.shape)
    expect(stored).toEqual([
      [4, 4],
      [3, 4],
    ])
  })

  test('is not folded further where that would hold its numbers one by one', () => {
    const large = held([512, 512], { stored: tensorOf('int8', [512, 512], new Float64Array(2 ** 18)) })
    const before = withParts(graph({ axis: 1, block_size: 0 }, []), {
      nodes: [
        makeNode(ops.DequantizeLinear, ['q', 's'], ['w']),
        makeNode(ops.Transpose, ['w'], ['t'], { perm: [1, 0] }),
        makeNode(ops.MatMul, ['x', 't'], ['y']),
      ],
      constants: new Map([
        ['q', large.stored],
        ['s', tensorOf('float32', [], [0.5])],
      ]),
      inputs: [{ name: 'x', type: { kind: 'tensor', dtype: 'float32', shape: ['N', 512] } }],
      outputs: [{ name: 'y', type: { kind: 'tensor', dtype: 'float32', shape: ['N', 512] } }],
    })
    const folded = right(foldConstants.run(before))
    expect(folded.nodes.map(({ op }) => op)).toEqual(['Transpose', 'MatMul'])
  })

  test('keeps half precision where single would take more than a little', () => {
    const of = (rows: number) =>
      withParts(graph({ axis: 1, block_size: 0 }, []), {
        nodes: [makeNode(ops.Cast, ['q'], ['w'], { to: 1 }), makeNode(ops.MatMul, ['x', 'w'], ['y'])],
        constants: new Map([['q', dense('float16', [rows, 1024], new Uint8Array(rows * 2048))]]),
        inputs: [{ name: 'x', type: { kind: 'tensor', dtype: 'float32', shape: ['N', rows] } }],
        outputs: [{ name: 'y', type: { kind: 'tensor', dtype: 'float32', shape: ['N', 1024] } }],
      })
    expect(right(foldConstants.run(of(16))).constants.get('w')).toMatchObject({ tag: 'Dense' })
    expect(right(foldConstants.run(of(4096))).constants.get('w')).toMatchObject({ tag: 'Held' })
  })
})
