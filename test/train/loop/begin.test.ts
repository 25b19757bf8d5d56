/** How runs begin: layer densities by saliency, and going on from a checkpoint that holds them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { failure, renderError } from '../../../src/ir/failure.ts'
import type { Graph } from '../../../src/ir/graph.ts'
import * as ops from '../../../src/ir/ops/index.ts'
import { sizeOf } from '../../../src/ir/type.ts'
import type { Backend } from '../../../src/train/backend/backend.ts'
import { openBackend } from '../../../src/train/backend/open.ts'
import { type DataSet, loadBatch, startOf, stepsPerEpoch } from '../../../src/train/data/index.ts'
import { graphWithParameters } from '../../../src/train/executor/graph-with-parameters.ts'
import { type Progress, train, type Trained, type TrainOptions } from '../../../src/train/index.ts'
import { beginRun } from '../../../src/train/loop/begin.ts'
import { type Identity, identityOf } from '../../../src/train/loop/checkpoint.ts'
import { fileStore } from '../../../src/train/loop/checkpoint-file.ts'
import { densityOf } from '../../../src/train/loop/counts.ts'
import {
  disposeAll,
  disposeRun,
  readLayers,
  type Run,
  type Trainable,
  trainableOf,
} from '../../../src/train/loop/run.ts'
import { feedsOf } from '../../../src/train/loop/score.ts'
import { policyOf, type Recipe } from '../../../src/train/recipe/index.ts'
import { buildGraph, convNormRelu } from '../../builder.ts'
import { backendName, busyChase, recipeOf, right, tinyData, tinyResNet, weightsOf } from './fixtures.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-begin-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const backend: { open?: Backend } = {}
beforeAll(async () => {
  backend.open = right(await openBackend(backendName)())
})

const opened = (): Backend => {
  if (backend.open === undefined) throw new Error('no backend')
  return backend.open
}

const begun = async (
  trainable: Trainable,
  recipe: Recipe,
  data: DataSet = tinyData,
  resumed?: string,
): Promise<E.Either<Parameters<typeof renderError>[0], Run>> => {
  const perEpoch = stepsPerEpoch(data.train.size, recipe.batch, recipe.partial)
  const length = { steps: perEpoch * recipe.epochs, stepsPerEpoch: perEpoch }
  const identity: Identity = identityOf(trainable.executor.graph, data, recipe)
  const store = resumed === undefined ? undefined : fileStore(resumed)
  return beginRun(trainable, { data, recipe, length, identity, resumed: store })
}

const trainable = (graph: Graph): Trainable => right(trainableOf(graph, opened()))

const givenOf = ({ sparse }: Run): ReadonlyArray<number> => {
  const { distribution } = sparse.policy
  if (distribution.kind !== 'given') throw new Error(distribution.kind)
  return distribution.densities
}

/** A network with a depthwise layer, which carries no mask of its own. */
const withDepthwise = (): Graph =>
  buildGraph({ input: ['N', 2, 6, 6] }, (b) => {
    const stem = convNormRelu(b, 'stem', 'input', [8, 2, 3])
    const depthwise = convNormRelu(b, 'depthwise', stem, [8, 8, 3], {}, true, 8)
    const flat = b.op(ops.Flatten, [b.op(ops.GlobalAveragePool, [convNormRelu(b, 'last', depthwise, [6, 8, 1])])])
    return [b.op(ops.Gemm, [flat, b.weight('logits.weight', [3, 6]), b.weight('logits.bias', [3])], { transB: 1 })]
  })

interface Worth {
  readonly layer: number
  readonly place: number
  readonly score: number
}

