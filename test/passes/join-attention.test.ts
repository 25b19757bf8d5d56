/** Attention operators are taken apart while channels go through them, and are one operator again in what is written. */
import { describe, expect, test } from 'vitest'
import type { Graph } from '../../src/ir/graph.ts'
import * as microsoft from '../../src/ir/ops/microsoft/index.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { int64s, tensorOf } from '../../src/ir/tensor.ts'
import type { Shape } from '../../src/ir/type.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { compile } from '../../src/package/compile.ts'
import { joinAttention } from '../../src/passes/join-attention.ts'
import { buildGraph, type GraphBuilder } from '../builder.ts'
import { compareCompiled, orThrow } from '../fuzz/differential.ts'
import { read, right } from './laws.ts'

const heads = 4
const places = 8
const width = heads * places

const ofHeads = (...which: number[]): number[] =>
  which.flatMap((h) => Array.from({ length: places }, (_, p) => h * places + p))
const ofPlaces = (...which: number[]): number[] =>
  Array.from({ length: heads }, (_, h) => which.map((p) => h * places + p)).flat()

/** What stays the same when a graph is compiled, and when the result is compiled again. */
const compiled = async (graph: Graph): Promise<Graph> => {
  const { compiled: made, worst } = await compareCompiled(graph, noMasks, { target: 'cpu' })
  expect(worst).toBeLessThan(1e-5)
  expect(orThrow(compile(made.graph, noMasks, { target: 'cpu' })).graph).toBe(made.graph)
  return made.graph
}

/** The operators of a graph that are part of attention, and their attributes. */
const partsOf = (graph: Graph): ReadonlyArray<string> =>
  graph.nodes.map(({ op }) => op).filter((op) => /Attention|Softmax|MatMul$|Transpose|Split|Where/.test(op))

const attributesOf = (graph: Graph): unknown => graph.nodes.find(({ op }) => op.endsWith('Attention'))?.attrs

interface Zeroed {
  readonly q?: ReadonlyArray<number>
  readonly v?: ReadonlyArray<number>
  /** Columns of the weight that makes keys, of which the bias is not zero. */
  readonly k?: ReadonlyArray<number>
}

const linear = (
  b: GraphBuilder,
  name: string,
  x: string,
  sizes: readonly [number, number],
  columns: ReadonlyArray<number>,
) => b.op(ops.MatMul, [x, b.weight(name, sizes, { columns })])

/** `int32` numbers above 0 and others, of a float input. */
const integers = (b: GraphBuilder, x: string): string => b.op(ops.Cast, [x], { to: 6 })

type Variant = (b: GraphBuilder) => { readonly more?: ReadonlyArray<string>; readonly attrs?: Partial<Attributes> }

interface Attributes {
  readonly unidirectional: number
  readonly mask_filter_value: number
  readonly scale: number
}

/** Self-attention by ONNX Runtime's operator, its weight and bias zero in some columns. */
const fused = (
  length: number | string,
  variant: Variant,
  { q = [], v = [], k = [] }: Zeroed,
  inputs: Record<string, Shape>,
) =>
  buildGraph({ x: ['N', length, 16], ...inputs }, (b) => {
    const gone = [...q, ...q.map((c) => width + c), ...v.map((c) => 2 * width + c)]
    const { more = [], attrs = {} } = variant(b)
    const columns = [...gone, ...k.map((c) => width + c)]
    const weights = [b.weight('w', [16, 3 * width], { columns }), b.weight('b', [3 * width], { rows: gone })]
    const y = b.op(microsoft.Attention, ['x', ...weights, ...more], { num_heads: heads, ...attrs })
    return [linear(b, 'o', y, [width, 16], [])]
  })

const projected = (
  length: number | string,
  variant: Variant,
  { q = [], v = [], k = [] }: Zeroed,
  inputs: Record<string, Shape>,
) =>
  buildGraph({ x: ['N', length, 16], ...inputs }, (b) => {
    const { more = [], attrs = {} } = variant(b)
    const operands = [
      linear(b, 'q', 'x', [16, width], q),
      linear(b, 'k', 'x', [16, width], [...q, ...k]),
      linear(b, 'v', 'x', [16, width], v),
    ]
    const bias = k.length === 0 ? '' : b.weight('b', [3 * width])
    const y = b.op(microsoft.MultiHeadAttention, [...operands, bias, ...more], { num_heads: heads, ...attrs })
    return [linear(b, 'o', y, [width, 16], [])]
  })

