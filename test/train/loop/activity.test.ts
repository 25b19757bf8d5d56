/** Which channels are dead, and that the network computes the same once they have left. */
import { describe, expect, it } from 'vitest'
import type { Graph } from '../../../src/ir/graph.ts'
import * as ops from '../../../src/ir/ops/index.ts'
import { drawsFrom, seededRandom } from '../../../src/ir/random.ts'
import { graphWithParameters } from '../../../src/train/executor/index.ts'
import { openBackend } from '../../../src/train/backend/open.ts'
import { loadBatch } from '../../../src/train/data/index.ts'
import { activeChannels } from '../../../src/train/loop/activity.ts'
import { disposeAll, disposeRun, readHeld, type Run, startRun, trainableOf } from '../../../src/train/loop/run.ts'
import { feedsOf } from '../../../src/train/loop/score.ts'
import { trainStep } from '../../../src/train/loop/step.ts'
import { updateTopology } from '../../../src/train/loop/topology.ts'
import { policyOf, type Recipe } from '../../../src/train/recipe/index.ts'
import { buildGraph } from '../../builder.ts'
import { backendName, recipeOf, right, tinyData, tinyResNet } from './fixtures.ts'

const length = { steps: 4, stepsPerEpoch: 4 }

const runOf = async (graph: Graph, recipe: Recipe): Promise<Run> =>
  right(
    startRun(right(trainableOf(graph, right(await openBackend(backendName)()))), policyOf(recipe.method, length), 1),
  )

const everything = { indices: Uint32Array.from({ length: tinyData.train.size }, (_, i) => i) }

/** What the network makes of all training images, in evaluation. */
const logitsOf = async ({ executor, device }: Run): Promise<ArrayLike<number>> => {
  const feeds = feedsOf(executor, tinyData, right(await loadBatch(tinyData, tinyData.train, everything)()))
  const outputs = right(executor.forward(device, feeds, 'eval'))
  const [logits] = outputs.values()
  const values = (await logits?.data()) ?? []
  disposeAll(outputs)
  return values
}

const apart = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(Math.abs(a.length - b.length), ...Array.from(a, (x, i) => Math.abs(x - (b[i] ?? NaN))))

/** A graph in which some numbers of a parameter are others. */
const withNumbers = (graph: Graph, name: string, change: (values: Float32Array) => Float32Array): Graph => {
  const tensor = graph.constants.get(name)
  if (tensor === undefined) throw new Error(name)
  return graphWithParameters(
    graph,
    new Map([[name, change(new Float32Array(tensor.shape.reduce((n, d) => n * d, 1)))]]),
  )
}

