/** The models that come with chasec, by the names that the command line takes. */
import * as E from 'fp-ts/lib/Either.js'
import { closestName } from '../ir/closest.ts'
import type { Graph } from '../ir/graph.ts'
import { type ModelError, modelError } from './error.ts'
import { mlp } from './mlp.ts'
import { mobilenetV2 } from './mobilenet-v2.ts'
import type { ModelOptions } from './network.ts'
import { cifarStages, resnet, type ResNetShape } from './resnet.ts'
import { vgg19 } from './vgg.ts'
import { vit, type ViTShape } from './vit.ts'

/** A model without its classes, image size and seed. */
export interface Model {
  /** As the user named it. */
  readonly name: string
  /** The graph with its initial weights; errors are options that no such model can be built for. */
  readonly build: (options: ModelOptions) => E.Either<ModelError, Graph>
}

/** One name that the command line takes. */
export interface ModelEntry {
  readonly name: string
  /** What may follow the name after a colon, for help texts. */
  readonly argument?: string
  readonly about: string
  /** The model for what follows the colon; undefined where that is not understood. */
  readonly make: (argument: string | undefined) => Build | undefined
}

/** Builds a model, whose name goes into the graph and into errors. */
type Build = (name: string, options: ModelOptions) => E.Either<ModelError, Graph>

const plain =
  (build: Build): ModelEntry['make'] =>
  (argument) =>
    argument === undefined ? build : undefined

const total =
  (build: (name: string, options: ModelOptions) => Graph): Build =>
  (name, options) =>
    E.right(build(name, options))

const resnetEntry = (name: string, about: string, shape: ResNetShape): ModelEntry => ({
  name,
  about,
  make: plain(total((label, options) => resnet(label, shape, options))),
})

const cifarResNet = (depth: number): ModelEntry =>
  widthEntry(
    `resnet${depth}`,
    `ResNet-${depth} for images of about 32x32, 16 to 64 channels times WIDTH (1)`,
    (name, width, options) => resnet(name, cifarStages(depth, width), options),
  )

const resnet18 = { block: 'basic', blocks: [2, 2, 2, 2], widths: [64, 128, 256, 512] } as const
const resnet50 = { block: 'bottleneck', blocks: [3, 4, 6, 3], widths: [64, 128, 256, 512] } as const

const largestWidth = 10

/** A model whose channels are multiplied by what follows its name. */
const widthEntry = (
  name: string,
  about: string,
  build: (name: string, width: number, options: ModelOptions) => Graph,
): ModelEntry => ({
  name,
  argument: 'WIDTH',
  about,
  make: (argument) => {
    const width = argument === undefined ? 1 : decimal(argument)
    if (width === undefined || !(width > 0 && width <= largestWidth)) return undefined
    return total((label, options) => build(label, width, options))
  },
})

const mobileNetEntry = (name: string, about: string, stem: 'cifar' | 'imagenet'): ModelEntry =>
  widthEntry(name, about, (label, width, options) => mobilenetV2(label, width, stem, options))

const decimal = (text: string): number | undefined => (/^\d*\.?\d+$/.test(text) ? Number(text) : undefined)

const lenet300: ReadonlyArray<number> = [300, 100]

/** `300,100` as positive numbers. */
const widthsOf = (text: string): ReadonlyArray<number> | undefined => {
  const widths = text.split(',').map((part) => (/^[1-9]\d{0,5}$/.test(part) ? Number(part) : 0))
  return widths.includes(0) ? undefined : widths
}

const vitEntry = (name: string, about: string, shape: ViTShape): ModelEntry => ({
  name,
  about,
  make: plain((label, options) => vit(label, shape, options)),
})

const vitTiny = { width: 192, depth: 12, heads: 3, hidden: 768 } as const

