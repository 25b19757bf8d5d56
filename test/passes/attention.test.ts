/** What goes from attention: heads, places within heads, and both at once; each result runs like the masked model. */
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import type { Graph } from '../../src/ir/graph.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { int64s, tensorOf } from '../../src/ir/tensor.ts'
import { compile } from '../../src/package/compile.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { analyse } from '../../src/passes/channel-elimination/analyse.ts'
import { hoistSelection } from '../../src/passes/hoist-selection.ts'
import { buildGraph, type GraphBuilder, type Zeros } from '../builder.ts'
import { compareCompiled, orThrow } from '../fuzz/differential.ts'

/** Runs masked and compiled model; the widths of layers by name. */
const compiled = async (graph: Graph) => {
  const { compiled, worst } = await compareCompiled(graph, noMasks, { target: 'cpu' })
  expect(worst).toBeLessThan(1e-5)
  const layers = new Map(compiled.report.layers.map((layer) => [layer.weight, layer]))
  const width = (weight: string): string => {
    const found = layers.get(weight)
    return `${found?.inputs.after} -> ${found?.outputs.after}`
  }
  return { graph: compiled.graph, width, report: compiled.report }
}

const heads = 4
const places = 8
const width = heads * places

/** The channels of some heads, or of some places in every head. */
const ofHeads = (...which: number[]): number[] =>
  which.flatMap((h) => Array.from({ length: places }, (_, p) => h * places + p))
const ofPlaces = (...which: number[]): number[] =>
  Array.from({ length: heads }, (_, h) => which.map((p) => h * places + p)).flat()

const linear = (
  b: GraphBuilder,
  name: string,
  x: string,
  [ins, outs]: readonly [number, number],
  zeros: Zeros = {},
): string => b.op(ops.MatMul, [x, b.weight(name, [ins, outs], zeros)])

const split = (b: GraphBuilder, name: string, x: string, perm: ReadonlyArray<number> = [0, 2, 1, 3]): string =>
  b.op(ops.Transpose, [b.op(ops.Reshape, [x, b.ints(`${name}.heads`, [0, 0, heads, places])])], { perm })

const merge = (b: GraphBuilder, name: string, x: string): string =>
  b.op(ops.Reshape, [b.op(ops.Transpose, [x], { perm: [0, 2, 1, 3] }), b.ints(`${name}.merged`, [0, 0, width])])

describe('an axis split into heads and places', () => {
  test('loses heads and places at once', async () => {
    const { width: wide } = await compiled(
      buildGraph({ x: ['N', 5, 16] }, (b) => {
        const gone = { columns: [...ofHeads(1), ...ofPlaces(2, 3, 6, 7)] }
        const x = b.op(ops.Relu, [split(b, 'x', linear(b, 'in', 'x', [16, width], gone))])
        return [linear(b, 'out', merge(b, 'x', x), [width, 16])]
      }),
    )
    expect([wide('in'), wide('out')]).toEqual(['16 -> 12', '12 -> 16'])
  })

  test('keeps places of their own in each head where these are split again, as for interleaved rotary positions', async () => {
    const { width: wide } = await compiled(
      buildGraph({ x: [2, 5, 16] }, (b) => {
        const gone = { columns: [1, places + 4, 2 * places, 3 * places + 7] }
        const y = b.op(ops.Reshape, [
          linear(b, 'in', 'x', [16, width], gone),
          b.ints('heads', [2, 5, 1, heads, places]),
        ])
        const turned = b.op(ops.Transpose, [y], { perm: [2, 0, 3, 1, 4] })
        return [b.op(ops.Reshape, [turned, b.ints('pairs', [2, heads, 5, places / 2, 2])])]
      }),
    )
    expect(wide('in')).toBe('16 -> 32')
  })
})

test('places of their own in each head stay where a table is the same for all heads, and the report says so', async () => {
  const { width: wide, report } = await compiled(
    buildGraph({ x: [2, 5, 16] }, (b) => {
      const gone = { columns: [1, places + 4, 2 * places, 3 * places + 7] }
      const x = split(b, 'x', linear(b, 'in', 'x', [16, width], gone))
      const turned = b.op(ops.Mul, [x, b.positive('table', [5, places])])
      return [linear(b, 'out', merge(b, 'x', turned), [width, 16])]
    }),
  )
  expect(wide('in')).toBe('16 -> 32')
  const reasons = report.layers.flatMap(({ stays }) => stays.map(({ reason }) => reason.text))
  expect(reasons).toContain('goes only with its place in all heads: Mul mul0 tells places apart, not heads')
})