/** |w · ∂L/∂w| of every weight over all training images at once, all layers sorted together, the largest first. */
const saliencies = async ({ executor, network }: Trainable): Promise<ReadonlyArray<Worth>> => {
  const indices = Uint32Array.from({ length: tinyData.train.size }, (_, i) => i)
  const batch = right(await loadBatch(tinyData, tinyData.train, { indices })())
  const state = executor.initialState()
  const example = { inputs: feedsOf(executor, tinyData, batch), labels: batch.labels }
  const { loss, logits, gradients } = right(executor.lossAndGradients(state, example))
  const [weights, slopes] = [
    await readLayers(executor, network, state.parameters),
    await readLayers(executor, network, gradients),
  ]
  const all = network.layers.flatMap((layer, l) =>
    layer.exempt === true
      ? []
      : Array.from(weights[l] ?? [], (w, i) => ({ layer: l, place: i, score: Math.abs(w * (slopes[l]?.[i] ?? NaN)) })),
  )
  for (const tensors of [state.parameters, state.statistics, gradients]) disposeAll(tensors)
  loss.dispose()
  logits.dispose()
  return all.toSorted((a, b) => b.score - a.score)
}

/** Kept weights by layer. */
const keptBySaliency = async (trainable: Trainable, density: number): Promise<ReadonlyArray<number>> => {
  const all = await saliencies(trainable)
  const best = all.slice(0, Math.round(density * all.length))
  return trainable.network.layers.flatMap((layer, l) =>
    layer.exempt === true ? [] : [best.filter((entry) => entry.layer === l).length],
  )
}

describe('snip', () => {
  it.each([
    ['residual network', tinyResNet],
    ['depthwise layer', withDepthwise],
  ])('%s: layers keep what saliency says, of the weights and statistics of the graph', async (_, make) => {
    const network = trainable(make())
    const expected = await keptBySaliency(network, 0.3)
    const tensors = opened().core.memory().numTensors
    const plain = right(await begun(network, recipeOf({ name: 'static', density: 0.3 })))
    const held = opened().core.memory().numTensors - tensors
    // All training images make one batch, so that the order in which they are drawn does not matter.
    const recipe = recipeOf({ name: 'static', density: 0.3, distribution: 'snip' }, { batch: 50, augmentation: null })
    const run = right(await begun(network, recipe))
    const counted = run.sparse.network.layers.flatMap((layer, l) => (layer.exempt === true ? [] : [l]))
    const kept = counted.map((l) => run.sparse.masks[l]?.reduce((n, bit) => n + bit, 0))
    const sizes = counted.map((l) => sizeOf(run.sparse.network.layers[l]?.shape ?? []))
    expect(new Set(expected.map((n, l) => n / (sizes[l] ?? 1))).size).toBeGreaterThan(2)
    // Images are summed in another order, which may move one weight across the threshold.
    for (const [l, n] of expected.entries()) expect(Math.abs((kept[l] ?? NaN) - n)).toBeLessThanOrEqual(1)
    expect(kept).toEqual(givenOf(run).map((density, l) => Math.round(density * (sizes[l] ?? 0))))
    expect(run.cursor).toEqual(startOf(recipe.seed))
    expect(run.step).toBe(0)
    for (const name of plain.device.statistics.keys()) {
      const [a, b] = [plain, run].map(({ device }) => device.statistics.get(name)?.dataSync())
      expect(a).toBeDefined()
      expect(b).toEqual(a)
    }
    // Masks apart, which these two may have of different layers, nothing else stays on the device.
    expect(opened().core.memory().numTensors - tensors).toBe(2 * held + run.masks.size - plain.masks.size)
    disposeRun(plain)
    disposeRun(run)
  })

  it('goes by the seed alone, and by the density that training begins with', async () => {
    const densities = async (seed: number, method: Record<string, unknown>): Promise<ReadonlyArray<number>> => {
      const run = right(await begun(trainable(tinyResNet()), recipeOf({ ...method, distribution: 'snip' }, { seed })))
      const found = givenOf(run)
      expect(densityOf(run.sparse)).toBeCloseTo(method['name'] === 'granet' ? 0.6 : 0.2, 2)
      disposeRun(run)
      return found
    }
    const first = await densities(1, { name: 'static', density: 0.2 })
    expect(await densities(1, { name: 'rigl', density: 0.2, every: 4 })).toEqual(first)
    expect(await densities(2, { name: 'static', density: 0.2 })).not.toEqual(first)
    expect(await densities(1, { name: 'granet', density: 0.2, initialDensity: 0.6 })).not.toEqual(first)
  })

  it('says so when the loss is no number', async () => {
    const graph = graphWithParameters(tinyResNet(), new Map([['conv1.weight', new Float32Array(108).fill(NaN)]]))
    const run = await begun(trainable(graph), recipeOf({ name: 'static', distribution: 'snip' }))
    expect(E.isLeft(run) ? renderError(run.left) : '').toMatch(/loss before the first step/)
  })
})

