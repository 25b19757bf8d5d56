/** Trained classifiers for other images and classes: what stays is what it was, and what is not understood is refused. */
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/ir/digest.ts'
import type { Graph } from '../../../src/ir/graph.ts'
import { withParts } from '../../../src/ir/graph.ts'
import * as ops from '../../../src/ir/ops/index.ts'
import { float32View, materialize, type Tensor } from '../../../src/ir/tensor.ts'
import { models, parseModel, resnet } from '../../../src/models/index.ts'
import { adaptClassifier, type AdaptOptions } from '../../../src/train/adapt/index.ts'
import { train } from '../../../src/train/index.ts'
import { buildGraph, convNormRelu } from '../../builder.ts'
import { differenceOf, feedsFor, loadStripped, read, type Result, runOnnx } from '../../read/tfjs/tensorflow-js.ts'
import { backendName, recipeOf, right, tinyData, tinyResNet, weightsOf } from '../loop/fixtures.ts'
import { inMemory, partOf, type DataSet } from '../../../src/train/data/data-set.ts'
import { randomBytes } from '../data/make.ts'

const adapt = (graph: Graph, options: AdaptOptions): Graph => right(adaptClassifier(graph, options))

const refusal = (graph: Graph, options: AdaptOptions): string => {
  const result = adaptClassifier(graph, options)
  if (result._tag === 'Right') throw new Error('not refused')
  expect(result.left._tag).toBe('AdaptError')
  return `${result.left.subject}: expected ${result.left.expected}, found ${result.left.found}. ${result.left.help}`
}

const shapesOf = (graph: Graph): ReadonlyArray<unknown> =>
  [...graph.inputs, ...graph.outputs].map(({ type }) => (type.kind === 'tensor' ? type.shape : undefined))

/** Images `[n, h, w, c]` as `[n, c, h, w]`. */
const channelsFirst = (
  values: ArrayLike<number>,
  [n, h, w, c]: readonly [number, number, number, number],
): Float32Array =>
  Float32Array.from({ length: n * h * w * c }, (_, i) => {
    const [x, y, channel, image] = [
      i % w,
      Math.floor(i / w) % h,
      Math.floor(i / (w * h)) % c,
      Math.floor(i / (w * h * c)),
    ]
    return values[((image * h + y) * w + x) * c + channel] ?? NaN
  })

const softmaxOf = (row: ReadonlyArray<number>): ReadonlyArray<number> => {
  const powers = row.map((x) => Math.exp(x - Math.max(...row)))
  const sum = powers.reduce((total, x) => total + x, 0)
  return powers.map((x) => x / sum)
}

/** The graph with other numbers in some constants. */
const withConstants = (graph: Graph, changed: ReadonlyMap<string, Tensor>): Graph =>
  withParts(graph, { constants: new Map([...graph.constants, ...changed]) })

const digestsOf = (graph: Graph): ReadonlyMap<string, string> =>
  new Map(
    [...weightsOf(graph)].map(([name, { buffer, byteOffset, byteLength }]) => [
      name,
      digestOf(new Uint8Array(buffer, byteOffset, byteLength)),
    ]),
  )

/** Names of float constants of `after` whose numbers `before` does not have anywhere. */
const newIn = (after: Graph, before: Graph): ReadonlyArray<string> => {
  const known = new Set(digestsOf(before).values())
  return [...digestsOf(after)].flatMap(([name, digest]) => (known.has(digest) ? [] : [name]))
}

const mobileNet = right(read(loadStripped('nsfwjs-mobilenet-v2')))