const variants: ReadonlyArray<readonly [string, Variant, Record<string, Shape>]> = [
  ['as it is', () => ({}), {}],
  ['causal', () => ({ attrs: { unidirectional: 1 } }), {}],
  ['a scale', () => ({ attrs: { scale: 0.25 } }), {}],
  [
    'keys counted',
    (b) => ({ more: [integers(b, b.op(ops.Add, [b.op(ops.Abs, ['m']), b.floats('one', [1], [])]))] }),
    { m: ['N'] },
  ],
  [
    'a mask for keys, causal',
    (b) => ({ more: [integers(b, 'm')], attrs: { unidirectional: 1, mask_filter_value: -50 } }),
    { m: ['N', 5] },
  ],
  ['a mask for queries', (b) => ({ more: [integers(b, 'm')], attrs: { mask_filter_value: -50 } }), { m: ['N', 5, 5] }],
]

describe.each(variants)('%s', (_, variant, inputs) => {
  test.each(Object.keys(inputs).length > 0 ? [5] : [5, 'S'])(
    'Attention over %s places is one operator again',
    async (length) => {
      const whole = fused(length, variant, {}, inputs)
      const same = await compiled(whole)
      expect(partsOf(same)).toEqual(['com.microsoft.Attention', 'MatMul'])
      expect(attributesOf(same)).toEqual(attributesOf(whole))
      const fewer = await compiled(
        fused(length, variant, { q: ofPlaces(0, 3), v: [...ofHeads(1), ...ofPlaces(2)] }, inputs),
      )
      expect(partsOf(fewer)).toEqual(['com.microsoft.Attention', 'MatMul'])
      expect(fewer.constants.get('w')?.shape).toEqual([16, 18 + 18 + 21])
      expect(attributesOf(fewer)).toMatchObject({ num_heads: 3, qkv_hidden_sizes: [18, 18, 21] })
    },
  )
  test('loses places of which keys are constant, whatever queries are', async () => {
    const ofOne = await compiled(fused(5, variant, { k: ofPlaces(0, 3) }, inputs))
    expect(partsOf(ofOne)).toEqual(['com.microsoft.Attention', 'MatMul'])
    expect(ofOne.constants.get('w')?.shape).toEqual([16, 24 + 24 + 32])
    const ofThree = await compiled(projected(5, variant, { k: ofPlaces(0, 3) }, inputs))
    expect(partsOf(ofThree).filter((op) => op !== 'MatMul')).toEqual(['com.microsoft.MultiHeadAttention'])
    expect(['q', 'k', 'v'].map((name) => ofThree.constants.get(name)?.shape[1])).toEqual([24, 24, 32])
  })
  test.each(Object.keys(inputs).length > 0 ? [5] : [5, 'S'])(
    'MultiHeadAttention over %s places is one operator again',
    async (length) => {
      const whole = projected(length, variant, {}, inputs)
      const same = await compiled(whole)
      expect(partsOf(same).filter((op) => op !== 'MatMul')).toEqual(['com.microsoft.MultiHeadAttention'])
      expect(attributesOf(same)).toEqual(attributesOf(whole))
      const fewer = await compiled(
        projected(length, variant, { q: ofPlaces(0, 3), v: [...ofHeads(1), ...ofPlaces(2)] }, inputs),
      )
      expect(partsOf(fewer).filter((op) => op !== 'MatMul')).toEqual(['com.microsoft.MultiHeadAttention'])
      expect(['q', 'k', 'v', 'o'].map((name) => fewer.constants.get(name)?.shape.join())).toEqual([
        '16,18',
        '16,18',
        '16,21',
        '21,16',
      ])
    },
  )
})

test('causal MultiHeadAttention over more keys than queries is left alone, as ONNX Runtime counts them otherwise', async () => {
  for (const queries of [1, 2]) {
    const graph = buildGraph({ x: [2, queries, 16], y: [2, 4, 16] }, (b) => {
      const operands = [
        linear(b, 'q', 'x', [16, width], [0, 1]),
        ...['k', 'v'].map((name) => linear(b, name, 'y', [16, width], [0, 1])),
      ]
      return [b.op(microsoft.MultiHeadAttention, operands, { num_heads: heads, unidirectional: 1 })]
    })
    expect(partsOf(await compiled(graph)).filter((op) => op !== 'MatMul')).toEqual(['com.microsoft.MultiHeadAttention'])
  }
})

test('what is added to scores, for one head or for all', async () => {
  for (const own of [1, heads]) {
    const graph = await compiled(projected(5, () => ({ more: ['', 'a'] }), { v: ofPlaces(0) }, { a: [1, own, 5, 5] }))
    expect(partsOf(graph).filter((op) => op !== 'MatMul')).toEqual(['com.microsoft.MultiHeadAttention'])
  }
})

