/** Residual streams through normalisations: what goes of them by structure; each result runs like the masked model. */
import { describe, expect, test } from 'vitest'
import type { Graph } from '../../src/ir/graph.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { tensorOf } from '../../src/ir/tensor.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { compile, macsOf } from '../../src/passes/compile.ts'
import { buildGraph, type GraphBuilder } from '../builder.ts'
import { compareCompiled, orThrow } from '../fuzz/differential.ts'
import { read } from './laws.ts'

/** The channels of a stream, those that are masked by structure, and how the stream is normalised. */
interface Stream {
  readonly width: number
  readonly masked: ReadonlyArray<number>
  /** What masked channels hold nevertheless: constants that biases leave. */
  readonly constant?: (channel: number) => number
  readonly opset?: number
}

/** A norm over the last axis with its scale and bias. */
type Norm = (b: GraphBuilder, x: string, scale: string, bias: string) => string

const layerNorm: Norm = (b, x, scale, bias) => b.op(ops.LayerNormalization, [x, scale, bias])
const rmsNorm: Norm = (b, x, scale) => b.op(ops.RMSNormalization, [x, scale])

/** The mean over the last axis as the opset has it. */
const meanOf = (b: GraphBuilder, x: string, opset: number): string =>
  opset < 18
    ? b.op(ops.ReduceMean, [x], { axes: [-1], keepdims: 1 })
    : b.op(ops.ReduceMean, [x, b.ints('axes', [-1])], { keepdims: 1 })

/** RMS normalisation as PyTorch's exporter writes that of LLaMA. */
const rmsWritten =
  (opset: number): Norm =>
  (b, x, scale) => {
    const squares = b.op(ops.Pow, [x, b.floats('two', [2], [])])
    const root = b.op(ops.Sqrt, [b.op(ops.Add, [meanOf(b, squares, opset), b.floats('eps', [1e-6], [])])])
    return b.op(ops.Mul, [scale, b.op(ops.Mul, [x, b.op(ops.Reciprocal, [root])])])
  }

/** Layer normalisation as PyTorch's exporter writes it below opset 17. */
const layerWritten =
  (opset: number): Norm =>
  (b, x, scale, bias) => {
    const centred = b.op(ops.Sub, [x, meanOf(b, x, opset)])
    const squares = b.op(ops.Pow, [centred, b.floats('two', [2], [])])
    const root = b.op(ops.Sqrt, [b.op(ops.Add, [meanOf(b, squares, opset), b.floats('eps', [1e-5], [])])])
    return b.op(ops.Add, [b.op(ops.Mul, [b.op(ops.Div, [centred, root]), scale]), bias])
  }

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

/**
 * Pre-norm blocks of a transformer, its attention left out: embedding, `x + W₂ gelu(W₁ norm(x))` twice, a norm, a head.
 * Masked channels have no embedding columns, writers' rows, parameters of norms, readers' columns.
 */
const transformer = (norm: Norm, { width, masked, constant, opset = 17 }: Stream): Graph =>
  buildGraph(
    { tokens: [2, 5, 16] },
    (b) => {
      const hold = (name: string, shape: ReadonlyArray<number>, axis: number, fill: (channel: number) => number) => {
        b.weight(name, shape)
        const values = range(shape.reduce((n, d) => n * d, 1)).map((i) => Math.sin(i * 1.7 + name.length) * 0.5)
        const inner = shape.slice(axis + 1).reduce((n, d) => n * d, 1)
        const all = values.map((v, i) => {
          const channel = Math.floor(i / inner) % (shape[axis] ?? 1)
          return masked.includes(channel) ? fill(channel) : v
        })
        return b.constant(name, tensorOf('float32', shape, all))
      }
      const zero = () => 0
      const normed = (x: string, at: string): string =>
        norm(b, x, hold(`scale${at}`, [width], 0, zero), hold(`shift${at}`, [width], 0, zero))
      let x = b.op(ops.MatMul, ['tokens', hold('embedding', [16, width], 1, zero)])
      for (const at of ['0', '1']) {
        const up = b.op(ops.MatMul, [normed(x, at), hold(`up${at}`, [width, 2 * 64], 0, zero)])
        const act = b.op(ops.Relu, [b.op(ops.Add, [up, b.weight(`upBias${at}`, [2 * 64])])])
        const down = b.op(ops.MatMul, [act, hold(`down${at}`, [2 * 64, width], 1, zero)])
        x = b.op(ops.Add, [x, b.op(ops.Add, [down, hold(`downBias${at}`, [width], 0, constant ?? zero)])])
      }
      return [b.op(ops.MatMul, [normed(x, '2'), hold('head', [width, 10], 0, zero)])]
    },
    { opset },
  )