/** Self-attention with separate projections; `zeros` masks columns of q, k, v and rows of the output projection. */
interface Masked {
  readonly q?: ReadonlyArray<number>
  readonly k?: ReadonlyArray<number>
  readonly v?: ReadonlyArray<number>
  readonly o?: ReadonlyArray<number>
}

interface Variant {
  /** The projections that have a bias, and those of which it is masked with them. */
  readonly biased?: ReadonlyArray<string>
  readonly masked?: ReadonlyArray<string>
  /** What stands between the scores and their product with the values. */
  readonly weigh?: (b: GraphBuilder, scores: string) => string
  readonly queries?: (b: GraphBuilder, q: string) => string
}

const softmax = (b: GraphBuilder, scores: string): string => b.op(ops.Softmax, [scores], { axis: -1 })
const biased: Variant = { biased: ['q', 'k', 'v'], masked: ['q', 'k'] }

const attention = (
  b: GraphBuilder,
  x: string,
  { q = [], k = [], v = [], o = [] }: Masked,
  { biased = [], masked = [], weigh = softmax, queries: turn = (_, y) => y }: Variant = {},
): string => {
  const project = (name: string, gone: ReadonlyArray<number>): string => {
    const y = linear(b, name, x, [16, width], { columns: gone })
    const rows = masked.includes(name) ? gone : []
    return biased.includes(name) ? b.op(ops.Add, [y, b.weight(`${name}.bias`, [width], { rows })]) : y
  }
  const [queries, keys, values] = [
    turn(b, split(b, 'q', project('q', q))),
    split(b, 'k', project('k', k), [0, 2, 3, 1]),
    split(b, 'v', project('v', v)),
  ]
  const scores = b.op(ops.Mul, [b.op(ops.MatMul, [queries, keys]), b.floats('scale', [0.35], [])])
  const mixed = b.op(ops.MatMul, [weigh(b, scores), values])
  return linear(b, 'o', merge(b, 'mixed', mixed), [width, 16], { rows: o })
}