/** ONNX's own operator, of queries, keys and values that layers make. */
const standard = (
  { q = [], v = [], k = [] }: Zeroed,
  [rank, shared, length]: readonly [3 | 4, number, number | string],
  attrs: { readonly is_causal?: number } = {},
  mask?: (b: GraphBuilder) => string,
  inputs: Record<string, Shape> = {},
  unread: ReadonlyArray<number> = [],
): Graph =>
  buildGraph(
    { x: ['N', length, 16], ...inputs },
    (b) => {
      const kept = ofHeads(...Array.from({ length: shared }, (_, h) => h)).length
      const apart = (name: string, size: number, gone: ReadonlyArray<number>): string => {
        const columns = [...gone, ...(name === 'k' ? k : [])].filter((c) => c < size)
        const made = linear(b, name, 'x', [16, size], columns)
        const y = name === 'k' && k.length > 0 ? b.op(ops.Add, [made, b.weight('k.bias', [size])]) : made
        if (rank === 3) return y
        const split = b.op(ops.Reshape, [y, b.ints(`${name}.heads`, [0, 0, size / places, places])])
        return b.op(ops.Transpose, [split], { perm: [0, 2, 1, 3] })
      }
      const operands = [apart('q', width, q), apart('k', kept, q), apart('v', kept, v), ...(mask ? [mask(b)] : [])]
      const counts = rank === 3 ? { q_num_heads: heads, kv_num_heads: shared } : {}
      const y = b.op(ops.Attention, operands, { ...counts, ...attrs })
      const rows = { rows: unread }
      if (rank === 3) return [b.op(ops.MatMul, [y, b.weight('o', [width, 16], rows)])]
      const merged = b.op(ops.Reshape, [
        b.op(ops.Transpose, [y], { perm: [0, 2, 1, 3] }),
        b.ints('merged', [0, 0, width]),
      ])
      return [b.op(ops.MatMul, [merged, b.weight('o', [width, 16], rows)])]
    },
    { opset: 23 },
  )

describe('Attention of ONNX', () => {
  const flags = (b: GraphBuilder): string => b.op(ops.Greater, ['m', b.floats('zero', [-0.5], [])])
  const whole = ['Attention']
  const inside = (graph: Graph): ReadonlyArray<string> =>
    partsOf(graph).filter((op) => !['MatMul', 'Transpose'].includes(op))
  test.each([
    [3, 4, 5],
    [3, 2, 5],
    [4, 4, 5],
    [4, 2, 5],
    [3, 4, 'S'],
    [3, 2, 'S'],
    [4, 2, 'S'],
  ] as const)('of rank %s and %s heads of keys over %s places is one operator again', async (rank, shared, length) => {
    for (const attrs of [{}, { is_causal: 1 }]) {
      const graph = standard({}, [rank, shared, length], attrs)
      const same = await compiled(graph)
      expect(inside(same)).toEqual(whole)
      if (rank === 3) expect(attributesOf(same)).toEqual(attributesOf(graph))
      const fewer = await compiled(standard({ q: ofPlaces(0, 3), v: ofPlaces(2) }, [rank, shared, length], attrs))
      expect(inside(fewer)).toEqual(whole)
      expect(['q', 'k', 'v'].map((name) => fewer.constants.get(name)?.shape[1])).toEqual([24, 6 * shared, 7 * shared])
      if (shared < heads) continue
      const still = await compiled(standard({ k: ofPlaces(0, 3) }, [rank, shared, length], attrs))
      expect(inside(still)).toEqual(whole)
      expect(['q', 'k', 'v'].map((name) => still.constants.get(name)?.shape[1])).toEqual([24, 6 * shared, 8 * shared])
    }
  })
  test('with a mask of truth values, causal or not', async () => {
    for (const shape of [
      [5, 5],
      ['N', 1, 5, 5],
      [1, heads, 5, 5],
    ]) {
      for (const attrs of [{}, { is_causal: 1 }]) {
        const graph = await compiled(standard({ v: ofHeads(1) }, [3, heads, 5], attrs, flags, { m: shape }))
        expect(inside(graph)).toEqual(whole)
        // Of a mask for each head, which is an input, what is left is selected.
        expect(attributesOf(graph)).toMatchObject({ q_num_heads: 3, ...attrs })
      }
    }
  })
  test.each(['float', 'bool'])('over groups, with a mask of %s for each head or for all', async (kind) => {
    // Only of a constant it is known that it leaves each query a key.
    const own = (b: GraphBuilder, shape: ReadonlyArray<number | string>): string =>
      kind === 'bool'
        ? flags(b)
        : b.weight(
            'mask',
            shape.map((size) => (typeof size === 'number' ? size : 1)),
          )
    const inserted = (axis: number) => (b: GraphBuilder, shape: ReadonlyArray<number | string>) =>
      b.op(ops.Unsqueeze, [own(b, shape), b.ints('axis', [axis])])
    for (const [shape, mask] of [
      [[5, 5], own],
      [[heads, 5, 5], own],
      [['N', heads, 5, 5], own],
      [['N', 1, 5, 5], own],
      [['N', 5, 5], inserted(1)],
      [[heads, 5, 5], inserted(0)],
    ] as const) {
      for (const rank of [3, 4] as const) {
        const attrs = kind === 'bool' ? { is_causal: 1 } : {}
        const given = (b: GraphBuilder): string => mask(b, shape)
        const graph = await compiled(standard({ v: ofPlaces(2) }, [rank, 2, 5], attrs, given, { m: shape }))
        expect(inside(graph).filter((op) => op.endsWith('Attention'))).toEqual(whole)
        expect(graph.nodes.some(({ op }) => op === 'Softmax')).toBe(false)
        expect(graph.constants.get('v')?.shape).toEqual([16, 14])
      }
    }
  })
  test('over groups of which one goes, and of which each loses the same head, with a mask for each head', async () => {
    const mask = (b: GraphBuilder): string => b.weight('mask', [1, heads, 5, 5])
    for (const [gone, left] of [
      [{ q: ofHeads(2, 3), v: ofHeads(1) }, [16, 8]],
      [{ q: ofHeads(1, 3), v: [] }, [16, 16]],
    ] as const) {
      const graph = await compiled(standard({ v: gone.v }, [3, 2, 5], {}, mask, {}, gone.q))
      expect(inside(graph)).toEqual(whole)
      expect(['q', 'v'].map((name) => graph.constants.get(name)?.shape[1])).toEqual(left)
    }
  })
  test('over groups is left alone with a mask for heads of which the number is not known', () => {
    expect(() => standard({}, [3, 2, 5], {}, flags, { m: ['N', 'H', 5, 5] })).toThrow(
      'a mask for heads of unknown number',
    )
  })
  test('with a constant that is added', async () => {
    const mask = (b: GraphBuilder): string => b.weight('mask', [5, 5])
    expect(inside(await compiled(standard({ v: ofHeads(1) }, [3, heads, 5], {}, mask)))).toEqual(whole)
  })
})

