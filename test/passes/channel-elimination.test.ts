/** Channel elimination case by case: what goes, what stays and why; each result runs like the masked model. */
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import { contextOf, type Graph, withParts } from '../../src/ir/graph.ts'
import type { Target } from '../../src/passes/target.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { makeNode } from '../../src/ir/make-node.ts'
import { findOp, opOf } from '../../src/ir/registry.ts'
import { tensorOf } from '../../src/ir/tensor.ts'
import { tensorType } from '../../src/ir/type.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { compile, type LayerReport } from '../../src/passes/compile.ts'
import { channelConstants } from '../../src/passes/channel-elimination/constants.ts'
import { trackingOf } from '../../src/passes/channel-elimination/tracking.ts'
import { buildGraph, convNormRelu, type GraphBuilder, type Zeros } from '../builder.ts'
import { compareCompiled, orThrow } from '../fuzz/differential.ts'

const image = { x: ['N', 4, 8, 8] as const }

/** Runs masked and compiled model and gives the layers of the report by name. */
const compiled = async (graph: Graph, target: Target = 'cpu') => {
  const { compiled, worst } = await compareCompiled(graph, noMasks, { target })
  expect(worst).toBeLessThan(1e-5)
  const layers = new Map<string, LayerReport>(compiled.report.layers.map((layer) => [layer.layer, layer]))
  const width = (layer: string): string => {
    const found = layers.get(layer)
    return `${found?.inputs.after} -> ${found?.outputs.after}`
  }
  const why = (layer: string): string =>
    (layers.get(layer)?.stays ?? []).map((s) => `${s.side}: ${s.reason.text}`).join('; ')
  return { graph: compiled.graph, width, why, ops: compiled.graph.nodes.map((n) => n.op) }
}

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
const even = (n: number): number[] => range(n).filter((i) => i % 2 === 0)

const conv = (
  b: GraphBuilder,
  name: string,
  x: string,
  [outs, ins, kernel]: readonly [number, number, number],
  zeros: Zeros = {},
  bias = false,
): string => {
  const pad = (kernel - 1) / 2
  const inputs = [x, b.weight(name, [outs, ins, kernel, kernel], zeros)]
  return b.op(ops.Conv, bias ? [...inputs, b.weight(`${name}.bias`, [outs])] : inputs, { pads: [pad, pad, pad, pad] })
}

describe('channels that differ from position to position, but not from input to input', () => {
  const live = { rows: even(96) }
  const depthwise = (b: GraphBuilder, name: string, x: string, channels: number, stride = 1): string => {
    const inputs = [x, b.weight(name, [channels, 1, 3, 3]), b.weight(`${name}.bias`, [channels])]
    return b.op(ops.Conv, inputs, { group: channels, pads: [1, 1, 1, 1], strides: [stride, stride] })
  }
  /** An inverted residual block; filters of its first layer are masked, biases are not. */
  const inverted = (b: GraphBuilder, x: string, middle: (y: string) => string = (y) => y): string => {
    const y = convNormRelu(b, 'expand', x, [96, 16, 1], live, false)
    const z = b.op(ops.Sigmoid, [depthwise(b, 'depthwise', y, 96)])
    return b.op(ops.Add, [x, conv(b, 'project', middle(z), [16, 96, 1], {}, true)])
  }
  const block = (
    middle?: (b: GraphBuilder, y: string) => string,
    x = 'x',
  ): Promise<Awaited<ReturnType<typeof compiled>>> =>
    compiled(
      buildGraph({ x: ['N', 16, 12, 12] }, (b) => [
        inverted(b, b.op(ops.Relu, [x]), middle === undefined ? undefined : (y) => middle(b, y)),
      ]),
    )
  test('go behind a padded depthwise convolution, and are added behind the next layer', async () => {
    const { width, ops: nodes } = await block()
    expect([width('conv0'), width('conv1'), width('conv2')]).toEqual(['16 -> 48', '48 -> 48', '48 -> 16'])
    expect(nodes).toEqual(['Relu', 'Conv', 'Conv', 'Sigmoid', 'Conv', 'Add', 'Add'])
  })
  test('through concatenation, shuffling, splitting and pooling', async () => {
    const { width } = await block((b, y) => {
      const joined = b.op(ops.Concat, [y, y], { axis: 1 })
      const grouped = b.op(ops.Reshape, [joined, b.ints('grouped', [0, 2, 96, 12, 12])])
      const shuffled = b.op(ops.Transpose, [grouped], { perm: [0, 2, 1, 3, 4] })
      const flat = b.op(ops.Reshape, [shuffled, b.ints('flat', [0, 192, 12, 12])])
      const half = b.op(ops.Split, [flat, b.ints('halves', [96, 96])], { axis: 1 }, 2)
      return b.op(ops.AveragePool, [half], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 })
    })
    expect(width('conv0')).toBe('16 -> 24')
  })
  test('times a gate that is constant, made from what is the same at all positions again', async () => {
    const { width, ops: nodes } = await block((b, y) => {
      const squeezed = b.op(ops.Relu, [conv(b, 'squeeze', b.op(ops.GlobalAveragePool, [y]), [8, 96, 1], {}, true)])
      const gate = b.op(ops.Sigmoid, [conv(b, 'excite', squeezed, [96, 8, 1], live, true)])
      return b.op(ops.Mul, [y, gate])
    })
    // The squeezing layer reads means over the positions: one number for each channel, which its bias takes.
    expect(['conv0', 'conv1', 'conv2', 'conv3', 'conv4'].map(width)).toEqual([
      '16 -> 48',
      '48 -> 48',
      '48 -> 8',
      '8 -> 48',
      '48 -> 16',
    ])
    expect(nodes.filter((op) => op === 'Add')).toHaveLength(2)
  })
  test('stay with a channel of a gate that is needed', async () => {
    const { width, why } = await block((b, y) => {
      const gate = b.op(ops.Sigmoid, [conv(b, 'excite', b.op(ops.GlobalAveragePool, [y]), [96, 96, 1], {}, true)])
      return b.op(ops.Mul, [y, gate])
    })
    expect(width('conv0')).toBe('16 -> 96')
    expect(why('conv0')).toContain('goes with a channel of')
  })
  test('stay where something that depends on the input is multiplied with all of them', async () => {
    const { width } = await block((b, y) => {
      const mask = b.op(ops.Sigmoid, [conv(b, 'mask', b.op(ops.Relu, ['x']), [1, 16, 1])])
      return b.op(ops.Mul, [y, mask])
    })
    expect(width('conv0')).toBe('16 -> 96')
  })
  test('stay where adding them costs more than they do', async () => {
    const { width, why } = await compiled(
      buildGraph({ x: ['N', 16, 12, 12] }, (b) => {
        const y = convNormRelu(b, 'expand', 'x', [96, 16, 1], { rows: range(2) })
        return [conv(b, 'project', depthwise(b, 'depthwise', y, 96), [64, 96, 1])]
      }),
    )
    expect(width('conv0')).toBe('16 -> 96')
    expect(why('conv0')).toContain('is not the same at all positions behind Conv conv2')
  })
  test('stay where sizes are not known, and where samples of a batch differ', async () => {
    const unknown = await compiled(buildGraph({ x: ['N', 16, 'H', 12] }, (b) => [inverted(b, b.op(ops.Relu, ['x']))]))
    expect(unknown.width('conv0')).toBe('16 -> 96')
    const batches = async (samples: number) =>
      compiled(
        buildGraph({ x: [2, 16, 12, 12] }, (b) => [
          inverted(b, b.op(ops.Relu, ['x']), (y) => b.op(ops.Add, [y, b.weight('places', [samples, 96, 12, 12])])),
        ]),
      )
    expect((await batches(1)).width('conv0')).toBe('16 -> 48')
    expect((await batches(2)).width('conv0')).toBe('16 -> 96')
  })
  test('meet the padding of a layer that sums over them', async () => {
    const { width } = await compiled(
      buildGraph({ x: ['N', 16, 12, 12] }, (b) => {
        const y = convNormRelu(b, 'expand', 'x', [96, 16, 1], live, false)
        const z = b.op(ops.Sigmoid, [depthwise(b, 'depthwise', y, 96, 2)])
        const t = b.op(ops.ConvTranspose, [z, b.weight('up', [96, 8, 3, 3])], { strides: [2, 2], pads: [0, 1, 1, 0] })
        return [t, convNormRelu(b, 'c', z, [8, 96, 3])]
      }),
    )
    expect(width('conv0')).toBe('16 -> 48')
  })
})