describe('attention', () => {
  const all = '16 -> 32, 16 -> 32, 16 -> 32, 32 -> 16'
  const widths = async (zeros: Masked, variant: Variant = {}, length: number | string = 5): Promise<string> => {
    const { width: wide } = await compiled(
      buildGraph({ x: ['N', length, 16] }, (b) => [attention(b, 'x', zeros, variant)]),
    )
    return ['q', 'k', 'v', 'o'].map(wide).join(', ')
  }
  test.each([5, 'S'])('loses heads whose values are zero, or that nothing reads (length %s)', async (length) => {
    const fewer = '16 -> 24, 16 -> 24, 16 -> 24, 24 -> 16'
    expect(await widths({ v: ofHeads(1) }, {}, length)).toBe(fewer)
    expect(await widths({ o: ofHeads(3) }, biased, length)).toBe(fewer)
    expect(await widths({ q: ofHeads(0), k: ofHeads(0), v: ofHeads(0), o: ofHeads(0) }, biased, length)).toBe(fewer)
  })
  test('loses heads whose values are constant: rows of the softmax add up to 1', async () => {
    expect(await widths({ v: ofHeads(1) }, biased)).toBe('16 -> 24, 16 -> 24, 16 -> 24, 24 -> 16')
  })
  test('loses places of queries and keys where either is zero, and of values', async () => {
    expect(await widths({ q: ofPlaces(0, 5), k: ofPlaces(1, 2) })).toBe('16 -> 16, 16 -> 16, 16 -> 32, 32 -> 16')
    expect(await widths({ v: ofPlaces(0, 5), o: ofPlaces(1, 2) })).toBe('16 -> 32, 16 -> 32, 16 -> 16, 16 -> 16')
  })
  test('keeps heads with constant values whose weights do not add up to 1, or not along what is summed', async () => {
    const weights = [
      (b: GraphBuilder, scores: string): string => b.op(ops.Relu, [scores]),
      (b: GraphBuilder, scores: string): string => b.op(ops.Softmax, [scores], { axis: 2 }),
    ]
    for (const weigh of weights) expect(await widths({ v: ofHeads(1) }, { ...biased, weigh })).toBe(all)
  })
  test('loses places of which queries are zero, keys constant', async () => {
    expect(await widths({ q: ofPlaces(0), k: ofPlaces(0) }, { biased: ['q'] })).toBe(
      '16 -> 28, 16 -> 28, 16 -> 32, 32 -> 16',
    )
  })
  test('selects the heads that it needs of what is an output', async () => {
    const { width: wide } = await compiled(
      buildGraph({ x: ['N', 5, 16] }, (b) => [attention(b, 'x', { o: ofHeads(1) }), 'matMul0']),
    )
    expect(['q', 'k', 'v', 'o'].map(wide).join(', ')).toBe('16 -> 32, 16 -> 24, 16 -> 24, 24 -> 16')
  })
  test('loses heads and places of every kind at once', async () => {
    const dead = ofHeads(2)
    const zeros = { q: [...dead, ...ofPlaces(0, 1, 2, 3)], k: dead, v: [...dead, ...ofPlaces(6, 7)], o: dead }
    expect(await widths(zeros)).toBe('16 -> 12, 16 -> 12, 16 -> 18, 18 -> 16')
  })
  test('loses other places in each head, equally many', async () => {
    const own = Array.from({ length: heads }, (_, h) => [h, h + 1, h + 3].map((p) => h * places + p)).flat()
    expect(await widths({ q: own, v: own })).toBe('16 -> 20, 16 -> 20, 16 -> 20, 20 -> 16')
    expect(await widths({ q: own.slice(0, 6), k: own.slice(6), o: own }, biased)).toBe(
      '16 -> 20, 16 -> 20, 16 -> 20, 20 -> 16',
    )
    // The first head has one more, which stays.
    expect(await widths({ q: [...own, 7] })).toBe('16 -> 20, 16 -> 20, 16 -> 32, 32 -> 16')
  })
  test('keeps other places in each head where a constant tells places apart, but not heads', async () => {
    const queries = (b: GraphBuilder, q: string): string => b.op(ops.Mul, [q, b.weight('norm', [places])])
    const own = [0, 9, 18, 27]
    expect(await widths({ q: own })).toBe('16 -> 28, 16 -> 28, 16 -> 32, 32 -> 16')
    expect(await widths({ q: own }, { queries })).toBe(all)
    expect(await widths({ q: [...ofPlaces(3), ...ofHeads(1)], o: ofHeads(1) }, { queries })).toBe(
      '16 -> 21, 16 -> 21, 16 -> 24, 24 -> 16',
    )
  })
  test('loses heads, places in all heads and places of their own', async () => {
    const own = [0, 9, 26].concat(ofHeads(2))
    expect(await widths({ k: [...own, ...ofPlaces(6)], v: ofHeads(2) })).toBe('16 -> 18, 16 -> 18, 16 -> 24, 24 -> 16')
  })
})

