import { readFileSync } from 'node:fs'
import * as E from 'fp-ts/lib/Either.js'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import { type Graph, labelOf } from '../../src/ir/graph.ts'
import { evaluateGraph } from '../../src/ir/interpret.ts'
import {
  Add,
  BatchNormalization,
  Concat,
  Conv,
  DequantizeLinear,
  Flatten,
  Gemm,
  GlobalAveragePool,
  Relu,
} from '../../src/ir/ops/index.ts'
import { MatMulNBits } from '../../src/ir/ops/microsoft/index.ts'
import { makeNode } from '../../src/ir/make-node.ts'
import { elements, tensorOf } from '../../src/ir/tensor.ts'
import { axisMask, elementMask, expandMask, type Masks } from '../../src/masks/mask.ts'
import { applyMasks } from '../../src/passes/apply-masks.ts'
import { compile } from '../../src/passes/compile.ts'
import { viewsOf } from '../../src/passes/channel-elimination/views.ts'
import { eliminateChannels } from '../../src/passes/channel-elimination/index.ts'
import { runPipeline } from '../../src/passes/pass.ts'
import { cleanUp } from '../../src/passes/pipeline.ts'
import type { ChannelStatistics, Statistics } from '../../src/masks/statistics.ts'
import { pruneToBudget } from '../../src/package/budget.ts'
import { pruneChannels, type Pruned, type PruneOptions } from '../../src/passes/prune.ts'
import { readModelBytes } from '../../src/read/model.ts'
import { buildProgram, programs } from '../fuzz/program.ts'
import { inflate, normals, uniforms } from '../inflate.ts'
import { graphOf, net, sharing, weight } from '../masks/nets.ts'

const options: PruneOptions = { channels: 0.5, score: 'l1', scope: 'block', floor: 0, seed: 1 }

const good = (graph: Graph, changes: Partial<PruneOptions> = {}, masks: Masks = new Map()): Pruned => {
  const pruned = pruneChannels(graph, masks, { ...options, ...changes })
  if (E.isLeft(pruned)) throw new Error(renderError(pruned.left))
  return pruned.right
}

const bad = (graph: Graph, changes: Partial<PruneOptions>, masks: Masks = new Map()): string => {
  const pruned = pruneChannels(graph, masks, { ...options, ...changes })
  return E.isLeft(pruned) ? renderError(pruned.left) : 'pruned'
}

/** Weights [rows, columns, 1, 1] whose row i is filled with `rows[i]`. */
const filters = (columns: number, rows: ReadonlyArray<number>) =>
  weight(
    [rows.length, columns, 1, 1],
    rows.flatMap((value) => new Array<number>(columns).fill(value)),
  )

/**
 * A residual block: `stem` (4 channels), then `inner` (4, with a BatchNormalization that shifts) and `outer` (4, added to the
 * stem), then a classifier. Sums of |w|: stem 8 2 4 6, inner 4 16 8 12, outer 4 8 24 12. Or all that `times` over, each time
 * a little more, so that no two channels are equal.
 */
const residualOf = (times: number): Graph => {
  const repeated = (values: ReadonlyArray<number>): ReadonlyArray<number> =>
    Array.from({ length: times }, (_, k) => values.map((value) => value * (1 + k / 64))).flat()
  const width = 4 * times
  return graphOf(
    { x: ['N', 2, 3, 3] },
    {
      stem: filters(2, repeated([4, 1, -2, 3])),
      inner: filters(width, repeated([1, 4, -2, 3])),
      outer: filters(width, repeated([1, 2, 6, -3])),
      scale: weight([width], repeated([1, 1, 1, 1])),
      shift: weight([width], repeated([5, 0, 7, -1])),
      mean: weight([width], repeated([0, 0, 0, 0])),
      variance: weight([width], repeated([1, 1, 1, 1])),
      fc: weight([width, 3]),
    },
    [
      makeNode(Conv, ['x', 'stem'], ['s'], {}, 'stem'),
      makeNode(Conv, ['s', 'inner'], ['i'], {}, 'inner'),
      makeNode(BatchNormalization, ['i', 'scale', 'shift', 'mean', 'variance'], ['n']),
      makeNode(Relu, ['n'], ['r']),
      makeNode(Conv, ['r', 'outer'], ['o'], {}, 'outer'),
      makeNode(Add, ['s', 'o'], ['a']),
      makeNode(GlobalAveragePool, ['a'], ['p']),
      makeNode(Flatten, ['p'], ['f']),
      makeNode(Gemm, ['f', 'fc'], ['y'], {}, 'fc'),
    ],
    ['y'],
  )
}