describe('sizes that are known of some inputs only', () => {
  /** The last axis of `a` is 8 long, that of `x` has to be, but that is not written there. */
  const widthBefore = (join: (b: GraphBuilder, a: string) => string): number | undefined => {
    const graph = buildGraph({ x: [1, 2, 'W'], y: [3, 2, 8] }, (b) => {
      const a = b.op(ops.MatMul, ['y', b.weight('first', [8, 8])])
      return [b.op(ops.MatMul, [join(b, a), b.weight('second', [8, 5], { rows: even(8) })])]
    })
    const { layers } = orThrow(compile(graph, noMasks, { widths: 'raw' })).report
    return layers.find(({ weight }) => weight === 'first')?.outputs.after
  }
  test('nothing goes where tensors are put one after another', () => {
    expect(widthBefore((b, a) => b.op(ops.Concat, [a, 'x'], { axis: 0 }))).toBe(8)
    expect(widthBefore((b, a) => b.op(ops.Concat, [a, a], { axis: 0 }))).toBe(4)
  })
  test('nor where letters stand for them', () => {
    const product = (equation: string, other: (b: GraphBuilder, a: string) => string) =>
      widthBefore((b, a) => b.op(ops.Einsum, [a, other(b, a)], { equation }))
    // Of a letter twice in one operand a diagonal is taken.
    const square = (b: GraphBuilder): string => b.op(ops.Relu, [b.weight('square', [2, 8, 8])])
    expect(product('ijk,lmk->ijk', () => 'x')).toBe(8)
    expect(product('ijk,lkk->ijk', square)).toBe(8)
  })
  test('nor where some are put in the place of others', () => {
    const first = (b: GraphBuilder): string => b.constant('places', tensorOf('int64', [1, 1], [0]))
    const one = (b: GraphBuilder, a: string): string => b.op(ops.Slice, [a, b.ints('from', [1]), b.ints('to', [2])])
    expect(widthBefore((b, a) => b.op(ops.ScatterND, [a, first(b), 'x']))).toBe(8)
    expect(widthBefore((b, a) => b.op(ops.ScatterND, [a, first(b), one(b, a)]))).toBe(4)
  })
})

