import * as fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { makeNode } from '../../src/ir/make-node.ts'
import { Conv } from '../../src/ir/ops/index.ts'
import { tensorOf } from '../../src/ir/tensor.ts'
import { densities } from '../../src/masks/density.ts'
import { axisMask, elementMask, expandMask, intersectMasks, type Mask } from '../../src/masks/mask.ts'
import { kthSmallest } from '../../src/masks/kth-smallest.ts'
import { channelScores, type ChannelScore, scoreChannels } from '../../src/masks/scores.ts'
import { type Layer, layersOf } from '../../src/masks/weights.ts'
import { zerosOf } from '../../src/masks/zeros.ts'
import { applyMasks } from '../../src/passes/apply-masks.ts'
import { graphOf, net, sharing, weight } from './nets.ts'

const layerOf = (shape: ReadonlyArray<number>, values: ReadonlyArray<number>, group = 1): Layer => {
  const graph = graphOf(
    { x: [1, (shape[1] ?? 0) * group, 4, 4] },
    { w: weight(shape, values) },
    [makeNode(Conv, ['x', 'w'], ['y'], { group })],
    ['y'],
  )
  const [layer] = layersOf(graph)
  if (layer === undefined) throw new Error('no layer')
  return layer
}

/** Two filters over two inputs with kernels of two: |3 -4| |0 0| and |1 0| |2 -1|. */
const shape = [2, 2, 1, 2]
const layer = layerOf(shape, [3, -4, 0, 0, 1, 0, 2, -1])
const mask = elementMask(shape, Uint8Array.of(1, 0, 1, 0, 1, 1, 0, 0))

describe('channel scores', () => {
  it.each<[ChannelScore, ReadonlyArray<number>, ReadonlyArray<number>]>([
    // Without a mask; and where 3 and 0, and 1 and 0, are left of the filters.
    ['umm', [7 / 4, 4 / 4], [3 / 4, 1 / 4]],
    ['mmm', [7 / 4, 4 / 4], [3 / 2, 1 / 2]],
    ['weights', [2 / 4, 3 / 4], [1 / 4, 1 / 4]],
    ['kernels', [1 / 2, 2 / 2], [1 / 2, 1 / 2]],
    ['l1', [7, 4], [3, 1]],
    ['l2', [5, Math.sqrt(6)], [3, 1]],
  ])('%s', (score, whole, masked) => {
    expect([...scoreChannels(layer, undefined, score)]).toEqual(whole)
    expect([...scoreChannels(layer, mask, score)]).toEqual(masked)
  })

  it('gives a wholly masked channel 0, by every score', () => {
    for (const score of channelScores) {
      expect([...scoreChannels(layer, axisMask(shape, 0, Uint8Array.of(0, 1)), score)][0], score).toBe(0)
    }
  })

  it('scores the columns of a weight [inputs, outputs]', () => {
    const [, gemm] = layersOf(net)
    // 1 2 3 / 4 5 6 / 7 8 9 / 10 11 12
    expect(gemm && [...scoreChannels(gemm, undefined, 'l1')]).toEqual([22, 26, 30])
    expect(gemm && [...scoreChannels(gemm, axisMask([4, 3], 0, Uint8Array.of(0, 1, 0, 1)), 'umm')]).toEqual([
      14 / 4,
      16 / 4,
      18 / 4,
    ])
  })

  it('scores the outputs of a grouped convolution', () => {
    expect([...scoreChannels(layerOf([4, 1, 1, 1], [1, -2, 0, 4], 2), undefined, 'umm')]).toEqual([1, 2, 0, 4])
  })

  it('scores the outputs of a grouped transposed convolution', () => {
    const base = layerOf([4, 3, 1, 1], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    const transposed: Layer = {
      ...base,
      contraction: { ...base.contraction, groups: 2, grouped: 'output', weightOutputAxis: 1, weightInputAxis: 0 },
      inputs: 4,
      outputs: 6,
      inputsPerGroup: 2,
      outputsPerGroup: 3,
    }
    // Inputs 0 and 1 (rows 1 2 3 and 4 5 6) make outputs 0 to 2.
    expect([...scoreChannels(transposed, undefined, 'l1')]).toEqual([5, 7, 9, 17, 19, 21])
  })

  it('is the same for weights of half precision that float16 holds exactly', () => {
    const half: Layer = { ...layer, tensor: tensorOf('float16', shape, [3, -4, 0, 0, 1, 0, 2, -1]) }
    for (const score of channelScores)
      expect(scoreChannels(half, mask, score)).toEqual(scoreChannels(layer, mask, score))
  })

  it('umm is the density of a channel times its mmm', () => {
    const weights = fc.array(fc.float({ noNaN: true, min: -8, max: 8 }), { minLength: 24, maxLength: 24 })
    const kept = fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 24, maxLength: 24 })
    fc.assert(
      fc.property(weights, kept, (values, bits) => {
        const random = layerOf([3, 2, 2, 2], values)
        const m = elementMask([3, 2, 2, 2], Uint8Array.from(bits))
        const [umm, mmm] = [scoreChannels(random, m, 'umm'), scoreChannels(random, m, 'mmm')]
        umm.forEach((score, o) => {
          const density = bits.slice(o * 8, o * 8 + 8).reduce((n, bit) => n + bit, 0) / 8
          expect(score).toBeCloseTo(density * (mmm[o] ?? NaN), 12)
        })
      }),
    )
  })
})

