/** The models of the golden cases: small, each about one thing, their weights already masked. */
import type { Graph } from '../src/ir/graph.ts'
import * as ops from '../src/ir/ops/index.ts'
import { buildGraph, convNormRelu as block, type GraphBuilder, type Zeros } from '../test/builder.ts'

const image = { x: ['N', 4, 8, 8] as const }

const head = (b: GraphBuilder, x: string, channels: number, zeros: Zeros = {}): string => {
  const pooled = b.op(ops.Flatten, [b.op(ops.GlobalAveragePool, [x])])
  return b.op(ops.Gemm, [pooled, b.weight('fc.weight', [3, channels], zeros), b.weight('fc.bias', [3])], { transB: 1 })
}

/** A squeeze-and-excite gate on `channels` channels of `x`. */
const gate = (b: GraphBuilder, x: string, channels: number, squeezed: number): string => {
  const pooled = b.op(ops.GlobalAveragePool, [x])
  const down = b.op(ops.Relu, [
    b.op(ops.Conv, [pooled, b.weight('se.down', [squeezed, channels, 1, 1]), b.weight('se.down.bias', [squeezed])]),
  ])
  const up = b.op(ops.Conv, [down, b.weight('se.up', [channels, squeezed, 1, 1]), b.weight('se.up.bias', [channels])])
  return b.op(ops.Mul, [x, b.op(ops.Sigmoid, [up])])
}

const range = (n: number, step = 1): number[] => Array.from({ length: Math.ceil(n / step) }, (_, i) => i * step)

