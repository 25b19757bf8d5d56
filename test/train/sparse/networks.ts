/** Networks to test with: the shapes of the paper's models, and small ones of every kind of stream. */
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../../../src/ir/failure.ts'
import { renderError } from '../../../src/ir/failure.ts'
import type { Layer, Network, Slot, Stream } from '../../../src/train/sparse/index.ts'

export const conv = (name: string, outputs: number, inputs: number, kernel: number): Layer => ({
  name,
  shape: [outputs, inputs, kernel, kernel],
  outputAxis: 0,
  inputAxis: 1,
})

export const linear = (name: string, outputs: number, inputs: number): Layer => ({
  name,
  shape: [outputs, inputs],
  outputAxis: 0,
  inputAxis: 1,
})

const writes = (layer: string): Slot => ({ layer, axis: 0 })
const reads = (layer: string): Slot => ({ layer, axis: 1 })

/** VGG-19 for 32×32 images, its convolutions named by their place in `features`; the last stream only under scope `all`. */
export const vgg19 = (classes: number): Network => {
  const plan = [64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512]
  const layers: Layer[] = []
  let [inputs, at] = [3, 0]
  for (const width of plan) {
    if (width > 0) layers.push(conv(`features.${at}`, width, inputs, 3))
    at += width > 0 ? 3 : 1
    inputs = width > 0 ? width : inputs
  }
  layers.push(linear('classifier', classes, 512))
  const streams = layers.slice(0, -1).map((layer, l): Stream => {
    const next = layers[l + 1]?.name ?? ''
    const scope = next === 'classifier' ? 'all' : 'block'
    return {
      name: layer.name,
      channels: layer.shape[0] ?? 0,
      scope,
      producers: [writes(layer.name)],
      consumers: [reads(next)],
    }
  })
  return { layers, streams }
}

/** ResNet-50 with a stem of that kernel; `divide` makes it narrower by that factor. */
export const resnet50 = (stemKernel: number, classes: number, divide = 1): Network => {
  const stem = 64 / divide
  const layers: Layer[] = [conv('conv1', stem, 3, stemKernel)]
  const streams: Stream[] = []
  let before: { channels: number; producers: Slot[]; consumers: Slot[] } = {
    channels: stem,
    producers: [writes('conv1')],
    consumers: [],
  }
  for (const [stage, blocks] of [3, 4, 6, 3].entries()) {
    const width = stem * 2 ** stage
    const after: typeof before = { channels: 4 * width, producers: [], consumers: [] }
    for (let block = 0; block < blocks; block++) {
      const name = `layer${stage + 1}.${block}`
      const source = block === 0 ? before : after
      layers.push(conv(`${name}.conv1`, width, source.channels, 1))
      layers.push(conv(`${name}.conv2`, width, width, 3))
      layers.push(conv(`${name}.conv3`, 4 * width, width, 1))
      source.consumers.push(reads(`${name}.conv1`))
      after.producers.push(writes(`${name}.conv3`))
      if (block === 0) {
        layers.push(conv(`${name}.shortcut`, 4 * width, source.channels, 1))
        source.consumers.push(reads(`${name}.shortcut`))
        after.producers.push(writes(`${name}.shortcut`))
      }
      for (const [from, to] of [
        [1, 2],
        [2, 3],
      ] as const) {
        const inner = `${name}.conv${from}`
        streams.push({
          name: inner,
          channels: width,
          scope: 'block',
          producers: [writes(inner)],
          consumers: [reads(`${name}.conv${to}`)],
        })
      }
    }
    streams.push({ name: `residual ${stage}`, scope: 'all', ...before })
    before = after
  }
  layers.push(linear('classifier', classes, before.channels))
  before.consumers.push(reads('classifier'))
  streams.push({ name: 'residual 4', scope: 'all', ...before })
  return { layers, streams }
}

/**
 * A small network with everything at once: a stem in TensorFlow.js layout, a residual stream made by two layers, a depthwise
 * layer, a concatenation (offset), a flattened map (span), an exempt classifier, and scales and shifts of some.
 */
export const mixed: Network = {
  layers: [
    { name: 'stem', shape: [3, 3, 2, 8], outputAxis: 3, inputAxis: 2 },
    conv('expand', 12, 8, 1),
    conv('depthwise', 12, 1, 3),
    conv('project', 8, 12, 1),
    conv('left', 5, 8, 3),
    conv('right', 7, 8, 1),
    linear('hidden', 10, 12 * 4),
    { ...linear('classifier', 3, 10), exempt: true },
  ],
  vectors: [
    { name: 'gamma', shape: [8], outputAxis: 0, inputAxis: 1, exempt: true, role: 'scale' },
    { name: 'joint', shape: [12], outputAxis: 0, inputAxis: 1, exempt: true, role: 'scale' },
    { name: 'bias', shape: [10], outputAxis: 0, inputAxis: 1, exempt: true, role: 'shift' },
  ],
  streams: [
    {
      name: 'residual',
      channels: 8,
      scope: 'all',
      producers: [{ layer: 'stem', axis: 3 }, writes('project')],
      consumers: [reads('expand'), reads('left'), reads('right')],
      vectors: [writes('gamma')],
    },
    {
      name: 'expanded',
      channels: 12,
      scope: 'block',
      producers: [writes('expand')],
      consumers: [writes('depthwise'), reads('project')],
    },
    {
      name: 'left',
      channels: 5,
      scope: 'block',
      producers: [writes('left')],
      consumers: [{ layer: 'hidden', axis: 1, span: 4 }],
      vectors: [writes('joint')],
    },
    {
      name: 'right',
      channels: 7,
      scope: 'block',
      producers: [writes('right')],
      consumers: [{ layer: 'hidden', axis: 1, span: 4, offset: 20 }],
      vectors: [{ layer: 'joint', axis: 0, offset: 5 }],
    },
    {
      name: 'hidden',
      channels: 10,
      scope: 'block',
      producers: [writes('hidden')],
      consumers: [reads('classifier')],
      vectors: [writes('bias')],
    },
  ],
}

/** A chain of linear layers, every hidden width a removable stream with scales. */
export const chain = (widths: ReadonlyArray<number>): Network => {
  const layers = widths.slice(1).map((outputs, l) => linear(`fc${l}`, outputs, widths[l] ?? 1))
  const streams = layers.slice(0, -1).map((layer, l): Stream => ({
    name: layer.name,
    channels: layer.shape[0] ?? 0,
    scope: 'block',
    producers: [writes(layer.name)],
    consumers: [reads(layers[l + 1]?.name ?? '')],
    vectors: [writes(`scale${l}`)],
  }))
  const vectors = streams.map(({ channels }, l): Layer => ({
    ...{ name: `scale${l}`, shape: [channels], outputAxis: 0, inputAxis: 1 },
    ...{ exempt: true, role: 'scale' },
  }))
  return { layers, streams, vectors }
}

export const right = <A>(result: E.Either<Failure, A>): A => {
  if (E.isLeft(result)) throw new Error(renderError(result.left))
  return result.right
}