/** Compiles and compares; gives what is left where nothing but multiply-accumulates has a price. */
const compiled = async (graph: Graph) => {
  const { compiled, worst } = await compareCompiled(graph, noMasks)
  expect(worst).toBeLessThan(1e-5)
  const again = orThrow(compile(compiled.graph, noMasks))
  expect(again.graph).toBe(compiled.graph)
  const { compiled: raw, worst: worstRaw } = await compareCompiled(graph, noMasks, { widths: 'raw' })
  expect(worstRaw).toBeLessThan(1e-5)
  expect(orThrow(compile(raw.graph, noMasks, { widths: 'raw' })).graph).toBe(raw.graph)
  return { graph: raw.graph, macs: macsOf(raw.graph), ops: raw.graph.nodes.map((n) => n.op) }
}

const masked = range(64).filter((i) => i % 5 < 2)

const norms: ReadonlyArray<readonly [string, Norm, number]> = [
  ['LayerNormalization', layerNorm, 17],
  ['RMSNormalization', rmsNorm, 23],
  ['layer normalisation written out, opset 13', layerWritten(13), 13],
  ['layer normalisation written out, opset 18', layerWritten(18), 18],
  ['RMS normalisation written out, opset 13', rmsWritten(13), 13],
  ['RMS normalisation written out, opset 18', rmsWritten(18), 18],
]

describe('a pre-norm stream that is masked by structure is as narrow as one that was built so', () => {
  test.each(norms)('%s', async (_, norm, opset) => {
    const { macs } = await compiled(transformer(norm, { width: 64, masked, opset }))
    expect(macs).toBe(macsOf(transformer(norm, { width: 64 - masked.length, masked: [], opset })))
  })
  test.each(norms)('%s, constants left by biases', async (_, norm, opset) => {
    const constant = (channel: number): number => 0.25 * (channel % 3)
    const { macs } = await compiled(transformer(norm, { width: 64, masked, opset, constant }))
    expect(macs).toBe(macsOf(transformer(norm, { width: 64 - masked.length, masked: [], opset })))
  })
})

describe.each(norms)('of a stream through %s', (_, norm, opset) => {
  test('constants go that nobody reads; what is read, depends on the input or on the position stays', async () => {
    // Of 64 channels: 0 to 31 constant, 32 to 39 one number for each position, the others computed. Even ones are read.
    const graph = buildGraph(
      { x: [2, 5, 96] },
      (b) => {
        const computed = b.op(ops.MatMul, ['x', b.weight('made', [96, 64], { columns: range(40) })])
        const biased = b.op(ops.Add, [
          computed,
          b.floats(
            'bias',
            range(64).map((i) => 0.125 * (1 + (i % 5))),
          ),
        ])
        const positions = range(5 * 64).map((i) => (i % 64 < 32 || i % 64 >= 40 ? 0 : Math.sin(i)))
        const placed = b.op(ops.Add, [biased, b.floats('positions', positions, [1, 5, 64])])
        const y = norm(b, placed, b.positive('scale', [64]), b.weight('shift', [64]))
        return [b.op(ops.MatMul, [y, b.weight('read', [64, 320], { rows: range(64).filter((i) => i % 2 === 1) })])]
      },
      { opset },
    )
    const { graph: found } = await compiled(graph)
    expect(found.types.get('matMul0')).toMatchObject({ shape: [2, 5, 48] })
  })
})