const residual = residualOf(1)

describe('prune', () => {
  it('masks a channel where it is made and where it is read', () => {
    const pruned = good(residual)
    expect(pruned.layers).toEqual([{ layer: 'Conv inner', weight: 'inner', outputs: 4, removed: [0, 2] }])
    expect(pruned).toMatchObject({ wanted: 2, removed: 2, note: undefined })
    const kept = Uint8Array.of(0, 1, 0, 1)
    expect([...pruned.masks]).toEqual([
      ['inner', axisMask([4, 4, 1, 1], 0, kept)],
      ['outer', axisMask([4, 4, 1, 1], 1, kept)],
    ])
  })

  it('says which layers keep all their channels, and why', () => {
    const joined = 'its channels are joined with those of other layers (Conv stem, Conv outer)'
    expect(good(residual).kept).toEqual([
      { layer: 'Conv stem', reason: joined },
      { layer: 'Conv outer', reason: joined },
      { layer: 'Gemm fc', reason: 'y is the graph output y' },
    ])
  })

  it('scores a stream by the mean of the layers that make it, and masks all of them', () => {
    // Means of stem and outer: 6 5 14 9; inner alone: 4 16 8 12. Four of eight go: 4, 5, 6, 8.
    const pruned = good(residual, { scope: 'all' })
    expect(pruned.layers.map(({ layer, removed }) => [layer, removed])).toEqual([
      ['Conv stem', [0, 1]],
      ['Conv inner', [0, 2]],
      ['Conv outer', [0, 1]],
    ])
    const [stream, inner] = [Uint8Array.of(0, 0, 1, 1), Uint8Array.of(0, 1, 0, 1)]
    expect(pruned.masks.get('stem')?.axes).toEqual([stream, undefined, undefined, undefined])
    expect(pruned.masks.get('inner')?.axes).toEqual([inner, stream, undefined, undefined])
    expect(pruned.masks.get('outer')?.axes).toEqual([stream, inner, undefined, undefined])
    expect(pruned.masks.get('fc')?.axes).toEqual([stream, undefined])
    expect(pruned.groups).toEqual([
      { layers: ['Conv stem', 'Conv outer'], channels: 4, alive: 4, removed: 2, floor: 0, saturated: false },
      { layers: ['Conv inner'], channels: 4, alive: 4, removed: 2, floor: 0, saturated: false },
    ])
  })

  it('leaves a model that compiles to the smaller one, and to the same function', () => {
    // A shift of 5 in a channel that was masked would leave relu(5) behind, were it read. Widths stay multiples of four.
    const graph = residualOf(4)
    for (const scope of ['block', 'all'] as const) {
      const { masks, layers } = good(graph, { scope })
      expect(layers.map(({ weight: name, removed }) => [name, removed.length])).toEqual(
        scope === 'block'
          ? [['inner', 8]]
          : [
              ['stem', 12],
              ['inner', 4],
              ['outer', 12],
            ],
      )
      const [masked, compiled] = [applyMasks(graph, masks), compile(graph, masks)]
      if (E.isLeft(masked) || E.isLeft(compiled)) throw new Error('does not compile')
      for (const { weight: name, removed } of layers) {
        const width = compiled.right.report.layers.find((layer) => layer.weight === name)?.outputs
        expect(width?.kept).toEqual(Array.from({ length: 16 }, (_, i) => i).filter((i) => !removed.includes(i)))
      }
      const feeds = new Map([
        ['x', tensorOf('float32', [1, 2, 3, 3], Float32Array.from({ length: 18 }, normals(uniforms(3))))],
      ])
      const [a, b] = [evaluateGraph(masked.right, feeds), evaluateGraph(compiled.right.graph, feeds)]
      if (E.isLeft(a) || E.isLeft(b)) throw new Error('does not run')
      const [y, z] = [a.right.get('y'), b.right.get('y')]
      if (y === undefined || z === undefined) throw new Error('no output')
      const largest = Math.max(...[...elements(y)].map((v) => Math.abs(Number(v))))
      elements(y).forEach((v, i) => expect(Math.abs(Number(v) - Number(elements(z)[i]))).toBeLessThan(1e-5 * largest))
    }
  })

  it('masks a depthwise convolution with the layer before it', () => {
    const graph = graphOf(
      { x: ['N', 2, 3, 3] },
      { first: filters(2, [1, 2, 3, 4]), depthwise: filters(1, [9, 9, 9, 9]), last: filters(4, [1, 1, 1]) },
      [
        makeNode(Conv, ['x', 'first'], ['a'], {}, 'first'),
        makeNode(Conv, ['a', 'depthwise'], ['b'], { group: 4 }, 'depthwise'),
        makeNode(Conv, ['b', 'last'], ['y'], {}, 'last'),
      ],
      ['y'],
    )
    const pruned = good(graph)
    const kept = Uint8Array.of(0, 0, 1, 1)
    expect(pruned.groups.map((group) => group.layers)).toEqual([['Conv first']])
    expect([...pruned.masks]).toEqual([
      ['first', axisMask([4, 2, 1, 1], 0, kept)],
      ['depthwise', axisMask([4, 1, 1, 1], 0, kept)],
      ['last', axisMask([3, 4, 1, 1], 1, kept)],
    ])
  })

  it('masks the right columns behind a concatenation and a flattening', () => {
    const graph = graphOf(
      { x: ['N', 2, 1, 2] },
      { a: filters(2, [1, 5]), b: filters(2, [2, 4, 6]), fc: weight([10, 1]) },
      [
        makeNode(Conv, ['x', 'a'], ['p'], {}, 'a'),
        makeNode(Conv, ['x', 'b'], ['q'], {}, 'b'),
        makeNode(Concat, ['p', 'q'], ['c'], { axis: 1 }),
        makeNode(Flatten, ['c'], ['f']),
        makeNode(Gemm, ['f', 'fc'], ['y'], {}, 'fc'),
      ],
      ['y'],
    )
    // 2 of 5 go: a 0 (sum 2) and b 0 (sum 4), channels 0 and 2 of the concatenation, two positions each.
    const pruned = good(graph, { channels: 0.4 })
    expect(pruned.masks.get('fc')?.axes[0]).toEqual(Uint8Array.of(0, 0, 1, 1, 0, 0, 1, 1, 1, 1))
  })

  it('masks input channels of a grouped convolution in their group', () => {
    const graph = graphOf(
      { x: ['N', 2, 1, 1] },
      { a: filters(2, [1, 5, 2, 6]), g: filters(2, [1, 1, 1, 1]), z: filters(4, [1]) },
      [
        makeNode(Conv, ['x', 'a'], ['p'], {}, 'a'),
        makeNode(Conv, ['p', 'g'], ['q'], { group: 2 }, 'g'),
        makeNode(Conv, ['q', 'z'], ['y'], {}, 'z'),
      ],
      ['y'],
    )
    // Of a go the sums 2 and 4, of g (all 2) the first two: equal scores go in the order of layers, then of channels.
    const pruned = good(graph)
    expect(pruned.layers.map(({ layer, removed }) => [layer, removed])).toEqual([
      ['Conv a', [0]],
      ['Conv g', [0, 1, 2]],
    ])
    const g = pruned.masks.get('g')
    expect(g && [...expandMask(g)]).toEqual([0, 0, 0, 0, 0, 0, 1, 1])
    // Two of eight: a 0, whose sum is 2 like those of g, then the first of g; column 0 of the first group goes with a 0.
    const two = good(graph, { channels: 0.25 }).masks.get('g')
    expect(two && [...expandMask(two)]).toEqual([0, 0, 0, 1, 1, 1, 1, 1])
  })

  it('adds to the masks it was given, and counts what they removed', () => {
    const given = new Map([
      ['inner', elementMask([4, 4, 1, 1], Uint8Array.of(1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 1, 1, 1, 1, 1))],
    ])
    // Channel 1 is gone; of 4, 6, 12 the 4 goes to make two of four.
    const pruned = good(residual, {}, given)
    expect(pruned).toMatchObject({ wanted: 1, removed: 1 })
    expect(pruned.layers[0]?.removed).toEqual([0])
    const inner = pruned.masks.get('inner')
    expect(inner && [...expandMask(inner)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 1, 1, 1, 1])
    expect(given.size).toBe(1)
  })

  it('ranks by what a score looks at', () => {
    const masks = new Map([
      ['inner', elementMask([4, 4, 1, 1], Uint8Array.of(1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1))],
    ])
    const first = (score: NonNullable<PruneOptions['score']>) =>
      good(residual, { score, channels: 0.25 }, masks).layers[0]?.removed
    // Rows: 1 1 1 1 / 4 . . . / 2 2 2 2 / 3 3 3 3. Equal means 1 and 1 by umm: the first goes.
    expect(first('umm')).toEqual([0])
    expect(first('mmm')).toEqual([0])
    expect(first('weights')).toEqual([1])
    expect(first('kernels')).toEqual([1])
    expect(first('l2')).toEqual([0])
  })

  it('ranks by activations, of what makes a channel or of the channel where it is read', () => {
    const seen = (mean: ReadonlyArray<number>, variance: ReadonlyArray<number>): ChannelStatistics => ({
      count: 3,
      mean: Float64Array.from(mean),
      variance: Float64Array.from(variance),
    })
    const statistics: Statistics = {
      samples: 3,
      layers: new Map([
        ['inner', seen([0, 5, 0, 0], [0, 0, 0, 0])],
        ['outer', seen([5, 1, 0, 3], [3, 2, 4, 0])],
      ]),
    }
    const masks = new Map([
      ['inner', elementMask([4, 4, 1, 1], Uint8Array.of(1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1))],
    ])
    const first = (score: NonNullable<PruneOptions['score']>, channels = 0.25) =>
      good(residual, { score, channels, statistics }, masks).layers[0]?.removed
    // Channel 2 does not read input 1, the only one that is not 0; its weights are there, so it is not gone.
    expect(first('wanda')).toEqual([2])
    // Norms are √28, √3, 2 and 3, variances 3, 2, 4 and 0; all are read by the same weights.
    expect(first('wifn')).toEqual([1])
    expect(first('wifv')).toEqual([3])
    expect(first('wifv', 0.5)).toEqual([1, 3])
    for (const score of ['wanda', 'wifn', 'wifv'] as const) {
      const once = good(residual, { score, channels: 0.5, scope: 'block', statistics }, masks)
      expect(once.removed).toBe(2)
      expect(good(residual, { score, channels: 0.5, scope: 'block', statistics }, once.masks).removed).toBe(0)
      expect(bad(residual, { score })).toMatch(`score ${score}: expected activation statistics, found none`)
    }
    const other: Statistics = { samples: 3, layers: new Map([['outer', seen([1], [1])]]) }
    expect(bad(residual, { score: 'wanda', statistics: other })).toMatch(
      /weight inner: expected statistics of its input/,
    )
    expect(bad(residual, { score: 'wifn', statistics: other })).toMatch(
      /outer: expected statistics of 4 input channels, found 1/,
    )
    const budget = pruneToBudget(residual, masks, { macs: 0.9, score: 'wifv', statistics })
    expect(E.isRight(budget) ? budget.right.layers[0]?.removed : budget).toEqual([3])
  })

  it('draws the same random channels for the same seed', () => {
    const drawn = (seed: number) => good(net, { score: 'random', seed, channels: 0.5 }).layers[0]?.removed
    expect(drawn(1)).toEqual(drawn(1))
    expect(new Set(Array.from({ length: 20 }, (_, seed) => String(drawn(seed)))).size).toBeGreaterThan(1)
  })

  it('notes what a floor kept, and that nothing can go', () => {
    // 3 of 4 shall go; each layer keeps ⌊4 · 0.25 · 3⌋ = 3.
    expect(good(residual, { channels: 0.75, floor: 3 })).toMatchObject({
      wanted: 3,
      removed: 1,
      note: '2 of 3 channels stay: every layer is at its floor. A lower floor than 3 removes more.',
    })
    expect(good(sharing).note).toBe(
      'No layer has channels that can go in scope block. Scope all also takes channels that several layers share.',
    )
    expect(good(sharing).kept.map(({ reason }) => reason)).toContain('its weight w2 is read by 2 nodes')
  })

  it('explains what is wrong with its options, masks and weights', () => {
    expect(bad(net, { channels: 1 })).toContain('channels: expected a number from 0 to less than 1, found 1')
    expect(bad(net, { channels: NaN })).toContain('found NaN')
    expect(bad(net, { floor: -0.1 })).toContain('floor: expected a number of 0 or more, found -0.1')
    expect(bad(net, { seed: 0.5 })).toContain('seed: expected a whole number, found 0.5')
    expect(bad(net, {}, new Map([['nothing', axisMask([2], 0, Uint8Array.of(1, 1))]]))).toContain('mask nothing')
    const broken = graphOf(
      { x: ['N', 1, 1, 1] },
      { a: filters(1, [1, NaN]), b: filters(2, [1]) },
      [makeNode(Conv, ['x', 'a'], ['p'], {}, 'a'), makeNode(Conv, ['p', 'b'], ['y'], {}, 'b')],
      ['y'],
    )
    expect(bad(broken, {})).toContain('weight a: expected finite numbers, found a NaN or an infinity')
  })
})