describe('parts that compute something else stay apart', () => {
  const all = new Set(['Attention', 'com.microsoft.MultiHeadAttention'])
  const parts = (
    change: {
      readonly hide?: (b: GraphBuilder, scores: string) => string
      readonly perm?: ReadonlyArray<number>
      readonly values?: ReadonlyArray<number>
      readonly axis?: number
      readonly second?: boolean
    },
    inputs: Record<string, Shape> = {},
  ): ReadonlyArray<string> => {
    const graph = buildGraph(
      { q: [2, 4, 4 * 4], k: [2, 4, 4 * 4], v: [2, 4, 4 * 4], ...inputs },
      (b) => {
        const apart = (x: string, perm: ReadonlyArray<number>): string =>
          b.op(ops.Transpose, [b.op(ops.Reshape, [x, b.ints(`${x}.heads`, [0, 0, 4, 4])])], { perm })
        const products = b.op(ops.MatMul, [apart('q', [0, 2, 1, 3]), apart('k', change.perm ?? [0, 2, 3, 1])])
        const scores = b.op(ops.Mul, [products, b.floats('scale', [0.5], [])])
        const weights = b.op(ops.Softmax, [change.hide?.(b, scores) ?? scores], { axis: change.axis ?? -1 })
        const y = b.op(ops.MatMul, [weights, apart('v', change.values ?? [0, 2, 1, 3])])
        const merged = b.op(ops.Reshape, [
          b.op(ops.Transpose, [y], { perm: [0, 2, 1, 3] }),
          b.ints('merged', [0, 0, 16]),
        ])
        return [merged, ...(change.second ? [weights] : [])]
      },
      { opset: 23 },
    )
    return right(joinAttention(all).run(graph))
      .nodes.map(({ op }) => op)
      .filter((op) => op.endsWith('Attention'))
  }
  test('but those that compute that are one', () => {
    expect(parts({})).toEqual(['Attention'])
  })
  test('keys of which places and heads are swapped', () => {
    expect(parts({ perm: [0, 1, 3, 2] })).toEqual([])
  })
  test('channels of which the heads are the faster part', () => {
    expect(parts({ values: [0, 3, 1, 2] })).toEqual([])
    expect(parts({ perm: [0, 3, 2, 1] })).toEqual([])
  })
  test('a softmax over queries', () => {
    expect(parts({ axis: 2 })).toEqual([])
  })
  test('weights that are read besides', () => {
    expect(parts({ second: true })).toEqual([])
  })
  const hiding = (flags: ReadonlyArray<number>, low: number) => (b: GraphBuilder, scores: string) =>
    b.op(ops.Where, [b.constant('takes', tensorOf('bool', [4, 4], flags)), scores, b.floats('low', [low], [])])
  const lowest = -(2 - 2 ** -23) * 2 ** 127
  const triangle = Array.from({ length: 16 }, (_, i) => (i % 4 <= Math.floor(i / 4) ? 1 : 0))
  test('what is hidden otherwise than behind the query, or is not hidden for good', () => {
    expect(parts({ hide: hiding(triangle, lowest) })).toEqual(['Attention'])
    expect(parts({ hide: hiding(triangle.with(1, 1), lowest) })).toEqual([])
    expect(parts({ hide: hiding(triangle, -10) })).toEqual([])
  })
  test('keys and values of other sizes that have heads already', () => {
    const graphOf = (size: number): Graph =>
      buildGraph({ q: [2, 4, 16], k: [2, 4, 4, 4], v: [2, 4, 4, size] }, (b) => {
        const q = b.op(ops.Transpose, [b.op(ops.Reshape, ['q', b.ints('heads', [0, 0, 4, 4])])], { perm: [0, 2, 1, 3] })
        const scores = b.op(ops.MatMul, [q, b.op(ops.Transpose, ['k'], { perm: [0, 1, 3, 2] })])
        const weights = b.op(ops.Softmax, [b.op(ops.Mul, [scores, b.floats('scale', [0.5], [])])], { axis: -1 })
        const y = b.op(ops.Transpose, [b.op(ops.MatMul, [weights, 'v'])], { perm: [0, 2, 1, 3] })
        return [b.op(ops.Reshape, [y, b.ints('merged', [0, 0, 4 * size])])]
      })
    const joined = (size: number): boolean =>
      right(joinAttention(new Set(['com.microsoft.MultiHeadAttention'])).run(graphOf(size))).nodes.some(
        ({ op }) => op === 'com.microsoft.MultiHeadAttention',
      )
    expect([joined(4), joined(3)]).toEqual([true, false])
  })
  test('keys behind the query, where there are fewer queries than keys', () => {
    const graphOf = (queries: number): Graph =>
      buildGraph({ q: [2, queries, 16], k: [2, 4, 16], v: [2, 4, 16] }, (b) => {
        const apart = (x: string, perm: ReadonlyArray<number>): string =>
          b.op(ops.Transpose, [b.op(ops.Reshape, [x, b.ints(`${x}.heads`, [0, 0, 4, 4])])], { perm })
        const products = b.op(ops.MatMul, [apart('q', [0, 2, 1, 3]), apart('k', [0, 2, 3, 1])])
        const scores = b.op(ops.Mul, [products, b.floats('scale', [0.5], [])])
        const takes = b.constant('takes', tensorOf('bool', [queries, 4], triangle.slice(0, 4 * queries)))
        const weights = b.op(ops.Softmax, [b.op(ops.Where, [takes, scores, b.floats('low', [lowest], [])])], {
          axis: -1,
        })
        const y = b.op(ops.Transpose, [b.op(ops.MatMul, [weights, apart('v', [0, 2, 1, 3])])], { perm: [0, 2, 1, 3] })
        return [b.op(ops.Reshape, [y, b.ints('merged', [0, 0, 16])])]
      })
    const joined = (queries: number): boolean =>
      right(joinAttention(new Set(['com.microsoft.MultiHeadAttention'])).run(graphOf(queries))).nodes.some(
        ({ op }) => op === 'com.microsoft.MultiHeadAttention',
      )
    expect([4, 3, 1].map(joined)).toEqual([true, false, false])
  })
  const masked = (axes: ReadonlyArray<number>) => (b: GraphBuilder, scores: string) => {
    const wide = b.op(ops.Unsqueeze, [b.op(ops.Cast, ['m'], { to: 6 }), b.ints('axes', axes)])
    const takes = b.op(ops.Greater, [wide, b.constant('none', tensorOf('int32', [], [0]))])
    return b.op(ops.Add, [scores, b.op(ops.Where, [takes, b.floats('zero', [0], []), b.floats('filter', [-9], [])])])
  }
  test('a mask along other axes', () => {
    const only = new Set(['com.microsoft.MultiHeadAttention'])
    const graphOf = (axes: ReadonlyArray<number>, shape: Shape): Graph =>
      buildGraph(
        { q: [4, 4, 16], k: [4, 4, 16], v: [4, 4, 16], m: shape },
        (b) => {
          const apart = (x: string, perm: ReadonlyArray<number>): string =>
            b.op(ops.Transpose, [b.op(ops.Reshape, [x, b.ints(`${x}.heads`, [0, 0, 4, 4])])], { perm })
          const scores = b.op(ops.MatMul, [apart('q', [0, 2, 1, 3]), apart('k', [0, 2, 3, 1])])
          const weights = b.op(ops.Softmax, [masked(axes)(b, scores)], { axis: -1 })
          const y = b.op(ops.MatMul, [weights, apart('v', [0, 2, 1, 3])])
          return [b.op(ops.Reshape, [b.op(ops.Transpose, [y], { perm: [0, 2, 1, 3] }), b.ints('merged', [0, 0, 16])])]
        },
        { opset: 23 },
      )
    const ports = (axes: ReadonlyArray<number>, shape: Shape): number | undefined =>
      right(joinAttention(only).run(graphOf(axes, shape))).nodes.find(({ op }) => op.endsWith('Attention'))?.inputs
        .length
    expect(ports([1, 2], [4, 4])).toBe(5)
    // What is added as it is.
    expect(ports([0, 1], [4, 4])).toBe(6)
    expect(ports([0, 2], [4, 4])).toBeUndefined()
    expect(ports([1], [4, 4, 4])).toBe(5)
    expect(ports([0], [4, 4, 4])).toBe(6)
  })
})