describe('what is added to scores, the same for all keys', () => {
  type Weigh = NonNullable<Variant['weigh']>
  const length = 5
  const weighed = async (zeros: Masked, weigh: Weigh, which = ['k'], opset = 17): Promise<string> => {
    const { width: wide } = await compiled(
      buildGraph(
        { x: ['N', length, 16], m: [length, length] },
        (b) => [attention(b, 'x', zeros, { biased: which, weigh }), b.op(ops.Identity, ['m'])],
        { opset },
      ),
    )
    return ['q', 'k'].map(wide).join(', ')
  }
  const fewer = '16 -> 28, 16 -> 28'
  const all = '16 -> 32, 16 -> 32'
  const [infinite, lowest] = [-Infinity, -3.4028234663852886e38]
  const seen = (b: GraphBuilder): string => b.op(ops.Greater, ['m', b.floats('seen', [-9], [])])
  const hidden =
    (fill: number, after: Weigh = softmax): Weigh =>
    (b, s) =>
      after(b, b.op(ops.Where, [seen(b), s, b.floats('fill', [fill], [])]))
  const scaled =
    (shape: ReadonlyArray<number>): Weigh =>
    (b, s) =>
      softmax(b, b.op(ops.Mul, [s, b.positive('scales', shape)]))
  const swapped = (b: GraphBuilder, y: string): string => b.op(ops.Transpose, [y], { perm: [0, 1, 3, 2] })

  const going: ReadonlyArray<readonly [string, Weigh]> = [
    ['of a softmax', softmax],
    ['of its logarithm', (b, s) => b.op(ops.LogSoftmax, [s], { axis: -1 })],
    ['under a mask that is added', (b, s) => softmax(b, b.op(ops.Add, ['m', s]))],
    ['under a mask that is taken off', (b, s) => softmax(b, b.op(ops.Sub, [s, 'm']))],
    ['of which others are hidden', hidden(infinite)],
    ['of which others are hidden, and scaled', hidden(infinite, scaled([]))],
    ['of which others have the lowest number', hidden(lowest)],
    ['with a scale for each head', scaled([heads, 1, 1])],
    ['divided by a number for each query', (b, s) => softmax(b, b.op(ops.Div, [s, b.positive('d', [length, 1])]))],
    ['swapped', (b, s) => swapped(b, b.op(ops.Softmax, [swapped(b, s)], { axis: 2 }))],
    [
      'under another shape',
      (b, s) => {
        const flat = b.op(ops.Reshape, [s, b.ints('flat', [-1, length, length])])
        return b.op(ops.Reshape, [softmax(b, flat), b.ints('whole', [-1, heads, length, length])])
      },
    ],
  ]
  test.each(going)('goes: scores %s', async (_, weigh) => {
    expect(await weighed({ k: ofPlaces(0) }, weigh)).toBe(fewer)
    expect(await weighed({ q: ofPlaces(0), k: ofPlaces(0) }, weigh, ['q', 'k'])).toBe(fewer)
    // What queries add is not the same for all keys.
    expect(await weighed({ q: ofPlaces(0) }, weigh, ['q'])).toBe(all)
  })

  const staying: ReadonlyArray<readonly [string, Weigh]> = [
    ['of a softmax over queries', (b, s) => b.op(ops.Softmax, [s], { axis: 2 })],
    ['of a hardmax', (b, s) => b.op(ops.Hardmax, [s], { axis: -1 })],
    ['that are clipped', (b, s) => softmax(b, b.op(ops.Relu, [s]))],
    ['that are read besides', (b, s) => b.op(ops.Mul, [softmax(b, s), b.op(ops.Relu, [s])])],
    ['of which others have some number', hidden(-1e4)],
    ['of which others have a low number', hidden(-1e9)],
    ['of which others have the lowest number, scaled', hidden(lowest, scaled([]))],
    ['with a scale for each key', scaled([length])],
    ['that are divided', (b, s) => softmax(b, b.op(ops.Div, [b.positive('n', [1]), s]))],
    [
      'beside others',
      (b, s) => b.op(ops.Slice, [softmax(b, b.op(ops.Concat, [s, s], { axis: -1 })), ...ends(b, length)]),
    ],
    [
      'in other rows',
      (b, s) => {
        const flat = b.op(ops.Reshape, [s, b.ints('flat', [-1, length * length])])
        return b.op(ops.Reshape, [softmax(b, flat), b.ints('whole', [-1, heads, length, length])])
      },
    ],
  ]
  const ends = (b: GraphBuilder, end: number): string[] => [
    b.ints('start', [0]),
    b.ints('end', [end]),
    b.ints('axis', [3]),
  ]
  test.each(staying)('stays: scores %s', async (_, weigh) => {
    expect(await weighed({ k: ofPlaces(0) }, weigh)).toBe(all)
  })
  test('goes for all queries of a softmax over these', async () => {
    const overQueries: Weigh = (b, s) => b.op(ops.Softmax, [s], { axis: 2 })
    expect(await weighed({ q: ofPlaces(0) }, overQueries, ['q'])).toBe(fewer)
  })
  test('stays where it is there to round the rest', () => {
    // Of a place that is constant in queries and keys.
    const rounded = (c: number): number | undefined => {
      const graph = buildGraph({ x: ['N', length, 16] }, (b) => {
        const [q = '', k = ''] = ['q', 'k'].map((name) => {
          const made = linear(b, name, 'x', [16, 4], { columns: [1] })
          return b.op(ops.Add, [made, b.floats(`${name}.bias`, [1, c, 1, 1])])
        })
        return [softmax(b, b.op(ops.MatMul, [q, b.op(ops.Transpose, [k], { perm: [0, 2, 1] })]))]
      })
      return orThrow(compile(graph, noMasks, { target: 'cpu' })).graph.constants.get('k')?.shape[1]
    }
    expect(rounded(32)).toBe(3)
    expect(rounded(33)).toBe(4)
  })
  test('stays where some scores are known besides', () => {
    // Queries are constant, and so is the first key: its scores would stay while the others move.
    const live = (first: string): Uint8Array | undefined => {
      const graph = buildGraph({ x: [1, 4, 3], x2: [1, 2, 2] }, (b) => {
        const made = b.op(ops.MatMul, ['x', b.weight('k', [3, 2], { columns: [1] })])
        const keys = b.op(ops.Add, [made, b.floats('k.bias', [1, 2])])
        b.floats('first', [0.5, 2], [1, 1, 2])
        const all = b.op(ops.Concat, [first, keys], { axis: 1 })
        const queries = b.op(ops.Add, [b.op(ops.Mul, ['x2', b.floats('none', [0])]), b.floats('q.bias', [3, 3])])
        const scores = b.op(ops.MatMul, [queries, b.op(ops.Transpose, [all], { perm: [0, 2, 1] })])
        return [softmax(b, scores)]
      })
      return analyse(graph).live('add1', 2)
    }
    expect(live('first')).toEqual(Uint8Array.of(1, 1))
    expect(live('add0')).toEqual(Uint8Array.of(1, 0))
  })
  test('stays where several axes are compared', async () => {
    expect(await weighed({ k: ofPlaces(0) }, (b, s) => b.op(ops.Softmax, [s], { axis: 2 }), ['k'], 11)).toBe(all)
    expect(await weighed({ q: ofPlaces(0) }, (b, s) => b.op(ops.Softmax, [s], { axis: 2 }), ['q'], 11)).toBe(all)
    expect(await weighed({ k: ofPlaces(0) }, (b, s) => b.op(ops.Softmax, [s], { axis: 3 }), ['k'], 11)).toBe(fewer)
  })
})

