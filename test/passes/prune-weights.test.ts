/** Masks of single weights: beside the released programs of Wanda and DSnoT, and laws over random layers. */
import { readFileSync } from 'node:fs'
import * as E from 'fp-ts/lib/Either.js'
import * as fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { makeNode } from '../../src/ir/make-node.ts'
import { Conv, ConvTranspose, Gather, Gemm, MatMul, Transpose } from '../../src/ir/ops/index.ts'
import { elements, int64s, tensorOf } from '../../src/ir/tensor.ts'
import { channelMask, inputMask } from '../../src/masks/channel-mask.ts'
import { elementMask, expandMask, type Mask, type Masks } from '../../src/masks/mask.ts'
import type { ChannelStatistics, Statistics } from '../../src/masks/statistics.ts'
import { layersOf, weightRows } from '../../src/masks/weights.ts'
import { type PrunedWeights, pruneWeights, type PruneWeightsOptions } from '../../src/passes/prune-weights.ts'
import { graphOf, net, sharing, weight } from '../masks/nets.ts'

const good = (graph: Graph, options: PruneWeightsOptions, masks: Masks = new Map()): PrunedWeights => {
  const pruned = pruneWeights(graph, masks, options)
  if (E.isLeft(pruned)) throw new Error(renderError(pruned.left))
  return pruned.right
}

const bad = (graph: Graph, options: PruneWeightsOptions, masks: Masks = new Map()): string => {
  const pruned = pruneWeights(graph, masks, options)
  return E.isLeft(pruned) ? renderError(pruned.left) : 'pruned'
}

const bitsOf = ({ masks }: Pick<PrunedWeights, 'masks'>, name: string): Uint8Array => {
  const mask = masks.get(name)
  if (mask === undefined) throw new Error(`no mask ${name}`)
  return expandMask(mask)
}

/** As `numbers` of oracles/published.py. */
const numbers = (count: number, seed: number): Float64Array => {
  let state = seed
  return Float64Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state >>> 8) / 2 ** 24 - 0.5
  })
}

/** As `inputs` of oracles/published.py, summed up by definition. */
const inputStatistics = (positions: number, columns: number, seed: number): ChannelStatistics => {
  const x = numbers(positions * columns, seed).map(
    (value, i) => (value + (((i % columns) % 5) - 2) / 8) * 2 ** (((i % columns) % 7) - 3),
  )
  const over = (term: (x: number, c: number) => number): Float64Array =>
    Float64Array.from({ length: columns }, (_, c) => {
      let sum = 0
      for (let p = 0; p < positions; p++) sum += term(x[p * columns + c] ?? NaN, c)
      return sum / positions
    })
  const mean = over((value) => value)
  return { count: positions, mean, variance: over((value, c) => (value - (mean[c] ?? NaN)) ** 2) }
}

interface Published {
  readonly refine: 'dsnot' | null
  readonly score: 'wanda' | 'magnitude'
  readonly amount: string
  readonly rows: number
  readonly columns: number
  readonly positions: number
  readonly seed: number
  readonly kept: ReadonlyArray<string>
}

const published: ReadonlyArray<Published> = JSON.parse(
  readFileSync(new URL('../masks/oracles/published.json', import.meta.url), 'utf8'),
)

describe('the released programs of Wanda and DSnoT', () => {
  test.each(
    published.map((one) => [`${one.refine ?? ''} ${one.score} ${one.amount} [${one.rows}, ${one.columns}]`, one]),
  )('make the same masks: %s', (_, { refine, score, amount, rows, columns, positions, seed, kept }) => {
    const w = tensorOf('float32', [rows, columns], numbers(rows * columns, seed))
    const graph = graphOf({ x: ['N', columns] }, { w }, [makeNode(Gemm, ['x', 'w'], ['y'], { transB: 1 }, 'fc')], ['y'])
    const statistics: Statistics = {
      samples: 1,
      layers: new Map([['w', inputStatistics(positions, columns, seed + 100)]]),
    }
    const pruned = good(graph, {
      score,
      statistics,
      ...(amount.includes(':') ? { pattern: amount } : { sparsity: Number(amount), within: 'row' }),
      ...(refine === null ? {} : { refine }),
    })
    const bits = bitsOf(pruned, 'w')
    const found = kept.map((_row, r) => bits.subarray(r * columns, (r + 1) * columns).join(''))
    expect(found).toEqual(kept)
    if (refine === 'dsnot') expect(pruned.layers[0]?.exchanged).toBeGreaterThan(3)
  })
})