describe('masks before the first step', () => {
  /** All training images make one batch, so that the order in which they are drawn does not matter. */
  const whole = { batch: 50, augmentation: null }
  const live = ({ sparse }: Run): number => sparse.masks.reduce((n, mask) => n + mask.reduce((m, bit) => m + bit, 0), 0)

  it.each([
    ['residual network', tinyResNet],
    ['depthwise layer', withDepthwise],
  ])('snip, %s: the most salient weights stay, the others are 0 from the start', async (_, make) => {
    const network = trainable(make())
    const list = await saliencies(network)
    const run = right(await begun(network, recipeOf({ name: 'snip', density: 0.3 }, whole)))
    const count = Math.round(0.3 * list.length)
    const kept = ({ layer, place }: Worth): boolean => run.sparse.masks[layer]?.[place] === 1
    // Images are summed in another order, which moves weights of next to equal scores.
    const [last, next] = [list[count - 1]?.score ?? NaN, list[count]?.score ?? NaN]
    for (const entry of list) {
      if (entry.score > last * 1.0001) expect(kept(entry)).toBe(true)
      if (entry.score < next * 0.9999) expect(kept(entry)).toBe(false)
    }
    expect(list.filter(kept)).toHaveLength(count)
    const weights = await readLayers(run.executor, run.sparse.network, run.device.parameters)
    for (const [l, mask] of run.sparse.masks.entries()) {
      for (const [i, bit] of mask.entries()) expect(bit === 1 || weights[l]?.[i] === 0).toBe(true)
    }
    expect([run.step, run.history, run.cursor]).toEqual([0, [], startOf(3)])
    disposeRun(run)
  })

  it('grasp goes by the seed, the temperature and how many batches there are, and leaves nothing on the device', async () => {
    const masks = async (method: Record<string, unknown>, others = {}): Promise<ReadonlyArray<Uint8Array>> => {
      const network = trainable(tinyResNet())
      const tensors = opened().core.memory().numTensors
      const plain = right(await begun(network, recipeOf({ name: 'static', density: 0.5 })))
      const held = opened().core.memory().numTensors - tensors
      const run = right(await begun(network, recipeOf({ name: 'grasp', density: 0.5, ...method }, others)))
      expect(opened().core.memory().numTensors - tensors).toBe(2 * held + run.masks.size - plain.masks.size)
      const total = run.sparse.masks.reduce((n, mask) => n + mask.length, 0)
      expect(live(run)).toBe(Math.round(0.5 * total))
      const found = run.sparse.masks
      disposeRun(plain)
      disposeRun(run)
      return found
    }
    const first = await masks({})
    expect(await masks({ batches: 2, temperature: 200 })).toEqual(first)
    for (const other of [{ batches: 1 }, { batches: 3 }, { temperature: 1 }])
      expect(await masks(other)).not.toEqual(first)
    expect(await masks({}, { seed: 4 })).not.toEqual(first)
  })

  it.each(['snip', 'grasp'])('%s says so when the loss is no number', async (name) => {
    const graph = graphWithParameters(tinyResNet(), new Map([['conv1.weight', new Float32Array(108).fill(NaN)]]))
    const tensors = opened().core.memory().numTensors
    const network = trainable(graph)
    const run = await begun(network, recipeOf({ name }))
    network.executor.dispose()
    expect(E.isLeft(run) ? renderError(run.left) : '').toMatch(/loss before the first step: expected a finite number/)
    expect(opened().core.memory().numTensors).toBe(tensors)
  })
})