describe('queries, keys and values of one projection', () => {
  /** Columns of the projection, by which of the three they belong to. */
  const ofPart = (part: number, channels: ReadonlyArray<number>): number[] => channels.map((c) => part * width + c)

  /** As vision transformers are exported: split into three, moved to the front, taken out one by one. */
  const fused = (b: GraphBuilder, gone: ReadonlyArray<number>, select: 'gather' | 'split'): string => {
    const y = b.op(ops.MatMul, ['x', b.weight('qkv', [16, 3 * width], { columns: gone })])
    const parts = b.op(ops.Reshape, [y, b.ints('parts', [0, 0, 3, heads, places])])
    const front = b.op(ops.Transpose, [parts], { perm: [2, 0, 3, 1, 4] })
    const taken =
      select === 'gather'
        ? [0, 1, 2].map((k) =>
            b.op(ops.Gather, [front, b.constant(`at${k}`, tensorOf('int64', [], BigInt64Array.of(BigInt(k))))]),
          )
        : taken3(b, front)
    const [q = '', k = '', v = ''] = taken
    const scores = b.op(ops.MatMul, [q, b.op(ops.Transpose, [k], { perm: [0, 1, 3, 2] })])
    const mixed = b.op(ops.MatMul, [b.op(ops.Softmax, [scores], { axis: -1 }), v])
    return linear(b, 'o', merge(b, 'mixed', mixed), [width, 16])
  }
  const taken3 = (b: GraphBuilder, front: string): string[] => {
    const first = b.op(ops.Split, [front, b.ints('ones', [1, 1, 1])], { axis: 0 }, 3)
    return [0, 1, 2].map((k) => b.op(ops.Squeeze, [first.replace('.0', `.${k}`), b.ints(`zero${k}`, [0])]))
  }
  test.each(['gather', 'split'] as const)('lose channels of their own (%s)', async (select) => {
    const gone = [...ofPart(0, ofPlaces(0, 1)), ...ofPart(2, ofPlaces(5)), ...ofPart(2, ofHeads(3))]
    const graph = buildGraph({ x: ['N', 5, 16] }, (b) => [fused(b, gone, select)])
    const { width: wide, graph: small } = await compiled(graph)
    // Three heads are left, of 6, 6 and 7 places.
    expect([wide('qkv'), wide('o')]).toEqual(['16 -> 57', '21 -> 16'])
    expect(small.nodes.filter(({ op }) => op === 'Gather')).toEqual([])
  })
  test('are sliced where one of them is not read, and that one goes', async () => {
    const graph = buildGraph({ x: ['N', 5, 16] }, (b) => {
      const y = b.op(ops.MatMul, ['x', b.weight('qkv', [16, 3 * width])])
      const parts = b.op(ops.Reshape, [y, b.ints('parts', [0, 0, 3, heads, places])])
      const [q = '', v = ''] = [0, 2].map((k) =>
        b.op(ops.Gather, [parts, b.constant(`at${k}`, int64s([k], []))], { axis: 2 }),
      )
      return [b.op(ops.Sub, [v, q])]
    })
    const apart = hoistSelection.run(graph)
    expect(E.isRight(apart) && apart.right.nodes.map(({ op }) => op).join(' ')).toBe(
      'MatMul Slice Slice Reshape Squeeze Reshape Squeeze Sub',
    )
    const { width: wide } = await compiled(graph)
    expect(wide('qkv')).toBe('16 -> 64')
  })
  test('are not taken apart where something else reads them together', async () => {
    const graph = buildGraph({ x: ['N', 5, 16] }, (b) => {
      const y = fused(b, ofPart(0, ofPlaces(0, 1)), 'gather')
      return [y, b.op(ops.ReduceMax, ['transpose0'], { axes: [0, 2, 3, 4] })]
    })
    const { graph: same, width: wide } = await compiled(graph)
    expect(wide('qkv')).toBe('16 -> 96')
    expect(same.nodes.some(({ op }) => op === 'Split')).toBe(false)
  })
})

