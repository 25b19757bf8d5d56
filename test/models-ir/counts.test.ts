/** Sizes of the models against the published ones, which catch any wrong width, kernel, stride or missing layer. */
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { sizeOf } from '../../src/ir/type.ts'
import { layersOf } from '../../src/masks/weights.ts'
import { models, parseModel } from '../../src/models/index.ts'
import { macsOf } from '../../src/passes/compile.ts'
import { build } from './build.ts'

interface Published {
  readonly name: string
  readonly classes: number
  readonly shape: readonly [number, number, number]
  /** Weights and biases, running statistics left out. */
  readonly parameters: number
  /** Weights of convolutions and linear layers. */
  readonly maskable: number
  /** Of convolutions, linear layers and attention, for one image. */
  readonly macs: number
}

const cifar = [3, 32, 32] as const
const imagenet = [3, 224, 224] as const

/**
 * Parameters to the last digit are published: torchvision's model cards for ImageNet, the usual PyTorch implementations
 * with 1x1 shortcuts for CIFAR, DeiT-Ti's 5,717,416 less its class token and that token's position. So are the maskable
 * weights of VGG-19 and ResNet-50 (the Chase release). MACs are published to three or four digits: 40.8 M for ResNet-20, 0.56 G
 * and 1.30 G for ResNet-18 and 50 on CIFAR, 1.814 G and 4.089 G on ImageNet, 398 M and 19.63 G for VGG-19, 300.8 M and 97 M for
 * MobileNetV2, 1.25 G for DeiT-Ti; the digits after those pin what the registry counts. Those of ResNet-20 at half width were
 * counted by hand.
 */
const published: ReadonlyArray<Published> = [
  { name: 'resnet20', classes: 10, shape: cifar, parameters: 272_474, maskable: 270_896, macs: 40_813_184 },
  { name: 'resnet20:0.5', classes: 10, shape: cifar, parameters: 68_786, maskable: 67_992, macs: 10_314_048 },
  { name: 'resnet32', classes: 10, shape: cifar, parameters: 466_906, maskable: 464_432, macs: 69_124_736 },
  { name: 'resnet56', classes: 10, shape: cifar, parameters: 855_770, maskable: 851_504, macs: 125_747_840 },
  { name: 'resnet18', classes: 10, shape: cifar, parameters: 11_173_962, maskable: 11_164_352, macs: 555_422_720 },
  { name: 'resnet50', classes: 100, shape: cifar, parameters: 23_705_252, maskable: 23_652_032, macs: 1_298_014_208 },
  {
    name: 'resnet18-imagenet',
    classes: 1000,
    shape: imagenet,
    parameters: 11_689_512,
    maskable: 11_678_912,
    macs: 1_814_073_344,
  },
  {
    name: 'resnet50-imagenet',
    classes: 1000,
    shape: imagenet,
    parameters: 25_557_032,
    maskable: 25_502_912,
    macs: 4_089_184_256,
  },
  { name: 'vgg19-bn', classes: 100, shape: cifar, parameters: 20_086_692, maskable: 20_070_080, macs: 398_182_400 },
  {
    name: 'vgg19-bn-imagenet',
    classes: 1000,
    shape: imagenet,
    parameters: 143_678_248,
    maskable: 143_652_544,
    macs: 19_632_062_464,
  },
  { name: 'mobilenet-v2', classes: 10, shape: cifar, parameters: 2_236_682, maskable: 2_202_560, macs: 87_976_448 },
  {
    name: 'mobilenet-v2-imagenet',
    classes: 1000,
    shape: imagenet,
    parameters: 3_504_872,
    maskable: 3_469_760,
    macs: 300_774_272,
  },
  {
    name: 'mobilenet-v2-imagenet:0.5',
    classes: 1000,
    shape: imagenet,
    parameters: 1_968_680,
    maskable: 1_949_136,
    macs: 97_131_840,
  },
  { name: 'mlp', classes: 10, shape: [1, 28, 28], parameters: 266_610, maskable: 266_200, macs: 266_200 },
  {
    name: 'vit-tiny-imagenet',
    classes: 1000,
    shape: imagenet,
    parameters: 5_717_416 - 2 * 192,
    maskable: 5_647_872,
    macs: 1_246_563_840,
  },
]