describe('a MobileNet of TensorFlow.js', () => {
  it('keeps its head: channels come first, and the softmax of its logits is what it gave', async () => {
    const adapted = adapt(mobileNet, { head: 'keep' })
    expect(shapesOf(adapted)).toEqual([
      ['N', 3, 224, 224],
      ['N', 5],
    ])
    expect(adapted.nodes.some(({ op }) => op === 'Transpose' || op === 'Softmax')).toBe(false)
    expect(newIn(adapted, mobileNet)).toEqual([])
    const feeds = feedsFor(mobileNet, 4, 2)
    const [[name, feed] = []] = feeds
    if (name === undefined || feed === undefined) throw new Error('no input')
    const values = channelsFirst(feed.values, [feed.shape[0] ?? 1, 224, 224, 3])
    const first = new Map([[name, { ...feed, values, shape: [feed.shape[0] ?? 1, 3, 224, 224] }]])
    const [[given], [logits]] = [await runOnnx(mobileNet, feeds), await runOnnx(adapted, first)]
    if (given === undefined || logits === undefined) throw new Error('no output')
    const rows = Array.from({ length: logits.shape[0] ?? 0 }, (_, i) => logits.values.slice(5 * i, 5 * i + 5))
    const found: Result = { shape: given.shape, values: rows.flatMap(softmaxOf) }
    expect(differenceOf([given], [found])).toBeLessThan(1e-5)
  })

  it('gets a new head behind the means of its features at another size; all else is as it was', async () => {
    const adapted = adapt(mobileNet, { head: 'pooled', classes: 10, shape: [3, 64, 48] })
    expect(shapesOf(adapted)).toEqual([
      ['N', 3, 64, 48],
      ['N', 10],
    ])
    expect(newIn(adapted, mobileNet).toSorted()).toEqual(['classifier.bias', 'classifier.weight'])
    expect(adapted.constants.get('classifier.weight')?.shape).toEqual([10, 1280])
    const [logits] = await runOnnx(adapted, feedsFor(adapted, 5, 2))
    expect(logits?.shape).toEqual([2, 10])
    expect(logits?.values.every(Number.isFinite)).toBe(true)
  })

  it('is trained from there: a step at a tiny rate leaves weights next to what they were', async () => {
    const shape = [3, 32, 32] as const
    const adapted = adapt(mobileNet, { head: 'pooled', classes: 3, shape })
    const part = (count: number, seed: number) =>
      partOf(
        inMemory(
          randomBytes(3072 * count, seed),
          Uint16Array.from({ length: count }, (_, i) => i % 3),
          shape,
        ),
        Uint32Array.from({ length: count }, (_, i) => i),
      )
    const data: DataSet = {
      ...tinyData,
      shape,
      mean: [0, 0, 0],
      deviation: [1, 1, 1],
      train: part(4, 1),
      validation: part(2, 2),
      test: part(2, 3),
    }
    const learningRate = { schedule: 'constant', peak: 1e-9 }
    const recipe = recipeOf({ name: 'dense' }, { epochs: 1, batch: 2, learningRate, augmentation: null })
    const { graph, completed } = right(await train(adapted, data, recipe, { backend: backendName })())
    expect(completed).toBe(true)
    const [before, after] = [weightsOf(adapted), weightsOf(graph)]
    let moved = 0
    for (const [name, values] of after) {
      const old = before.get(name)
      if (old === undefined || adapted.constants.get(name)?.shape.length !== 4) continue
      for (const [i, x] of values.entries()) {
        moved += x === old[i] ? 0 : 1
        expect(Math.abs(x - (old[i] ?? NaN))).toBeLessThan(1e-4)
      }
    }
    expect(moved).toBeGreaterThan(0)
  })
})

