/**
 * What the authors' code makes of the same weights, gradients and masks: `oracles/NAME.json`, recorded by
 * `oracles/record.py`, compared to the weight.
 */
import { readdirSync, readFileSync } from 'node:fs'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import * as ops from '../../../src/ir/ops/index.ts'
import { sameShape } from '../../../src/ir/type.ts'
import { openBackend } from '../../../src/train/backend/open.ts'
import { inMemory, partOf } from '../../../src/train/data/data-set.ts'
import { loadBatch } from '../../../src/train/data/index.ts'
import { hessianProduct } from '../../../src/train/executor/curvature.ts'
import { type Arrays, type Batch, buildExecutor, type DeviceTensors } from '../../../src/train/executor/executor.ts'
import { initialMoments, sgdStep } from '../../../src/train/executor/sgd.ts'
import { networkOf } from '../../../src/train/loop/network.ts'
import { disposeRun, readHeld, readLayers, startRun, trainableOf } from '../../../src/train/loop/run.ts'
import { pulled, scoreGradients, trainStep } from '../../../src/train/loop/step.ts'
import { decodeRecipe, policyOf } from '../../../src/train/recipe/index.ts'
import {
  init,
  needs,
  type Network,
  pulledScales,
  softThresholded,
  type State,
  update,
} from '../../../src/train/sparse/index.ts'
import { buildGraph } from '../../builder.ts'
import { relativeError } from '../executor/helpers.ts'
import { recipeOf, tinyData } from '../loop/fixtures.ts'
import { right } from './networks.ts'
import { carryOver } from './simulate.ts'

interface Case {
  /** As in a recipe. */
  readonly method: Readonly<Record<string, unknown>>
  readonly length: { readonly steps: number; readonly stepsPerEpoch: number }
}

interface Oracle {
  readonly from: string
  readonly scale: number
  readonly cases: ReadonlyArray<
    | ChannelCase
    | PullCase
    | NetworkCase
    | ScoreCase
    | GatedCase
    | SeenCase
    | TrainedCase
    | ExploredCase
    | DrawnCase
    | (Case & {
        readonly step: number
        /** Numbers are in units of 1 / scale, masks one digit for each weight; where momenta are not said to be 0 they stay. */
        readonly layers: ReadonlyArray<{
          readonly shape: ReadonlyArray<number>
          readonly weights: ReadonlyArray<number>
          readonly gradients: ReadonlyArray<number>
          readonly mask: string
          readonly maskAfter: string
          readonly weightsAfter: ReadonlyArray<number>
          /** Absent where nothing looks at them. */
          readonly momentaAfter?: string
        }>
      })
  >
}

/** A run of several steps in which only the method changes anything. */
interface ChannelCase extends Case {
  /** `of`: which group of channels a weight makes, or a vector scales or shifts. */
  readonly layers: ReadonlyArray<{
    readonly shape: ReadonlyArray<number>
    readonly of: number
    readonly weights: ReadonlyArray<number>
  }>
  readonly steps: ReadonlyArray<{
    readonly step: number
    readonly gradients?: ReadonlyArray<ReadonlyArray<number>>
    /** What an optimiser's step of that learning rate makes of the weights, before the method looks at them. */
    readonly moved?: ReadonlyArray<ReadonlyArray<number>>
    readonly rate?: number
    readonly after: ReadonlyArray<ReadonlyArray<number>>
  }>
}

/** What a method adds to gradients. */
interface PullCase extends Case {
  readonly step: number
  readonly scales: ReadonlyArray<{
    readonly weights: ReadonlyArray<number>
    readonly gradients: ReadonlyArray<number>
    readonly marked: string
    readonly after: ReadonlyArray<number>
  }>
}

