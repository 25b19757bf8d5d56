/** Residual streams through normalisations: what goes of them by structure; each result runs like the masked model. */
import { describe, expect, test } from 'vitest'
import type { Graph } from '../../src/ir/graph.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { tensorOf } from '../../src/ir/tensor.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { compile, macsOf } from '../../src/passes/compile.ts'
import { buildGraph, type GraphBuilder } from '../builder.ts'
import { compareCompiled, orThrow } from '../fuzz/differential.ts'

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

/** Compiles and compares; gives the multiply-accumulates before and after. */
const compiled = async (graph: Graph) => {
  const { compiled, worst } = await compareCompiled(graph, noMasks)
  expect(worst).toBeLessThan(1e-5)
  const again = orThrow(compile(compiled.graph, noMasks))
  expect(again.graph).toBe(compiled.graph)
  return { graph: compiled.graph, macs: macsOf(compiled.graph), ops: compiled.graph.nodes.map((n) => n.op) }
}

const masked = range(64).filter((i) => i % 5 < 2)

describe('a pre-norm stream that is masked by structure is as narrow as one that was built so', () => {
  const norms: ReadonlyArray<readonly [string, Norm, number]> = [
    ['LayerNormalization', layerNorm, 17],
    ['RMSNormalization', rmsNorm, 23],
    ['RMS normalisation written out, opset 13', rmsWritten(13), 13],
    ['RMS normalisation written out, opset 18', rmsWritten(18), 18],
  ]
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
