import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Distribution,
  densitiesOf,
  er,
  erk,
  erkPlus,
  init,
  type Layer,
  snipRatios,
  staticRandom,
  uniformPlus,
} from '../../../src/train/sparse/index.ts'
import { conv, linear, resnet50, right, vgg19 } from './networks.ts'

const size = (layer: Layer): number => layer.shape.reduce((n, d) => n * d, 1)
const total = (layers: ReadonlyArray<Layer>): number => layers.reduce((n, layer) => n + size(layer), 0)

const golden = [
  {
    title: 'VGG-19, 100 classes',
    network: vgg19(100),
    weights: 20_070_080,
    epsilon: { 0.1: 185.7137, 0.2: 377.8701 },
    dense: ['features.0', 'classifier'],
    densities: {
      'features.3': 0.675066,
      'features.7': 0.498743,
      'features.10': 0.329976,
      'features.43': 0.081077,
      'features.49': 0.081077,
    },
  },
  {
    title: 'ResNet-50, 100 classes',
    network: resnet50(3, 100),
    weights: 23_652_032,
    epsilon: { 0.1: 46.0726, 0.2: 93.9522 },
    dense: ['conv1', 'layer1.0.conv1'],
    densities: {
      'layer1.0.conv2': 0.167473,
      'layer1.0.conv3': 0.90548,
      'layer4.2.conv2': 0.020114,
      classifier: 0.483223,
    },
  },
  {
    title: 'ResNet-50, ImageNet',
    network: resnet50(7, 1000),
    weights: 25_502_912,
    epsilon: { 0.1: 48.7861, 0.2: 99.5612 },
    dense: ['layer1.0.conv1'],
    densities: { conv1: 0.420033, classifier: 0.072607 },
  },
]

describe.each(golden)('ERK on $title', ({ network, weights, epsilon, dense, densities }) => {
  it("gives the numbers of the authors' code", () => {
    expect(total(network.layers)).toBe(weights)
    expect(erk(network.layers, 0.1).epsilon).toBeCloseTo(epsilon[0.1], 4)
    expect(erk(network.layers, 0.2).epsilon).toBeCloseTo(epsilon[0.2], 4)
    const found = new Map(erk(network.layers, 0.1).densities.map((d, l) => [network.layers[l]?.name, d]))
    expect([...found].filter(([, d]) => d === 1).map(([name]) => name)).toEqual(dense)
    for (const [name, d] of Object.entries(densities)) expect(found.get(name), name).toBeCloseTo(d, 6)
  })
})

describe('distributions', () => {
  const layers = [conv('a', 8, 3, 3), conv('b', 16, 8, 3), conv('c', 16, 16, 1), linear('d', 10, 16)]

  it('ER goes by inputs and outputs, ERK by all dimensions', () => {
    const { epsilon, densities } = er(layers, 0.1)
    expect(densities[1]).toBeCloseTo((epsilon * (8 + 16)) / (8 * 16), 12)
    expect(densities[2]).toBeCloseTo((epsilon * 32) / 256, 12)
    const kernels = erk(layers, 0.1)
    expect(kernels.densities[1]).toBeCloseTo((kernels.epsilon * (16 + 8 + 3 + 3)) / (16 * 8 * 9), 12)
  })

  it('uniform+ keeps the first layer and a part of the last; ERK+ a part of the last', () => {
    const plus = uniformPlus(layers, 0.3, 0.5)
    expect([plus[0], plus[3]]).toEqual([1, 0.5])
    expect(plus[1]).toBe(plus[2])
    expect(erkPlus(layers, 0.3, 0.75)[3]).toBe(0.75)
  })

  it('every distribution keeps the budget', () => {
    const shapes = fc.array(
      fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), fc.constantFrom(1, 3)),
      {
        minLength: 3,
        maxLength: 8,
      },
    )
    fc.assert(
      fc.property(shapes, fc.double({ min: 0.02, max: 0.98, noNaN: true }), (drawn, density) => {
        const network = drawn.map(([o, i, k], l) => conv(`l${l}`, o, i, k))
        for (const kind of ['uniform', 'er', 'erk'] as const) {
          const densities = densitiesOf({ kind }, network, density)
          for (const d of densities) expect(d >= 0 && d <= 1).toBe(true)
          const kept = densities.reduce((n, d, l) => n + d * size(network[l] ?? conv('', 0, 0, 0)), 0)
          expect(kept).toBeCloseTo(density * total(network), 6)
        }
      }),
    )
  })

  it('uniform+ and ERK+ keep the budget where the fixed layers leave some', () => {
    const big = [conv('a', 8, 3, 3), conv('b', 64, 8, 3), conv('c', 64, 64, 3), linear('d', 10, 64)]
    for (const kind of ['uniform+', 'erk+'] as const) {
      const distribution: Distribution = { kind, last: 0.2 }
      const kept = densitiesOf(distribution, big, 0.1).reduce((n, d, l) => n + d * size(big[l] ?? conv('', 0, 0, 0)), 0)
      expect(kept).toBeCloseTo(0.1 * total(big), 6)
    }
  })

  it("SNIP takes each layer's part of the largest |w · g|", () => {
    const weights = [Float32Array.of(1, -2, 3, 0), Float32Array.of(10, -1, 0.5, 2, 1, 1)]
    const gradients = [Float32Array.of(1, 1, -1, 9), Float32Array.of(0, 5, 1, 1, -4, 0)]
    // |w · g|: 1 2 3 0 | 0 5 .5 2 4 0; the five largest are 5 4 3 2 2.
    expect(snipRatios(weights, gradients, 0.5)).toEqual([2 / 4, 3 / 6])
  })

  it('initial masks keep exactly the density, or about that many by chance', () => {
    const network = resnet50(3, 100, 4)
    const weights = total(network.layers)
    const policy = staticRandom({ density: 0.1 })
    const kept = (masks: ReadonlyArray<Uint8Array>): number =>
      masks.reduce((n, mask) => n + mask.reduce((sum, bit) => sum + bit, 0), 0)
    const exact = right(init(network, policy, 1)).masks
    expect(kept(exact)).toBe(Math.round(weights * 0.1))
    const densities = erk(network.layers, 0.1).densities
    for (const [l, mask] of exact.entries())
      expect(Math.abs(kept([mask]) - (densities[l] ?? 0) * mask.length)).toBeLessThan(1)
    // Six standard deviations of a sum of independent bits.
    const spread = 6 * Math.sqrt(weights * 0.1 * 0.9)
    const byChance = kept(right(init(network, { ...policy, start: 'bernoulli' }, 1)).masks)
    expect(Math.abs(byChance - weights * 0.1)).toBeLessThan(spread)
    expect(byChance).not.toBe(Math.round(weights * 0.1))
  })
})