/** What is done before the first step, by batches that go through a network. */
interface NetworkCase extends Case {
  readonly network: Readonly<
    Record<string, { readonly shape: ReadonlyArray<number>; readonly values: ReadonlyArray<number> }>
  >
  readonly batches: ReadonlyArray<{ readonly images: ReadonlyArray<number>; readonly labels: ReadonlyArray<number> }>
  readonly layers: ReadonlyArray<{
    readonly name: string
    readonly curvature: ReadonlyArray<number>
    readonly maskAfter: string
  }>
}

/** Steps in which scores are trained. */
interface ScoreCase extends Case {
  readonly rate: number
  readonly momentum: number
  readonly weightDecay: number
  readonly layers: ReadonlyArray<{
    readonly shape: ReadonlyArray<number>
    readonly weights: ReadonlyArray<number>
    readonly mask: string
  }>
  readonly scored: ReadonlyArray<{
    readonly step: number
    readonly gradients: ReadonlyArray<ReadonlyArray<number>>
    readonly masks: ReadonlyArray<string>
  }>
}

/** Steps of a multilayer perceptron without biases. */
interface GatedCase extends Case {
  readonly layers: ReadonlyArray<{ readonly shape: ReadonlyArray<number>; readonly weights: ReadonlyArray<number> }>
  readonly gated: ReadonlyArray<{
    readonly images: ReadonlyArray<number>
    readonly labels: ReadonlyArray<number>
    readonly alphas: ReadonlyArray<ReadonlyArray<number>>
    readonly weights: ReadonlyArray<ReadonlyArray<number>>
    readonly masks: ReadonlyArray<string>
  }>
}

/** The network that `record.py` gives GraSP: its modules by number. */
const graphOf = (network: NetworkCase['network'], scale: number) =>
  buildGraph({ x: ['N', 2, 6, 6] }, (b) => {
    const held = (name: string): string => {
      const { shape, values } = network[name] ?? { shape: [], values: [] }
      return b.floats(
        name,
        values.map((n) => n / scale),
        shape,
      )
    }
    const conv = b.op(ops.Conv, ['x', held('0.weight')], { pads: [1, 1, 1, 1] })
    const vectors = ['weight', 'bias', 'running_mean', 'running_var'].map((name) => held(`1.${name}`))
    const features = b.op(ops.Relu, [b.op(ops.BatchNormalization, [conv, ...vectors])])
    const pooled = b.op(ops.MaxPool, [features], { kernel_shape: [2, 2], strides: [2, 2] })
    const hidden = b.op(ops.Relu, [b.op(ops.Conv, [pooled, held('4.weight'), held('4.bias')])])
    return [b.op(ops.Gemm, [b.op(ops.Flatten, [hidden]), held('7.weight'), held('7.bias')], { transB: 1 })]
  })

/** What the forward pass computes with in place of weights, as they are after each step. */
interface SeenCase extends Case {
  readonly seen: ReadonlyArray<{
    readonly shape: ReadonlyArray<number>
    readonly scale: number
    readonly steps: ReadonlyArray<{ readonly weights: ReadonlyArray<number>; readonly after: ReadonlyArray<number> }>
  }>
}

/** Steps of plain gradient descent: a strided convolution, a pointwise one, their mean over places, and two linear layers. */
interface TrainedCase extends Case {
  readonly rate: number
  /** 3x6x6 bytes for each image. */
  readonly pixels: ReadonlyArray<number>
  readonly labels: ReadonlyArray<number>
  readonly layers: ReadonlyArray<{ readonly shape: ReadonlyArray<number>; readonly weights: ReadonlyArray<number> }>
  /** Of the convolutions. */
  readonly norms?: ReadonlyArray<{ readonly scale: ReadonlyArray<number>; readonly shift: ReadonlyArray<number> }>
  /** After each step the weights, scales and shifts. */
  readonly trained: ReadonlyArray<ReadonlyArray<ReadonlyArray<number>>>
  /** After each step how many channels each layer but the last one has. */
  readonly left?: ReadonlyArray<ReadonlyArray<number>>
}