/** Every name, in the order of the help text. */
export const models: ReadonlyArray<ModelEntry> = [
  cifarResNet(20),
  cifarResNet(32),
  cifarResNet(56),
  resnetEntry('resnet18', 'ResNet-18, 3x3 stem for images of about 32x32', { ...resnet18, stem: 'cifar' }),
  resnetEntry('resnet50', 'ResNet-50, 3x3 stem for images of about 32x32', { ...resnet50, stem: 'cifar' }),
  resnetEntry('resnet18-imagenet', 'ResNet-18, 7x7 stem for images of about 224x224', {
    ...resnet18,
    stem: 'imagenet',
  }),
  resnetEntry('resnet50-imagenet', 'ResNet-50 v1.5, 7x7 stem for images of about 224x224', {
    ...resnet50,
    stem: 'imagenet',
  }),
  {
    name: 'vgg19-bn',
    about: 'VGG-19 with BatchNormalization and one linear layer, for images of about 32x32',
    make: plain((name, options) => vgg19(name, 'cifar', options)),
  },
  {
    name: 'vgg19-bn-imagenet',
    about: 'VGG-19 with BatchNormalization and three linear layers, for images of 224x224',
    make: plain((name, options) => vgg19(name, 'imagenet', options)),
  },
  mobileNetEntry('mobilenet-v2', 'MobileNetV2 for images of about 32x32, channels times WIDTH (1)', 'cifar'),
  mobileNetEntry(
    'mobilenet-v2-imagenet',
    'MobileNetV2 for images of about 224x224, channels times WIDTH (1)',
    'imagenet',
  ),
  {
    name: 'mlp',
    argument: 'WIDTHS',
    about: `Linear layers with ReLU, hidden widths WIDTHS (${lenet300.join(',')})`,
    make: (argument) => {
      const widths = argument === undefined ? lenet300 : widthsOf(argument)
      return widths && total((name, options) => mlp(name, widths, options))
    },
  },
  vitEntry('vit-tiny', 'Vision transformer of 5 M weights, patches of 4x4', { ...vitTiny, patch: 4 }),
  vitEntry('vit-tiny-imagenet', 'Vision transformer of 6 M weights, patches of 16x16', { ...vitTiny, patch: 16 }),
]

const spelled = ({ name, argument }: ModelEntry): string => (argument === undefined ? name : `${name}[:${argument}]`)

/**
 * The model of a name such as `resnet20`, `mobilenet-v2:0.5` or `mlp:300,100`.
 *
 * Errors: a name that is not known, or something after the colon that the model cannot use; both list what there is.
 */
export const parseModel = (text: string): E.Either<ModelError, Model> => {
  const colon = text.indexOf(':')
  const name = colon < 0 ? text : text.slice(0, colon)
  const entry = models.find((one) => one.name === name)
  const build = entry?.make(colon < 0 ? undefined : text.slice(colon + 1))
  if (build === undefined) {
    const known = models.map(spelled).join(', ')
    const close =
      entry === undefined
        ? closestName(
            name,
            models.map((one) => one.name),
          )
        : undefined
    const meant = close === undefined ? '' : `Did you mean ${close}? `
    const help = `${meant}WIDTH is a factor such as 0.5, WIDTHS a list such as 300,100.`
    return E.left(modelError(`model ${text}`, `one of ${known}`, text === '' ? 'nothing' : text, help))
  }
  return E.right({
    name: text,
    build: (options) => {
      const problem = checkOptions(text, options)
      return problem === undefined ? build(text, options) : E.left(problem)
    },
  })
}

const isPositive = (n: number): boolean => Number.isSafeInteger(n) && n > 0

const checkOptions = (name: string, { classes, shape, seed }: ModelOptions): ModelError | undefined => {
  const help = 'Take the numbers from the data set.'
  if (!isPositive(classes)) return modelError(name, 'a positive number of classes', `${classes}`, help)
  if (!shape.every(isPositive)) return modelError(name, 'a positive image shape', shape.join('x'), help)
  if (!Number.isSafeInteger(seed)) return modelError(name, 'a whole number as seed', `${seed}`, 'Give another seed.')
  return undefined
}