describe('constants', () => {
  test('a constant into an unpadded convolution goes into its bias', async () => {
    const { width, ops } = await compiled(
      buildGraph(image, (b) => [conv(b, 'b', convNormRelu(b, 'a', 'x', [16, 4, 3], { rows: even(16) }), [4, 16, 1])]),
    )
    expect(width('conv0')).toBe('4 -> 8')
    expect(ops).toEqual(['Conv', 'Relu', 'Conv'])
  })
  test('constants that meet padding ride on one carrier, exact at the border', async () => {
    const { width, why } = await compiled(
      buildGraph(image, (b) => [conv(b, 'b', convNormRelu(b, 'a', 'x', [16, 4, 1], { rows: range(5) }), [16, 16, 3])]),
    )
    expect(width('conv0')).toBe('4 -> 12')
    expect(why('conv0')).toContain('carries the constants that meet the padding of Conv conv1')
  })
  test('where a carrier would cost a width, what constants add at padding is added position by position', async () => {
    const { width, ops: nodes } = await compiled(
      buildGraph(image, (b) => {
        const y = convNormRelu(b, 'a', 'x', [32, 4, 1], { rows: range(16) })
        return [convNormRelu(b, 'b', y, [32, 32, 3])]
      }),
    )
    // The 17th would begin a second block.
    expect(width('conv0')).toBe('4 -> 16')
    // The normalisation behind it is folded all the same.
    expect(nodes).toEqual(['Conv', 'Relu', 'Conv', 'Add', 'Relu'])
  })
  test('what is handed on unchanged, as cuts do, is known however often that happens', () => {
    const values: string[] = []
    const graph = buildGraph({ x: ['N', 4, 64, 64] }, (b) => {
      const y = convNormRelu(b, 'a', 'x', [16, 4, 1], { rows: range(8) })
      // 32 channels of 64 by 64 doubles are 1 MiB, and 64 MiB are kept.
      values.push(conv(b, 'b', y, [32, 16, 3], { columns: range(16).slice(8) }))
      for (let n = 0; n < 100; n++) values.push(b.op(ops.Identity, [values.at(-1) ?? '']))
      return [conv(b, 'c', values.at(-1) ?? '', [4, 32, 1])]
    })
    const { patterns } = channelConstants(graph)
    expect(values.filter((value) => patterns(value, 1)?.has(31) === true)).toEqual(values)
  })
  test('of a large image, constants that meet padding ride on a carrier', () => {
    const network = (size: number) =>
      buildGraph({ x: ['N', 4, size, size] }, (b) => {
        const y = convNormRelu(b, 'a', 'x', [32, 4, 1], { rows: range(16) })
        return [convNormRelu(b, 'b', y, [32, 32, 3])]
      })
    const width = (size: number): number | undefined =>
      orThrow(compile(network(size), noMasks)).report.layers[0]?.outputs.after
    // 32 channels of 181 by 181 floats are the last below 4 MiB.
    expect(width(181)).toBe(16)
    expect(width(182)).toBe(20)
  })
  test('where sizes are not known, constants that meet padding ride on a carrier', async () => {
    const { width, why } = await compiled(
      buildGraph({ x: ['N', 4, 'H', 'W'] }, (b) => {
        const y = convNormRelu(b, 'a', 'x', [16, 4, 1], { rows: range(8) })
        return [convNormRelu(b, 'b', y, [32, 16, 3])]
      }),
    )
    expect(width('conv0')).toBe('4 -> 9')
    expect(why('conv0')).toContain('carries the constants that meet the padding of Conv conv1')
  })
  test('a transposed convolution keeps a carrier in each group', async () => {
    const { width } = await compiled(
      buildGraph(image, (b) => {
        const y = convNormRelu(b, 'a', 'x', [16, 4, 1], { rows: even(16) })
        const z = b.op(ops.ConvTranspose, [y, b.weight('t', [16, 16, 3, 3])], {
          group: 2,
          strides: [2, 2],
          pads: [1, 1, 1, 1],
        })
        return [conv(b, 'c', z, [4, 32, 1])]
      }),
    )
    expect(width('conv0')).toBe('4 -> 10')
  })
  test('zeros that meet padding cost nothing', async () => {
    const { width } = await compiled(
      buildGraph(image, (b) => [
        conv(b, 'b', b.op(ops.Relu, [conv(b, 'a', 'x', [16, 4, 1], { rows: range(4) })]), [4, 16, 3]),
      ]),
    )
    expect(width('conv0')).toBe('4 -> 12')
  })
  test('operators that do not keep zero make constants of it', async () => {
    for (const name of ['Sigmoid', 'Softplus', 'Cos', 'HardSigmoid', 'Exp']) {
      const op = findOp(name)
      if (op === undefined) throw new Error(`no operator ${name}`)
      const { width } = await compiled(
        buildGraph(image, (b) => {
          const y = b.op(ops.Tanh, [conv(b, 'a', 'x', [8, 4, 1], { rows: range(4) })])
          return [conv(b, 'b', b.op(op, [y]), [4, 8, 1])]
        }),
      )
      expect(width('conv0'), name).toBe('4 -> 4')
    }
  })
  test('a constant channel is not constant after average pooling that counts its padding', async () => {
    const pooled = (count_include_pad: number) =>
      compiled(
        buildGraph(image, (b) => {
          const y = convNormRelu(b, 'a', 'x', [8, 4, 1], { rows: range(4) }, false)
          const z = b.op(ops.AveragePool, [y], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad })
          return [conv(b, 'b', z, [4, 8, 1])]
        }),
      )
    expect((await pooled(0)).width('conv0')).toBe('4 -> 4')
    expect((await pooled(1)).width('conv0')).toBe('4 -> 8')
  })
  test('with a padding value other than its own a constant differs from position to position', async () => {
    const padded = (value: number) =>
      compiled(
        buildGraph(image, (b) => {
          const y = b.op(ops.Relu, [conv(b, 'a', 'x', [32, 4, 1], { rows: range(16) })])
          const z = b.op(ops.Pad, [y, b.ints('pads', [0, 0, 1, 1, 0, 0, 1, 1]), b.floats('value', [value], [])])
          return [conv(b, 'b', z, [4, 32, 1])]
        }),
      )
    const [same, other] = [await padded(0), await padded(0.5)]
    expect([same.width('conv0'), other.width('conv0')]).toEqual(['4 -> 16', '4 -> 16'])
    expect([same.ops, other.ops].map((nodes) => nodes.includes('Add'))).toEqual([false, true])
  })
  test('what was concluded from a constant holds while its inputs shrink', async () => {
    // The dead depthwise layer makes all channels behind it constant; what feeds it shrinks away. Of unknown sizes, what
    // they become behind the padding cannot be computed.
    const { width } = await compiled(
      buildGraph({ x: ['N', 4, 'H', 'W'] }, (b) => {
        const a = convNormRelu(b, 'a', 'x', [16, 4, 1], { rows: even(16) })
        const c = convNormRelu(
          b,
          'c',
          convNormRelu(b, 'b', a, [16, 16, 1], { columns: range(16) }),
          [16, 16, 3],
          {},
          true,
          16,
        )
        return [conv(b, 'd', c, [4, 16, 3])]
      }),
    )
    expect(width('conv1')).toBe('1 -> 8')
  })
})

