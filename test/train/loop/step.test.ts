import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { afterAll, describe, expect, it } from 'vitest'
import { float32View, materialize, tensorOf } from '../../../src/ir/tensor.ts'
import { expandMask } from '../../../src/masks/mask.ts'
import { decodeSafetensors } from '../../../src/masks/safetensors.ts'
import { openBackend } from '../../../src/train/backend/open.ts'
import { batchesInOrder, drawBatch, loadBatch } from '../../../src/train/data/index.ts'
import { train } from '../../../src/train/index.ts'
import { methodNames, policyOf } from '../../../src/train/recipe/index.ts'
import { channelsOf } from '../../../src/train/loop/counts.ts'
import { disposeRun, readHeld, startRun, trainableOf } from '../../../src/train/loop/run.ts'
import { init, softThresholded } from '../../../src/train/sparse/index.ts'
import { membersOf, scalesOf } from '../../../src/train/sparse/network.ts'
import { countRows } from '../../../src/train/loop/score.ts'
import { trainStep } from '../../../src/train/loop/step.ts'
import { chain } from '../sparse/networks.ts'
import { runGraph } from '../../models-ir/run.ts'
import { backendName, recipeOf, right, tinyData, tinyResNet } from './fixtures.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-step-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('trainStep', () => {
  const length = { steps: 14, stepsPerEpoch: 7 }

  const methods = [
    'static',
    'set',
    'rigl',
    'srigl',
    'mest',
    'granet',
    'gmp',
    'global-magnitude',
    'iss-p',
    'chase',
  ] as const

  it.each(methods)('%s: masked weights and their momenta are 0 after every step, others move', async (name) => {
    const backend = right(await openBackend(backendName)())
    const before = backend.core.memory().numTensors
    const times = ['static', 'global-magnitude', 'iss-p'].includes(name) ? {} : { every: 3 }
    const recipe = recipeOf({ name, density: 0.3, ...times, ...(name === 'chase' ? { channelsEvery: 5 } : {}) })
    const run = right(startRun(right(trainableOf(tinyResNet(), backend)), policyOf(recipe.method, length), 1))
    let [updates, moved] = [0, 0]
    for (let step = 1; step <= length.steps; step++) {
      const drawn = drawBatch(tinyData.train.size, run.cursor, { batch: 8 })
      run.cursor = drawn.next
      const batch = right(await loadBatch(tinyData, tinyData.train, drawn)())
      const { update } = right(await trainStep(run, tinyData, batch, recipe, length))
      const { parameters, moments } = await readHeld(run)
      if (update !== undefined) updates += 1
      for (const [l, layer] of run.sparse.network.layers.entries()) {
        const [mask, weights, velocities] = [run.sparse.masks[l], parameters.get(layer.name), moments.get(layer.name)]
        if (mask === undefined || weights === undefined || velocities === undefined) throw new Error(layer.name)
        expect([weights.length, velocities.length]).toEqual([mask.length, mask.length])
        expect(weights.some((w, i) => mask[i] === 0 && w !== 0)).toBe(false)
        expect(velocities.some((v, i) => mask[i] === 0 && v !== 0)).toBe(false)
        moved += velocities.filter((v) => v !== 0).length
      }
    }
    expect(moved).toBeGreaterThan(0)
    expect(updates).toBeGreaterThanOrEqual(name === 'static' ? 0 : 1)
    disposeRun(run)
    expect(backend.core.memory().numTensors).toBe(before)
  })
})

describe('a step of any method', () => {
  it.each(methodNames)('%s: leaves no tensor behind', async (name) => {
    const backend = right(await openBackend(backendName)())
    const before = backend.core.memory().numTensors
    const length = { steps: 8, stepsPerEpoch: 4 }
    const recipe = recipeOf({ name })
    const run = right(startRun(right(trainableOf(tinyResNet(), backend)), policyOf(recipe.method, length), 1))
    const batch = right(await loadBatch(tinyData, tinyData.train, { indices: Uint32Array.of(1, 5, 9) })())
    for (let step = 1; step <= length.steps; step++) right(await trainStep(run, tinyData, batch, recipe, length))
    disposeRun(run)
    expect(backend.core.memory().numTensors).toBe(before)
  })
})