describe('heads merged with the batch', () => {
  const batch = 2
  /** As nn.MultiheadAttention is exported: `[length, batch, width] -> [length, batch * heads, places]`. */
  const merged = (b: GraphBuilder, zeros: Masked, isApart: boolean): string => {
    const flat = b.ints('flat', [5, batch * heads, places])
    const rows = (name: string, gone: ReadonlyArray<number> = []): string => {
      const y = b.op(ops.Reshape, [linear(b, name, 'x', [16, width], { columns: gone }), flat])
      const moved = b.op(ops.Transpose, [y], { perm: [1, 0, 2] })
      return isApart ? b.op(ops.Reshape, [moved, b.ints(`${name}.apart`, [batch, heads, 5, places])]) : moved
    }
    const [q, k, v] = [rows('q', zeros.q), rows('k', zeros.k), rows('v', zeros.v)]
    const turned = b.op(ops.Transpose, [k], { perm: isApart ? [0, 1, 3, 2] : [0, 2, 1] })
    const mixed = b.op(ops.MatMul, [b.op(ops.Softmax, [b.op(ops.MatMul, [q, turned])], { axis: -1 }), v])
    const back = b.op(ops.Transpose, [mixed], { perm: isApart ? [2, 0, 1, 3] : [1, 0, 2] })
    const whole = b.op(ops.Reshape, [back, b.ints('whole', [5 * batch, width])])
    return linear(b, 'o', whole, [width, 16], { rows: zeros.o ?? [] })
  }
  const widths = async (zeros: Masked, isApart: boolean): Promise<string> => {
    const { width: wide } = await compiled(buildGraph({ x: [5, batch, 16] }, (b) => [merged(b, zeros, isApart)]))
    return ['q', 'k', 'v', 'o'].map(wide).join(', ')
  }
  test.each([false, true])('go, and so do places (taken apart again: %s)', async (isApart) => {
    expect(await widths({ o: ofHeads(1) }, isApart)).toBe('16 -> 24, 16 -> 24, 16 -> 24, 24 -> 16')
    expect(await widths({ v: ofHeads(1) }, isApart)).toBe('16 -> 24, 16 -> 24, 16 -> 24, 24 -> 16')
    expect(await widths({ q: ofPlaces(0, 1), o: ofPlaces(4) }, isApart)).toBe('16 -> 24, 16 -> 24, 16 -> 28, 28 -> 16')
    expect(await widths({ q: [...ofHeads(2), ...ofPlaces(7)], o: ofHeads(2) }, isApart)).toBe(
      '16 -> 21, 16 -> 21, 16 -> 24, 24 -> 16',
    )
  })
})