describe('dead channels', () => {
  test('what no weight reads goes, although its own weights are there', async () => {
    const { width } = await compiled(
      buildGraph(image, (b) => [conv(b, 'b', convNormRelu(b, 'a', 'x', [8, 4, 3]), [4, 8, 3], { columns: range(4) })]),
    )
    expect(width('conv0')).toBe('4 -> 4')
  })
  test('a dead channel that stays where f(0) is no number is computed as before', async () => {
    // Channels 0 to 2 of `b` are read by nothing, but tied to those of `e`. Their logarithm must stay finite.
    const graph = buildGraph(image, (b) => {
      const a = b.op(ops.Sigmoid, [conv(b, 'a', 'x', [12, 4, 1])])
      const zeros = tensorOf(
        'float32',
        [8, 12, 1, 1],
        Float32Array.from({ length: 96 }, (_, i) => (i < 36 ? (i % 12 < 4 ? 0.5 : 0) : i % 12 < 4 ? 0 : 0.25)),
      )
      const y = b.op(ops.Log, [b.op(ops.Conv, [a, b.constant('b', zeros)])])
      const e = conv(b, 'e', 'x', [8, 4, 1])
      return [conv(b, 'c', b.op(ops.Add, [y, e]), [4, 8, 1], { columns: [0, 1, 2] }), conv(b, 'f', e, [4, 8, 1])]
    })
    const { width } = await compiled(graph)
    expect(width('conv1')).toBe('12 -> 8')
  })
  test('what a zero is divided by is computed as before where the quotient stays', async () => {
    const graph = buildGraph(image, (b) => {
      const a = b.op(ops.Sigmoid, [conv(b, 'a', 'x', [4, 4, 1])])
      const quarters = tensorOf('float32', [8, 4, 1, 1], new Float32Array(32).fill(0.25))
      const divisor = b.op(ops.Conv, [a, b.constant('b', quarters)])
      const numbers = tensorOf('float32', [8, 1, 1], Float32Array.of(1, 0, 2, 3, 0, 0, 0, 0))
      const y = b.op(ops.Div, [b.constant('numbers', numbers), divisor])
      return [b.op(ops.Conv, [y, b.weight('c', [4, 4, 1, 1])], { group: 2 })]
    })
    const { ops: left } = await compiled(graph)
    expect(left).toContain('Div')
  })
  test('a dead branch of a residual block disappears, its shift becomes a bias', async () => {
    const { ops: left } = await compiled(
      buildGraph(image, (b) => {
        const stem = convNormRelu(b, 'stem', 'x', [8, 4, 3])
        const branch = convNormRelu(b, 'b', convNormRelu(b, 'a', stem, [8, 8, 3]), [8, 8, 3], { rows: range(8) }, false)
        return [conv(b, 'c', b.op(ops.Relu, [b.op(ops.Add, [branch, stem])]), [4, 8, 1])]
      }),
    )
    expect(left).toEqual(['Conv', 'Relu', 'Add', 'Relu', 'Conv'])
  })
  test('a dead network is a constant with the shape of its input', async () => {
    const { graph } = await compiled(
      buildGraph(image, (b) => {
        const y = convNormRelu(b, 'a', 'x', [8, 4, 3], { rows: range(8) })
        const flat = b.op(ops.Flatten, [b.op(ops.GlobalAveragePool, [convNormRelu(b, 'b', y, [8, 8, 1])])])
        return [b.op(ops.Gemm, [flat, b.weight('fc', [8, 3])])]
      }),
    )
    expect(graph.inputs.map((i) => i.type)).toEqual(
      graph.inputs.map(() => expect.objectContaining({ shape: ['N', 4, 8, 8] })),
    )
  })
})