test('a scale that is folded into what reads the stream is made up for', async () => {
  const withoutScale: Norm = (b, x) => {
    const squares = b.op(ops.Mul, [x, x])
    const root = b.op(ops.Sqrt, [b.op(ops.Add, [meanOf(b, squares, 17), b.floats('eps', [1e-6], [])])])
    return b.op(ops.Div, [x, root])
  }
  const { macs } = await compiled(transformer(withoutScale, { width: 64, masked }))
  expect(macs).toBe(macsOf(transformer(withoutScale, { width: 64 - masked.length, masked: [] })))
})

test('a normalisation of which something else reads a part is left as it is', async () => {
  const graph = buildGraph({ x: [2, 3, 8] }, (b) => {
    const centred = b.op(ops.Sub, ['x', meanOf(b, 'x', 17)])
    const variance = meanOf(b, b.op(ops.Mul, [centred, centred]), 17)
    const root = b.op(ops.Sqrt, [b.op(ops.Add, [variance, b.floats('eps', [1e-5], [])])])
    const y = b.op(ops.Div, [centred, root])
    return [b.op(ops.MatMul, [y, b.weight('read', [8, 4])]), b.op(ops.Relu, [variance])]
  })
  const { ops: nodes } = await compiled(graph)
  expect(nodes).toHaveLength(graph.nodes.length)
})

test('constants of a narrow stream are not put back over and over', async () => {
  const graph = buildGraph({ x: [2, 3, 16] }, (b) => {
    const made = [
      b.weight('made', [16, 6], { columns: [1, 2, 3, 4, 5] }),
      b.floats('bias', [0, 0.25, -0.25, 0, 0.25, 0]),
    ]
    const stream = b.op(ops.Add, [b.op(ops.MatMul, ['x', made[0] ?? '']), made[1] ?? ''])
    const y = b.op(ops.LayerNormalization, [stream, b.positive('scale', [6])])
    return [b.op(ops.MatMul, [y, b.weight('read', [6, 64], { rows: [1, 2, 3, 4, 5] })])]
  })
  const found = orThrow(compile(graph, noMasks, { target: 'cuda', widths: 'raw' })).graph
  expect(orThrow(compile(found, noMasks, { target: 'cuda', widths: 'raw' })).graph).toBe(found)
  expect(found.nodes.filter(({ op }) => op === 'Pad')).toHaveLength(1)
})