/** A run in which numbers stand in for training: each step takes these weights and gradients, and begins with momenta of 1. */
interface ExploredCase extends Case {
  readonly layers: ReadonlyArray<{ readonly shape: ReadonlyArray<number>; readonly mask: string }>
  readonly explored: ReadonlyArray<{
    readonly step: number
    readonly weights: ReadonlyArray<ReadonlyArray<number>>
    /** None where nothing looks at them. */
    readonly gradients: ReadonlyArray<ReadonlyArray<number>>
    readonly masksAfter: ReadonlyArray<string>
    readonly weightsAfter: ReadonlyArray<ReadonlyArray<number>>
    readonly momentaAfter: ReadonlyArray<string>
    /** Channels of each stream. */
    readonly left: ReadonlyArray<number>
  }>
}

/** What is dropped, and how much is kept once as much has grown as the method says; where it grows is drawn. */
interface DrawnCase extends Case {
  readonly step: number
  readonly drawn: ReadonlyArray<{
    readonly shape: ReadonlyArray<number>
    readonly weights: ReadonlyArray<number>
    readonly gradients: ReadonlyArray<number>
    readonly mask: string
    readonly left: string
    readonly kept: number
  }>
}

const pullNetwork = ({ scales }: PullCase): Network => {
  const sizes = scales.map(({ weights }) => weights.length)
  return {
    layers: sizes.map((size, l) => ({ name: `layer${l}`, shape: [size, 1], outputAxis: 0, inputAxis: 1 })),
    vectors: sizes.map((size, l) => ({
      ...{ name: `scale${l}`, shape: [size], outputAxis: 0, inputAxis: 1 },
      ...{ exempt: true, role: 'scale' },
    })),
    streams: sizes.map((channels, l) => ({
      ...{ name: `group${l}`, channels, scope: 'all', consumers: [] },
      ...{ producers: [{ layer: `layer${l}`, axis: 0 }], vectors: [{ layer: `scale${l}`, axis: 0 }] },
    })),
  }
}

const channelNetwork = ({ layers }: ChannelCase): Network => {
  const named = layers.map(({ shape, of }, l) => ({ name: `layer${l}`, shape, of, outputAxis: 0, inputAxis: 1 }))
  const slots = (of: number, rank: (n: number) => boolean) =>
    named.flatMap((layer) => (layer.of === of && rank(layer.shape.length) ? [{ layer: layer.name, axis: 0 }] : []))
  return {
    layers: named.filter(({ shape }) => shape.length > 1),
    vectors: named
      .filter(({ shape }) => shape.length === 1)
      .map((layer, v) => ({ ...layer, exempt: true, role: v % 2 === 0 ? 'scale' : 'shift' })),
    streams: [...new Set(named.map(({ of }) => of))].map((of) => ({
      name: `group${of}`,
      channels: named.find((layer) => layer.of === of)?.shape[0] ?? 0,
      scope: 'all',
      producers: slots(of, (rank) => rank > 1),
      consumers: [],
      vectors: slots(of, (rank) => rank === 1),
    })),
  }
}

const between = (l: number) => ({
  name: `layer${l}`,
  producers: [{ layer: `layer${l}`, axis: 0 }],
  consumers: [{ layer: `layer${l + 1}`, axis: 1 }],
})

/** Layers of which each reads what the one before makes, where that many channels fit. */
const chainOf = (layers: ReadonlyArray<{ readonly shape: ReadonlyArray<number> }>): Network => ({
  layers: layers.map(({ shape }, l) => ({ name: `layer${l}`, shape, outputAxis: 0, inputAxis: 1 })),
  streams: layers
    .slice(1)
    .flatMap(({ shape }, l) =>
      shape[1] === layers[l]?.shape[0] ? [{ ...between(l), channels: shape[1] ?? 0, scope: 'block' }] : [],
    ),
})

