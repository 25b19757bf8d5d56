/** Layers of which rows or columns are multiples of each other, as two; where that is not exact or takes more, they stay. */
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import type { Graph } from '../../src/ir/graph.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { tensorOf } from '../../src/ir/tensor.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { compile } from '../../src/passes/compile.ts'
import { splitRanks } from '../../src/passes/split-rank.ts'
import { buildGraph } from '../builder.ts'
import { compareCompiled } from '../fuzz/differential.ts'
import { normals, uniforms } from '../inflate.ts'
import { read, right, runLawful } from './laws.ts'

const pass = splitRanks({ target: 'cpu' })

type Factor = (i: number) => number

/** A weight `[rows, columns, taps]` of `rank` rows; row i is a multiple of row `i mod rank`. */
const multiples = (rows: number, length: number, rank: number, factor: Factor): Float32Array => {
  const normal = normals(uniforms(11))
  const bases = Float32Array.from({ length: rank * length }, normal)
  return Float32Array.from({ length: rows * length }, (_, k) => {
    const [i, at] = [Math.floor(k / length), k % length]
    return (bases[(i % rank) * length + at] ?? 0) * (i < rank ? 1 : factor(i))
  })
}

const transposed = (values: Float32Array, rows: number, columns: number, taps = 1): Float32Array =>
  values.map((_, k) => {
    const [i, j, t] = [Math.floor(k / taps / rows), Math.floor(k / taps) % rows, k % taps]
    return values[(j * columns + i) * taps + t] ?? 0
  })

const powers: Factor = (i) => (i % 2 === 0 ? 0.5 : -0.125)
const others: Factor = (i) => 0.3 + 0.01 * i

/** A convolution `[16, 16, 3, 3]` of which four rows, or columns, are all there is. */
const convolution = (
  side: 'rows' | 'columns',
  factor: Factor,
  { bias = true, change = (values: Float32Array) => values, rank = 4, group = 1, strides = [1, 1] } = {},
): Graph =>
  buildGraph({ x: [1, 16 * group, 8, 8] }, (b) => {
    const values = multiples(16, 16 * 9, rank, factor)
    const weight = change(side === 'rows' ? values : transposed(values, 16, 16, 9))
    const tensor = tensorOf('float32', [16, 16, 3, 3], weight)
    const inputs = ['x', b.constant('weight', tensor), ...(bias ? [b.weight('bias', [16])] : [])]
    return [b.op(ops.Relu, [b.op(ops.Conv, inputs, { pads: [1, 1, 1, 1], group, strides })])]
  })

const widths = (graph: Graph): string =>
  graph.nodes
    .flatMap(({ op, inputs }) => {
      const weight = graph.constants.get(inputs[1] ?? '') ?? graph.constants.get(inputs[0] ?? '')
      return op === 'Relu' || op === 'Add' ? [] : [`${op} ${weight?.shape.join('x')}`]
    })
    .join(', ')

const split = (graph: Graph): string => widths(runLawful(pass, graph))

const refusals = (graph: Graph): string => (pass.refusals?.(graph) ?? []).map(({ reason }) => reason).join()

describe('rows', () => {
  test.each([true, false])('of a convolution (bias: %s)', (bias) => {
    expect(split(convolution('rows', powers, { bias }))).toBe('Conv 4x16x3x3, Conv 16x4x1x1')
    expect(split(convolution('rows', others, { bias }))).toBe('Conv 4x16x3x3, Conv 16x4x1x1')
  })

  test('of a strided convolution', () => {
    expect(split(convolution('rows', powers, { strides: [2, 2] }))).toBe('Conv 4x16x3x3, Conv 16x4x1x1')
  })

  test('of which the largest is not the first', () => {
    expect(split(convolution('rows', (i) => 2 ** (i % 5)))).toBe('Conv 4x16x3x3, Conv 16x4x1x1')
  })

  test.each(['right', 'left'] as const)('of a product of matrices (weight on the %s)', (place) => {
    const graph = buildGraph({ x: place === 'right' ? [3, 5, 128] : [128, 7] }, (b) => {
      const values = multiples(64, 128, 8, others)
      if (place === 'left') return [b.op(ops.MatMul, [b.floats('weight', [...values], [64, 128]), 'x'])]
      return [b.op(ops.MatMul, ['x', b.floats('weight', [...transposed(values, 64, 128)], [128, 64])])]
    })
    expect(split(graph)).toBe(place === 'right' ? 'MatMul 128x8, MatMul 8x64' : 'MatMul 8x128, MatMul 64x8')
  })

  test.each([0, 1])('of a Gemm (transB: %s)', (transB) => {
    const graph = buildGraph({ x: [5, 128] }, (b) => {
      const values = multiples(64, 128, 8, others)
      const weight = transB === 1 ? values : transposed(values, 64, 128)
      const inputs = [
        'x',
        b.floats('weight', [...weight], transB === 1 ? [64, 128] : [128, 64]),
        b.weight('bias', [64]),
      ]
      return [b.op(ops.Gemm, inputs, { transB })]
    })
    expect(split(graph)).toBe(transB === 1 ? 'Gemm 8x128, Gemm 64x8' : 'Gemm 128x8, Gemm 8x64')
  })

  test('of a Gemm whose rows have biases of their own', () => {
    const graph = buildGraph({ x: [5, 128] }, (b) => {
      const weight = b.floats('weight', [...transposed(multiples(64, 128, 8, others), 64, 128)], [128, 64])
      return [b.op(ops.Gemm, ['x', weight, b.weight('bias', [5, 64])])]
    })
    expect(split(graph)).toBe('Gemm 128x8, Gemm 8x64')
  })

  test('of a transposed convolution', () => {
    const graph = buildGraph({ x: [1, 16, 8, 8] }, (b) => {
      const weight = transposed(multiples(16, 16 * 9, 4, powers), 16, 16, 9)
      const inputs = ['x', b.constant('weight', tensorOf('float32', [16, 16, 3, 3], weight)), b.weight('bias', [16])]
      return [b.op(ops.ConvTranspose, inputs, { strides: [2, 2] })]
    })
    expect(split(graph)).toBe('ConvTranspose 16x4x3x3, Conv 16x4x1x1')
  })
})