describe('group normalisation', () => {
  /** As PyTorch's exporter writes it below opset 21; batch and image of any size where `sized` is not given. */
  const written = (b: GraphBuilder, x: string, scale: string, shift: string, groups: number): string => {
    const split = b.op(ops.Reshape, [x, b.ints('split', [0, groups, -1])])
    const ones = b.floats(
      `ones${groups}`,
      range(groups).map(() => 1),
    )
    const zeros = b.floats(
      `zeros${groups}`,
      range(groups).map(() => 0),
    )
    const back = b.op(ops.Reshape, [b.op(ops.InstanceNormalization, [split, ones, zeros]), b.op(ops.Shape, [x])])
    return b.op(ops.Add, [b.op(ops.Mul, [back, scale]), shift])
  }
  const fused = (b: GraphBuilder, x: string, scale: string, shift: string, groups: number): string =>
    b.op(ops.GroupNormalization, [x, scale, shift], { num_groups: groups })

  /** A residual block of a diffusion model on a stream of 24 channels, those that are masked zero everywhere. */
  const block = (
    norm: typeof written,
    width: number,
    groups: number,
    masked: ReadonlyArray<number>,
    opset: number,
    image: ReadonlyArray<number | string> = [2, 3, 6, 6],
  ): Graph =>
    buildGraph(
      { x: image },
      (b) => {
        const isFused = norm === fused
        const parameter = (name: string, count: number, isShift: boolean): string => {
          const values = range(count).map((i) => (masked.includes(i) ? 0 : (isShift ? -0.3 : 0.8) + 0.1 * (i % 4)))
          return b.floats(name, values, isFused ? [count] : [count, 1, 1])
        }
        const conv = (
          name: string,
          x: string,
          [outs, ins]: readonly [number, number],
          isRead: boolean,
          isMade: boolean,
        ) => {
          const zeros = { ...(isMade ? { rows: masked } : {}), ...(isRead ? { columns: masked } : {}) }
          const bias = range(outs).map((i) => (isMade && masked.includes(i) ? 0 : 0.1 * (i % 5)))
          return b.op(ops.Conv, [x, b.weight(name, [outs, ins, 3, 3], zeros), b.floats(`${name}.bias`, bias)], {
            pads: [1, 1, 1, 1],
          })
        }
        const act = (x: string): string => b.op(ops.Mul, [x, b.op(ops.Sigmoid, [x])])
        const first = conv('first', 'x', [width, 3], false, true)
        const normed = norm(b, first, parameter('scale', width, false), parameter('shift', width, true), groups)
        const inner = b.op(ops.Relu, [conv('inner', act(normed), [16, width], true, false)])
        const joined = b.op(ops.Add, [first, conv('outer', inner, [width, 16], false, true)])
        const last = norm(b, joined, parameter('scale2', width, false), parameter('shift2', width, true), groups)
        return [conv('last', act(last), [3, width], true, false)]
      },
      { opset },
    )

  const whole = [...range(6), ...range(6).map((i) => i + 12)]
  const some = range(24).filter((i) => [0, 2, 5].includes(i % 6))
  const several = range(24).filter((i) => (i < 12 ? [0, 2, 5] : [1, 2, 3]).includes(i % 6))
  const cases = [
    ['written out', written, 17],
    ['as an operator', fused, 21],
  ] as const
  for (const [label, norm, opset] of cases) {
    test(`whole groups go, ${label}`, async () => {
      const { macs } = await compiled(block(norm, 24, 4, whole, opset))
      expect(macs).toBe(macsOf(block(norm, 12, 2, [], opset)))
    })
    test(`equally many channels of each group go, ${label}`, async () => {
      for (const masked of [some, several]) {
        const { macs } = await compiled(block(norm, 24, 4, masked, opset))
        expect(macs).toBe(macsOf(block(norm, 12, 4, [], opset)))
      }
    })
  }
  test('numbers that it is written with stay when others that read them shrink', async () => {
    const graph = buildGraph({ x: [2, 4, 6, 6] }, (b) => {
      const split = b.op(ops.Reshape, [b.op(ops.Conv, ['x', b.weight('g', [6, 4, 1, 1])]), b.ints('split', [0, 3, -1])])
      const zeros = b.floats('zeros', [0, 0, 0])
      const normed = b.op(ops.InstanceNormalization, [split, b.floats('ones', [1, 1, 1]), zeros])
      const back = b.op(ops.Reshape, [normed, b.ints('back', [2, 6, 6, 6])])
      const other = b.op(ops.Conv, ['x', b.weight('a', [3, 4, 1, 1], { rows: [1] }), zeros])
      return [b.op(ops.Conv, [back, b.weight('h', [2, 6, 1, 1])]), b.op(ops.Conv, [other, b.weight('c', [2, 3, 1, 1])])]
    })
    const { compiled, worst } = await compareCompiled(graph, noMasks, { target: 'webgpu' })
    expect(worst).toBeLessThan(1e-5)
    expect(compiled.report.layers.find(({ weight }) => weight === 'a')?.outputs.after).toBe(2)
  })
  test('for images of any size', async () => {
    const { compiled: found, worst } = await compareCompiled(
      block(written, 24, 4, [...whole, 6, 7, 19, 20], 17, ['N', 3, 'H', 'W']),
      noMasks,
      {
        widths: 'raw',
        sizes: new Map([
          ['H', 6],
          ['W', 5],
        ]),
      },
    )
    expect(worst).toBeLessThan(1e-5)
    expect(found.report.layers[0]?.outputs.after).toBe(8)
  })
  test('of unequal numbers as many as all groups can spare', async () => {
    const masked = range(24).filter((i) => i % 6 < 2 || i === 5 || i === 11)
    const { graph } = await compiled(block(written, 24, 4, masked, 17))
    expect(graph.types.get('conv0')).toMatchObject({ shape: [2, 16, 6, 6] })
  })
})