describe('iss-p', () => {
  it('shrinks the smallest weights after each step, not their momenta, and masks them in the end', async () => {
    const backend = right(await openBackend(backendName)())
    const length = { steps: 4, stepsPerEpoch: 7 }
    const start = async (factor: number) => {
      const recipe = recipeOf({ name: 'iss-p', density: 0.25, factor, until: 0.75 })
      const run = right(startRun(right(trainableOf(tinyResNet(), backend)), policyOf(recipe.method, length), 1))
      return { recipe, run }
    }
    const batch = right(await loadBatch(tinyData, tinyData.train, { indices: Uint32Array.of(1, 5, 9) })())
    // A factor of 1 changes nothing, so that the first step is the same but for the shrinking.
    const [plain, shrunk] = [await start(1), await start(0.5)]
    for (const { run, recipe } of [plain, shrunk]) {
      expect(right(await trainStep(run, tinyData, batch, recipe, length)).update).toBeUndefined()
    }
    const [before, after] = [await readHeld(plain.run), await readHeld(shrunk.run)]
    expect(after.moments).toEqual(before.moments)
    for (const { name } of shrunk.run.sparse.network.layers) {
      const [w, v] = [before.parameters.get(name), after.parameters.get(name)]
      const halved = [...(w ?? [])].filter((x, i) => v?.[i] === Math.fround(x / 2)).length
      const same = [...(w ?? [])].filter((x, i) => v?.[i] === x).length
      expect(halved).toBe(Math.round(0.75 * (w?.length ?? NaN)))
      expect(same).toBe((w?.length ?? NaN) - halved)
    }
    const told = []
    for (let step = 2; step <= 4; step++) {
      told.push(right(await trainStep(shrunk.run, tinyData, batch, shrunk.recipe, length)).update?.density)
    }
    expect(told.map((density) => density?.toFixed(2))).toEqual([undefined, '0.25', undefined])
    for (const { run } of [plain, shrunk]) disposeRun(run)
  })
})

describe('dhspg', () => {
  it('draws the chosen channels to 0 by the step that the optimiser took, not by its momenta', async () => {
    const backend = right(await openBackend(backendName)())
    const tensors = backend.core.memory().numTensors
    const length = { steps: 4, stepsPerEpoch: 7 }
    const batch = right(await loadBatch(tinyData, tinyData.train, { indices: Uint32Array.of(1, 5, 9) })())
    const start = async (strength: number) => {
      const recipe = recipeOf({ name: 'dhspg', strength, epsilon: 0, begin: 0, until: 0.5, every: 1 })
      const run = right(startRun(right(trainableOf(tinyResNet(), backend)), policyOf(recipe.method, length), 1))
      return { run, step: async () => right(await trainStep(run, tinyData, batch, recipe, length)) }
    }
    // Without strength it makes up for steps that lead away from 0 by none of it.
    const [plain, drawn] = [await start(0), await start(0.5)]
    const { parameters: before } = await readHeld(plain.run)
    for (const { step } of [plain, drawn]) expect((await step()).update?.removed).toBe(0)
    const [free, held] = [await readHeld(plain.run), await readHeld(drawn.run)]
    expect(held.moments).toEqual(free.moments)
    const { network, marked } = drawn.run.sparse
    expect(marked).toEqual(plain.run.sparse.marked)
    let pulled = 0
    for (const [s, stream] of network.streams.entries()) {
      for (let c = 0; c < stream.channels; c++) {
        const [x, a, b] = [before, free.parameters, held.parameters].map((arrays) =>
          membersOf(stream, (name) => network.layers.find((layer) => layer.name === name)).flatMap(({ layer }) => {
            const values = arrays.get(layer) ?? new Float32Array(0)
            const size = values.length / stream.channels
            return [...values.subarray(c * size, (c + 1) * size)]
          }),
        )
        if (x === undefined || a === undefined || b === undefined) throw new Error(stream.name)
        const norm = Math.hypot(...x)
        const pulls = x.flatMap((w, i) => (Math.abs(w) > 0.01 ? [((a[i] ?? NaN) - (b[i] ?? NaN)) / (w / norm)] : []))
        const [least, most] = [Math.min(...pulls), Math.max(...pulls)]
        if (marked[s]?.[c] !== 1) expect(b).toEqual(a)
        else {
          expect(most - least).toBeLessThan(1e-4)
          // The learning rate is 0.025 after one of four steps of warm-up.
          expect(least).toBeGreaterThan(0.0124)
          expect(most).toBeLessThan(0.1251)
          pulled += 1
        }
      }
    }
    expect(pulled).toBeGreaterThan(5)
    await drawn.step()
    const all = network.streams.reduce((n, { channels }) => n + channels, 0)
    expect(channelsOf(drawn.run.sparse).left).toBe(all - Math.round(all / 2))
    for (const { run } of [plain, drawn]) disposeRun(run)
    expect(backend.core.memory().numTensors).toBe(tensors)
  })
})