describe('intervals', () => {
  it.each([
    [{ name: 'rigl', every: 1000 }, 'every of method rigl', '1000 steps, of 28 in all'],
    [{ name: 'chase', every: 2, channelsEvery: 500 }, 'channelsEvery of method chase', '500 steps, of 28 in all'],
  ])('of %j with which nothing would happen are refused', async (method, subject, found) => {
    const network = trainable(tinyResNet())
    const run = await begun(network, recipeOf(method))
    network.executor.dispose()
    expect(E.isLeft(run) ? run.left : run).toMatchObject({ subject, found })
  })

  it('that the recipe leaves out fit the length of the training', () => {
    for (const steps of [80, 800, 80_000]) {
      const phases = policyOf(recipeOf({ name: 'chase' }).method, { steps, stepsPerEpoch: steps }).phases
      expect(phases.map(({ every }) => every)).toEqual([steps / 80, steps / 80, steps / 80])
    }
  })
})

describe('resuming', () => {
  const resized = { crop: 'resized', scale: [0.2, 1], flip: true }
  const method = busyChase({ distribution: 'snip', exploration: 'layer' })
  const others = { epochs: 3, augmentation: resized, partial: false }

  const trained = async (options: TrainOptions = {}): Promise<Trained> =>
    right(await train(tinyResNet(), tinyData, recipeOf(method, others), { backend: opened(), ...options })())

  it('takes the densities of the checkpoint, with no look at the data, and ends like a run that was not stopped', async () => {
    const path = join(folder, 'snip.safetensors')
    const whole = await trained()
    for (const stop of [1, 6, 11]) {
      const controller = new AbortController()
      const onProgress = ({ step }: Progress): void => {
        if (step === stop) controller.abort()
      }
      await trained({ checkpoint: { path, every: 100, resume: true }, signal: controller.signal, onProgress })
    }
    const recipe = recipeOf(method, others)
    const first = right(await begun(trainable(tinyResNet()), recipe))
    const unreadable = { ...tinyData.train, pixels: () => async () => E.left(failure('DataError', 'x', '', '', '')) }
    const next = right(await begun(trainable(tinyResNet()), recipe, { ...tinyData, train: unreadable }, path))
    expect(next.step).toBe(11)
    expect(givenOf(next)).toEqual(givenOf(first))
    expect(next.sparse.policy).toEqual(first.sparse.policy)
    disposeRun(first)
    disposeRun(next)
    const steps: number[] = []
    const rest = await trained({ checkpoint: { path, resume: true }, onProgress: ({ step }) => steps.push(step) })
    // Batches of 8 from 50 images, what is left over left out.
    expect(steps).toEqual([12, 13, 14, 15, 16, 17, 18])
    expect(weightsOf(rest.graph)).toEqual(weightsOf(whole.graph))
    expect([rest.masks, rest.channels]).toEqual([whole.masks, whole.channels])
  })

  it('does not mind the order of the entries of a recipe, but what they say', async () => {
    const path = join(folder, 'order.safetensors')
    const recipe = recipeOf({ name: 'static' }, { epochs: 1 })
    right(await train(tinyResNet(), tinyData, recipe, { backend: opened(), checkpoint: { path } })())
    const { seed, method: own, ...rest } = recipe
    for (const [other, step] of [
      [{ seed, ...rest, method: own }, 7],
      [{ ...rest, seed: seed + 1, method: own }, undefined],
    ] as const) {
      const run = await begun(trainable(tinyResNet()), other, tinyData, path)
      expect(E.isRight(run) ? run.right.step : undefined).toBe(step)
      if (E.isRight(run)) disposeRun(run.right)
    }
  })

  it.each([0, -1, 2.5, NaN])('refuses checkpoints every %d steps', async (every) => {
    const checkpoint = { path: join(folder, 'never'), every }
    const recipe = recipeOf({ name: 'dense' }, { epochs: 1 })
    const result = await train(tinyResNet(), tinyData, recipe, { backend: opened(), checkpoint })()
    expect(E.isLeft(result) ? result.left : undefined).toMatchObject({
      subject: 'steps between checkpoints',
      found: `${every}`,
    })
  })
})