describe('keys and values that several heads share', () => {
  const groups = 2
  const repeats = heads / groups
  const narrow = groups * places
  /** As decoders with grouped queries are exported: each key stands in a row for the heads that share it. */
  const grouped = (b: GraphBuilder, { q = [], k = [], v = [], o = [] }: Masked): string => {
    const shared = (name: string, gone: ReadonlyArray<number>): string => {
      const y = linear(b, name, 'x', [16, narrow], { columns: gone })
      const apart = b.op(ops.Reshape, [y, b.ints(`${name}.groups`, [0, 0, groups, places])])
      const turned = b.op(ops.Transpose, [apart], { perm: [0, 2, 1, 3] })
      const wide = b.op(ops.Unsqueeze, [turned, b.ints(`${name}.axis`, [2])])
      const many = b.op(ops.Expand, [wide, b.ints(`${name}.many`, [1, 1, repeats, 1, 1])])
      return b.op(ops.Reshape, [many, b.ints(`${name}.all`, [0, heads, 5, places])])
    }
    const queries = split(b, 'q', linear(b, 'q', 'x', [16, width], { columns: q }))
    const keys = b.op(ops.Transpose, [shared('k', k)], { perm: [0, 1, 3, 2] })
    const values = shared('v', v)
    const mixed = b.op(ops.MatMul, [b.op(ops.Softmax, [b.op(ops.MatMul, [queries, keys])], { axis: -1 }), values])
    return linear(b, 'o', merge(b, 'mixed', mixed), [width, 16], { rows: o })
  }
  const widths = async (zeros: Masked): Promise<string> => {
    const { width: wide } = await compiled(buildGraph({ x: ['N', 5, 16] }, (b) => [grouped(b, zeros)]))
    return ['q', 'k', 'v', 'o'].map(wide).join(', ')
  }
  test('go as whole groups, and by places', async () => {
    expect(await widths({ o: ofHeads(0, 1) })).toBe('16 -> 16, 16 -> 8, 16 -> 8, 16 -> 16')
    // As many heads of each group, in the same places.
    expect(await widths({ o: ofHeads(1, 3) })).toBe('16 -> 16, 16 -> 16, 16 -> 16, 16 -> 16')
    expect(await widths({ o: ofHeads(1, 3), v: [0, 9] })).toBe('16 -> 16, 16 -> 16, 16 -> 14, 14 -> 16')
    // One head of a group alone stays.
    expect(await widths({ o: ofHeads(1) })).toBe('16 -> 32, 16 -> 16, 16 -> 16, 32 -> 16')
    expect(await widths({ q: ofPlaces(0, 3), v: [1, 9] })).toBe('16 -> 24, 16 -> 12, 16 -> 14, 28 -> 16')
  })
  test('go by other places in each group, equally many', async () => {
    expect(await widths({ k: [0, 1, 10, 15], v: [7, 8] })).toBe('16 -> 24, 16 -> 12, 16 -> 14, 28 -> 16')
    // Both heads of a group have to do without a query for its key to go.
    expect(await widths({ q: [0, 8, 17, 25] })).toBe('16 -> 28, 16 -> 14, 16 -> 16, 32 -> 16')
    expect(await widths({ q: [0, 9, 17, 25] })).toBe('16 -> 32, 16 -> 16, 16 -> 16, 32 -> 16')
  })
})