/** As far apart as a few roundings of what the numbers are made of; zeros are zeros. */
const expectNear = (ours: Float32Array | undefined, theirs: Float32Array | undefined, before: Float32Array): void => {
  expect(ours?.map((w) => Number(w === 0))).toEqual(theirs?.map((w) => Number(w === 0)))
  for (const [i, w] of theirs?.entries() ?? []) {
    const unit = Math.max(Math.abs(before[i] ?? NaN), Math.abs(w))
    expect(Math.abs((ours?.[i] ?? NaN) - w)).toBeLessThanOrEqual(2 ** -21 * unit)
  }
}

const folder = new URL('oracles/', import.meta.url)
const names = readdirSync(folder).filter((name) => name.endsWith('.json'))

describe.each(names)('%s', (name) => {
  const oracle: Oracle = JSON.parse(readFileSync(new URL(name, folder), 'utf8'))
  const numbers = (list: ReadonlyArray<number>): Float32Array => Float32Array.from(list, (n) => n / oracle.scale)
  const bitsOf = (text: string): Uint8Array => Uint8Array.from(text, Number)

  it('says where it is from, and has more than one case', () => {
    expect(oracle.from).toMatch(
      /^https:\/\/(github\.com\/[\w.-]+\/[\w.-]+\/tree\/[0-9a-f]{40}|arxiv\.org\/abs\/\d{4}\.\d{5})$/,
    )
    expect(oracle.cases.length).toBeGreaterThan(1)
  })

  const policyFor = ({ method, length }: Case) => {
    const recipe = decodeRecipe({ method })
    if (E.isLeft(recipe)) throw new Error(recipe.left[0].found)
    return policyOf(recipe.right.method, length)
  }

  const followSteps = (one: ChannelCase): void => {
    let state = right(init(channelNetwork(one), policyFor(one), 1))
    const places = state.network.layers.map(({ name }) => Number(name.replace('layer', '')))
    let weights = places.map((l) => numbers(one.layers[l]?.weights ?? []))
    const arrays = (lists: ReadonlyArray<ReadonlyArray<number>>) => places.map((l) => numbers(lists[l] ?? []))
    for (const { step, gradients, moved, rate, after } of one.steps) {
      const taken = moved === undefined ? weights : arrays(moved)
      const more = { ...(gradients && { gradients: arrays(gradients) }), ...(moved && { before: weights }) }
      const sample = { ...more, ...(rate !== undefined && { rate }), weights: taken }
      const { state: next, event } = right(update(state, sample, step))
      if (event === undefined) throw new Error('nothing was due')
      state = next
      const ours = carryOver(taken, event)
      const theirs = arrays(after)
      for (const [k, before] of weights.entries()) {
        if (rate === undefined) expect(ours[k]?.map((w) => w + 0)).toEqual(theirs[k]?.map((w) => w + 0))
        else expectNear(ours[k], theirs[k], before)
      }
      // Where sums are rounded in another order, the next step starts from theirs.
      weights = rate === undefined ? [...ours] : theirs
    }
    const zeros = weights.map((list) => list.filter((w) => w === 0).length)
    expect(Math.max(...zeros)).toBeGreaterThan(0)
  }

  const pull = async (one: PullCase): Promise<void> => {
    const { core, ops, activate } = right(await openBackend('wasm')())
    activate()
    const before = core.memory().numTensors
    const initial = right(init(pullNetwork(one), policyFor(one), 1))
    const state = { ...initial, marked: one.scales.map(({ marked }) => bitsOf(marked)) }
    const tensors = (of: (scale: PullCase['scales'][number]) => Float32Array) =>
      new Map(one.scales.map((scale, n) => [`scale${n}`, ops.tensor(of(scale), [scale.weights.length])] as const))
    const parameters = tensors((scale) => numbers(scale.weights))
    const pulls = new Map(
      Array.from(pulledScales(state, one.step), ([name, list]) => [name, ops.tensor(list, [list.length])] as const),
    )
    const after = pulled(
      ops,
      tensors((scale) => numbers(scale.gradients)),
      parameters,
      pulls,
    )
    for (const [n, scale] of one.scales.entries()) {
      expect(await after.get(`scale${n}`)?.data()).toEqual(numbers(scale.after))
    }
    for (const list of [parameters, pulls, after]) for (const tensor of list.values()) tensor.dispose()
    expect(core.memory().numTensors).toBe(before)
  }

  /** Curvature by our own executor, and the masks that come of it. */
  const throughNetwork = async (one: NetworkCase): Promise<void> => {
    const graph = graphOf(one.network, oracle.scale)
    const executor = right(buildExecutor(graph, right(await openBackend('wasm')())))
    const network = networkOf(executor.graph, new Set(executor.parameters.map(({ name }) => name)))
    const policy = policyFor(one)
    const state = executor.initialState()
    const summed = async (of: (batch: Batch) => DeviceTensors): Promise<Arrays> => {
      const sums = new Map<string, Float32Array>()
      for (const { images, labels } of one.batches) {
        const x = { values: numbers(images), shape: [labels.length, 2, 6, 6] }
        for (const [name, values] of await executor.readParameters(of({ inputs: new Map([['x', x]]), labels }))) {
          sums.set(
            name,
            values.map((n, i) => n + (sums.get(name)?.[i] ?? 0)),
          )
        }
      }
      return sums
    }
    const options = { temperature: policy.first?.temperature ?? NaN }
    const gradients = await summed((batch) => right(executor.lossAndGradients(state, batch, options)).gradients)
    const names = network.layers.map(({ name }) => name)
    const direction = executor.writeParameters(new Map([...gradients].filter(([name]) => names.includes(name))))
    const curvature = await summed((batch) => right(hessianProduct(executor, state, batch, direction, options)))
    const arrays = (of: Arrays) => names.map((name) => of.get(name) ?? new Float32Array())
    const weights = arrays(await executor.readParameters(state.parameters))
    const initial = right(init(network, policy, 1))
    const sample = { weights, gradients: arrays(gradients), curvature: arrays(curvature) }
    const { state: after } = right(update(initial, sample, 0))
    expect(names).toEqual(one.layers.map(({ name }) => name))
    for (const [l, layer] of one.layers.entries()) {
      expect(relativeError(numbers(layer.curvature), sample.curvature[l] ?? [])).toBeLessThan(1e-5)
      expect(after.masks[l]?.join('')).toBe(layer.maskAfter)
    }
  }

  const trainScores = async ({ layers, scored, ...one }: ScoreCase): Promise<void> => {
    const backend = right(await openBackend('wasm')())
    const { core, ops: k } = backend
    backend.activate()
    const network: Network = {
      layers: layers.map(({ shape }, l) => ({ name: `layer${l}`, shape, outputAxis: 0, inputAxis: 1 })),
      streams: [],
    }
    const weights = layers.map((layer) => numbers(layer.weights))
    const policy = policyFor(one)
    let { state } = right(update(right(init(network, policy, 1)), { weights }, 0))
    expect(state.masks.map((mask) => mask.join(''))).toEqual(layers.map(({ mask }) => mask))
    const before = core.memory().numTensors
    const tensors = (arrays: ReadonlyArray<Float32Array>) =>
      new Map(arrays.map((array, l) => [`layer${l}`, k.tensor(array.slice(), network.layers[l]?.shape ?? [])] as const))
    const { kept = NaN, masked = NaN } = policy.scores ?? {}
    const scores = tensors(state.masks.map((mask) => Float32Array.from(mask, (bit) => (bit === 1 ? kept : masked))))
    const [held, moments] = [tensors(weights), initialMoments(backend, scores)]
    for (const { step, gradients, masks } of scored) {
      const byScore = scoreGradients(k, tensors(gradients.map(numbers)), held, scores)
      const { rate: learningRate, momentum, weightDecay } = one
      sgdStep(backend, scores, moments, byScore, { learningRate, momentum, weightDecay })
      for (const tensor of byScore.values()) tensor.dispose()
      const read = await Promise.all([...scores.values()].map((tensor) => tensor.data()))
      const sample = { weights, scores: read.map((list) => Float32Array.from(list)) }
      state = right(update(state, sample, step)).state
      expect(state.masks.map((mask) => mask.join(''))).toEqual(masks)
    }
    expect(
      new Set([layers.map(({ mask }) => mask).join(), ...scored.map(({ masks }) => masks.join())]).size,
    ).toBeGreaterThan(3)
    for (const list of [scores, held, moments]) for (const tensor of list.values()) tensor.dispose()
    expect(core.memory().numTensors).toBe(before)
  }

  const trainGated = async ({ layers, gated, ...one }: GatedCase): Promise<void> => {
    const size = layers[0]?.shape[1] ?? 0
    const graph = buildGraph({ x: ['N', size, 1, 1] }, (b) => {
      let value = b.op(ops.Flatten, ['x'])
      for (const [l, { shape, weights }] of layers.entries()) {
        const matrix = b.floats(`layer${l}`, [...numbers(weights)], shape)
        value = b.op(ops.Gemm, [l === 0 ? value : b.op(ops.Relu, [value]), matrix], { transB: 1 })
      }
      return [value]
    })
    const recipe = recipeOf(one.method, {
      ...{ momentum: 0.9, weightDecay: 0, labelSmoothing: 0 },
      learningRate: { schedule: 'constant', peak: 0.1, warmup: 0 },
    })
    const backend = right(await openBackend('wasm')())
    const before = backend.core.memory().numTensors
    const run = right(startRun(right(trainableOf(graph, backend)), policyFor(one), 1))
    const data = { ...tinyData, shape: [size, 1, 1] as const }
    for (const { images, labels, ...after } of gated) {
      const batch = { images: numbers(images), labels: Int32Array.from(labels) }
      right(await trainStep(run, data, batch, recipe, one.length))
      const held = await readHeld(run)
      for (const l of layers.keys()) {
        expect(run.sparse.masks[l]?.join('')).toBe(after.masks[l])
        expect(relativeError(numbers(after.weights[l] ?? []), held.parameters.get(`layer${l}`) ?? [])).toBeLessThan(
          1e-5,
        )
        const alphas = numbers(after.alphas[l] ?? [])
        expect(relativeError(alphas, run.gates.get(`layer${l}`)?.alpha ?? [])).toBeLessThan(1e-5)
      }
    }
    expect(run.sparse.masks.every((mask) => mask.includes(0))).toBe(true)
    disposeRun(run)
    expect(backend.core.memory().numTensors).toBe(before)
  }

  const look = (one: SeenCase): void => {
    const layers = one.seen.map(({ shape }, l) => ({ name: `layer${l}`, shape, outputAxis: 0, inputAxis: 1 }))
    let state = right(init({ layers, streams: [] }, policyFor(one), 1))
    const { masked } = state.policy
    if (masked === 'zeroed' || masked.kind !== 'soft threshold')
      throw new Error('weights are computed with as they are')
    for (const step of one.seen[0]?.steps.keys() ?? []) {
      const weights = one.seen.map(({ steps }) => numbers(steps[step]?.weights ?? []))
      state = right(update(state, { weights }, step + 1)).state
      for (const [l, { scale, steps }] of one.seen.entries()) {
        const [layer, w, mask] = [layers[l], weights[l], state.masks[l]]
        if (layer === undefined || w === undefined || mask === undefined) throw new Error('a layer is missing')
        expect(state.scales[l]).toBe(scale)
        const found = softThresholded(layer, w, mask, masked, scale)
        expect(found.map((x) => x + 0)).toEqual(numbers(steps[step]?.after ?? []).map((x) => x + 0))
      }
    }
  }

  const follow = async (one: TrainedCase): Promise<void> => {
    const backend = right(await openBackend('wasm')())
    const before = backend.core.memory().numTensors
    const graph = buildGraph({ x: ['N', 3, 6, 6] }, (b) => {
      const [strided = '', pointwise = '', wide = '', last = ''] = one.layers.map(({ shape, weights }, l) =>
        b.floats(`layer${l}`, [...numbers(weights)], shape),
      )
      const active = (x: string, n: number): string => {
        const norm = one.norms?.[n]
        if (norm === undefined) return b.op(ops.Relu, [x])
        const [scale, shift] = [norm.scale, norm.shift].map((list) => [...numbers(list)])
        const vectors = [scale, shift, scale?.map(() => 0), scale?.map(() => 1)]
        const names = vectors.map((values, v) => b.floats(`norm${n} ${v}`, values ?? []))
        return b.op(ops.Relu, [b.op(ops.BatchNormalization, [x, ...names])])
      }
      const first = active(b.op(ops.Conv, ['x', strided], { strides: [2, 2], pads: [1, 1, 1, 1] }), 0)
      const second = active(b.op(ops.Conv, [first, pointwise]), 1)
      const means = b.op(ops.Flatten, [b.op(ops.GlobalAveragePool, [second])])
      const hidden = b.op(ops.Relu, [b.op(ops.Gemm, [means, wide], { transB: 1 })])
      return [b.op(ops.MatMul, [hidden, b.op(ops.Transpose, [last], { perm: [1, 0] })])]
    })
    const run = right(startRun(right(trainableOf(graph, backend)), policyFor(one), 1))
    const recipe = recipeOf(one.method, {
      learningRate: { schedule: 'constant', peak: one.rate, warmup: 0 },
      ...{ momentum: 0, weightDecay: 0, labelSmoothing: 0, slim: false },
    })
    const shape = [3, 6, 6] as const
    const indices = Uint32Array.from(one.labels.keys())
    const images = inMemory(Uint8Array.from(one.pixels), Uint16Array.from(one.labels), shape)
    const scaling = { mean: [0.5, 0.5, 0.5], deviation: [0.25, 0.25, 0.25] }
    const data = { ...tinyData, ...scaling, shape, train: partOf(images, indices) }
    const batch = right(await loadBatch(data, data.train, { indices })())
    for (const [step, expected] of one.trained.entries()) {
      right(await trainStep(run, data, batch, recipe, one.length))
      const found = await readLayers(run.executor, run.sparse.network, run.device.parameters)
      expect(found).toHaveLength(expected.length)
      for (const [l, weights] of expected.entries()) {
        const { shape = [], name = '' } = run.sparse.network.layers[l] ?? {}
        const told = one.layers[l]?.shape ?? []
        // The last one lies transposed, where constants are folded.
        const place = (i: number): number => {
          if (sameShape(shape, told)) return i
          const columns = told[1] ?? 1
          return (i % columns) * (told[0] ?? 1) + Math.floor(i / columns)
        }
        const off = weights.map((w, i) => Math.abs(w / oracle.scale - (found[l]?.[place(i)] ?? NaN)))
        expect(Math.max(...off), `${name} of ${l}`).toBeLessThan(1e-6)
      }
      const left = run.sparse.removed.map((marks) => marks.reduce((n, mark) => n + 1 - mark, 0))
      expect(left).toEqual(one.left?.[step] ?? left)
    }
    disposeRun(run)
    expect(backend.core.memory().numTensors).toBe(before)
  }

  const explore = (one: ExploredCase): void => {
    const initial = right(init(chainOf(one.layers), policyFor(one), 1))
    let state: State = { ...initial, masks: one.layers.map(({ mask }) => bitsOf(mask)) }
    const due = Array.from({ length: one.length.steps }, (_, step) => step).filter(
      (step) => needs(state.policy, step) !== 'nothing',
    )
    expect(due).toEqual(one.explored.map(({ step }) => step))
    for (const { step, weights: given, gradients, left, ...after } of one.explored) {
      const weights = given.map(numbers)
      const sample = { weights, ...(gradients.length > 0 && { gradients: gradients.map(numbers) }) }
      const { state: next, event } = right(update(state, sample, step))
      if (event === undefined) throw new Error('nothing was due')
      const momenta = carryOver(
        state.masks.map((mask) => Float32Array.from(mask)),
        event,
      )
      state = next
      expect(state.masks.map((mask) => mask.join(''))).toEqual(after.masksAfter)
      expect(carryOver(weights, event).map((list) => list.map((w) => w + 0))).toEqual(after.weightsAfter.map(numbers))
      expect(momenta.map((list) => list.join(''))).toEqual(after.momentaAfter)
      expect(state.removed.map((marks) => marks.reduce((n, mark) => n + 1 - mark, 0))).toEqual(left)
    }
  }

  const dropped = (one: DrawnCase): void => {
    const initial = right(init(chainOf(one.drawn), policyFor(one), 1))
    const before = { ...initial, masks: one.drawn.map(({ mask }) => bitsOf(mask)) }
    const weights = one.drawn.map((layer) => numbers(layer.weights))
    const gradients = one.drawn.map((layer) => numbers(layer.gradients))
    const { state, event } = right(update(before, { weights, gradients }, one.step))
    for (const [l, { mask, left, kept }] of one.drawn.entries()) {
      const { pruned = [], restarted = [] } = event?.layers[l] ?? {}
      const found = bitsOf(mask)
      for (const i of [...pruned, ...restarted]) found[i] = 0
      expect(found.join('')).toBe(left)
      expect(state.masks[l]?.reduce((n, bit) => n + bit, 0)).toBe(kept)
    }
  }

  it.each(oracle.cases)('case %#', async (one) => {
    if ('gated' in one) return trainGated(one)
    if ('scored' in one) return trainScores(one)
    if ('network' in one) return throughNetwork(one)
    if ('trained' in one) return follow(one)
    if ('explored' in one) return explore(one)
    if ('drawn' in one) return dropped(one)
    if ('seen' in one) return look(one)
    if ('steps' in one) return followSteps(one)
    if ('scales' in one) return pull(one)
    const { step, layers } = one
    const initial = right(init(chainOf(layers), policyFor(one), 1))
    const before = { ...initial, masks: layers.map(({ mask }) => bitsOf(mask)) }
    const weights = layers.map((layer) => numbers(layer.weights))
    const gradients = layers.map((layer) => numbers(layer.gradients))
    const { state, event } = right(update(before, { weights, gradients }, step))
    if (event === undefined) throw new Error('nothing was due')
    const carried = (values: ReadonlyArray<Float32Array>): ReadonlyArray<Float32Array> =>
      state.policy.masked === 'zeroed' ? carryOver(values, event) : values
    const after = carried(weights)
    const ones = weights.map((w, l) => w.map((_, i) => before.masks[l]?.[i] ?? 0))
    const momenta = carried(ones).map((list) => list.map((x) => (x === 0 ? 0 : 1)))
    for (const [l, layer] of layers.entries()) {
      expect(state.masks[l]?.join('')).toBe(layer.maskAfter)
      expect(after[l]?.map((w) => w + 0)).toEqual(numbers(layer.weightsAfter))
      // Those of weights that were masked are 0 here all along; in PyTorch only where the mask is multiplied with.
      for (const [i, bit] of bitsOf(layer.momentaAfter ?? '').entries()) {
        if (layer.mask[i] === '1') expect(momenta[l]?.[i]).toBe(bit)
      }
    }
  })
})