describe('dead channels', () => {
  const shifts = 'layer1.0.bn1.bias'
  const dead = [1, 2, 5]
  const graph = withNumbers(tinyResNet(), shifts, (zeros) => zeros.map((_, c) => (dead.includes(c) ? -100 : 0.1)))

  it.each([true, false])(
    'leave without a trace in evaluation, whether they leave the graph (%s) or are masked in it',
    async (slim) => {
      const run = await runOf(graph, recipeOf({ name: 'demp', every: 1 }))
      const before = right(await openBackend(backendName)()).core.memory().numTensors
      const active = right(await activeChannels(run, tinyData, 8, 1))
      expect(right(await openBackend(backendName)()).core.memory().numTensors).toBe(before)
      const stream = run.sparse.network.streams.findIndex(({ name }) => name === 'layer1.0.conv1.weight')
      for (const [s, bits] of active.entries()) {
        const idle = [...bits.keys()].filter((c) => bits[c] === 0)
        expect(idle).toEqual(s === stream ? dead : [])
      }
      const logits = await logitsOf(run)
      run.step = 1
      right(await updateTopology(run, { active }, slim))
      // Widths are filled up to a multiple of four.
      expect(run.sparse.network.streams[stream]?.channels).toBe(slim ? 4 : 6)
      expect(run.sparse.removed[stream]?.reduce((n, mark) => n + mark, 0)).toBe(slim ? 1 : 3)
      expect(apart(await logitsOf(run), logits)).toBeLessThan(1e-6)
      disposeRun(run)
    },
  )

  it('all of them: one stays', async () => {
    const none = withNumbers(tinyResNet(), shifts, (zeros) => zeros.map(() => -100))
    const run = await runOf(none, recipeOf({ name: 'demp', every: 1 }))
    const logits = await logitsOf(run)
    run.step = 1
    right(await updateTopology(run, { active: right(await activeChannels(run, tinyData, 8, 1)) }, false))
    const stream = run.sparse.network.streams.findIndex(({ name }) => name === 'layer1.0.conv1.weight')
    expect(run.sparse.removed[stream]).toEqual(Uint8Array.of(1, 1, 1, 1, 1, 0))
    expect(apart(await logitsOf(run), logits)).toBeLessThan(1e-6)
    disposeRun(run)
  })

  it('are looked for by every layer that reads them, and by every image', async () => {
    const { images } = right(await loadBatch(tinyData, tinyData.train, everything)())
    const brightest = images.reduce(
      (most, x, i) => (Math.floor(i / 36) % 2 === 0 ? Math.max(most, x) : most),
      -Infinity,
    )
    const at = Math.floor(images.findIndex((x, i) => x === brightest && Math.floor(i / 36) % 2 === 0) / 72)
    // Channels that are above 0 for: no pixel; one pixel; every pixel.
    const bias = [-brightest, -brightest * (1 - 1e-5), 10]
    const net = buildGraph({ x: ['N', 2, 6, 6] }, (b) => {
      const made = b.op(ops.Relu, [
        b.op(ops.Conv, ['x', b.floats('made', [1, 0, 1, 0, 1, 0], [3, 2, 1, 1]), b.floats('bias', bias)]),
      ])
      // One reads places of channels, the other goes by way of a depthwise convolution that gives dead ones a value.
      const flat = b.op(ops.Gemm, [b.op(ops.Flatten, [made]), b.weight('flat', [108, 3])])
      const between = b.op(ops.Conv, [made, b.weight('between', [3, 1, 1, 1]), b.floats('betweenBias', [0, 0, 0])], {
        group: 3,
      })
      const pointwise = b.op(ops.Conv, [between, b.weight('pointwise', [3, 3, 1, 1])])
      return [b.op(ops.Add, [flat, b.op(ops.Flatten, [b.op(ops.GlobalAveragePool, [pointwise])])])]
    })
    const run = await runOf(net, recipeOf({ name: 'dense' }))
    const [stream] = run.sparse.network.streams
    expect(stream?.consumers.map(({ layer }) => layer).toSorted()).toEqual(['between', 'flat', 'pointwise'])
    const look = async (part: number) => right(await activeChannels(run, tinyData, 8, part))[0]
    expect(await look(1)).toEqual(Uint8Array.of(0, 1, 1))
    expect(await look(at / tinyData.train.size)).toEqual(Uint8Array.of(0, 0, 1))
    expect(await look((at + 1) / tinyData.train.size)).toEqual(Uint8Array.of(0, 1, 1))
    disposeRun(run)
    const woken = await runOf(
      withNumbers(net, 'betweenBias', () => Float32Array.of(-1, 0.5, 0)),
      recipeOf({ name: 'dense' }),
    )
    // Nothing is between that would make a number of any sign 0.
    expect(right(await activeChannels(woken, tinyData, 8, 1))[0]).toEqual(Uint8Array.of(1, 1, 1))
    disposeRun(woken)
  })
})

describe('noise', () => {
  it('is added to what has a gradient, by the cycle, the same for the same seed and step', async () => {
    const stepsOf = async (noise: number) => {
      const recipe = recipeOf({ name: 'demp', strength: 0, noise, every: 4 }, { weightDecay: 0, momentum: 0 })
      const run = await runOf(
        withNumbers(tinyResNet(), 'layer1.0.bn1.bias', (zeros) => zeros.map((_, c) => (c === 2 ? -100 : 0.1))),
        recipe,
      )
      const batch = right(await loadBatch(tinyData, tinyData.train, { indices: Uint32Array.of(1, 5, 9) })())
      right(await trainStep(run, tinyData, batch, recipe, length))
      const held = await readHeld(run)
      const { parameters } = run.executor
      disposeRun(run)
      return { held, parameters, seed: recipe.seed }
    }
    const [without, loud, again] = [await stepsOf(0), await stepsOf(0.5), await stepsOf(0.5)]
    expect(again).toEqual(loud)
    const { normal } = drawsFrom(seededRandom(loud.seed, 'noise 1'))
    let [still, moved] = [0, 0]
    for (const { name } of loud.parameters) {
      const [quiet, noisy] = [without, loud].map(({ held }) => held.parameters.get(name))
      const gradients = without.held.moments.get(name)
      for (const [i, w] of quiet?.entries() ?? []) {
        // The first step of the cycle: a 25th of its top.
        const expected = w + (gradients?.[i] === 0 ? 0 : (0.5 / 25) * normal())
        if (gradients?.[i] === 0) normal()
        expect(noisy?.[i]).toBeCloseTo(expected, 5)
        if (gradients?.[i] === 0) still += 1
        else moved += 1
      }
    }
    expect(still).toBeGreaterThan(50)
    expect(moved).toBeGreaterThan(1000)
  })
})