describe('what goes together', () => {
  test('graph outputs keep their channels, also inside the graph', async () => {
    const { width, why } = await compiled(
      buildGraph(image, (b) => {
        const y = convNormRelu(b, 'a', 'x', [8, 4, 3], { rows: even(8) })
        return [conv(b, 'b', y, [4, 8, 1]), y]
      }),
    )
    expect(width('conv0')).toBe('4 -> 8')
    expect(why('conv0')).toContain('is the graph output')
  })
  test('a residual stream keeps what one of its producers makes', async () => {
    const { width, why } = await compiled(
      buildGraph(image, (b) => {
        const left = conv(b, 'a', 'x', [8, 4, 1], { rows: [0, 1, 2, 3] })
        const right = conv(b, 'b', b.op(ops.Relu, ['x']), [8, 4, 1], { rows: [2, 3, 4, 5] })
        return [conv(b, 'c', b.op(ops.Add, [left, right]), [4, 8, 1])]
      }),
    )
    expect(width('conv0')).toBe('4 -> 6')
    expect(why('conv0')).toContain('is constant, but to put it back in front of Add add0 would take longer')
  })
  test('a gate of zeros kills what it multiplies', async () => {
    const { width } = await compiled(
      buildGraph(image, (b) => {
        const y = conv(b, 'a', 'x', [8, 4, 3])
        const gate = b.op(ops.Relu, [
          conv(b, 'gate', b.op(ops.GlobalAveragePool, ['x']), [8, 4, 1], { rows: [1, 3, 5, 7] }),
        ])
        return [conv(b, 'c', b.op(ops.Mul, [y, gate]), [4, 8, 3])]
      }),
    )
    expect(width('conv0')).toBe('4 -> 4')
  })
  test('an attention head whose values are zero goes, with its queries and keys', async () => {
    const { width } = await compiled(
      buildGraph({ x: ['N', 5, 12] }, (b) => {
        // Matrices [inputs, outputs]: four heads of four.
        const heads = (name: string, dead: ReadonlyArray<number> = []): string => {
          const y = b.op(ops.MatMul, ['x', b.weight(name, [12, 16], { columns: dead })])
          const split = b.op(ops.Reshape, [y, b.ints(`${name}.split`, [0, 0, 4, 4])])
          return b.op(ops.Transpose, [split], { perm: [0, 2, 1, 3] })
        }
        const [q, k, v] = [heads('q'), heads('k'), heads('v', range(16).slice(4, 12))]
        const scores = b.op(ops.MatMul, [q, b.op(ops.Transpose, [k], { perm: [0, 1, 3, 2] })])
        const mixed = b.op(ops.MatMul, [b.op(ops.Softmax, [scores], { axis: -1 }), v])
        const joined = b.op(ops.Reshape, [
          b.op(ops.Transpose, [mixed], { perm: [0, 2, 1, 3] }),
          b.ints('join', [0, 0, 16]),
        ])
        return [b.op(ops.MatMul, [joined, b.weight('o', [16, 6])])]
      }),
    )
    expect(range(3).map((i) => width(`matMul${i}`))).toEqual(['12 -> 8', '12 -> 8', '12 -> 8'])
    expect(width('matMul5')).toBe('8 -> 6')
  })
  test('one initializer read by two layers is cut differently for each', async () => {
    const { width } = await compiled(
      buildGraph(image, (b) => {
        const w = b.weight('w', [8, 4, 1, 1])
        const left = b.op(ops.Conv, ['x', w])
        const right = b.op(ops.Conv, ['x', w])
        const a = conv(b, 'a', b.op(ops.Relu, [left]), [4, 8, 1], { columns: [0, 1, 2, 3] })
        const c = conv(b, 'c', b.op(ops.Sigmoid, [right]), [4, 8, 1], { columns: [4, 5, 6, 7] })
        return [b.op(ops.Add, [a, c])]
      }),
    )
    expect([width('conv0'), width('conv1')]).toEqual(['4 -> 4', '4 -> 4'])
  })
  test('groups stay equal: channels come back, or whole groups go', async () => {
    const grouped = (rows: ReadonlyArray<number>) =>
      compiled(
        buildGraph(image, (b) => {
          const y = b.op(ops.Relu, [conv(b, 'a', 'x', [16, 4, 1], { rows })])
          const z = b.op(ops.Conv, [y, b.weight('g', [16, 4, 3, 3], { rows: rows.filter((r) => r < 8) })], {
            group: 4,
            pads: [1, 1, 1, 1],
          })
          return [conv(b, 'c', z, [4, 16, 1])]
        }),
      )
    expect((await grouped([0, 4, 8, 12])).width('conv1')).toBe('12 -> 16')
    expect((await grouped([0, 1])).width('conv1')).toBe('16 -> 16')
    const whole = await grouped([0, 1, 2, 3])
    expect(whole.width('conv1')).toBe('12 -> 12')
    expect(whole.graph.nodes.find((n) => n.name === 'conv1')?.attrs).toMatchObject({ group: 3 })
  })
  test('groups whose inputs are of unknown number keep them all, and outputs of equal number', async () => {
    const grouped = (rows: ReadonlyArray<number>) =>
      compiled(
        buildGraph({ x: ['N', 'channels', 8, 8] }, (b) => {
          const y = b.op(ops.Conv, ['x', b.weight('g', [16, 1, 3, 3], { rows })], { group: 2, pads: [1, 1, 1, 1] })
          return [conv(b, 'c', y, [4, 16, 1])]
        }),
      )
    expect((await grouped([0, 1, 2, 3, 8, 9, 10, 11])).width('conv0')).toBe('2 -> 8')
    expect((await grouped([0, 1, 2, 3, 4, 5, 8, 9, 10, 11])).width('conv0')).toBe('2 -> 8')
  })
  test('channels keep their identity through a shuffle', async () => {
    const { width } = await compiled(
      buildGraph(image, (b) => {
        const y = b.op(ops.Relu, [conv(b, 'a', 'x', [8, 4, 1], { rows: [0, 1, 2, 5] })])
        const wide = b.op(ops.Reshape, [y, b.ints('split', [0, 2, 4, 8, 8])])
        const back = b.op(ops.Reshape, [
          b.op(ops.Transpose, [wide], { perm: [0, 2, 1, 3, 4] }),
          b.ints('join', [0, 8, 8, 8]),
        ])
        return [conv(b, 'b', back, [4, 8, 3])]
      }),
    )
    expect(width('conv1')).toBe('4 -> 4')
  })
  test('a split into equal parts gets sizes once it is cut unequally', async () => {
    for (const [opset, num_outputs] of [
      [11, undefined],
      [17, undefined],
      [18, 2],
    ] as const) {
      const { width } = await compiled(
        buildGraph(
          image,
          (b) => {
            const y = b.op(ops.Relu, [conv(b, 'a', 'x', [16, 4, 1], { rows: [0, 1, 2, 3] })])
            b.op(ops.Split, [y], { axis: 1, num_outputs }, 2)
            return [conv(b, 'b', 'split0.0', [4, 8, 1]), conv(b, 'c', 'split0.1', [4, 8, 1])]
          },
          { opset },
        ),
      )
      expect([width('conv1'), width('conv2')], `opset ${opset}`).toEqual(['4 -> 4', '8 -> 4'])
    }
  })
  test('channels of a value of unknown shape stay, with that as the reason', async () => {
    // A target of zeros copies the sizes; the compiler cannot know that it is one.
    const { width, why } = await compiled(
      buildGraph({ x: ['N', 4, 8, 8], sizes: [4] }, (b) => {
        const zeros = b.op(ops.Floor, [b.op(ops.Mul, [b.op(ops.Sigmoid, ['sizes']), b.floats('half', [0.5])])])
        const y = b.op(ops.Reshape, ['x', b.op(ops.Cast, [zeros], { to: 7 })])
        return [conv(b, 'a', y, [8, 4, 1], { columns: [1, 2] })]
      }),
    )
    expect(width('conv0')).toBe('4 -> 8')
    expect(why('conv0')).toContain('which Reshape reshape0 makes, whose shape is not known')
  })
  describe('computed sizes', () => {
    const open = { x: ['N', 4, 'H', 'W'] as const }
    const half = { rows: [0, 1, 2, 3] }
    /** The sizes of `x`, of which elements `from` to `to` are taken. */
    const someSizes = (b: GraphBuilder, x: string, from: number, to: number): string =>
      b.op(ops.Slice, [b.op(ops.Shape, [x]), b.ints(`${x}.from`, [from]), b.ints(`${x}.to`, [to])])

    test('a resize to the height and width of another value lets the channels of both go', async () => {
      const { width } = await compiled(
        buildGraph(open, (b) => {
          const y = b.op(ops.Relu, [conv(b, 'a', 'x', [8, 4, 3], half)])
          const down = b.op(ops.Conv, [y, b.weight('s', [12, 8, 3, 3], half)], { strides: [2, 2], pads: [1, 1, 1, 1] })
          const z = b.op(ops.Relu, [down])
          const sizes = b.op(ops.Concat, [someSizes(b, z, 0, 2), someSizes(b, y, 2, 4)], { axis: 0 })
          const large = b.op(ops.Resize, [z, '', '', sizes], { mode: 'linear' })
          return [conv(b, 'c', b.op(ops.Concat, [y, large], { axis: 1 }), [4, 20, 3])]
        }),
      )
      expect([width('conv0'), width('conv1'), width('conv2')]).toEqual(['4 -> 4', '4 -> 8', '12 -> 4'])
    })
    test('a reshape and an expansion to computed sizes change the entries that are known', async () => {
      const { width } = await compiled(
        buildGraph(open, (b) => {
          const y = b.op(ops.Relu, [conv(b, 'a', 'x', [32, 4, 3], { rows: [...range(8), ...range(24).slice(16)] })])
          const [batch, plane] = [someSizes(b, 'x', 0, 1), someSizes(b, y, 2, 4)]
          const split = b.op(ops.Concat, [batch, b.ints('split', [2, 16]), plane], { axis: 0 })
          const halves = b.op(ops.Sigmoid, [b.op(ops.Reshape, [y, split])])
          const join = b.op(ops.Concat, [batch, b.ints('join', [32]), plane], { axis: 0 })
          const row = b.weight('row', [1, 32, 1, 1])
          const z = b.op(ops.Add, [b.op(ops.Reshape, [halves, join]), b.op(ops.Expand, [row, join])])
          return [conv(b, 'c', z, [4, 32, 1])]
        }),
      )
      expect([width('conv0'), width('conv1')]).toEqual(['4 -> 16', '16 -> 4'])
    })
    test('a value of which only the size is read keeps one channel', async () => {
      const { width, why } = await compiled(
        buildGraph(open, (b) => {
          const y = b.op(ops.Relu, [conv(b, 'a', 'x', [8, 4, 3])])
          const sizes = b.op(ops.Concat, [someSizes(b, 'x', 0, 2), someSizes(b, y, 2, 4)], { axis: 0 })
          return [b.op(ops.Resize, ['x', '', '', sizes]), b.op(ops.Cast, [b.op(ops.Shape, [y])], { to: 1 })]
        }),
      )
      expect(width('conv0')).toBe('4 -> 1')
      expect(why('conv0')).toContain('one channel to work on')
    })
  })
  test('an operator nobody knows pins what it touches', async () => {
    const graph = buildGraph(image, (b) => {
      const y = b.op(ops.Relu, [conv(b, 'a', 'x', [8, 4, 1], { rows: even(8) })])
      return [conv(b, 'b', b.op(ops.Softmax, [y], { axis: 1 }), [4, 8, 1])]
    })
    const { width, why } = await compiled(graph)
    expect(width('conv0')).toBe('4 -> 8')
    expect(why('conv0')).toContain('Softmax')
  })
})