describe('published sizes', () => {
  test.each(published)('$name', ({ name, classes, shape, parameters, maskable, macs }) => {
    const graph = build(name, { classes, shape })
    let counted = 0
    for (const [constant, { shape: dims }] of graph.constants) {
      if (/\.(weight|bias)$/.test(constant)) counted += sizeOf(dims)
    }
    expect(counted).toBe(parameters)
    expect(layersOf(graph).reduce((sum, layer) => sum + sizeOf(layer.tensor.shape), 0)).toBe(maskable)
    expect(macsOf(graph)).toBe(macs)
  })
})

describe('names', () => {
  test('of weights are torchvision’s', () => {
    const names = (model: string): ReadonlyArray<string> => [...build(model).constants.keys()]
    expect(names('resnet20')).toEqual(
      expect.arrayContaining([
        'conv1.weight',
        'bn1.running_var',
        'layer1.0.conv1.weight',
        'layer2.0.downsample.0.weight',
        'layer2.0.downsample.1.bias',
        'layer3.2.bn2.running_mean',
        'fc.weight',
        'fc.bias',
      ]),
    )
    expect(names('vgg19-bn')).toEqual(
      expect.arrayContaining(['features.0.bias', 'features.3.weight', 'features.49.weight', 'classifier.weight']),
    )
    expect(names('mobilenet-v2')).toEqual(
      expect.arrayContaining(['features.1.conv.1.weight', 'features.17.conv.1.0.weight', 'classifier.1.bias']),
    )
  })

  test.each(models.filter(({ name }) => name !== 'vgg19-bn-imagenet').map(({ name }) => name))(
    'of %s are the same for nodes and values, its input and output are named',
    (name) => {
      const graph = build(name)
      expect(graph.name).toBe(name)
      expect(graph.inputs.map((input) => input.name)).toEqual(['input'])
      expect(graph.outputs.map((output) => output.name)).toEqual(['logits'])
      expect(graph.opsets.get('')).toBe(17)
      const unnamed = graph.nodes.filter(({ name: label, outputs }) => outputs[0] !== label && outputs[0] !== 'logits')
      expect(unnamed).toEqual([])
    },
  )

  test('that are not known give an error with all that are', () => {
    for (const text of [
      'resnet21',
      '',
      'ResNet20',
      'resnet20:wide',
      'resnet20:0',
      'resnet18:2',
      'mobilenet-v2:x',
      'mobilenet-v2:0',
      'mlp:',
      'mlp:3,,4',
    ]) {
      const parsed = parseModel(text)
      if (E.isRight(parsed)) throw new Error(`${text} was taken`)
      expect(parsed.left.subject).toBe(`model ${text}`)
      for (const { name } of models) expect(parsed.left.expected).toContain(name)
    }
  })
})

describe('options', () => {
  const built = (name: string, shape: readonly [number, number, number], classes = 10, seed = 1) => {
    const model = parseModel(name)
    return E.isLeft(model) ? model : model.right.build({ classes, shape, seed })
  }

  test.each([
    ['vgg19-bn', [3, 15, 32], 'images of at least 16x16', '15x32'],
    ['vgg19-bn-imagenet', [3, 32, 32], 'images of 224x224', '32x32'],
    ['vgg19-bn-imagenet', [3, 256, 256], 'images of 224x224', '256x256'],
    ['vit-tiny', [3, 30, 32], 'images whose sides are multiples of 4', '30x32'],
    ['resnet20', [3, 0, 32], 'a positive image shape', '3x0x32'],
  ] as const)('%s refuses images of %s', (name, shape, expected, found) => {
    expect(built(name, shape)).toMatchObject({
      _tag: 'Left',
      left: { _tag: 'ModelError', subject: name, expected, found },
    })
  })

  test('that are no counts are refused', () => {
    expect(built('resnet20', [3, 32, 32], 0)).toMatchObject({ left: { expected: 'a positive number of classes' } })
    expect(built('resnet20', [3, 32, 32], 2.5)).toMatchObject({ left: { found: '2.5' } })
    expect(built('resnet20', [3, 32, 32], 10, NaN)).toMatchObject({ left: { expected: 'a whole number as seed' } })
  })

  test('take images of other sizes and channels', () => {
    expect(build('resnet20', { shape: [1, 28, 28] }).inputs[0]?.type).toMatchObject({ shape: ['N', 1, 28, 28] })
    expect(layersOf(build('mlp:20,30,40', { shape: [1, 8, 8], classes: 3 })).map((l) => l.tensor.shape)).toEqual([
      [20, 64],
      [30, 20],
      [40, 30],
      [3, 40],
    ])
  })
})