test('a scale stays outside that the attribute cannot hold', () => {
  const operators = (scale: string, dtype: string): string => {
    const of = `${dtype}[2,2,3,5]`
    const graph = read(
      `
  input q: ${of}
  input k: ${of}
  input v: ${of}
  const scale: ${dtype}[] = ${scale}
  turned = Transpose(k) { perm: [0, 1, 3, 2] }
  products = MatMul(q, turned)
  scores = Mul(products, scale)
  weights = Softmax(scores) { axis: -1 }
  y = MatMul(weights, v)
  output y: ${of}`,
      23,
    )
    return right(joinAttention(new Set(['Attention'])).run(graph)).nodes.at(-1)?.op ?? ''
  }
  expect(operators('0.25', 'float64')).toBe('Attention')
  expect(operators('0.3', 'float32')).toBe('Attention')
  expect(operators('0.3', 'float64')).toBe('MatMul')
})

describe('a projection', () => {
  const only = new Set(['com.microsoft.Attention', 'com.microsoft.QAttention'])
  type Project = (b: GraphBuilder) => string
  /** The attention operators that are made of one to the sum of `project` and a bias. */
  const attending = (
    project: Project,
    bias: ReadonlyArray<number>,
    {
      axis = 2,
      size = 8,
      scale = 0.25,
      inputs = {},
    }: Partial<Record<'axis' | 'size' | 'scale', number>> & {
      readonly inputs?: Record<string, Shape>
    } = {},
  ): ReadonlyArray<string> => {
    const graph = buildGraph({ x: [2, axis === 1 ? 15 : 5, 8], ...inputs }, (b) => {
      const sum = b.op(ops.Add, [project(b), b.floats('bias', bias)])
      b.op(ops.Split, [sum, b.ints('sizes', [size, size, size])], { axis }, 3)
      const apart = (i: number, perm: ReadonlyArray<number>): string =>
        b.op(ops.Transpose, [b.op(ops.Reshape, [`split0.${i}`, b.ints(`heads.${i}`, [0, 0, 2, 4])])], { perm })
      const products = b.op(ops.MatMul, [apart(0, [0, 2, 1, 3]), apart(1, [0, 2, 3, 1])])
      const weights = b.op(ops.Softmax, [b.op(ops.Mul, [products, b.floats('scale', [scale], [])])], { axis: -1 })
      const y = b.op(ops.MatMul, [weights, apart(2, [0, 2, 1, 3])])
      return [b.op(ops.Reshape, [b.op(ops.Transpose, [y], { perm: [0, 2, 1, 3] }), b.ints('merged', [0, 0, 8])])]
    })
    return right(joinAttention(only).run(graph))
      .nodes.map(({ op }) => op)
      .filter((op) => op.endsWith('Attention'))
  }
  const projecting =
    (columns: number): Project =>
    (b) =>
      b.op(ops.MatMul, ['x', b.weight('w', [8, columns])])
  const biases = Array.from({ length: 24 }, (_, i) => i / 24)
  test('of queries, keys and values is part of the operator', () => {
    expect(attending(projecting(24), biases)).toEqual(['com.microsoft.Attention'])
  })
  test('of which the places are queries, keys and values is not', () => {
    const places = attending(projecting(8), biases.slice(0, 8), { axis: 1, size: 5 })
    expect(places).toEqual(['com.microsoft.MultiHeadAttention'])
  })
  test('with one bias for all is not', () => {
    expect(attending(projecting(24), [0.5])).toEqual(['com.microsoft.MultiHeadAttention'])
  })
  test('stays apart where scores are multiplied by 0, which stands for another scale', () => {
    expect(attending(projecting(24), biases, { scale: 0 })).toEqual([])
  })
  test('of integers is part of the operator where all of them have one scale', () => {
    const scaled = (shape: ReadonlyArray<number>): ReadonlyArray<string> => {
      const weight = tensorOf(
        'int8',
        [8, 24],
        Array.from({ length: 192 }, (_, i) => (i % 15) - 7),
      )
      const project: Project = (b) => {
        const integers = b.op(ops.Cast, ['x'], { to: 2 })
        const sums = b.op(ops.MatMulInteger, [integers, b.constant('w', weight)])
        const scales = b.op(ops.Mul, ['s', b.floats('w.scale', [0.5], [])])
        return b.op(ops.Mul, [b.op(ops.Cast, [sums], { to: 1 }), scales])
      }
      return attending(project, biases, { inputs: { s: shape } })
    }
    expect(scaled([])).toEqual(['com.microsoft.QAttention'])
    expect(scaled([2, 5, 1])).toEqual(['com.microsoft.MultiHeadAttention'])
  })
})