export const cases: Readonly<Record<string, () => Graph>> = {
  /** Rows of the first layer go with the columns of the second; shifts are paid for. */
  chain: () =>
    buildGraph(image, (b) => {
      const y = block(b, 'a', 'x', [16, 4, 1], { rows: range(16, 2) })
      return [head(b, block(b, 'b', y, [8, 16, 1], { rows: [1, 2, 3, 5] }), 8)]
    }),
  /** The inner width of a residual block shrinks; the stream keeps what its other producer needs. */
  residual: () =>
    buildGraph(image, (b) => {
      const stem = block(b, 'stem', 'x', [8, 4, 3], { rows: [0, 1, 2, 3] })
      const inner = block(b, 'a', stem, [16, 8, 3], { rows: range(16, 2) })
      const sum = b.op(ops.Add, [block(b, 'b', inner, [8, 16, 3], { rows: [0, 1, 2, 3, 6] }, false), stem])
      return [head(b, b.op(ops.Relu, [sum]), 8)]
    }),
  concat: () =>
    buildGraph(image, (b) => {
      const left = block(b, 'left', 'x', [8, 4, 1], { rows: range(8, 2) })
      const right = block(b, 'right', 'x', [8, 4, 3], { rows: range(8) })
      const both = b.op(ops.Concat, [left, right], { axis: 1 })
      return [head(b, block(b, 'after', both, [8, 16, 1], { columns: [1, 3] }), 8)]
    }),
  /** Halves of unequal size, one of which nothing reads. */
  split: () =>
    buildGraph(image, (b) => {
      const y = block(b, 'a', 'x', [12, 4, 1], { rows: [0, 1, 2, 8] })
      b.op(ops.Split, [y, b.ints('sizes', [8, 4])], { axis: 1 }, 2)
      return [head(b, block(b, 'b', 'split0.0', [4, 8, 1]), 4)]
    }),
  depthwise: () =>
    buildGraph(image, (b) => {
      const wide = block(b, 'expand', 'x', [16, 4, 1], { rows: range(16, 2) })
      const deep = block(b, 'depthwise', wide, [16, 16, 3], { rows: range(16, 2) }, true, 16)
      return [head(b, block(b, 'project', deep, [8, 16, 1], {}, false), 8)]
    }),
  /** Unequal losses in two groups: one channel comes back so that the groups stay equal. */
  grouped: () =>
    buildGraph(image, (b) => {
      const y = block(b, 'a', 'x', [16, 4, 1], { rows: [0, 1, 2, 3, 8, 9] })
      return [head(b, block(b, 'grouped', y, [8, 16, 3], { rows: [0, 4] }, true, 2), 8)]
    }),
  /** A layer without any weight left: everything behind it is a constant. */
  'dead-layer': () =>
    buildGraph(image, (b) => {
      const y = block(b, 'a', 'x', [8, 4, 1], { rows: range(8) })
      return [head(b, block(b, 'b', y, [8, 8, 1]), 8)]
    }),
  /** A residual branch whose last layer is dead is a bias on the stream. */
  'dead-block': () =>
    buildGraph(image, (b) => {
      const stem = block(b, 'stem', 'x', [8, 4, 3])
      const inner = block(b, 'a', stem, [8, 8, 3])
      const sum = b.op(ops.Add, [block(b, 'b', inner, [8, 8, 3], { rows: range(8) }, false), stem])
      return [head(b, b.op(ops.Relu, [sum]), 8)]
    }),
  /** Constants that meet padding ride on one carrier channel. */
  'constant-through-padding': () =>
    buildGraph(image, (b) => {
      const y = block(b, 'a', 'x', [16, 4, 1], { rows: range(9) })
      return [head(b, block(b, 'b', y, [8, 16, 3]), 8)]
    }),
  /** One initializer read by two layers: each keeps its own part of it. */
  'shared-weights': () =>
    buildGraph(image, (b) => {
      const w = b.weight('shared', [8, 4, 3, 3], { rows: [1, 2] })
      const left = b.op(ops.Conv, ['x', w], { pads: [1, 1, 1, 1] })
      const right = b.op(ops.Conv, ['x', b.op(ops.Identity, [w])], { pads: [1, 1, 1, 1] })
      const a = b.op(ops.Conv, [b.op(ops.Relu, [left]), b.weight('a', [4, 8, 1, 1], { columns: [0, 3, 4, 5] })])
      const c = b.op(ops.Conv, [b.op(ops.Tanh, [right]), b.weight('b', [4, 8, 1, 1], { columns: [6, 7] })])
      return [b.op(ops.Add, [a, c])]
    }),
  'flatten-to-gemm': () =>
    buildGraph(image, (b) => {
      const y = block(b, 'a', 'x', [8, 4, 3], { rows: [0, 2, 4, 6] })
      const flat = b.op(ops.Flatten, [b.op(ops.MaxPool, [y], { kernel_shape: [4, 4], strides: [4, 4] })])
      return [b.op(ops.Gemm, [flat, b.weight('fc', [32, 5]), b.weight('fc.bias', [5])])]
    }),
  'squeeze-excite': () =>
    buildGraph(image, (b) => {
      const y = block(b, 'a', 'x', [16, 4, 3], { rows: range(16, 2) })
      return [head(b, gate(b, y, 16, 4), 16, { columns: range(16, 2) })]
    }),
  /** Groups of channels interleaved by Reshape, Transpose, Reshape. */
  'channel-shuffle': () =>
    buildGraph(image, (b) => {
      const y = block(b, 'a', 'x', [8, 4, 1], { rows: [0, 1, 5] })
      const wide = b.op(ops.Reshape, [y, b.ints('split', [0, 2, 4, 8, 8])])
      const turned = b.op(ops.Transpose, [wide], { perm: [0, 2, 1, 3, 4] })
      const back = b.op(ops.Reshape, [turned, b.ints('join', [0, 8, 8, 8])])
      return [head(b, block(b, 'b', back, [8, 8, 3]), 8)]
    }),
  /** Nothing reads some channels of a layer whose own weights are all there. */
  'dead-by-consumer': () =>
    buildGraph(image, (b) => {
      const y = block(b, 'a', 'x', [8, 4, 3])
      return [head(b, block(b, 'b', y, [8, 8, 3], { columns: [0, 1, 2, 3] }), 8)]
    }),
  'matmul-bias': () =>
    buildGraph({ x: ['N', 5, 8] }, (b) => {
      const up = b.op(ops.Add, [
        b.op(ops.MatMul, ['x', b.weight('up', [8, 16], { columns: range(16, 2) })]),
        b.weight('up.bias', [16]),
      ])
      return [b.op(ops.MatMul, [b.op(ops.Sigmoid, [up]), b.weight('down', [16, 8])])]
    }),
}