describe('groups', () => {
  // Group g of the middle convolution keeps g + 1 of its 8 channels on either side.
  const ragged = (outs: number, kernel: number) =>
    buildGraph(image, (b) => {
      const lost = range(32).filter((i) => i % 8 > Math.floor(i / 8))
      const y = b.op(ops.Relu, [conv(b, 'a', 'x', [32, 4, 1], { rows: lost })])
      const z = b.op(ops.Relu, [b.op(ops.Conv, [y, b.weight('g', [32, 8, 3, 3])], { group: 4, pads: [1, 1, 1, 1] })])
      return [conv(b, 'c', z, [outs, 32, kernel], { columns: lost })]
    })
  test('of unequal size do not keep their neighbours from shrinking, where that is worth moving channels', async () => {
    const { width, ops: nodes } = await compiled(ragged(256, 3))
    expect(width('conv2')).toBe('10 -> 256')
    expect(width('conv0')).toBe('4 -> 16')
    expect(nodes).toEqual(['Conv', 'Relu', 'Conv', 'Gather', 'Relu', 'Conv'])
  })
  test('of unequal size whose inputs are gathered stay as they are when compiled again, though they make fewer positions', async () => {
    const graph = buildGraph({ x: ['N', 4, 9, 9] }, (b) => {
      const y = b.op(ops.Gather, [conv(b, 'a', 'x', [5, 4, 1]), b.ints('again', [0, 0, 0, 0, 1, 2, 3, 4])], { axis: 1 })
      // The first of two groups needs one of its channels.
      const isRead = (o: number, i: number): boolean => o >= 2 || i === 0
      const numbers = range(4 * 4 * 9).map((k) =>
        isRead(Math.floor(k / 36), Math.floor(k / 9) % 4) ? 0.1 * (k + 1) : 0,
      )
      const weight = b.floats('g', numbers, [4, 4, 3, 3])
      return [b.op(ops.Conv, [y, weight], { group: 2, strides: [4, 4] })]
    })
    const { graph: after, ops: nodes } = await compiled(graph)
    expect(nodes).toEqual(['Conv', 'Gather', 'Conv'])
    expect(compile(after, noMasks)).toMatchObject({ right: { graph: after } })
  })
  test('of unequal size are filled up where moving channels would cost more', async () => {
    const { width, ops: nodes } = await compiled(ragged(4, 1))
    expect(width('conv2')).toBe('16 -> 4')
    expect(nodes).not.toContain('Gather')
  })
})