describe('heads in two axes, of which those of one share keys', () => {
  const names = (graph: Graph): ReadonlyArray<string> =>
    right(joinAttention(new Set(['Attention'])).run(graph))
      .nodes.map(({ op }) => op)
      .filter((op) => op === 'Attention')
  interface Grouped {
    /** What is added to scores of shape `[batch, 2, 2, 5, 5]`. */
    readonly added?: (b: GraphBuilder) => string
    readonly q?: (b: GraphBuilder) => string
  }
  const grouped = ({ added, q }: Grouped, inputs: Record<string, Shape> = {}, batch = 4): Graph =>
    buildGraph(
      { q: [batch, 4, 5, 4], k: [batch, 2, 5, 4], v: [batch, 2, 5, 4], ...inputs },
      (b) => {
        const shared = (x: string): string => b.op(ops.Unsqueeze, [x, b.ints(`${x}.axis`, [2])])
        const keys = b.op(ops.Transpose, [shared('k')], { perm: [0, 1, 2, 4, 3] })
        const queries = q?.(b) ?? b.op(ops.Reshape, ['q', b.ints('groups', [batch, 2, 2, 5, 4])])
        const scores = b.op(ops.MatMul, [queries, keys])
        const weights = b.op(ops.Softmax, [added === undefined ? scores : b.op(ops.Add, [scores, added(b)])], {
          axis: -1,
        })
        return [b.op(ops.Reshape, [b.op(ops.MatMul, [weights, shared('v')]), b.ints('heads', [batch, 4, 5, 4])])]
      },
      { opset: 23 },
    )
  const unsqueezed = (axes: ReadonlyArray<number>, shape: Shape, batch?: number): ReadonlyArray<string> =>
    names(grouped({ added: (b) => b.op(ops.Unsqueeze, ['m', b.ints('axes', axes)]) }, { m: shape }, batch))
  test('are one operator again', () => {
    expect(names(grouped({}))).toEqual(['Attention'])
    expect(unsqueezed([2], [4, 1, 5, 5])).toEqual(['Attention'])
    expect(names(grouped({ added: () => 'm' }, { m: [5, 5] }))).toEqual(['Attention'])
  })
  test('have a mask of the shape that it has beside all heads', () => {
    const maskOf = (graph: Graph): unknown => {
      const joined = right(joinAttention(new Set(['Attention'])).run(graph))
      return joined.types.get(joined.nodes.find(({ op }) => op === 'Attention')?.inputs[3] ?? '')
    }
    const wide = (axes: ReadonlyArray<number>, m: Shape, batch?: number): unknown =>
      maskOf(grouped({ added: (b) => b.op(ops.Unsqueeze, ['m', b.ints('axes', axes)]) }, { m }, batch))
    // For each sample, not for each head.
    expect(wide([1, 2], [4, 5, 5])).toMatchObject({ shape: [4, 1, 5, 5] })
    expect(maskOf(grouped({ added: () => 'm' }, { m: [4, 2, 2, 5, 5] }))).toMatchObject({ shape: [4, 4, 5, 5] })
    expect(maskOf(grouped({ added: (b) => b.weight('w', [2, 2, 5, 5]) }))).toMatchObject({ shape: [1, 4, 5, 5] })
  })
  test('stay apart where a mask for each head of keys would be one for each sample', () => {
    expect(unsqueezed([0], [2, 1, 5, 5], 2)).toEqual([])
    expect(names(grouped({ added: () => 'm' }, { m: [2, 1, 5, 5] }, 2))).toEqual([])
  })
  test('stay apart where what a head has was split into heads', () => {
    const q = (b: GraphBuilder): string =>
      b.op(ops.Transpose, [b.op(ops.Reshape, ['p', b.ints('parts', [4, 2, 5, 2, 4])])], { perm: [0, 1, 3, 2, 4] })
    const graph = grouped({ q }, { p: [4, 2, 5, 8] })
    expect(names(graph)).toEqual([])
  })
})