/** Layers of all layouts: `[outputs, inputs]` and the other way round, kernels, groups of both kinds. */
const layouts: ReadonlyArray<
  readonly [name: string, graph: (values: (count: number) => ReadonlyArray<number>) => Graph]
> = [
  [
    'Gemm',
    (values) =>
      graphOf({ x: ['N', 8] }, { w: weight([8, 5], values(40)) }, [makeNode(Gemm, ['x', 'w'], ['y'], {}, 'n')], ['y']),
  ],
  [
    'Gemm transB',
    (values) =>
      graphOf(
        { x: ['N', 8] },
        { w: weight([5, 8], values(40)) },
        [makeNode(Gemm, ['x', 'w'], ['y'], { transB: 1 }, 'n')],
        ['y'],
      ),
  ],
  [
    'MatMul',
    (values) =>
      graphOf(
        { x: ['N', 3, 4] },
        { w: weight([4, 6], values(24)) },
        [makeNode(MatMul, ['x', 'w'], ['y'], {}, 'n')],
        ['y'],
      ),
  ],
  [
    'Conv in groups',
    (values) =>
      graphOf(
        { x: ['N', 8, 5, 5] },
        { w: weight([6, 4, 2, 1], values(48)) },
        [makeNode(Conv, ['x', 'w'], ['y'], { group: 2 }, 'n')],
        ['y'],
      ),
  ],
  [
    'ConvTranspose in groups',
    (values) =>
      graphOf(
        { x: ['N', 8, 5, 5] },
        { w: weight([8, 3, 1, 2], values(48)) },
        [makeNode(ConvTranspose, ['x', 'w'], ['y'], { group: 2 }, 'n')],
        ['y'],
      ),
  ],
]

/** The weights of each output channel in order, by the channels that masks of whole channels say. */
const rowsByMasks = (
  graph: Graph,
): ReadonlyArray<ReadonlyArray<{ readonly index: number; readonly input: number }>> => {
  const [layer] = layersOf(graph)
  if (layer === undefined) throw new Error('no layer')
  const only = (count: number, at: number): Uint8Array =>
    Uint8Array.from({ length: count }, (_, i) => (i === at ? 1 : 0))
  const places = (mask: Mask): ReadonlyArray<number> =>
    [...expandMask(mask)].flatMap((bit, i) => (bit === 1 ? [i] : []))
  const inputs = Array.from(
    { length: layer.inputs },
    (_, i) => new Set(places(inputMask(layer, only(layer.inputs, i)))),
  )
  return Array.from({ length: layer.outputs }, (_, o) => {
    const own = places(channelMask(layer, only(layer.outputs, o)))
    return inputs.flatMap((set, input) => own.filter((index) => set.has(index)).map((index) => ({ index, input })))
  })
}