describe('widths', () => {
  /** How many of `all` channels stay of which `left` are not masked, in front of a kernel of some size. */
  const width = (
    kernel: number,
    left: number,
    all = 32,
    size: number | string = 56,
    target: Target = 'cpu',
  ): number | undefined => {
    const graph = buildGraph({ x: ['N', 4, size, size] }, (b) => {
      const y = b.op(ops.Relu, [conv(b, 'a', 'x', [all, 4, 1], { rows: range(all - left) })])
      return [conv(b, 'b', y, [32, all, kernel])]
    })
    return orThrow(compile(graph, noMasks, { target })).report.layers[0]?.outputs.after
  }
  test('are multiples of what is assumed of targets that nothing was measured of, for three tenths more work at most', () => {
    const all = (target: Target) => [2, 12, 13, 17, 21, 25].map((left) => width(3, left, 32, 56, target))
    expect(all('cuda')).toEqual([2, 12, 16, 17, 24, 32])
    expect(all('webgpu')).toEqual([2, 12, 16, 20, 24, 28])
  })
  test('are rounded up to what the target runs fast where that is cheaper', () => {
    // Kernels of one place that read less than a block of 16 are much slower, larger ones a little.
    expect([2, 6, 8, 12, 15, 16].map((left) => width(1, left))).toEqual([2, 16, 16, 16, 16, 16])
    expect([8, 12, 13, 15].map((left) => width(3, left))).toEqual([8, 12, 13, 16])
    // Beyond one block only multiples of 4 are computed in blocks.
    expect([17, 20, 21, 30].map((left) => width(3, left))).toEqual([20, 20, 24, 32])
  })
  test('are the same for images of an open size as for 32x32', () => {
    const all = (kernel: number, size: number | string) => range(32).map((left) => width(kernel, left + 1, 32, size))
    expect(all(1, 'S')).toEqual(all(1, 32))
    expect(all(3, 'S')).toEqual(all(3, 32))
  })
  test('are never more than there were', () => {
    expect([13, 15].map((left) => width(1, left, 15))).toEqual([13, 15])
    expect(width(3, 17, 18)).toBe(17)
  })
  test('are not rounded where that saves next to nothing', () => {
    expect([13, 17].map((left) => width(1, left, 32, 2))).toEqual([13, 17])
  })
  test('are rounded where a node would reorder what a convolution made, but in networks that take no longer than such nodes', () => {
    const behind = (others: number): number | undefined => {
      const graph = buildGraph({ x: ['N', 16, 14, 14] }, (b) => {
        const wide = range(others).reduce(
          (x, i) => conv(b, `wide${i}`, x, [i === others - 1 ? 16 : 256, i === 0 ? 16 : 256, 3]),
          'x',
        )
        const y = b.op(ops.Relu, [conv(b, 'a', wide, [16, 16, 3], { rows: [0] })])
        return [conv(b, 'b', y, [32, 16, 3])]
      })
      return orThrow(compile(graph, noMasks)).report.layers[others]?.outputs.after
    }
    expect([behind(0), behind(3)]).toEqual([15, 16])
  })
  test('of images that are joined fill blocks where the whole network is faster for it, and only there', () => {
    /** Outputs of three layers that are joined, of the first two of which some rows are masked; and the predicted time. */
    const joined = (left: number, widths: 'raw' | 'planned') => {
      const graph = buildGraph({ x: ['N', 16, 112, 112] }, (b) => {
        const branch = (name: string, rows: number): string =>
          b.op(ops.Relu, [conv(b, name, 'x', [32, 16, 3], { rows: range(rows) })])
        const parts = [branch('a', 32 - left), branch('b', 31 - left), branch('c', 0)]
        return [conv(b, 'd', b.op(ops.Concat, parts, { axis: 1 }), [32, 96, 1])]
      })
      const { layers, predicted } = orThrow(compile(graph, noMasks, { widths })).report
      return { widths: layers.slice(0, 3).map(({ outputs }) => outputs.after), time: predicted?.after ?? NaN }
    }
    expect([3, 12, 26].map((left) => joined(left, 'planned').widths)).toEqual([
      [3, 4, 32],
      [16, 16, 32],
      [32, 32, 32],
    ])
    for (const left of range(31)) expect(joined(left, 'planned').time).toBeLessThanOrEqual(joined(left, 'raw').time)
  })
  test('a computed bias shrinks with its layer', async () => {
    const computed = buildGraph({ ...image, z: [8] }, (b) => {
      const bias = b.op(ops.Relu, ['z'])
      const y = b.op(ops.Conv, ['x', b.weight('a', [8, 4, 1, 1]), bias])
      return [conv(b, 'b', y, [4, 8, 3], { columns: range(4) })]
    })
    // The bias comes from a graph input, of which a part is selected.
    expect((await compiled(computed)).width('conv0')).toBe('4 -> 4')
  })
})