describe('heads', () => {
  const options = { classes: 5, shape: [3, 48, 48], seed: 2 } as const
  const shape = { stem: 'imagenet', block: 'basic', blocks: [1, 1], widths: [6, 8] } as const
  const network = resnet('net', shape, options)

  it.each(['last', 'pooled'] as const)(
    '%s: with the old numbers in the new layer it is the old network',
    async (head) => {
      const adapted = adapt(network, { head, classes: 5, seed: 9 })
      const names = newIn(adapted, network)
      expect(names).toHaveLength(2)
      const old = [...network.constants].filter(([name]) => name.startsWith('fc'))
      const changed = new Map(
        names.map((name) => {
          const like = adapted.constants.get(name)?.shape.join()
          const found = old.find(([, tensor]) => tensor.shape.join() === like)
          if (found === undefined) throw new Error(`nothing for ${name}`)
          return [name, found[1]]
        }),
      )
      const feeds = feedsFor(network, 3, 2)
      const same = withConstants(adapted, changed)
      expect(differenceOf(await runOnnx(network, feeds), await runOnnx(same, feeds))).toBeLessThan(1e-6)
      expect(differenceOf(await runOnnx(network, feeds), await runOnnx(adapted, feeds))).toBeGreaterThan(1e-3)
    },
  )

  it('at another size a network of means is the one that is built for that size', async () => {
    const larger = resnet('net', shape, { ...options, shape: [3, 40, 64] })
    const adapted = adapt(network, { head: 'keep', shape: [3, 40, 64] })
    const feeds = feedsFor(larger, 3, 2)
    expect(differenceOf(await runOnnx(larger, feeds), await runOnnx(adapted, feeds))).toBe(0)
  })

  it('new weights follow from the seed', () => {
    const of = (seed: number) => digestsOf(adapt(network, { head: 'last', classes: 7, seed }))
    expect(of(1)).toEqual(of(1))
    expect([...of(1)].filter(([name, digest]) => of(2).get(name) !== digest)).toHaveLength(2)
  })

  it.each(models.map(({ name }) => name).filter((name) => !/50|56|vgg/.test(name)))(
    'of %s: a last layer for other classes, and one behind means where there are images',
    (name) => {
      const side = name.endsWith('-imagenet') ? 64 : 32
      const graph = right(right(parseModel(name)).build({ classes: 4, shape: [3, side, side], seed: 1 }))
      expect(shapesOf(adapt(graph, { head: 'last', classes: 9 }))[1]).toEqual(['N', 9])
      const hasImages = !/^(mlp|vit)/.test(name)
      const pooled = { head: 'pooled', classes: 9, shape: [3, side, 2 * side] } as const
      if (hasImages)
        expect(shapesOf(adapt(graph, pooled))).toEqual([
          ['N', 3, side, 2 * side],
          ['N', 9],
        ])
      else if (name === 'mlp') expect(refusal(graph, pooled)).toMatch('images of features')
    },
  )

  it('a bias that is added behind, a reshape to classes and a softmax are made anew or left out', async () => {
    const graph = buildGraph({ x: ['N', 3, 8, 8] }, (b) => {
      const hidden = convNormRelu(b, 'a', 'x', [6, 3, 3])
      const means = b.op(ops.ReduceMean, [hidden], { axes: [2, 3], keepdims: 1 })
      const scores = b.op(ops.Conv, [means, b.weight('w', [4, 6, 1, 1])])
      const moved = b.op(ops.Reshape, [scores, b.ints('target', [-1, 4])])
      return [b.op(ops.Softmax, [b.op(ops.Add, [moved, b.weight('bias', [1, 4])])], { axis: -1 })]
    })
    const adapted = adapt(graph, { head: 'last', classes: 11 })
    expect(shapesOf(adapted)[1]).toEqual(['N', 11])
    expect(adapted.constants.get('bias')?.shape).toEqual([1, 11])
    const [logits] = await runOnnx(adapted, feedsFor(adapted, 1, 2))
    expect(logits?.shape).toEqual([2, 11])
    expect(newIn(adapted, graph).toSorted()).toEqual(['bias', 'w'])
    // What is in front of the new layer is bit for bit what it was.
    const weight = graph.constants.get('a.weight')
    const kept = adapted.constants.get('a.weight')
    if (weight === undefined || kept === undefined) throw new Error('no weight')
    expect(float32View(materialize(kept))).toEqual(float32View(materialize(weight)))
  })

  it('the same constant, read elsewhere too, stays what it is there', () => {
    const graph = buildGraph({ x: ['N', 4] }, (b) => {
      const weight = b.weight('w', [4, 4])
      const hidden = b.op(ops.Relu, [b.op(ops.Gemm, ['x', weight], { transB: 1 })])
      return [b.op(ops.Gemm, [hidden, weight], { transB: 1 })]
    })
    const image = buildGraph({ x: ['N', 1, 2, 2] }, (b) => {
      const weight = b.weight('w', [4, 4])
      const hidden = b.op(ops.Relu, [b.op(ops.Gemm, [b.op(ops.Flatten, ['x']), weight], { transB: 1 })])
      return [b.op(ops.Gemm, [hidden, weight], { transB: 1 })]
    })
    expect(refusal(graph, { head: 'last', classes: 3 })).toMatch('float32 images')
    const adapted = adapt(image, { head: 'last', classes: 3 })
    expect(adapted.constants.get('w')?.shape).toEqual([4, 4])
    expect(shapesOf(adapted)[1]).toEqual(['N', 3])
  })
})

