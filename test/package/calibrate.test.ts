/** Calibration in ONNX Runtime, beside what the operators' definitions compute. */
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test, vi } from 'vitest'
import { type Failure, renderError } from '../../src/ir/failure.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { evaluateGraph } from '../../src/ir/interpret.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { elements, tensorOf } from '../../src/ir/tensor.ts'
import { sizeOf, tensorType } from '../../src/ir/type.ts'
import type { ChannelStatistics } from '../../src/masks/statistics.ts'
import { layersOf } from '../../src/masks/weights.ts'
import { calibrate, type CalibrateOptions, type Calibration } from '../../src/package/calibrate.ts'
import type { Tensors } from '../../src/run/runner.ts'
import { buildGraph } from '../builder.ts'
import { normals, uniforms } from '../inflate.ts'
import { inputsOf, loadZoo } from '../zoo.ts'
import { withParts } from '../../src/ir/graph.ts'

vi.setConfig({ testTimeout: 120_000 })

const right = <A>(x: E.Either<Failure, A>): A => {
  if (E.isLeft(x)) throw new Error(renderError(x.left))
  return x.right
}

const calibrated = async (
  graph: Graph,
  feeds: Iterable<Tensors>,
  options: CalibrateOptions = {},
): Promise<Calibration> => right(await calibrate(graph, feeds, options)())

const normal = normals(uniforms(3))
const draw = (shape: ReadonlyArray<number>): Float64Array =>
  Float64Array.from({ length: sizeOf(shape) }, () => normal())

/** Statistics of the inputs of all layers by definition: what the operators compute, in double, then summed up. */
const byDefinition = (graph: Graph, feeds: ReadonlyArray<Tensors>): ReadonlyMap<string, ChannelStatistics> => {
  const layers = layersOf(graph)
  const values = layers.map(({ node, contraction }) => node.inputs[contraction.port] ?? '')
  const inner = withParts(graph, {
    outputs: [...new Set(values)].map((name) => ({ name, type: tensorType('float32', undefined) })),
  })
  const lists = new Map<string, number[][]>()
  for (const feed of feeds) {
    const outputs = right(evaluateGraph(inner, feed))
    layers.forEach(({ weight, contraction: c, inputs }, at) => {
      const value = outputs.get(values[at] ?? '') ?? feed.get(values[at] ?? '')
      if (value === undefined) throw new Error(`no value ${values[at]}`)
      const axis = c.axis < 0 ? c.axis + value.shape.length : c.axis
      const after = sizeOf(value.shape.slice(axis + 1))
      const channels = lists.get(weight) ?? Array.from({ length: inputs }, () => [])
      lists.set(weight, channels)
      elements(value).forEach((x, i) => channels[Math.floor(i / after) % inputs]?.push(Number(x)))
    })
  }
  return new Map(
    Array.from(lists, ([weight, channels]) => {
      const mean = Float64Array.from(channels, (list) => list.reduce((sum, x) => sum + x, 0) / list.length)
      const variance = Float64Array.from(channels, (list, c) =>
        list.reduce((sum, x) => sum + (x - (mean[c] ?? NaN)) ** 2 / list.length, 0),
      )
      return [weight, { count: channels[0]?.length ?? 0, mean, variance }]
    }),
  )
}

const expectClose = (
  found: ReadonlyMap<string, ChannelStatistics>,
  expected: ReadonlyMap<string, ChannelStatistics>,
  unit = 2e-6,
): void => {
  expect([...found.keys()].sort()).toEqual([...expected.keys()].sort())
  for (const [weight, { count, mean, variance }] of expected) {
    const one = found.get(weight)
    expect(one?.count, weight).toBe(count)
    mean.forEach((m, c) => {
      const v = variance[c] ?? NaN
      const size = Math.sqrt(v + m * m)
      expect(Math.abs((one?.mean[c] ?? NaN) - m), `${weight} mean ${c}`).toBeLessThanOrEqual(unit * size)
      expect(Math.abs((one?.variance[c] ?? NaN) - v), `${weight} variance ${c}`).toBeLessThanOrEqual(unit * size * size)
    })
  }
}

