import { describe, expect, it } from 'vitest'
import type { Graph } from '../../../src/ir/graph.ts'
import * as ops from '../../../src/ir/ops/index.ts'
import { parseModel } from '../../../src/models/index.ts'
import { networkOf } from '../../../src/train/loop/index.ts'
import { init, type Layer, type Network, staticRandom, type Stream } from '../../../src/train/sparse/index.ts'
import { buildGraph } from '../../builder.ts'
import { right } from './fixtures.ts'
import { resnet50, vgg19 } from '../sparse/networks.ts'

const networkFrom = (graph: Graph): Network =>
  networkOf(graph, new Set([...graph.constants.keys()].filter((name) => !name.includes('running'))))

const model = (name: string): Network =>
  networkFrom(right(right(parseModel(name)).build({ classes: 100, shape: [3, 32, 32], seed: 1 })))

/** What a stream is but for its name, in an order of its own. */
const shapeOfStream = ({ channels, scope, producers, consumers }: Stream): string =>
  JSON.stringify([channels, scope, producers.length, consumers.length])

const blockChannels = ({ streams }: Network): number =>
  streams.reduce((n, { scope, channels }) => n + (scope === 'block' ? channels : 0), 0)

describe('networkOf', () => {
  it.each([
    ['vgg19-bn', vgg19(100), 4992],
    ['resnet50', resnet50(3, 100), 7552],
  ])('%s has the streams that are written down by hand', (name, expected, channels) => {
    const found = model(name)
    expect(blockChannels(found)).toBe(channels)
    expect(found.streams.map(shapeOfStream).toSorted()).toEqual(expected.streams.map(shapeOfStream).toSorted())
    const shapes = ({ layers }: Network): ReadonlyArray<string> => layers.map(({ shape }) => shape.join('x')).toSorted()
    expect(shapes(found)).toEqual(shapes(expected))
    expect(right(init(found, staticRandom({ density: 0.1 }), 1)).masks).toHaveLength(expected.layers.length)
  })

  it('MobileNetV2: depthwise weights are exempt and go with the channels around them', () => {
    const { layers, streams, vectors = [] } = model('mobilenet-v2')
    const exempt = layers.filter((layer) => layer.exempt === true)
    expect(exempt.every(({ shape }) => shape[1] === 1 && shape[2] === 3)).toBe(true)
    expect(exempt).toHaveLength(17)
    const expanded = streams.find(({ name }) => name === 'features.2.conv.0.0.weight')
    const norms = vectors.filter(({ name }) => !name.startsWith('classifier'))
    expect(norms.map(({ role }) => role)).toEqual(norms.map((_, v) => (v % 2 === 0 ? 'scale' : 'shift')))
    expect(norms).toHaveLength(2 * 52)
    const own = ({ name }: Layer): boolean => /^features\.2\.conv\.[01]\.1/.test(name)
    expect(vectors.filter(own).map(({ shape }) => shape)).toEqual([[96], [96], [96], [96]])
    expect(expanded).toEqual({
      name: 'features.2.conv.0.0.weight',
      channels: 96,
      scope: 'block',
      producers: [{ layer: 'features.2.conv.0.0.weight', axis: 0 }],
      consumers: [
        { layer: 'features.2.conv.1.0.weight', axis: 0 },
        { layer: 'features.2.conv.2.weight', axis: 1 },
      ],
      vectors: vectors.filter(own).map(({ name }) => ({ layer: name, axis: 0 })),
    })
  })

  it('follows concatenations and flattened maps', () => {
    const graph = buildGraph({ x: [1, 3, 4, 4] }, (b) => {
      const left = b.op(ops.Conv, ['x', b.weight('left', [5, 3, 1, 1])])
      const other = b.op(ops.Conv, ['x', b.weight('other', [7, 3, 1, 1])])
      const flat = b.op(ops.Flatten, [b.op(ops.Concat, [left, other], { axis: 1 })])
      return [b.op(ops.MatMul, [flat, b.weight('read', [12 * 16, 4])])]
    })
    expect(networkFrom(graph).streams).toEqual([
      {
        name: 'left',
        channels: 5,
        scope: 'all',
        producers: [{ layer: 'left', axis: 0 }],
        consumers: [{ layer: 'read', axis: 0, span: 16 }],
      },
      {
        name: 'other',
        channels: 7,
        scope: 'all',
        producers: [{ layer: 'other', axis: 0 }],
        consumers: [{ layer: 'read', axis: 0, offset: 80, span: 16 }],
      },
    ])
  })

  it('leaves channels alone that meet grouped convolutions, shared weights, outputs or what is not trained', () => {
    const graph = buildGraph({ x: [1, 4, 4, 4] }, (b) => {
      const first = b.op(ops.Conv, ['x', b.weight('first', [4, 4, 1, 1])])
      const grouped = b.op(ops.Conv, [first, b.weight('grouped', [8, 2, 1, 1])], { group: 2 })
      const shared = b.weight('shared', [8, 8, 1, 1])
      const again = b.op(ops.Conv, [b.op(ops.Conv, [grouped, shared]), shared])
      const fixed = b.op(ops.Conv, [again, b.weight('fixed', [6, 8, 1, 1])])
      return [b.op(ops.Conv, [fixed, b.weight('last', [2, 6, 1, 1])])]
    })
    const { layers, streams } = networkOf(graph, new Set(['first', 'grouped', 'shared', 'last']))
    expect(layers.map(({ name }) => name)).toEqual(['first', 'grouped', 'last'])
    expect(streams).toEqual([])
  })
})