describe('densities', () => {
  it('counts per layer, per output and per input channel, and over all', () => {
    const found = densities(
      net,
      new Map<string, Mask>([
        ['gemm.weight', elementMask([4, 3], Uint8Array.of(1, 1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 1))],
        ['conv.weight', axisMask([4, 2, 3, 3], 0, Uint8Array.of(1, 0, 1, 1))],
      ]),
    )
    expect(found).toEqual({
      layers: [
        {
          weight: 'conv.weight',
          nodes: ['Conv conv'],
          weights: 72,
          kept: 54,
          density: 0.75,
          outputs: Float64Array.of(1, 0, 1, 1),
          inputs: Float64Array.of(0.75, 0.75),
        },
        {
          weight: 'gemm.weight',
          nodes: ['Gemm gemm'],
          weights: 12,
          kept: 6,
          density: 0.5,
          outputs: Float64Array.of(2 / 4, 1 / 4, 3 / 4),
          inputs: Float64Array.of(1, 0, 2 / 3, 1 / 3),
        },
      ],
      weights: 84,
      kept: 60,
      density: 60 / 84,
    })
  })

  it('counts input channels of a grouped convolution in their groups', () => {
    const graph = graphOf(
      { x: [1, 4, 1, 1] },
      { w: weight([2, 2, 1, 1]) },
      [makeNode(Conv, ['x', 'w'], ['y'], { group: 2 })],
      ['y'],
    )
    const [found] = densities(graph, new Map([['w', elementMask([2, 2, 1, 1], Uint8Array.of(1, 0, 1, 1))]])).layers
    expect(found?.inputs).toEqual(Float64Array.of(1, 0, 1, 1))
    expect(found?.outputs).toEqual(Float64Array.of(0.5, 1))
  })

  it('counts a weight once that several nodes read, under any of its names', () => {
    const found = densities(sharing, new Map([['w2', elementMask([2, 2], Uint8Array.of(1, 0, 0, 0))]]))
    expect(found.layers.map(({ weight: name, nodes, kept }) => ({ name, nodes, kept }))).toEqual([
      { name: 'w', nodes: ['Gemm first', 'Gemm second'], kept: 1 },
      { name: 'held', nodes: ['Gemm third'], kept: 4 },
    ])
    expect(found.weights).toBe(8)
  })

  it('finds the zeros that weights hold already', () => {
    const graph = graphOf(
      { x: [1, 1, 4, 4] },
      { w: weight([2, 1, 1, 2], [0, 1, -0, 2]), v: weight([1, 2, 1, 1], [1, 1]) },
      [makeNode(Conv, ['x', 'w'], ['y']), makeNode(Conv, ['y', 'v'], ['z'])],
      ['z'],
    )
    const zeros = zerosOf(graph)
    expect([...zeros].map(([name, mask]) => [name, expandMask(mask)])).toEqual([['w', Uint8Array.of(0, 1, 0, 1)]])
    // However large the weight is, they take no memory.
    expect(zeros.get('w')?.elements).toBeUndefined()
    expect(applyMasks(graph, zeros)).toEqual(E.right(graph))
    expect(densities(graph, zeros).kept).toBe(4)
    const both = intersectMasks(new Map([['w', axisMask([2, 1, 1, 2], 0, Uint8Array.of(1, 0))]]), zeros)
    expect(densities(graph, both).kept).toBe(3)
  })
})

describe('k-th smallest', () => {
  const numbers = fc.double({ noNaN: true }).map((x) => (x === 0 ? 0 : x))

  it('is what stands there after sorting', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(numbers, fc.constantFrom(0, 1, -1, 0.5)), { minLength: 1, maxLength: 60 }),
        fc.nat(),
        (list, n) => {
          const values = Float64Array.from(list)
          const k = n % list.length
          expect(kthSmallest(values, k)).toBe(values.toSorted()[k])
          expect([...values]).toEqual(list)
        },
      ),
      { numRuns: 1000 },
    )
  })

  it('refuses what is not there', () => expect(() => kthSmallest(Float64Array.of(1), 1)).toThrow(/but 1 of 1/))
})