describe('wgsef', () => {
  it('goes by the learning rate of the step, and leaves momenta alone', async () => {
    const backend = right(await openBackend(backendName)())
    const length = { steps: 4, stepsPerEpoch: 7 }
    const batch = right(await loadBatch(tinyData, tinyData.train, { indices: Uint32Array.of(1, 5, 9) })())
    const start = async (strength: number) => {
      const recipe = recipeOf({ name: 'wgsef', strength, channels: 0, until: 1, every: 4 })
      const run = right(startRun(right(trainableOf(tinyResNet(), backend)), policyOf(recipe.method, length), 1))
      right(await trainStep(run, tinyData, batch, recipe, length))
      return run
    }
    const [plain, drawn] = [await start(0), await start(8)]
    const [free, held] = [await readHeld(plain), await readHeld(drawn)]
    expect(held.moments).toEqual(free.moments)
    const { network } = drawn.sparse
    const sizes = network.streams.map((stream) => {
      const members = membersOf(stream, (name) => network.layers.find((layer) => layer.name === name))
      return {
        stream,
        members,
        size: members.reduce((n, { layer }) => n + (free.parameters.get(layer)?.length ?? NaN), 0),
      }
    })
    const count = sizes.reduce((n, { stream }) => n + stream.channels, 0)
    const mean = sizes.reduce((n, { size }) => n + size, 0) / count
    for (const { stream, members, size } of sizes) {
      // All may stay: every share is 1. The learning rate is 0.025 after one of four steps of warm-up.
      const factor = 1 / (1 + (0.025 * 8 * mean) / (size / stream.channels))
      for (const { layer } of members) {
        const [a, b] = [free.parameters.get(layer), held.parameters.get(layer)]
        for (const [i, w] of a?.entries() ?? []) expect(b?.[i]).toBeCloseTo(w * factor, 6)
      }
    }
    for (const run of [plain, drawn]) disposeRun(run)
  })
})

describe('mask-sparsity', () => {
  it('draws the scales of all channels in scope, then those of the chosen ones alone, which leave', async () => {
    const backend = right(await openBackend(backendName)())
    const length = { steps: 4, stepsPerEpoch: 7 }
    const batch = right(await loadBatch(tinyData, tinyData.train, { indices: Uint32Array.of(1, 5, 9) })())
    const start = async (strength: number) => {
      const recipe = recipeOf({ name: 'mask-sparsity', strength, begin: 0.25, until: 0.75 })
      const run = right(startRun(right(trainableOf(tinyResNet(), backend)), policyOf(recipe.method, length), 1))
      return { run, step: async () => right(await trainStep(run, tinyData, batch, recipe, length)) }
    }
    const [plain, drawn] = [await start(0), await start(0.25)]
    for (const { step } of [plain, drawn]) expect((await step()).update).toBeUndefined()
    const [{ moments: before }, { moments: after }] = [await readHeld(plain.run), await readHeld(drawn.run)]
    const { network, marked } = drawn.run.sparse
    const inScope = new Set(
      network.streams.flatMap((one) => (one.scope === 'block' ? scalesOf(one, network).map(({ layer }) => layer) : [])),
    )
    expect(inScope.size).toBeGreaterThan(1)
    for (const [name, list] of after) {
      const difference = inScope.has(name) ? 0.25 : 0
      for (const [i, v] of list.entries()) expect(v - (before.get(name)?.[i] ?? NaN)).toBeCloseTo(difference, 5)
    }
    // Scales start at 1: all are equal, so that the first channels are chosen.
    expect(marked.some((marks) => marks.includes(1))).toBe(true)
    const scaleMoments = async () => {
      const { moments } = await readHeld(drawn.run)
      return network.streams.flatMap((one, s) =>
        scalesOf(one, network).flatMap(({ layer }) =>
          [...(moments.get(layer) ?? [])].map((v, c) => [v, marked[s]?.[c] === 1] as const),
        ),
      )
    }
    await drawn.step()
    const moments = await scaleMoments()
    const mean = (of: boolean): number => {
      const list = moments.flatMap(([v, chosen]) => (chosen === of ? [v] : []))
      return list.reduce((n, v) => n + v, 0) / list.length
    }
    expect(mean(true)).toBeGreaterThan(mean(false) + 0.2)
    const { update } = await drawn.step()
    const going = marked.flatMap((marks) => Array.from(marks).filter((mark) => mark === 1)).length
    expect(update?.removed).toBe(going)
    for (const { run } of [plain, drawn]) disposeRun(run)
  })

  it('is refused where no channel has a scale', () => {
    const { layers, streams } = chain([3, 4, 2])
    const { method } = recipeOf({ name: 'mask-sparsity' })
    const bare = { layers, streams: streams.map(({ vectors: _, ...stream }) => stream) }
    const result = init(bare, policyOf(method, { steps: 10, stepsPerEpoch: 10 }), 1)
    expect(E.isLeft(result) && result.left.expected).toMatch(/trained scales/)
  })
})