describe('weights that are integers', () => {
  const load = (name: string): Graph => {
    const read = readModelBytes(readFileSync(new URL(`../models/quantized/${name}.onnx`, import.meta.url)))
    if (E.isLeft(read)) throw new Error(renderError(read.left))
    return read.right
  }
  const removedBy = (pruned: Pruned): Record<string, ReadonlyArray<number>> =>
    Object.fromEntries(pruned.layers.map(({ layer, removed }) => [layer.replace(/^\S+ |_quant$/g, ''), removed]))

  it.each(['by_channel', 'by_tensor'])('are ranked alike in all formats of ONNX Runtime: %s', (kind) => {
    const graphs = [`qdq_${kind}`, `qoperator_${kind}`].map(load)
    const [qdq, qoperator] = graphs.map((graph) => good(graph, { scope: 'all', score: 'umm' }))
    if (qdq === undefined || qoperator === undefined) throw new Error('not pruned')
    expect(removedBy(qdq)).toEqual(removedBy(qoperator))
    for (const [at, pruned] of [qdq, qoperator].entries()) {
      expect(pruned.removed).toBeGreaterThan(20)
      expect(pruned.kept.map(({ layer }) => layer)).toEqual([expect.stringContaining('fc')])
      const compiled = compile(graphs[at] ?? net, pruned.masks, { widths: 'raw' })
      if (E.isLeft(compiled)) throw new Error('does not compile')
      const { before, after } = compiled.right.report
      expect(before.parameters).toBeGreaterThanOrEqual(16 * 27 + 16 * 16 + 16 * 144 + 24 * 16 + 32 * 40 + 10 * 32)
      expect(after.parameters).toBeLessThan(0.6 * before.parameters)
    }
  })

  it('are ranked by the numbers that they stand for', () => {
    // |integers| 9, 5, 1, 7 off their zero points, times scales: 0.9, 5, 4, 70.
    const rows = [9, 5, 1, 7]
    const first = (bytes: ReadonlyArray<number>): Graph =>
      graphOf(
        { x: ['N', 2] },
        {
          integers: tensorOf('uint8', [4, 2], bytes),
          scale: weight([4], [0.1, 1, 4, 10]),
          zero: tensorOf('uint8', [4], [100, 0, 3, 50]),
          last: weight([4, 3]),
        },
        [
          makeNode(DequantizeLinear, ['integers', 'scale', 'zero'], ['w'], { axis: 0 }),
          makeNode(Gemm, ['x', 'w'], ['h'], { transB: 1 }, 'first'),
          makeNode(Gemm, ['h', 'last'], ['y'], {}, 'last'),
        ],
        ['y'],
      )
    const graph = first([100, 0, 3, 50].flatMap((zero, o) => [zero + (rows[o] ?? 0), zero + (rows[o] ?? 0)]))
    const pruned = good(graph)
    expect(pruned.layers).toEqual([{ layer: 'Gemm first', weight: 'w', outputs: 4, removed: [0, 2] }])
    // What was masked before is the zero point, and the count goes on from there.
    const given: Masks = new Map([['integers', axisMask([4, 2], 0, Uint8Array.of(1, 1, 1, 0))]])
    const more = good(graph, {}, given)
    expect(more).toMatchObject({ wanted: 1, removed: 1 })
    const kept = more.masks.get('w')
    expect(kept && [...expandMask(kept)]).toEqual([0, 0, 1, 1, 1, 1, 0, 0])
  })

  it('are found in blocks of bits', () => {
    const bytes = Array.from({ length: 16 * 16 }, (_, i) => (i < 8 * 16 ? 0x98 : (37 * i) % 256))
    const graph = graphOf(
      { x: ['N', 32] },
      {
        blocks: tensorOf('uint8', [16, 1, 16], bytes),
        scales: weight([16, 1], Array<number>(16).fill(0.5)),
        last: weight([16, 3]),
      },
      [
        makeNode(MatMulNBits, ['x', 'blocks', 'scales'], ['h'], { K: 32, N: 16, bits: 4, block_size: 32 }, 'first'),
        makeNode(Gemm, ['h', 'last'], ['y'], {}, 'last'),
      ],
      ['y'],
      {
        opsets: new Map([
          ['', 21],
          ['com.microsoft', 1],
        ]),
      },
    )
    const [layer] = good(graph).layers
    expect(layer).toMatchObject({ weight: 'blocks', removed: [0, 1, 2, 3, 4, 5, 6, 7] })
  })

  it('that several nodes make numbers of stay', () => {
    const graph = graphOf(
      { x: ['N', 2] },
      { integers: tensorOf('int8', [2, 2], [1, 2, 3, 4]), scale: weight([], [0.5]) },
      [
        makeNode(DequantizeLinear, ['integers', 'scale'], ['v']),
        makeNode(DequantizeLinear, ['integers', 'scale'], ['w']),
        makeNode(Gemm, ['x', 'v'], ['a'], {}, 'first'),
        makeNode(Relu, ['a'], ['r']),
        makeNode(Gemm, ['r', 'w'], ['y'], {}, 'second'),
      ],
      ['y'],
    )
    expect(good(graph).kept.map(({ reason }) => reason)).toContainEqual(expect.stringContaining('is read by 2 nodes'))
  })
})

