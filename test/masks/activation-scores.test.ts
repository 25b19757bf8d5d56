/** Scores of channels by activations, beside their definitions. */
import { describe, expect, it } from 'vitest'
import { Conv, ConvTranspose, Gemm } from '../../src/ir/ops/index.ts'
import { makeNode } from '../../src/ir/make-node.ts'
import { scoreInputs, scoreOutputs } from '../../src/masks/activation-scores.ts'
import { elementMask } from '../../src/masks/mask.ts'
import type { ChannelStatistics } from '../../src/masks/statistics.ts'
import { type Layer, layersOf } from '../../src/masks/weights.ts'
import { graphOf, weight } from './nets.ts'

const layerOf = (layer: Layer | undefined): Layer => {
  if (layer === undefined) throw new Error('no layer')
  return layer
}

/** Reads 3 channels and makes 2: weights [input, output]. */
const [gemm] = layersOf(
  graphOf({ x: ['N', 3] }, { w: weight([3, 2], [1, -2, 3, 0, -5, 6]) }, [makeNode(Gemm, ['x', 'w'], ['y'])], ['y']),
)
const dense = layerOf(gemm)

/** Norms 5, 1 and 2, variances 9, 1 and 0. */
const statistics: ChannelStatistics = {
  count: 7,
  mean: Float64Array.of(-4, 0, 2),
  variance: Float64Array.of(9, 1, 0),
}

const standardised = (values: ReadonlyArray<number>): ReadonlyArray<number> => {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length
  const deviation = Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (values.length - 1))
  return values.map((x) => (x - mean) / deviation)
}

const expectClose = (found: Float64Array, expected: ReadonlyArray<number>): void => {
  expect(found).toHaveLength(expected.length)
  found.forEach((x, i) => expect(x).toBeCloseTo(expected[i] ?? NaN, 12))
}

describe('a matrix', () => {
  it('has the mean of |w| times the norm, for what makes a channel', () => {
    expectClose(scoreOutputs(dense, undefined, statistics), [(5 + 3 + 10) / 3, (10 + 0 + 12) / 3])
    const mask = elementMask([3, 2], Uint8Array.of(0, 1, 1, 1, 1, 0))
    expectClose(scoreOutputs(dense, mask, statistics), [(3 + 10) / 3, 10 / 3])
  })
  it('has norms and variances by the weights that read a channel, standardised', () => {
    expectClose(scoreInputs(dense, undefined, statistics, 'wifn'), standardised([5 * 1.5, 1 * 1.5, 2 * 5.5]))
    expectClose(scoreInputs(dense, undefined, statistics, 'wifv'), standardised([9 * 5, 1 * 9, 0]))
    const mask = elementMask([3, 2], Uint8Array.of(1, 0, 1, 1, 1, 1))
    expectClose(scoreInputs(dense, mask, statistics, 'wifv'), standardised([9 * 1, 1 * 9, 0]))
  })
  it('has 0 for all where all are equal', () => {
    const same: ChannelStatistics = { count: 1, mean: new Float64Array(3), variance: new Float64Array(3) }
    expectClose(scoreInputs(dense, undefined, same, 'wifv'), [0, 0, 0])
  })
})

/** Inputs 0 and 1 make outputs 0 and 1, inputs 2 and 3 the others; kernels of two. */
const four: ChannelStatistics = { count: 1, mean: Float64Array.of(1, 2, 3, 4), variance: new Float64Array(4) }

it('counts the channels of a convolution in groups through all of them', () => {
  const w = weight([4, 2, 1, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])
  const graph = graphOf({ x: ['N', 4, 2, 2] }, { w }, [makeNode(Conv, ['x', 'w'], ['y'], { group: 2 })], ['y'])
  const layer = layerOf(layersOf(graph)[0])
  expectClose(scoreOutputs(layer, undefined, four), [
    (3 * 1 + 7 * 2) / 4,
    (11 * 1 + 15 * 2) / 4,
    (19 * 3 + 23 * 4) / 4,
    (27 * 3 + 31 * 4) / 4,
  ])
  expectClose(scoreInputs(layer, undefined, four, 'wifn'), standardised([14 * 0.5, 22 * 1, 46 * 1.5, 54 * 2]))
})

it('and of a transposed one', () => {
  const w = weight([4, 1, 1, 2], [1, 2, 3, 4, 5, 6, 7, 8])
  const graph = graphOf({ x: ['N', 4, 2, 2] }, { w }, [makeNode(ConvTranspose, ['x', 'w'], ['y'], { group: 2 })], ['y'])
  const layer = layerOf(layersOf(graph)[0])
  expectClose(scoreOutputs(layer, undefined, four), [(3 * 1 + 7 * 2) / 4, (11 * 3 + 15 * 4) / 4])
  expectClose(scoreInputs(layer, undefined, four, 'wifn'), standardised([3, 14, 33, 60]))
})