test('a value that widens its partner is not written as a small constant', async () => {
  const graph = buildGraph({ x: ['N', 4, 8, 8], y: [1, 8, 1, 1] }, (b) => {
    const dead = convNormRelu(b, 'a', 'x', [8, 4, 3], { rows: range(8) })
    return [b.op(ops.Add, [dead, 'y'])]
  })
  const { graph: after } = await compiled(graph)
  expect(after.types.get('add0')).toEqual(graph.types.get('add0'))
})

test('makeNode fills in defaults', () => {
  expect(makeNode(ops.Conv, ['x', 'w'], ['y']).attrs).toMatchObject({ group: 1, auto_pad: 'NOTSET' })
})

describe('long axes', () => {
  // No array can have this length.
  const long = 2 ** 40

  test('cost nothing, whatever is done along them, and channels go all the same', () => {
    const graph = buildGraph({ x: [2, 4, long] }, (b) => {
      const y = b.op(ops.Relu, [b.op(ops.Conv, ['x', b.weight('a', [16, 4, 3], { rows: range(8) })])])
      const padded = b.op(ops.Pad, [y, b.ints('pads', [0, 0, 5, 0, 0, 7])])
      const sliced = b.op(ops.Slice, [padded, b.ints('from', [3]), b.ints('to', [long - 9]), b.ints('axis', [2])])
      b.op(ops.Split, [sliced, b.ints('parts', [12, long - 24])], { axis: 2 }, 2)
      const joined = b.op(ops.Concat, ['split0.0', sliced, 'split0.1'], { axis: 2 })
      const tiled = b.op(ops.Tile, [b.op(ops.Log, [b.op(ops.Sigmoid, [joined])]), b.ints('times', [1, 1, 2])])
      const pooled = b.op(ops.MaxPool, [tiled], { kernel_shape: [4], strides: [4] })
      const merged = b.op(ops.Reshape, [pooled, b.ints('merge', [32, -1])])
      const split = b.op(ops.Reshape, [merged, b.ints('split', [2, 16, -1])])
      const z = b.op(ops.Conv, [split, b.weight('b', [8, 16, 1])])
      return [b.op(ops.ReduceMean, [z], { axes: [2], keepdims: 0 })]
    })
    const result = compile(graph, noMasks)
    if (E.isLeft(result)) throw new Error(renderError(result.left))
    expect(result.right.report.layers.map(({ outputs }) => outputs.after)).toEqual([8, 8])
  })

  test('along which more could go than the size of the model explains are refused', () => {
    const tiled = (times: number) =>
      compile(
        buildGraph({}, (b) => [
          b.op(ops.Tile, [b.op(ops.Cos, [b.weight('w', [2, 2048])]), b.ints('times', [1, times])]),
        ]),
        noMasks,
      )
    const result = tiled(1024)
    expect(E.isLeft(result) && result.left._tag).toBe('ModelTooLarge')
    expect(tiled(16)._tag).toBe('Right')
  })

  test('of which parts go their own ways are told apart where the size of the model allows it', () => {
    const isTracked = (size: number): boolean => {
      const graph = buildGraph({ x: [1, size] }, (b) => {
        const joined = b.op(ops.Concat, [b.op(ops.Relu, ['x']), b.op(ops.Sigmoid, ['x'])], { axis: 1 })
        return [b.op(ops.Slice, [joined, b.ints('from', [0]), b.ints('to', [4]), b.ints('axis', [1])])]
      })
      return trackingOf(graph).tracked('concat0', 1)
    }
    expect([isTracked(2 ** 10), isTracked(2 ** 17)]).toEqual([true, false])
  })

  test('along which something could go are refused', () => {
    const graph = buildGraph({ x: [4] }, (b) => {
      const times = b.ints('times', [long / 4])
      const y = b.op(ops.Tile, [b.weight('w', [4]), times])
      const z = b.op(ops.Slice, [b.op(ops.Relu, [y]), b.ints('from', [0]), b.ints('to', [4]), b.ints('axis', [0])])
      return [b.op(ops.Add, ['x', z])]
    })
    const result = compile(graph, noMasks)
    expect(E.isLeft(result) && result.left._tag).toBe('ModelTooLarge')
  })
})

describe('a size that is not known may be that of the other operand', () => {
  const sizes = new Map([
    ['S', 9],
    ['T', 4],
  ])
  const dead = { rows: [0, 2, 3, 7] }

  test.each(['Add', 'PRelu', 'Where'] as const)('of %s', async (name) => {
    const graph = buildGraph({ x: [2, 'S'] }, (b) => {
      const c = b.weight('c', [9])
      const y = name === 'Where' ? b.op(ops.Where, [b.op(ops.Less, ['x', c]), 'x', c]) : b.op(ops[name], ['x', c])
      return [b.op(ops.MatMul, [y, b.weight('w', [9, 3], dead)])]
    })
    expect((await compareCompiled(graph, noMasks, { sizes })).worst).toBe(0)
  })

  test('of matrices side by side', async () => {
    const graph = buildGraph({ x: ['T', 2, 3] }, (b) => {
      const y = b.op(ops.MatMul, ['x', b.weight('m', [4, 3, 5])])
      const turned = b.op(ops.Transpose, [y], { perm: [2, 1, 0] })
      return [b.op(ops.MatMul, [turned, b.weight('w', [4, 3], { rows: [0, 2] })])]
    })
    expect((await compareCompiled(graph, noMasks, { sizes })).worst).toBe(0)
  })

  test('and so may any of a shape that is not known', () => {
    const graph = buildGraph({ x: [2, 'S'] }, (b) => {
      const y = b.op(ops.Opaque, ['x'], { opType: 'Unknown' })
      return [b.op(ops.Add, [y, b.weight('c', [9])])]
    })
    const hinted = withParts(graph, { hints: new Map([['add0', tensorType('float32', [2, 9])]]) })
    const links = hinted.nodes.map((node) => {
      const op = opOf(node)
      return op.links === 'opaque' ? op.links : op.links(contextOf(hinted, node))
    })
    expect(links).toEqual(['opaque', []])
  })
})