describe.each([
  ['com.microsoft', 3],
  ['com.microsoft', 4],
  ['', 3],
  ['', 4],
] as const)('a rotary embedding of domain "%s" of rank %s', (domain, rank) => {
  /** The widths of all layers and of the tables. */
  const widths = async (
    q: ReadonlyArray<number>,
    v: ReadonlyArray<number>,
    isInterleaved: boolean,
  ): Promise<string> => {
    const graph = buildGraph(
      { x: [2, 5, 16] },
      (b) => {
        const tables = [b.positive('cos', [7, places / 2]), b.positive('sin', [7, places / 2])]
        const ids = b.constant('ids', int64s([0, 1, 2, 3, 4, 2, 3, 4, 5, 6], [2, 5]))
        const attrs = { interleaved: isInterleaved ? 1 : 0, num_heads: rank === 3 ? heads : 0 }
        const turn = (y: string): string =>
          domain === ''
            ? b.op(ops.RotaryEmbedding, [y, ...tables, ids], attrs)
            : b.op(microsoft.RotaryEmbedding, [y, ids, ...tables], attrs)
        const apart = (name: string, gone: ReadonlyArray<number>): string => {
          const y = linear(b, name, 'x', [16, width], gone)
          if (rank === 3) return y
          const split = b.op(ops.Reshape, [y, b.ints(`${name}.heads`, [0, 0, heads, places])])
          return b.op(ops.Transpose, [split], { perm: [0, 2, 1, 3] })
        }
        const operands = [turn(apart('q', q)), turn(apart('k', [])), apart('v', v)]
        const counts = rank === 3 ? { q_num_heads: heads, kv_num_heads: heads } : {}
        const y = b.op(ops.Attention, operands, counts)
        if (rank === 3) return [linear(b, 'o', y, [width, 16], [])]
        const turned = b.op(ops.Transpose, [y], { perm: [0, 2, 1, 3] })
        return [linear(b, 'o', b.op(ops.Reshape, [turned, b.ints('merged', [0, 0, width])]), [width, 16], [])]
      },
      { opset: 23 },
    )
    const { constants, nodes } = await compiled(graph)
    const tables = nodes.find(({ op }) => op.endsWith('RotaryEmbedding'))?.inputs.slice(domain === '' ? 1 : 2) ?? []
    return ['q', 'k', 'v', ...tables.slice(0, 2)].map((name) => constants.get(name)?.shape[1]).join()
  }
  test.each([false, true])(
    'loses pairs of places with their columns, and heads (interleaved: %s)',
    async (isInterleaved) => {
      const pair = isInterleaved ? [2, 3] : [1, 5]
      expect(await widths(ofPlaces(...pair), [], isInterleaved)).toBe('24,24,32,3,3')
      expect(await widths([], ofHeads(2), isInterleaved)).toBe('24,24,24,4,4')
      expect(await widths(ofPlaces(...pair), ofHeads(0, 2), isInterleaved)).toBe('12,12,16,3,3')
      // Another pair in each head.
      const others = [0, 1, 2, 3].flatMap((h) =>
        pair.map((p) => h * places + ((p + (isInterleaved ? 2 : 1) * h) % places)),
      )
      expect(await widths(others, [], isInterleaved)).toBe('32,32,32,4,4')
      // One of each pair.
      expect(await widths(ofPlaces(1, 2), [], isInterleaved)).toBe('32,32,32,4,4')
    },
  )
})