/** Numbers with ties, zeros, and far apart. */
const anyWeights = (count: number): fc.Arbitrary<ReadonlyArray<number>> =>
  fc.array(
    fc.oneof(
      fc.integer({ min: -3, max: 3 }),
      fc.float({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom(-0, 1e-45, 3e38),
    ),
    {
      minLength: count,
      maxLength: count,
    },
  )

const anyStatistics = (inputs: number): fc.Arbitrary<Statistics> =>
  fc
    .array(fc.tuple(fc.constantFrom(0, 1, -1, 1e-9, 40), fc.constantFrom(0, 1, 4, 1e-12)), {
      minLength: inputs,
      maxLength: inputs,
    })
    .map((pairs) => ({
      samples: 2,
      layers: new Map([
        [
          'w',
          { count: 10, mean: Float64Array.from(pairs, ([m]) => m), variance: Float64Array.from(pairs, ([, v]) => v) },
        ],
      ]),
    }))

interface Case {
  readonly values: ReadonlyArray<number>
  readonly statistics: Statistics
  readonly score: 'magnitude' | 'wanda'
  readonly masked: ReadonlyArray<number> | undefined
}

describe.each(layouts)('%s', (_, build) => {
  const inputs = layersOf(build((count) => new Array<number>(count).fill(1)))[0]?.inputs ?? 0
  const size = (graph: Graph): number => layersOf(graph)[0]?.tensor.shape.reduce((n, d) => n * d, 1) ?? 0
  const count = size(build((n) => new Array<number>(n).fill(1)))
  const cases: fc.Arbitrary<Case> = fc.record({
    values: anyWeights(count),
    statistics: anyStatistics(inputs),
    score: fc.constantFrom<'magnitude' | 'wanda'>('magnitude', 'wanda'),
    masked: fc.oneof(
      fc.constant(undefined),
      fc.array(fc.constantFrom(0, 1, 1, 1), { minLength: count, maxLength: count }),
    ),
  })
  const run = ({ values, statistics, score, masked }: Case, options: PruneWeightsOptions) => {
    const graph = build(() => values)
    const [layer] = layersOf(graph)
    if (layer === undefined) throw new Error('no layer')
    const given = Uint8Array.from(masked ?? values.map(() => 1))
    const masks: Masks = masked === undefined ? new Map() : new Map([['w', elementMask(layer.tensor.shape, given)]])
    const pruned = good(graph, { score, statistics, ...options }, masks)
    const { mean, variance } = statistics.layers.get('w') ?? { mean: [], variance: [] }
    const stored = elements(layer.tensor)
    const rows = rowsByMasks(graph).map((row) =>
      row.map(({ index, input }) => ({
        index,
        given: given[index],
        kept: bitsOf(pruned, 'w')[index],
        score:
          Math.abs(Number(stored[index])) *
          (score === 'magnitude' ? 1 : Math.sqrt((variance[input] ?? NaN) + (mean[input] ?? NaN) ** 2)),
      })),
    )
    return { rows, pruned, layer }
  }
  type Entry = ReturnType<typeof run>['rows'][number][number]

  /** Of `entries` exactly `count` are gone, or those that were given; none that stays is worth less than one that went. */
  const expectLowestGone = (entries: ReadonlyArray<Entry>, wanted: number): void => {
    const given = entries.filter((one) => one.given === 0)
    expect(entries.filter((one) => one.kept === 0)).toHaveLength(Math.max(wanted, given.length))
    expect(given.every((one) => one.kept === 0)).toBe(true)
    const open = entries.filter((one) => one.given === 1)
    const gone = open.filter((one) => one.kept === 0)
    const least = Math.min(...open.filter((one) => one.kept === 1).map((one) => one.score))
    expect(gone.every((one) => one.score <= least)).toBe(true)
    // Of equal ones the first go.
    const ties = open.filter((one) => one.score === least).map((one) => one.kept)
    expect(ties.toSorted((a, b) => (a ?? 0) - (b ?? 0))).toEqual(ties)
  }

  it('loses the same fraction of each row, of the layer, or of all', () => {
    const sparsity = fc.constantFrom(0, 0.1, 0.5, 0.75, 0.99)
    fc.assert(
      fc.property(
        cases,
        sparsity,
        fc.constantFrom<'row' | 'layer' | 'model'>('row', 'layer', 'model'),
        (one, s, within) => {
          const { rows, pruned } = run(one, { sparsity: s, within })
          const sets = within === 'row' ? rows : [rows.flat()]
          for (const set of sets) expectLowestGone(set, Math.floor(s * set.length + 1e-9))
          const gone = rows.flat().filter(({ kept }) => kept === 0).length
          expect(pruned).toMatchObject({ masked: gone, weights: rows.flat().length, layers: [{ masked: gone }] })
        },
      ),
    )
  })

  it('keeps N of M along the inputs, at each place of the kernel', () => {
    fc.assert(
      fc.property(cases, fc.constantFrom([1, 2], [2, 4], [1, 4], [3, 4]), (one, [n = 0, m = 0]) => {
        const { rows, layer } = run(one, { pattern: `${n}:${m}` })
        const kernel = weightRows(layer).kernel
        for (const row of rows) {
          for (let start = 0; start < row.length; start += m * kernel) {
            for (let k = 0; k < kernel; k++) {
              const group = row.slice(start, start + m * kernel).filter((_entry, i) => i % kernel === k)
              expect(group).toHaveLength(m)
              expectLowestGone(group, m - n)
            }
          }
        }
      }),
    )
  })

  it('loses whole blocks, those with the lowest means of what they had', () => {
    const sizes = fc.constantFrom<readonly [number, number]>([1, 1], [2, 3], [3, 2], [1, 7], [2, 1], [99999, 99999])
    fc.assert(
      fc.property(
        cases,
        sizes,
        fc.constantFrom(0, 0.1, 0.5, 0.75, 0.99),
        fc.constantFrom<'layer' | 'model'>('layer', 'model'),
        (one, [high, wide], sparsity, within) => {
          const { rows, pruned } = run(one, { sparsity, within, block: `${high}x${wide}` })
          const blocks: Array<ReadonlyArray<Entry>> = []
          for (let row = 0; row < rows.length; row += high)
            for (let place = 0; place < (rows[0]?.length ?? 0); place += wide)
              blocks.push(rows.slice(row, row + high).flatMap((list) => list.slice(place, place + wide)))
          const wanted = blocks.length - Math.floor((1 - sparsity) * blocks.length + 1e-9)
          const marks = blocks.map((block): Entry => {
            const open = block.filter(({ given }) => given === 1)
            for (const { kept } of open) expect(kept).toBe(open[0]?.kept)
            for (const { given, kept } of block) if (given === 0) expect(kept).toBe(0)
            const score = open.reduce((sum, entry) => sum + entry.score, 0) / block.length
            return { index: 0, given: open.length === 0 ? 0 : 1, kept: open[0]?.kept ?? 0, score }
          })
          expectLowestGone(marks, wanted)
          expect(pruned.masked).toBe(rows.flat().filter(({ kept }) => kept === 0).length)
        },
      ),
    )
  })

  it('loses by ratios what it loses by their sparsity, and nothing or all of it at the ends', () => {
    fc.assert(
      fc.property(cases, fc.constantFrom(undefined, '2x3'), fc.constantFrom(0.1, 0.5, 0.75), (one, block, ratio) => {
        const how = block === undefined ? {} : { block }
        const kept = (options: PruneWeightsOptions): string =>
          bitsOf(run(one, { ...how, ...options }).pruned, 'w').join('')
        expect(kept({ sparsity: 0.3, ratios: new Map([['w', ratio]]) })).toBe(kept({ sparsity: ratio }))
        expect(kept({ sparsity: 0.3, ratios: new Map([['w', 0]]) })).toBe(kept({ sparsity: 0 }))
        expect(kept({ sparsity: 0.3, ratios: new Map([['w', 1]]) })).not.toContain('1')
      }),
    )
  })

  it('goes by |w g| where gradients say so', () => {
    fc.assert(
      fc.property(
        cases,
        fc.array(fc.constantFrom(0, -1, 0.5, 1e-30, 1e30), { minLength: count, maxLength: count }),
        (one, g) => {
          const { rows } = run(one, { sparsity: 0.5, score: 'taylor', gradients: new Map([['w', g]]) })
          const stored = one.values.map(Math.fround)
          const scored = rows
            .flat()
            .map((entry) => ({ ...entry, score: Math.abs((stored[entry.index] ?? NaN) * (g[entry.index] ?? NaN)) }))
          expectLowestGone(scored, Math.floor(scored.length / 2))
        },
      ),
    )
  })

  it('is refined to a mask that keeps as many and is off by no more in any row', () => {
    fc.assert(
      fc.property(
        cases,
        fc.constantFrom<PruneWeightsOptions>(
          { sparsity: 0.5, within: 'row' },
          { sparsity: 0.4, within: 'layer' },
          { pattern: '2:4' },
        ),
        (one, options) => {
          const before = run(one, options)
          const after = run(one, { ...options, refine: 'dsnot' })
          const { mean } = one.statistics.layers.get('w') ?? { mean: [] }
          const stored = elements(after.layer.tensor)
          const inputOf = new Map(
            rowsByMasks(build(() => one.values))
              .flat()
              .map(({ index, input }) => [index, input]),
          )
          const off = (row: ReadonlyArray<Entry>): number =>
            row.reduce((sum, { index, given, kept }) => {
              if (given === 0 || kept === 1) return sum
              return sum + 5 * Number(stored[index]) * (mean[inputOf.get(index) ?? 0] ?? NaN)
            }, 0)
          let exchanged = 0
          after.rows.forEach((row, at) => {
            const old = before.rows[at] ?? []
            expect(row.filter(({ kept }) => kept === 1).length).toBe(old.filter(({ kept }) => kept === 1).length)
            expect(row.every(({ given, kept }) => given === 1 || kept === 0)).toBe(true)
            exchanged += row.filter(({ kept }, i) => kept === 1 && old[i]?.kept === 0).length
            // With groups the sign stays, and each exchange lowers what it is off by or ends the row.
            if (options.pattern === undefined) return
            expect(Math.sign(off(row)) * Math.sign(off(old))).toBeGreaterThanOrEqual(0)
          })
          expect(after.pruned.layers[0]?.exchanged).toBe(exchanged)
        },
      ),
    )
  })

  it('has the same mask from its own as from none', () => {
    fc.assert(
      fc.property(
        cases,
        fc.constantFrom<PruneWeightsOptions>({ sparsity: 0.5 }, { pattern: '1:2' }),
        (one, options) => {
          const { pruned, layer } = run({ ...one, masked: undefined }, options)
          const again = run({ ...one, masked: [...bitsOf(pruned, 'w')] }, options)
          expect(bitsOf(again.pruned, 'w')).toEqual(bitsOf(pruned, 'w'))
          expect(layer.weight).toBe('w')
        },
      ),
    )
  })
})

describe('weights that are compared over the model', () => {
  const two = graphOf(
    { x: ['N', 4] },
    {
      a: weight(
        [4, 4],
        Array.from({ length: 16 }, (_, i) => i + 1),
      ),
      b: weight(
        [4, 2],
        Array.from({ length: 8 }, (_, i) => 100 + i),
      ),
    },
    [makeNode(Gemm, ['x', 'a'], ['h'], {}, 'first'), makeNode(Gemm, ['h', 'b'], ['y'], {}, 'second')],
    ['y'],
  )
  it('go where they are least', () => {
    expect(good(two, { sparsity: 0.5, within: 'model' }).layers.map(({ masked }) => masked)).toEqual([12, 0])
    expect(good(two, { sparsity: 0.75, within: 'model' }).layers.map(({ masked }) => masked)).toEqual([16, 2])
    expect(good(two, { sparsity: 0.5 }).layers.map(({ masked }) => masked)).toEqual([8, 4])
  })
  it('or not at all in layers that stay whole by node or weight', () => {
    for (const keep of ['first', 'a']) {
      expect(good(two, { sparsity: 0.5, within: 'model', keep: [keep] })).toMatchObject({
        layers: [{ layer: 'Gemm second', masked: 4 }],
        kept: [{ layer: 'Gemm first', reason: 'it was asked to stay whole' }],
        weights: 8,
      })
    }
  })
})

describe('layers stay whole', () => {
  const reasonsOf = (graph: Graph, options: PruneWeightsOptions): ReadonlyArray<string> =>
    good(graph, options).kept.map(({ layer, reason }) => `${layer}: ${reason}`)
  const depthwise = graphOf(
    { x: ['N', 4, 3, 3] },
    { d: weight([4, 1, 3, 3]) },
    [makeNode(Conv, ['x', 'd'], ['y'], { group: 4 }, 'depthwise')],
    ['y'],
  )
  it('where an output reads one channel, the pattern does not divide, or nodes read a weight in different ways', () => {
    expect(reasonsOf(depthwise, { sparsity: 0.5 })).toEqual(['Conv depthwise: each of its outputs reads one channel'])
    expect(reasonsOf(net, { pattern: '2:4' })).toEqual(['Conv conv: 2 input channels are no multiple of 4'])
    const tied = graphOf(
      { x: ['N', 4] },
      { w: weight([4, 4]), rows: int64s([0, 1]) },
      [
        makeNode(Gemm, ['x', 'w'], ['h'], {}, 'head'),
        makeNode(Gather, ['w', 'rows'], ['g']),
        makeNode(MatMul, ['h', 'w'], ['y'], {}, 'again'),
      ],
      ['y', 'g'],
    )
    expect(reasonsOf(tied, { sparsity: 0.5 })).toEqual(['Gemm head: nodes read its weight w in different ways'])
  })
  it('where folding makes the weight', () => {
    const computed = graphOf(
      { x: ['N', 4] },
      { w: weight([2, 4]), v: weight([2, 2]) },
      [
        makeNode(Transpose, ['w'], ['t'], { perm: [1, 0] }),
        makeNode(MatMul, ['x', 't'], ['h'], {}, 'first'),
        makeNode(MatMul, ['h', 'v'], ['y'], {}, 'second'),
      ],
      ['y'],
    )
    const [reason = ''] = reasonsOf(computed, { sparsity: 0.5 })
    expect(reason).toMatch(/^MatMul first: its weight .* is computed from other constants$/)
    expect(good(computed, { sparsity: 0.5 }).layers.map(({ weight: name }) => name)).toEqual(['v'])
  })
  it('where there are no statistics of one, while there are of others', () => {
    const statistics: Statistics = {
      samples: 1,
      layers: new Map([['gemm.weight', { count: 1, mean: new Float64Array(4), variance: new Float64Array(4) }]]),
    }
    expect(reasonsOf(net, { sparsity: 0.5, score: 'wanda', statistics })).toEqual([
      'Conv conv: there are no statistics of its input',
    ])
  })
  it('but a weight under several names is masked once', () => {
    const { layers, masks } = good(sharing, { sparsity: 0.5 })
    expect(layers.filter(({ weight: name }) => name === 'w')).toHaveLength(1)
    expect([...masks.keys()]).toContain('w')
  })
})

describe('an error tells', () => {
  const statistics: Statistics = { samples: 1, layers: new Map() }
  const wide: Statistics = {
    samples: 1,
    layers: new Map([['gemm.weight', { count: 1, mean: new Float64Array(5), variance: new Float64Array(5) }]]),
  }
  it.each<[PruneWeightsOptions, RegExp]>([
    [{}, /amount: expected one of sparsity, pattern, found none/],
    [{ sparsity: 0.5, pattern: '2:4' }, /found both/],
    [{ sparsity: 1 }, /sparsity: expected a number from 0 to less than 1, found 1/],
    [{ sparsity: NaN }, /found NaN/],
    [{ pattern: '4:4' }, /pattern: expected N:M with N from 1 to less than M, found 4:4/],
    [{ pattern: '0:4' }, /found 0:4/],
    [{ pattern: '2:4', within: 'row' }, /within: expected sparsity beside it/],
    [{ sparsity: 0.5, score: 'wanda' }, /score wanda: expected activation statistics, found none/],
    [{ sparsity: 0.5, refine: 'dsnot' }, /refine dsnot: expected activation statistics, found none/],
    [{ sparsity: 0.5, score: 'taylor' }, /score taylor: expected gradients of the weights, found none/],
    [{ sparsity: 0.5, block: '4' }, /block: expected RxC, counts of at least 1, found 4/],
    [{ pattern: '2:4', block: '4x4' }, /block: expected sparsity beside it, found pattern 2:4/],
    [{ sparsity: 0.5, within: 'row', block: '4x4' }, /block: expected sparsity beside it, found within row/],
    [{ sparsity: 0.5, ratios: new Map() }, /ratio of weight .*: expected a fraction from 0 to 1, found none/],
    [{ pattern: '1:2', ratios: new Map() }, /ratios: expected sparsity within rows or layers, found a pattern/],
    [{ sparsity: 0.5, within: 'model', ratios: new Map() }, /ratios: .* found within model/],
    [
      { sparsity: 0.5, score: 'wanda', statistics },
      /weight conv.weight: expected statistics of its input, found none. They are of another/,
    ],
    [
      { sparsity: 0.5, score: 'wanda', statistics: wide },
      /weight gemm.weight: expected statistics of 4 input channels, found 5/,
    ],
    [{ sparsity: 0.5, keep: ['convolution'] }, /keep convolution: expected a layer of the model/],
  ])('%o', (options, message) => {
    expect(bad(net, options)).toMatch(message)
  })
  it('of a mask that does not fit, and of weights that are no numbers', () => {
    expect(bad(net, { sparsity: 0.5 }, new Map([['none', elementMask([1], Uint8Array.of(1))]]))).toMatch(/mask none/)
    const broken = graphOf(
      { x: ['N', 2] },
      { w: weight([2, 1], [1, Infinity]) },
      [makeNode(Gemm, ['x', 'w'], ['y'])],
      ['y'],
    )
    expect(bad(broken, { sparsity: 0.5 })).toMatch(/weight w: expected finite numbers, found a NaN or an infinity/)
  })
})