describe('a ConvNeXt stage', () => {
  test('that is masked by structure is as narrow as one that was built so', async () => {
    const stage = (width: number, masked: ReadonlyArray<number>): Graph =>
      buildGraph({ x: [1, 3, 16, 16] }, (b) => {
        const parameter = (name: string, count: number): string =>
          b.floats(
            name,
            range(count).map((i) => (masked.includes(i) ? 0 : 0.5 + 0.1 * (i % 7))),
          )
        const last = (x: string): string => b.op(ops.Transpose, [x], { perm: [0, 2, 3, 1] })
        const first = (x: string): string => b.op(ops.Transpose, [x], { perm: [0, 3, 1, 2] })
        const norm = (x: string, at: string): string =>
          b.op(ops.LayerNormalization, [x, parameter(`scale${at}`, width), parameter(`shift${at}`, width)])
        const stem = [b.weight('stem', [width, 3, 2, 2], { rows: masked }), parameter('stem.bias', width)]
        let x = first(norm(last(b.op(ops.Conv, ['x', ...stem], { strides: [2, 2] })), 'stem'))
        for (const at of ['0', '1']) {
          const filters = b.weight(`depth${at}`, [width, 1, 7, 7], { rows: masked })
          const y = b.op(ops.Conv, [x, filters, parameter(`depth${at}.bias`, width)], {
            group: width,
            pads: [3, 3, 3, 3],
          })
          const up = b.op(ops.MatMul, [norm(last(y), at), b.weight(`up${at}`, [width, 160], { rows: masked })])
          const hidden = b.op(ops.Relu, [b.op(ops.Add, [up, parameter(`up${at}.bias`, 160)])])
          const down = b.op(ops.MatMul, [hidden, b.weight(`down${at}`, [160, width], { columns: masked })])
          const biased = b.op(ops.Add, [down, parameter(`down${at}.bias`, width)])
          x = b.op(ops.Add, [x, first(b.op(ops.Mul, [biased, parameter(`gamma${at}`, width)]))])
        }
        const pooled = b.op(ops.Flatten, [b.op(ops.GlobalAveragePool, [x])])
        return [b.op(ops.MatMul, [norm(pooled, 'head'), b.weight('head', [width, 10], { rows: masked })])]
      })
    const masked = range(40).filter((i) => i % 5 < 2)
    const { macs } = await compiled(stage(40, masked))
    expect(macs).toBe(macsOf(stage(24, [])))
  })
})

describe('a root mean square whose epsilon is of single precision', () => {
  const stream = (dtype: string): Graph =>
    read(`input x: ${dtype}[2,2]
      const w: ${dtype}[2,6] = [1, 0, 2, -1, 0, 3, 2, 0, 1, 1, 0, -2]
      const s: ${dtype}[6] = [1, 2, 1, 0.5, 1, 1]
      const v: ${dtype}[6,1] = [1, 2, 3, 4, 5, 6]
      a = MatMul(x, w)
      n = SimplifiedLayerNormalization(a, s) { epsilon: 0.00001 }
      y = MatMul(n, v)
      output y: ${dtype}[2,1]`)
  const width = (graph: Graph): number | undefined =>
    orThrow(compile(graph, noMasks)).graph.constants.get('w')?.shape[1]

  test('keeps channels in double precision, whose digits it would not have', () => {
    expect(width(stream('float32'))).toBe(4)
    expect(width(stream('float64'))).toBe(6)
  })
})