describe('columns', () => {
  test.each([true, false])('of a padded convolution (bias: %s)', (bias) => {
    expect(split(convolution('columns', powers, { bias }))).toBe('Conv 4x16x1x1, Conv 16x4x3x3')
    expect(split(convolution('columns', others, { bias }))).toBe('Conv 4x16x1x1, Conv 16x4x3x3')
  })

  test('of a Gemm', () => {
    const graph = buildGraph({ x: [5, 64] }, (b) => {
      const inputs = ['x', b.floats('weight', [...multiples(64, 128, 8, others)], [64, 128]), b.weight('bias', [128])]
      return [b.op(ops.Gemm, inputs)]
    })
    expect(split(graph)).toBe('Gemm 64x8, Gemm 8x128')
  })
})

describe('what stays', () => {
  const whole = 'Conv 16x16x3x3'

  test('numbers of half precision, which would be rounded in between, where a bias cancels them', () => {
    const graph = (dtype: string): Graph =>
      read(`input x: ${dtype}[N,1,8,8]
        const w: ${dtype}[32,1,5,5] = [${Array.from({ length: 32 * 25 }, () => 1).join(', ')}]
        const b: ${dtype}[32] = [${Array.from({ length: 32 }, () => -1501).join(', ')}]
        y = Conv(x, w, b)
        output y: ${dtype}[N,32,4,4]`)
    expect(split(graph('float32'))).toBe('Conv 1x1x5x5, Conv 32x1x1x1')
    expect(split(graph('float16'))).toBe('Conv 32x1x5x5')
  })
  test('columns of weights so small that the sum of what they read might overflow alone', () => {
    const below = (largest: number) => (values: Float32Array) => {
      const factor = (largest * (1 - 2 ** -20)) / values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      return values.map((value) => value * factor)
    }
    const columns = (largest: number): string =>
      split(convolution('columns', powers, { change: below(largest), rank: 1 }))
    expect(columns(2 ** -15)).toBe('Conv 1x16x1x1, Conv 16x1x3x3')
    expect(columns(2 ** -16)).toBe(whole)
    // What rows are multiples of is made by the model too.
    expect(split(convolution('rows', powers, { change: below(2 ** -20) }))).toBe('Conv 4x16x3x3, Conv 16x4x1x1')
  })

  test('a row that is no multiple, by three units in the last place', () => {
    const units = (count: number) => (values: Float32Array) => {
      const bits = new Int32Array(values.buffer)
      for (let i = 4; i < 16; i++) bits[i * 145] = (bits[i * 145] ?? 0) + count
      return values
    }
    expect(split(convolution('rows', powers, { change: units(1) }))).toBe('Conv 4x16x3x3, Conv 16x4x1x1')
    expect(split(convolution('rows', powers, { change: units(3) }))).toBe(whole)
  })

  test('rows that differ in one zero, or in one sign', () => {
    const changed = (by: number) => (values: Float32Array) => {
      for (let i = 4; i < 16; i++) values[i * 145] = by * (values[i * 145] ?? 0)
      return values
    }
    expect(split(convolution('rows', powers, { change: changed(0) }))).toBe(whole)
    expect(split(convolution('rows', powers, { change: changed(-1) }))).toBe(whole)
  })

  test('rows of zeros, which are multiples of nothing', () => {
    const zeros = (values: Float32Array) => values.map((w, k) => (k < 12 * 144 ? w : 0))
    expect(split(convolution('rows', () => 1.7, { rank: 12, change: zeros }))).toBe(whole)
  })

  test('a factor that is not normal', () => {
    const spread = (low: number) => (values: Float32Array) => values.map((w, k) => w * 2 ** (k < 8 * 144 ? 100 : low))
    const split8 = 'Conv 8x16x3x3, Conv 16x8x1x1'
    expect(split(convolution('rows', powers, { rank: 8, change: spread(90) }))).toBe(split8)
    expect(split(convolution('rows', powers, { rank: 8, change: spread(-30) }))).toBe(whole)
  })

  test('where two layers take as much', () => {
    expect(split(convolution('rows', powers, { rank: 15 }))).toBe(whole)
    const graph = buildGraph({ x: [5, 16] }, (b) => [
      b.op(ops.MatMul, ['x', b.floats('weight', [...transposed(multiples(16, 16, 6, powers), 16, 16)], [16, 16])]),
    ])
    expect(split(graph)).toBe('MatMul 16x16')
    // Also where the input has channels of which the number is not known.
    for (const channels of [16, 'C']) {
      const few = buildGraph({ x: [1, channels, 8, 8] }, (b) => {
        const weight = tensorOf('float32', [4, 16, 3, 3], transposed(multiples(16, 36, 12, powers), 16, 4, 9))
        return [b.op(ops.Conv, ['x', b.constant('weight', weight)], { pads: [1, 1, 1, 1] })]
      })
      expect(widths(right(pass.run(few)))).toBe('Conv 4x16x3x3')
    }
  })

  test('what would be saved in front of a layer whose input is of unknown shape', () => {
    const weight = Array.from({ length: 64 }, (_, k) => (1 + (k >> 3) / 64) * 2 ** -((k & 7) % 3)).join(', ')
    const graph = read(`input x: float32[N]
      input shape: int64[K]
      const w: float32[8,8] = [${weight}]
      h = Reshape(x, shape)
      y = Gemm(h, w)
      output y: float32[M,8]`)
    const unpriced = splitRanks({ target: 'cpu', planWidths: false })
    expect(widths(right(unpriced.run(graph)))).toBe('Reshape undefined, Gemm 8x1, Gemm 1x8')
  })

  test('groups', () => {
    const graph = buildGraph({ x: [1, 32, 8, 8] }, (b) => {
      const weight = tensorOf('float32', [16, 16, 3, 3], multiples(16, 16 * 9, 4, powers))
      return [b.op(ops.Conv, ['x', b.constant('weight', weight)], { group: 2 })]
    })
    expect(split(graph)).toBe(whole)
  })

  test('a bias that is computed', () => {
    const graph = buildGraph({ x: [1, 16, 8, 8], bias: [16] }, (b) => {
      const weight = tensorOf('float32', [16, 16, 3, 3], multiples(16, 16 * 9, 4, powers))
      return [b.op(ops.Conv, ['x', b.constant('weight', weight), 'bias'])]
    })
    expect(split(graph)).toBe(whole)
    expect(refusals(graph)).toBe('its bias is computed')
  })

  test('a scaled product, and one of a transposed operand', () => {
    const gemm = (attrs: { alpha?: number; transA?: number }): string =>
      split(
        buildGraph({ x: attrs.transA === 1 ? [128, 5] : [5, 128] }, (b) => {
          const weight = b.floats('weight', [...transposed(multiples(64, 128, 1, others), 64, 128)], [128, 64])
          return [b.op(ops.Gemm, ['x', weight], attrs)]
        }),
      )
    expect(gemm({})).toBe('Gemm 128x1, Gemm 1x64')
    expect(gemm({ alpha: 0.5 })).toBe('Gemm 128x64')
    expect(gemm({ transA: 1 })).toBe('Gemm 128x64')
  })
})

test('the compiled model is split once and computes the same', async () => {
  for (const side of ['rows', 'columns'] as const) {
    const { compiled, worst } = await compareCompiled(convolution(side, others), noMasks)
    expect(worst).toBeLessThan(1e-5)
    expect(widths(compiled.graph).split(', ')).toHaveLength(2)
    const again = pass.run(compiled.graph)
    expect(E.isRight(again) && again.right).toBe(compiled.graph)
  }
})

test('a product whose matrix has columns of an open size is split once, and not put together again', () => {
  const graph = read(`input x: float32[2,2,H,W]
    const shape: int64[2] = [0, -1]
    const w: float32[2,6] = [0.5, 0.25, 1, -0.5, 0.125, 2, 1, 0.5, 2, -1, 0.25, 4]
    h = Reshape(x, shape)
    y = MatMul(h, w)
    output y: float32[2,6]`)
  const { graph: small, report } = right(compile(graph, noMasks, { widths: 'raw' }))
  expect([report.before.macs, report.after.macs]).toEqual([2 * 2 * 6, 2 * (2 + 6)])
  expect(widths(small)).toBe('Reshape 2, MatMul 2x1, MatMul 1x6')
})