describe('channels that come last', () => {
  const last = (pads: ReadonlyArray<number> | undefined, scaled = false): Graph =>
    buildGraph({ x: ['N', 6, 7, 3] }, (b) => {
      const begun = scaled ? b.op(ops.Mul, ['x', b.floats('scale', [2, 3, 4])]) : 'x'
      const padded = pads === undefined ? begun : b.op(ops.Pad, [begun, b.ints('pads', pads)])
      const first = b.op(ops.Transpose, [padded], { perm: [0, 3, 1, 2] })
      const means = b.op(ops.GlobalAveragePool, [b.op(ops.Conv, [first, b.weight('w', [5, 3, 3, 3])])])
      return [b.op(ops.Gemm, [b.op(ops.Flatten, [means]), b.weight('v', [4, 5])], { transB: 1 })]
    })

  it.each([
    ['alone', undefined, false, 0],
    ['padded unevenly', [0, 1, 0, 0, 0, 2, 3, 0], false, 0],
    ['scaled by channel, which leaves two moves', undefined, true, 2],
  ] as const)('%s come first, to the same result', async (_, pads, scaled, moves) => {
    const graph = last(pads, scaled)
    const adapted = adapt(graph, { head: 'keep' })
    expect(shapesOf(adapted)[0]).toEqual(['N', 3, 6, 7])
    expect(adapted.nodes.filter(({ op }) => op === 'Transpose')).toHaveLength(moves)
    const feeds = feedsFor(graph, 2, 2)
    const feed = feeds.get('x')
    if (feed === undefined) throw new Error('no input')
    const values = channelsFirst(feed.values, [2, 6, 7, 3])
    const first = new Map([['x', { ...feed, values, shape: [2, 3, 6, 7] }]])
    expect(differenceOf(await runOnnx(graph, feeds), await runOnnx(adapted, first))).toBeLessThan(1e-6)
  })
})

describe('refused', () => {
  const ending = (end: 'argmax' | 'groups' | 'two' | 'sum'): Graph =>
    buildGraph({ x: ['N', 4, 6, 6] }, (b) => {
      const features = b.op(ops.Conv, ['x', b.weight('a', [4, 4, 3, 3])])
      const means = b.op(ops.GlobalAveragePool, [features])
      const grouped = (name: string): string =>
        b.op(ops.Flatten, [b.op(ops.Conv, [means, b.weight(name, [4, 2, 1, 1])], { group: 2 })])
      const plain = b.op(ops.Gemm, [b.op(ops.Flatten, [means]), b.weight('b', [4, 4])], { transB: 1 })
      if (end === 'groups') return [grouped('c')]
      if (end === 'two') return [b.op(ops.Add, [plain, grouped('c')])]
      return [
        end === 'sum' ? b.op(ops.Exp, [plain]) : b.op(ops.Cast, [b.op(ops.ArgMax, [plain], { axis: 1 })], { to: 1 }),
      ]
    })

  it.each([
    ['what is no logit', 'sum', /found Exp/],
    ['a class', 'argmax', /found Cast/],
    ['a last layer in groups', 'groups', /in 2 groups/],
    ['a sum of two', 'two', /found Add/],
  ] as const)('a network that ends in %s', (_, end, expected) => {
    expect(refusal(ending(end), { head: 'last', classes: 3 })).toMatch(expected)
  })

  it('images that the network does not take, by what is wrong', () => {
    const network = tinyResNet()
    expect(refusal(network, { head: 'keep', shape: [3, 6, 6] })).toMatch(
      'float32 images of 3 channels, found float32[N,2,6,6]',
    )
    const fixed = right(right(parseModel('mlp:8')).build({ classes: 4, shape: [1, 6, 6], seed: 1 }))
    expect(refusal(fixed, { head: 'last', classes: 3, shape: [1, 8, 8] })).toMatch('works on images of this size')
    const two = buildGraph({ x: ['N', 1, 4, 4], y: ['N', 1, 4, 4] }, (b) => [
      b.op(ops.Gemm, [b.op(ops.Flatten, [b.op(ops.Add, ['x', 'y'])]), b.weight('w', [3, 16])], { transB: 1 }),
    ])
    expect(refusal(two, { head: 'keep' })).toMatch('2 inputs')
  })

  it('another number of classes where the head stays, and numbers that make no sense', () => {
    const network = tinyResNet()
    expect(refusal(network, { head: 'keep', classes: 10 })).toMatch('expected logits [N, 10], found [N, 3]')
    expect(refusal(network, { head: 'last' })).toMatch('a number beside head last')
    expect(refusal(network, { head: 'last', classes: 0 })).toMatch('positive whole numbers, found 0')
    expect(refusal(network, { head: 'last', classes: 2.5 })).toMatch('found 2.5')
    for (const head of ['last', 'pooled'] as const) {
      expect(refusal(network, { head, classes: 2 ** 29 })).toMatch('classes: expected at most')
    }
    expect(refusal(network, { head: 'pooled', classes: 2, shape: [2, -1, 4] })).toMatch('found -1')
  })
})