describe('attention that goes on from run to run stays, and the report says why', () => {
  const past = ['N', heads, 'P', places]
  const before = 'keys and values from before fix its heads and their size'
  const besides = 'what it gives besides its result has its heads and their size'
  const reasonOf = (
    inputs: Record<string, Shape>,
    attention: (b: GraphBuilder, q: string, k: string, v: string) => string,
    more: ReadonlyArray<string> = [],
  ): string => {
    const graph = buildGraph({ x: ['N', 5, 16], ...inputs }, (b) => {
      const [q = '', k = '', v = ''] = ['q', 'k', 'v'].map((name) => linear(b, name, 'x', [16, width], ofPlaces(0, 3)))
      return [linear(b, 'o', attention(b, q, k, v), [width, 16], []), ...more]
    })
    const { report } = orThrow(compile(graph, noMasks, { target: 'cpu' }))
    return report.layers.flatMap(({ stays }) => stays.map(({ reason }) => reason.text)).join('\n')
  }
  test('MultiHeadAttention', () => {
    const shapes = { before_k: past, before_v: past }
    const last = ['', '', '', 'before_k', 'before_v']
    const attend = (b: GraphBuilder, q: string, k: string, v: string): string =>
      b.op(microsoft.MultiHeadAttention, [q, k, v, ...last], { num_heads: heads })
    expect(reasonOf(shapes, attend)).toContain(before)
    const alone = (b: GraphBuilder, q: string, k: string, v: string): string =>
      b.op(microsoft.MultiHeadAttention, [q, k, v], { num_heads: heads }, 3)
    expect(reasonOf({}, alone, ['com.microsoft.MultiHeadAttention0.1'])).toContain(besides)
  })
  test('GroupQueryAttention', () => {
    const counts = (b: GraphBuilder): string[] => [
      b.constant('last', tensorOf('int32', [1], [4])),
      b.constant('total', tensorOf('int32', [1], [5])),
    ]
    const attend =
      (...given: string[]) =>
      (b: GraphBuilder, q: string, k: string, v: string): string =>
        b.op(
          microsoft.GroupQueryAttention,
          [q, k, v, ...given, ...counts(b)],
          { num_heads: heads, kv_num_heads: heads },
          3,
        )
    const shapes = { before_k: past, before_v: past }
    expect(reasonOf(shapes, attend('before_k', 'before_v'))).toContain('is the graph input before_k')
    expect(reasonOf({}, attend('', ''), ['com.microsoft.GroupQueryAttention0.1'])).toContain('is needed by')
  })
})