describe('pruning ResNet-50', () => {
  const read = readModelBytes(inflate('resnet50'))
  if (E.isLeft(read)) throw new Error(renderError(read.left))
  const resnet = read.right

  it('finds the filters that Chase prunes, and the first convolution', () => {
    const pruned = good(resnet, { channels: 0.4, score: 'umm', floor: 0.2 })
    // Chase's 7,552 filters in 32 layers of 16 bottlenecks, and 64 of the stem, which no addition reads.
    expect(pruned.groups.map((group) => group.layers.length)).toEqual(new Array(33).fill(1))
    expect(pruned.groups.reduce((n, group) => n + group.channels, 0)).toBe(7552 + 64)
    expect(pruned.groups[0]?.layers).toEqual(['Conv /conv1/Conv'])
    for (const { layers } of pruned.groups.slice(1)) expect(layers[0]).toMatch(/\/conv[12]\/Conv$/)
    expect(pruned.kept.filter(({ layer }) => /conv3|downsample/.test(layer))).toHaveLength(20)
    expect(pruned).toMatchObject({ wanted: Math.round(0.4 * 7616), removed: Math.round(0.4 * 7616) })
    for (const group of pruned.groups) {
      expect(group.floor).toBe(Math.floor(group.channels * 0.6 * 0.2 + 1e-9))
      expect(group.channels - group.removed).toBeGreaterThanOrEqual(group.floor)
    }
  })

  it('prunes the four streams too when asked', () => {
    const pruned = good(resnet, { channels: 0.3, score: 'umm', floor: 0.2, scope: 'all' })
    expect(
      pruned.groups.filter((group) => group.layers.length > 1).map((group) => [group.channels, group.layers.length]),
    ).toEqual([
      [256, 4],
      [512, 5],
      [1024, 7],
      [2048, 4],
    ])
    expect(pruned.kept.map(({ layer }) => layer)).toEqual(['Gemm /fc/Gemm'])
  })

  it('asked again for the same, does nothing', () => {
    const once = good(resnet, { channels: 0.3, score: 'umm', scope: 'all', floor: 0.1 })
    const twice = good(resnet, { channels: 0.3, score: 'umm', scope: 'all', floor: 0.1 }, once.masks)
    expect(twice).toMatchObject({ wanted: 0, removed: 0, layers: [] })
    for (const [name, mask] of once.masks) expect(twice.masks.get(name)).toBe(mask)
  })
})