/** A convolution in groups, one of each channel, a transposed one, then two matrices, one of them of three axes. */
const network = (opset: number): Graph =>
  buildGraph(
    { x: ['N', 4, 6, 6] },
    (b) => {
      const a = b.op(ops.Conv, ['x', b.weight('grouped', [6, 2, 3, 3])], { group: 2, pads: [1, 1, 1, 1] })
      const r = b.op(ops.Relu, [a])
      const d = b.op(ops.Conv, [r, b.weight('depthwise', [6, 1, 3, 3])], { group: 6 })
      const t = b.op(ops.ConvTranspose, [d, b.weight('transposed', [6, 2, 2, 2])], { group: 2 })
      const s = b.op(ops.Reshape, [t, b.ints('shape', [0, 4, -1])])
      const m = b.op(ops.MatMul, [s, b.weight('matrix', [25, 5])])
      const f = b.op(ops.Flatten, [m])
      return [b.op(ops.Gemm, [f, b.weight('fc', [3, 20]), b.weight('bias', [3])], { transB: 1, alpha: 0.5 })]
    },
    { opset },
  )

const samples = draw([5, 4, 6, 6])
const feedOf = (first: number, end: number): Tensors =>
  new Map([['x', tensorOf('float32', [end - first, 4, 6, 6], samples.subarray(first * 144, end * 144))]])

describe('statistics are those of what layers read', () => {
  test.each([7, 13, 17, 18, 21])('in operator set %i', async (opset) => {
    const graph = network(opset)
    const found = await calibrated(graph, [feedOf(0, 5)])
    expect(found).toMatchObject({ samples: 5, unseen: [] })
    expectClose(found.layers, byDefinition(graph, [feedOf(0, 5)]))
  })

  test('however the samples are divided, to the rounding of sums in double', async () => {
    const graph = network(17)
    const whole = await calibrated(graph, [feedOf(0, 5)])
    for (const [feeds, batch] of [
      [[feedOf(0, 2), feedOf(2, 5)], 8],
      [[feedOf(0, 5)], 1],
      [[feedOf(0, 4), feedOf(4, 5)], 3],
    ] as const) {
      const parts = await calibrated(graph, feeds, { batch })
      expect(parts.samples).toBe(5)
      // What ONNX Runtime computes for a batch differs in the last digit of float32.
      expectClose(parts.layers, whole.layers, 1e-6)
    }
  })

  test('of as many samples as asked for', async () => {
    const graph = network(17)
    const found = await calibrated(graph, [feedOf(0, 2), feedOf(2, 5)], { samples: 3, batch: 1 })
    expect(found.samples).toBe(3)
    expectClose(found.layers, byDefinition(graph, [feedOf(0, 3)]))
  })

  test.each(['vit', 'transformer-encoder', 'llama', 'convnext', 'qdq-cnn'])(
    'in an exported model, of all layers: %s',
    async (name) => {
      const model = loadZoo(name)
      const feeds = [inputsOf(model, 1)]
      const found = await calibrated(model.graph, feeds)
      expect(found.unseen).toEqual([])
      expect([...found.layers.keys()].sort()).toEqual(
        [...new Set(layersOf(model.graph).map(({ weight }) => weight))].sort(),
      )
      expectClose(found.layers, byDefinition(model.graph, feeds), 1e-4)
    },
  )

  test('with a mean that is far above the deviation', async () => {
    const graph = buildGraph({ x: ['N', 2] }, (b) => [b.op(ops.MatMul, ['x', b.weight('w', [2, 2])])])
    const x = [4096, 1, 4097, 1, 4096, 1, 4097, 1]
    const { layers } = await calibrated(graph, [new Map([['x', tensorOf('float32', [4, 2], x)]])])
    expect(layers.get('w')).toEqual({ count: 4, mean: Float64Array.of(4096.5, 1), variance: Float64Array.of(0.25, 0) })
  })

  test('of a weight that two layers read, over both', async () => {
    const graph = buildGraph({ x: ['N', 3] }, (b) => {
      const w = b.weight('w', [3, 3])
      return [b.op(ops.MatMul, [b.op(ops.Relu, [b.op(ops.MatMul, ['x', w])]), w])]
    })
    const feeds: ReadonlyArray<Tensors> = [new Map([['x', tensorOf('float32', [4, 3], draw([4, 3]))]])]
    const found = await calibrated(graph, feeds)
    expect(found.layers.get('w')?.count).toBe(8)
    expectClose(found.layers, byDefinition(graph, feeds))
  })

  test('in half precision, summed up in double', async () => {
    const graph = buildGraph({ x: ['N', 2] }, (b) => {
      const half = b.op(ops.Cast, ['x'], { to: 10 })
      const w = b.constant('w', tensorOf('float16', [2, 2], [1, 2, 3, 4]))
      return [b.op(ops.MatMul, [half, w])]
    })
    const values = draw([300, 2]).map((x) => 100 + x)
    const { layers } = await calibrated(graph, [new Map([['x', tensorOf('float32', [300, 2], values)]])], {
      samples: 300,
    })
    const rounded = elements(tensorOf('float16', [300, 2], values))
    let sum = 0
    rounded.forEach((x, i) => {
      if (i % 2 === 0) sum += Number(x)
    })
    expect(layers.get('w')?.mean[0]).toBeCloseTo(sum / 300, 10)
  })

  test('of integers by what they stand for, the scale left out', async () => {
    const graph = buildGraph({ x: ['N', 2] }, (b) => {
      const scale = b.floats('scale', [0.5], [])
      const zero = b.constant('zero', tensorOf('uint8', [], [3]))
      const q = b.op(ops.QuantizeLinear, ['x', scale, zero])
      const w = b.constant('w', tensorOf('int8', [2, 2], [1, -2, 3, 4]))
      return [b.op(ops.MatMulInteger, [q, w, zero])]
    })
    const x = [1, -1, 2, 0, 3, 1]
    const { layers } = await calibrated(graph, [new Map([['x', tensorOf('float32', [3, 2], x)]])])
    expect(layers.get('w')?.mean).toEqual(Float64Array.of(4, 0))
  })
})

