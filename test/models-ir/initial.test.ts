/** Initial weights: the distributions that the models document, the same on every machine, no two layers alike. */
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../src/ir/digest.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { float32View, materialize } from '../../src/ir/tensor.ts'
import { build } from './build.ts'

const valuesOf = (graph: Graph, name: string): Float32Array => {
  const tensor = graph.constants.get(name)
  if (tensor === undefined) throw new Error(`no ${name}`)
  return float32View(materialize(tensor))
}

const statistics = (values: Float32Array) => {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length
  const square = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length
  return { mean, deviation: Math.sqrt(square), largest: values.reduce((most, x) => Math.max(most, Math.abs(x)), 0) }
}

/** Mean 0 and this deviation within five standard errors. */
const expectDeviation = (values: Float32Array, deviation: number): void => {
  const found = statistics(values)
  expect(Math.abs(found.mean)).toBeLessThan((5 * deviation) / Math.sqrt(values.length))
  expect(Math.abs(found.deviation / deviation - 1)).toBeLessThan(5 / Math.sqrt(2 * values.length))
}

describe('initial weights', () => {
  test('of convolutions are normal, their variance 2 over the fan out', () => {
    const resnet = build('resnet20')
    expectDeviation(valuesOf(resnet, 'layer3.1.conv1.weight'), Math.sqrt(2 / (9 * 64)))
    expectDeviation(valuesOf(resnet, 'layer2.0.conv1.weight'), Math.sqrt(2 / (9 * 32)))
    expectDeviation(valuesOf(resnet, 'layer3.0.downsample.0.weight'), Math.sqrt(2 / 64))
    // Beyond three deviations as often as a normal number is: 0.27 %.
    const values = valuesOf(resnet, 'layer3.1.conv1.weight')
    const beyond = values.filter((x) => Math.abs(x) > 3 * Math.sqrt(2 / (9 * 64))).length / values.length
    expect(Math.abs(beyond - 0.0027)).toBeLessThan(5 * Math.sqrt(0.0027 / values.length))
    // The fan out of a depthwise convolution counts all its channels, as in torchvision.
    const mobile = build('mobilenet-v2')
    expectDeviation(valuesOf(mobile, 'features.17.conv.1.0.weight'), Math.sqrt(2 / (9 * 960)))
  })

  test('of a ResNet’s classifier are uniform within 1 / √64', () => {
    const { deviation, largest } = statistics(valuesOf(build('resnet20', { classes: 100 }), 'fc.weight'))
    expect(largest).toBeLessThanOrEqual(1 / 8)
    expect(largest).toBeGreaterThan(0.124)
    expect(Math.abs(deviation - 1 / 8 / Math.sqrt(3))).toBeLessThan(0.002)
  })

  test('of VGG’s and MobileNetV2’s linear layers are N(0, 0.01²), biases 0', () => {
    for (const [name, layer] of [
      ['vgg19-bn', 'classifier'],
      ['mobilenet-v2', 'classifier.1'],
    ] as const) {
      const graph = build(name, { classes: 100 })
      expectDeviation(valuesOf(graph, `${layer}.weight`), 0.01)
      expect(valuesOf(graph, `${layer}.bias`).every((x) => x === 0)).toBe(true)
    }
  })

  test('of an MLP are Glorot normal', () => {
    expectDeviation(valuesOf(build('mlp'), 'fc1.weight'), Math.sqrt(2 / (784 + 300)))
  })

  test('of a vision transformer are normal with deviation 0.02, none beyond twice that', () => {
    const values = valuesOf(build('vit-tiny'), 'blocks.3.mlp.fc1.weight')
    const { deviation, largest } = statistics(values)
    expect(largest).toBeLessThanOrEqual(Math.fround(0.04))
    expect(largest).toBeGreaterThan(0.0399)
    // A normal number cut at two deviations has 0.8796 of the deviation.
    expect(Math.abs(deviation / (0.02 * 0.87963) - 1)).toBeLessThan(5 / Math.sqrt(2 * values.length))
  })

  test('of BatchNormalization leave a standard normal input as it is', () => {
    const graph = build('resnet56')
    for (const [suffix, value] of [
      ['weight', 1],
      ['bias', 0],
      ['running_mean', 0],
      ['running_var', 1],
    ] as const) {
      expect(valuesOf(graph, `layer2.4.bn1.${suffix}`).every((x) => x === value)).toBe(true)
    }
  })
})

const digests = (graph: Graph): ReadonlyMap<string, string> =>
  new Map([...graph.constants].map(([name, tensor]) => [name, digestOf(materialize(tensor).bytes)]))

describe('the same weights', () => {
  test('come from the same seed, on every machine', () => {
    const [first, second] = [digests(build('resnet20')), digests(build('resnet20'))]
    expect(second).toEqual(first)
    const bytes = new TextEncoder().encode([...first].map((pair) => pair.join()).join('\n'))
    expect(digestOf(bytes)).toMatchInlineSnapshot(`"754246289ef3ee7d"`)
  })

  test('come neither from another seed nor for another layer', () => {
    const [first, second] = [digests(build('resnet20')), digests(build('resnet20', { seed: 2 }))]
    const weights = [...first.keys()].filter((name) => name.includes('conv') || name.startsWith('fc'))
    expect(weights.filter((name) => first.get(name) === second.get(name))).toEqual([])
    const [a, b] = ['layer1.0.conv1.weight', 'layer1.0.conv2.weight'].map((name) => first.get(name))
    expect(a).not.toBe(b)
  })

  test('are a layer’s whatever else the model has', () => {
    const [small, large] = [digests(build('resnet20')), digests(build('resnet56', { classes: 100 }))]
    for (const [name, digest] of small) if (!name.startsWith('fc')) expect(large.get(name)).toBe(digest)
  })
})
