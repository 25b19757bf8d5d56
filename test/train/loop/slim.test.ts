import { beforeAll, describe, expect, it } from 'vitest'
import type { Graph } from '../../../src/ir/graph.ts'
import * as ops from '../../../src/ir/ops/index.ts'
import { sizeOf } from '../../../src/ir/type.ts'
import { compile } from '../../../src/passes/compile.ts'
import type { Backend } from '../../../src/train/backend/backend.ts'
import { openBackend } from '../../../src/train/backend/open.ts'
import { train, type Trained } from '../../../src/train/index.ts'
import { namesHeld, trainableOf } from '../../../src/train/loop/run.ts'
import { slimGraph } from '../../../src/train/loop/slim-graph.ts'
import { init, staticRandom } from '../../../src/train/sparse/index.ts'
import { buildGraph, convNormRelu } from '../../builder.ts'
import { backendName, busyChase, recipeOf, right, tinyData, tinyResNet, weightsOf } from './fixtures.ts'

/** Concatenation, a depthwise layer, convolutions with bias and a flattened map that a linear layer reads. */
const branchy = (): Graph =>
  buildGraph({ input: ['N', 2, 6, 6] }, (b) => {
    const stem = convNormRelu(b, 'stem', 'input', [8, 2, 3])
    const depthwise = convNormRelu(b, 'depthwise', stem, [8, 8, 3], {}, true, 8)
    const left = convNormRelu(b, 'left', depthwise, [6, 8, 1])
    const bias = b.weight('other.bias', [5])
    const other = b.op(ops.Relu, [b.op(ops.Conv, [depthwise, b.weight('other.weight', [5, 8, 1, 1]), bias])])
    const small = b.op(ops.MaxPool, [b.op(ops.Concat, [left, other], { axis: 1 })], {
      kernel_shape: [2, 2],
      strides: [2, 2],
    })
    const flat = b.op(ops.Flatten, [small])
    const hidden = b.op(ops.Gemm, [flat, b.weight('hidden.weight', [99, 9]), b.weight('hidden.bias', [9])])
    const logits = b.weight('logits.weight', [3, 9])
    return [b.op(ops.Gemm, [b.op(ops.Relu, [hidden]), logits, b.weight('logits.bias', [3])], { transB: 1 })]
  })

const trained = async (graph: Graph, slim: boolean, epochs = 3): Promise<Trained> => {
  const learningRate = { schedule: 'constant', peak: 0.02, warmup: 1 }
  const recipe = recipeOf(busyChase(), { slim, epochs, learningRate })
  return right(await train(graph, tinyData, recipe, { backend: backendName })())
}

const sizes = (graph: Graph): ReadonlyMap<string, number> =>
  new Map(Array.from(graph.constants, ([name, { shape }]) => [name, sizeOf(shape)]))

describe.each([
  ['residual streams', tinyResNet],
  ['concatenation, depthwise, flattened map, bias', branchy],
])('%s', (_, make) => {
  let [slim, masked]: [Trained | undefined, Trained | undefined] = [undefined, undefined]
  beforeAll(async () => {
    slim = await trained(make(), true)
    masked = await trained(make(), false)
  })

  it('really loses channels', () => {
    if (slim === undefined || masked === undefined) throw new Error('not trained')
    const removed = slim.history.reduce((n, entry) => n + (entry.kind === 'update' ? entry.removed : 0), 0)
    expect(removed).toBeGreaterThan(5)
    for (const [name, left] of slim.channels)
      expect(left.length).toBeLessThanOrEqual(masked.channels.get(name)?.length ?? 0)
    const [all, few] = [masked, slim].map(({ graph }) => [...sizes(graph).values()].reduce((n, size) => n + size, 0))
    expect(few).toBeLessThan(0.8 * (all ?? 0))
    for (const [name, left] of slim.channels) expect(slim.graph.constants.get(name)?.shape).toContain(left.length)
  })

  it('computes what the masked network of full size computes, step by step', () => {
    if (slim === undefined || masked === undefined) throw new Error('not trained')
    expect(slim.history.length).toBe(masked.history.length)
    for (const [i, entry] of slim.history.entries()) {
      const other = masked.history[i]
      if (entry.kind === 'update' || entry.kind === 'plan') expect(entry).toEqual(other)
      else if (other?.kind === 'epoch' || other?.kind === 'test') {
        expect(entry.loss / other.loss).toBeCloseTo(1, 4)
        expect(entry.accuracy).toBe(other.accuracy)
        if (entry.kind === 'epoch') {
          // Weights and channels are counted against the dense layers, whatever has left the network.
          expect([entry.kind, entry.layerDensities, entry.layerChannels]).toEqual(
            other.kind === 'epoch' ? ['epoch', other.layerDensities, other.layerChannels] : [],
          )
        }
      } else expect(entry).toEqual(other)
    }
  })

  it('ends with the same weights: both compile to the same network', () => {
    if (slim === undefined || masked === undefined) throw new Error('not trained')
    const [a, b] = [slim, masked].map(({ graph, masks }) => right(compile(graph, masks, { widths: 'raw' })).graph)
    if (a === undefined || b === undefined) throw new Error('not compiled')
    expect(a.nodes.map(({ op }) => op)).toEqual(b.nodes.map(({ op }) => op))
    expect(sizes(a)).toEqual(sizes(b))
    const others = weightsOf(b)
    for (const [name, values] of weightsOf(a)) {
      const other = others.get(name) ?? new Float32Array(0)
      const scale = other.reduce((largest, x) => Math.max(largest, Math.abs(x)), 1e-3)
      expect(values.reduce((worst, x, i) => Math.max(worst, Math.abs(x - (other[i] ?? NaN)) / scale), 0)).toBeLessThan(
        1e-3,
      )
    }
  })
})