describe('what cannot be seen', () => {
  const unseenOf = async (graph: Graph): Promise<string> => {
    const failed = await calibrate(graph, [])()
    return E.isLeft(failed) ? renderError(failed.left) : 'calibrated'
  }

  test('is told', async () => {
    const shared = buildGraph({ x: ['N', 3] }, (b) => {
      const w = b.weight('w', [3, 3])
      return [b.op(ops.Add, [b.op(ops.MatMul, ['x', w]), w])]
    })
    expect(await unseenOf(shared)).toMatch(/found MatMul .*: nodes read its weight in different ways/)
    const transposed = buildGraph({ x: ['N', 3] }, (b) => {
      const w = b.weight('w', [3, 3])
      return [b.op(ops.Gemm, [b.op(ops.Gemm, ['x', w]), w], { transB: 1 })]
    })
    expect(await unseenOf(transposed)).toMatch(/(nodes read its weight in different ways.*){2}/)
    const old = buildGraph({ x: ['N', 3] }, (b) => [b.op(ops.MatMul, ['x', b.weight('w', [3, 3])])], { opset: 6 })
    expect(await unseenOf(old)).toMatch('the model is of operator set 6, and statistics take 7 or later')
    const dynamic = buildGraph({ x: ['N', 3] }, (b) => {
      const q = b.op(ops.DynamicQuantizeLinear, ['x'], {}, 3)
      return [b.op(ops.MatMulInteger, [q, b.constant('w', tensorOf('int8', [3, 1], [1, 2, 3])), q.replace('.0', '.2')])]
    })
    expect(await unseenOf(dynamic)).toMatch('its input is integers of which the zero point is computed')
  })

  test.each<[string, () => ReturnType<ReturnType<typeof calibrate>>, RegExp]>([
    ['no sample', () => calibrate(network(17), [])(), /expected at least one sample, found none/],
    ['a count', () => calibrate(network(17), [], { samples: 0 })(), /samples: expected a whole number of at least 1/],
    [
      'an activation that is no number',
      () =>
        calibrate(network(17), [
          feedOf(0, 1),
          new Map([['x', tensorOf('float32', [1, 4, 6, 6], draw([144]).fill(NaN))]]),
        ])(),
      /input of Conv .*: expected finite activations, found a NaN or an infinity on input 1/,
    ],
    [
      'another input',
      () => calibrate(network(17), [new Map([['y', tensorOf('float32', [1], [1])]])])(),
      /array y of input 0: expected an input of the model \(x\)/,
    ],
    ['a set that is not there', () => calibrate(network(17), 'mnist:not-there')(), /not-there/],
  ])('%s is an error', async (_, run, message) => {
    const failed = await run()
    expect(E.isLeft(failed) ? renderError(failed.left) : 'calibrated').toMatch(message)
  })
})