describe('pruning random networks', () => {
  const settings = fc.record({
    channels: fc.constantFrom(0, 0.2, 0.5, 0.9),
    score: fc.constantFrom<NonNullable<PruneOptions['score']>>(
      'umm',
      'mmm',
      'weights',
      'kernels',
      'l1',
      'l2',
      'random',
    ),
    scope: fc.constantFrom<NonNullable<PruneOptions['scope']>>('block', 'all'),
    floor: fc.constantFrom(0, 0.2, 1, 2),
    seed: fc.nat(),
  })

  it('removes what it says, in any order of the masks, and every channel really goes', () => {
    fc.assert(
      fc.property(programs, settings, (program, chosen) => {
        const graph = buildProgram(program)
        const pruned = good(graph, chosen)
        expect(pruned.removed).toBe(pruned.groups.reduce((n, group) => n + group.removed, 0))
        for (const group of pruned.groups) {
          if (group.removed > 0) expect(group.alive - group.removed).toBeGreaterThanOrEqual(group.floor)
        }
        const again = good(graph, { ...chosen, channels: 0 }, new Map([...pruned.masks].reverse()))
        expect(again.layers).toEqual([])
        expect([...again.masks].every(([name, mask]) => mask === pruned.masks.get(name))).toBe(true)
        const masked = applyMasks(graph, pruned.masks)
        const clean = E.isLeft(masked) ? masked : runPipeline(cleanUp, masked.right)
        if (E.isLeft(clean)) throw new Error(renderError(clean.left))
        const { decision } = eliminateChannels(clean.right, { target: 'cpu' })
        for (const { node, contraction } of viewsOf(clean.right)) {
          const removed = pruned.layers.find(({ layer }) => layer === labelOf(node))?.removed ?? []
          for (const channel of contraction === undefined ? [] : removed) {
            const reason = decision.reason(node.outputs[0] ?? '', contraction?.outputAxis ?? 0, channel)
            // What stays does so for the sake of a width, a group or a layer that would be left with nothing, or because a
            // reshape merges its axis with another one that has more to lose, or since zeros in its place make no number.
            expect([undefined, 'width', 'groups', 'carrier', 'empty', 'mixed', 'numbers']).toContain(reason?.kind)
          }
        }
      }),
      { seed: 3, numRuns: 100 },
    )
  })
})