describe('slimGraph', () => {
  let backend: Backend | undefined
  beforeAll(async () => {
    backend = right(await openBackend(backendName)())
  })

  it('drops exactly what is removed, whatever else is masked, and keeps the last channel of a stream', () => {
    if (backend === undefined) throw new Error('no backend')
    const { executor, network } = right(trainableOf(branchy(), backend))
    const state = right(init(network, staticRandom({ density: 0.01 }), 1))
    expect(slimGraph(executor.graph, state, namesHeld(executor))).toBeUndefined()
    const removed = network.streams.map(({ name, channels }) =>
      Uint8Array.from({ length: channels }, (_, c) =>
        name === 'left.weight' || (name === 'stem.weight' && c === 2) ? 1 : 0,
      ),
    )
    const slimmed = slimGraph(executor.graph, { ...state, removed }, namesHeld(executor))
    if (slimmed === undefined) throw new Error('nothing dropped')
    const shapeOf = (name: string): ReadonlyArray<number> | undefined => slimmed.graph.constants.get(name)?.shape
    expect(shapeOf('stem.weight')).toEqual([7, 2, 3, 3])
    expect(shapeOf('depthwise.weight')).toEqual([7, 1, 3, 3])
    expect(shapeOf('depthwise.var')).toEqual([7])
    expect(shapeOf('left.weight')).toEqual([1, 7, 1, 1])
    expect(shapeOf('other.weight')).toEqual([5, 7, 1, 1])
    expect(shapeOf('hidden.weight')).toEqual([54, 9])
    expect(Array.from(slimmed.pick('stem.mean', Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7)))).toEqual([
      0, 1, 3, 4, 5, 6, 7,
    ])
    expect(Array.from(slimmed.pick('other.bias', Float32Array.of(5, 6, 7, 8, 9)))).toEqual([5, 6, 7, 8, 9])
    const hidden = slimmed.pick(
      'hidden.weight',
      Float32Array.from({ length: 99 * 9 }, (_, i) => i),
    )
    expect(hidden.filter((_, i) => i % 9 === 0).map((x) => x / 9)).toEqual(
      Float32Array.from({ length: 54 }, (_, row) => (row < 9 ? row : row + 45)),
    )
    // Filled up to a multiple, with removed channels that are still masked.
    const filled = slimGraph(executor.graph, { ...state, removed }, namesHeld(executor), 4)
    expect(filled?.graph.constants.get('stem.weight')?.shape).toEqual([8, 2, 3, 3])
    expect(filled?.graph.constants.get('left.weight')?.shape).toEqual([4, 8, 1, 1])
    const stream = filled?.state.network.streams.findIndex(({ name }) => name === 'left.weight') ?? -1
    expect(Array.from(filled?.state.removed[stream] ?? [])).toEqual([1, 1, 1, 1])
    executor.dispose()
  })
})