describe('rigl', () => {
  it.each([true, false])('leaves the step out where weights are exchanged, if skipStep is %s', async (skipStep) => {
    const backend = right(await openBackend(backendName)())
    const recipe = recipeOf({ name: 'rigl', density: 0.3, every: 2, until: 1, skipStep })
    const length = { steps: 6, stepsPerEpoch: 7 }
    const run = right(startRun(right(trainableOf(tinyResNet(), backend)), policyOf(recipe.method, length), 1))
    const statistics: string[] = []
    for (let step = 1; step <= length.steps; step++) {
      const before = await readHeld(run)
      const masks = run.sparse.masks
      const drawn = drawBatch(tinyData.train.size, run.cursor, { batch: 8 })
      run.cursor = drawn.next
      const batch = right(await loadBatch(tinyData, tinyData.train, drawn)())
      const { update } = right(await trainStep(run, tinyData, batch, recipe, length))
      const after = await readHeld(run)
      expect(update !== undefined).toBe(step % 2 === 0 && step < 6)
      const skipped = skipStep && update !== undefined
      for (const [name, values] of after.parameters) {
        const l = run.sparse.network.layers.findIndex((layer) => layer.name === name)
        const [was, is] = [masks[l], run.sparse.masks[l]]
        // Of a weight that was exchanged only the mask says anything: one that comes back goes on with its value.
        const same = values.every(
          (w, i) => (was?.[i] ?? 1) !== (is?.[i] ?? 1) || w === before.parameters.get(name)?.[i],
        )
        expect(same, `${name} at step ${step}`).toBe(skipped)
      }
      statistics.push(JSON.stringify([...after.statistics].map(([name, values]) => [name, Array.from(values)])))
    }
    // The batch is seen by the normalisation all the same.
    expect(new Set(statistics).size).toBe(length.steps)
    disposeRun(run)
  })
})

describe('sr-ste', () => {
  it('takes the step of n-of-m, and masked weights that much nearer to 0', async () => {
    const backend = right(await openBackend(backendName)())
    const [rate, decay] = [0.1, 0.05]
    const length = { steps: 10, stepsPerEpoch: 10 }
    const more = { weightDecay: 0, momentum: 0, learningRate: { schedule: 'constant', peak: rate } }
    const stepOf = async (maskedDecay: number) => {
      const recipe = recipeOf({ name: 'sr-ste', n: 1, m: 2, maskedDecay }, more)
      const run = right(startRun(right(trainableOf(tinyResNet(), backend)), policyOf(recipe.method, length), 1))
      for (const last of [false, true]) {
        const before = await readHeld(run)
        const masks = run.sparse.masks
        const batch = right(await loadBatch(tinyData, tinyData.train, { indices: Uint32Array.of(1, 5, 9) })())
        right(await trainStep(run, tinyData, batch, recipe, length))
        if (!last) continue
        const after = await readHeld(run)
        const layers = run.sparse.network.layers.map(({ name }, l) => ({ name, mask: masks[l] ?? new Uint8Array(0) }))
        disposeRun(run)
        return { before, after, layers }
      }
      throw new Error('two steps were taken')
    }
    // The first step has no masks yet, so both are the same until the second.
    const [plain, drawn] = [await stepOf(0), await stepOf(decay)]
    expect(drawn.before).toEqual(plain.before)
    let masked = 0
    for (const { name, mask } of drawn.layers) {
      const [w, without, withDecay] = [drawn.before, plain.after, drawn.after].map((held) => held.parameters.get(name))
      for (const [i, bit] of mask.entries()) {
        const expected = (without?.[i] ?? NaN) - (bit === 0 ? rate * decay * (w?.[i] ?? NaN) : 0)
        expect(withDecay?.[i]).toBeCloseTo(expected, 6)
        if (bit === 0 && Math.abs((withDecay?.[i] ?? 0) - (without?.[i] ?? 0)) > 1e-5) masked += 1
      }
    }
    expect(masked).toBeGreaterThan(100)
  })
})

describe('n-of-m', () => {
  it.each(['mask', 'mask-exponential', 'halving', 'fine'] as const)(
    '%s: trains masked weights on, computes without them in the end',
    async (decay) => {
      const method = { name: 'n-of-m', n: 1, m: 2, decay, begin: 0.1, until: 0.6 }
      const recipe = recipeOf(method, { epochs: 2 })
      const path = join(folder, `${decay}.safetensors`)
      const result = right(
        await train(tinyResNet(), tinyData, recipe, { backend: backendName, checkpoint: { path } })(),
      )
      const saved = right(decodeSafetensors(new Uint8Array(readFileSync(path)))).tensors
      const name = 'layer2.0.conv2.weight'
      const mask = result.masks.get(name)
      const kept = mask === undefined ? new Uint8Array() : expandMask(mask)
      const trained = float32View(saved.get(`parameters/${name}`) ?? tensorOf('float32', [0], []))
      expect(trained.filter((w, i) => kept[i] === 0 && w !== 0).length).toBeGreaterThan(200)
      const inputs = 8
      for (let i = 0; i < kept.length; i++) {
        // Neighbours along the input axis, which is followed by 3x3.
        const channel = Math.floor(i / 9) % inputs
        if (channel % 2 === 0) expect((kept[i] ?? 0) + (kept[i + 9] ?? 0)).toBe(1)
      }
      const [drawn] = batchesInOrder(tinyData.test.size, tinyData.test.size)
      const { images, labels } = right(
        await loadBatch(tinyData, tinyData.test, drawn ?? { indices: new Uint32Array() })(),
      )
      const outputs = await runGraph(result.graph, { shape: [labels.length, ...tinyData.shape], data: images })
      const said = result.history.at(-1)
      const { loss } = countRows(outputs.get('logits')?.data ?? [], labels)
      expect(said?.kind === 'test' ? said.loss : NaN).toBeCloseTo(loss / labels.length, 4)
    },
  )
})

describe('s-ste', () => {
  const read = async (method: Record<string, unknown>) => {
    const path = join(folder, 's-ste.safetensors')
    const options = { backend: backendName, checkpoint: { path } } as const
    const result = right(await train(tinyResNet(), tinyData, recipeOf(method, { epochs: 2 }), options)())
    return { result, saved: right(decodeSafetensors(new Uint8Array(readFileSync(path)))).tensors }
  }

  it('gives what the network computed with: a soft threshold of the weights that it trained', async () => {
    const { result, saved } = await read({ name: 's-ste', n: 1, m: 4 })
    const scales = new Float32Array(saved.get('sparse/scales')?.bytes.slice().buffer ?? new ArrayBuffer(0))
    const network = right(trainableOf(tinyResNet(), right(await openBackend(backendName)()))).network
    expect(result.masks.size).toBe(network.layers.length)
    expect(scales).toHaveLength(network.layers.length)
    let [left, trained] = [0, 0]
    for (const [l, layer] of network.layers.entries()) {
      const [mask, tensor, held] = [
        result.masks.get(layer.name),
        result.graph.constants.get(layer.name),
        saved.get(`parameters/${layer.name}`),
      ]
      if (mask === undefined || tensor === undefined || held === undefined) throw new Error(layer.name)
      const [found, weights] = [float32View(materialize(tensor)), float32View(held)]
      const threshold = { m: 4, axis: 'input' } as const
      expect(scales[l]).toBeGreaterThan(1)
      const expected = softThresholded(layer, weights, expandMask(mask), threshold, scales[l] ?? NaN)
      expect(found.map((w) => w + 0)).toEqual(expected.map((w) => w + 0))
      left += found.filter((w) => w !== 0).length
      trained += weights.filter((w) => w !== 0).length
    }
    expect(left).toBeGreaterThan(100)
    expect(trained).toBeGreaterThan(3 * left)
  })
})

describe('countRows', () => {
  it('counts right answers and sums the cross entropy', () => {
    const { correct, loss } = countRows([1, 1, 0, 2, 1000, -1000], Int32Array.of(0, 0, 1))
    expect(correct).toBe(1)
    expect(loss).toBeCloseTo(Math.log(2) + Math.log(1 + Math.exp(2)) + 2000, 9)
  })
})
