/** Soups of tiny networks: what is averaged, what is refused, which runs are chosen. */
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { renderError } from '../../../src/ir/failure.ts'
import { type Graph, withParts } from '../../../src/ir/graph.ts'
import { BatchNormalization } from '../../../src/ir/ops/batch-normalization.ts'
import { drawsFrom, seededRandom } from '../../../src/ir/random.ts'
import { isOp } from '../../../src/ir/registry.ts'
import { tensorOf } from '../../../src/ir/tensor.ts'
import { unknownType } from '../../../src/ir/type.ts'
import { elementMask, expandMask, type Masks } from '../../../src/masks/mask.ts'
import { applyMasks } from '../../../src/passes/apply-masks.ts'
import {
  type Ingredient,
  soup,
  type Soup,
  type SoupOptions,
  type SoupProgress,
  train,
} from '../../../src/train/index.ts'
import { batchesInOrder, type DataSet, drawTrainingBatch, loadBatch, startOf } from '../../../src/train/data/index.ts'
import { countRows } from '../../../src/train/loop/score.ts'
import { averageOf } from '../../../src/train/soup/average.ts'
import { runGraph } from '../../models-ir/run.ts'
import { backendName, recipeOf, right, tinyData, tinyResNet, weightsOf } from '../loop/fixtures.ts'

const recipe = recipeOf({ name: 'dense' }, { epochs: 1 })

/** Every fourth weight of every convolution masked. */
const masksOf = (graph: Graph, drawn = 1): Masks => {
  const draws = drawsFrom(seededRandom(drawn))
  return new Map(
    [...graph.constants].flatMap(([name, { shape }]) => {
      const kept = Uint8Array.from({ length: shape.reduce((n, d) => n * d, 1) }, () => (draws.below(4) === 0 ? 0 : 1))
      return shape.length === 4 ? [[name, elementMask(shape, kept)] as const] : []
    }),
  )
}

const parent = tinyResNet()
const masks = masksOf(parent)
const pruned = right(applyMasks(parent, masks))

const retrained = async (seed: number, others: Record<string, unknown> = {}): Promise<Ingredient> => {
  const own = recipeOf(
    { name: 'dense' },
    { epochs: 10, seed, learningRate: { schedule: 'cosine', peak: 0.05, warmup: 1 }, ...others },
  )
  const result = right(await train(pruned, tinyData, own, { backend: backendName, masks })())
  return { name: `run ${seed}`, graph: result.graph, masks: result.masks }
}

const cook = async (given: ReadonlyArray<Ingredient>, options: SoupOptions = {}, data = tinyData): Promise<Soup> =>
  right(await soup(given, data, recipe, { backend: backendName, ...options })())

const refused = async (
  given: ReadonlyArray<Ingredient>,
  options: SoupOptions = {},
  data = tinyData,
): Promise<string> => {
  const made = await soup(given, data, recipe, { backend: backendName, ...options })()
  return E.isLeft(made) ? renderError(made.left) : 'made'
}

/** The ingredient with a constant of its graph replaced by numbers made of it. */
const changed = ({ graph, ...rest }: Ingredient, name: string, of: (x: number, i: number) => number): Ingredient => {
  const values = weightsOf(graph).get(name) ?? new Float32Array()
  const tensor = tensorOf('float32', graph.constants.get(name)?.shape ?? [], values.map(of))
  return { ...rest, graph: withParts(graph, { constants: new Map(graph.constants).set(name, tensor) }) }
}

const statisticsOf = (graph: Graph): ReadonlySet<string> =>
  new Set(graph.nodes.flatMap((node) => (isOp(node, BatchNormalization) ? node.inputs.slice(3, 5) : [])))

const [a, b, c] = [await retrained(1), await retrained(2), await retrained(3)]

/** What ONNX Runtime makes of the validation images. */
const accuracyOf = async (graph: Graph): Promise<number> => {
  const { validation, shape } = tinyData
  const [all] = batchesInOrder(validation.size, validation.size)
  const { images, labels } = right(await loadBatch(tinyData, validation, all ?? { indices: new Uint32Array() })())
  const outputs = await runGraph(graph, { shape: [labels.length, ...shape], data: images })
  return countRows(outputs.get('logits')?.data ?? [], labels).correct / labels.length
}

describe('the mean', () => {
  it('is that of every weight, rounded once, and masked ones stay 0', async () => {
    const { graph, masks: kept, validation, ingredients } = await cook([a, b, c])
    const [x, y, z] = [weightsOf(a.graph), weightsOf(b.graph), weightsOf(c.graph)]
    const statistics = statisticsOf(graph)
    expect(statistics.size).toBeGreaterThan(0)
    for (const [name, values] of weightsOf(graph)) {
      if (statistics.has(name)) continue
      const wanted = values.map(
        (_, i) => ((x.get(name)?.[i] ?? NaN) + (y.get(name)?.[i] ?? NaN) + (z.get(name)?.[i] ?? NaN)) / 3,
      )
      expect(values).toEqual(wanted)
    }
    expect([...kept].map(([name, mask]) => [name, expandMask(mask)])).toEqual(
      [...masks].map(([name, mask]) => [name, expandMask(mask)]),
    )
    for (const [name, mask] of masks) {
      const bits = expandMask(mask)
      expect(
        weightsOf(graph)
          .get(name)
          ?.every((w, i) => bits[i] === 1 || w === 0),
      ).toBe(true)
    }
    expect(ingredients.map(({ name, used }) => [name, used])).toEqual(
      ['run 1', 'run 2', 'run 3'].map((name) => [name, true]),
    )
    expect(validation?.accuracy).toBe(await accuracyOf(graph))
    for (const [i, { graph: own }] of [a, b, c].entries()) {
      expect(ingredients[i]?.validation?.accuracy).toBe(await accuracyOf(own))
    }
  })

  it('of a network with itself is that network, but for its statistics', async () => {
    const { graph } = await cook([a, { ...a, name: 'again' }])
    const [before, after] = [weightsOf(a.graph), weightsOf(graph)]
    const statistics = statisticsOf(graph)
    for (const [name, values] of after) {
      if (statistics.has(name)) expect(values).not.toEqual(before.get(name))
      else expect(values).toEqual(before.get(name))
    }
  })

  it('of one network is that network, to the last bit', async () => {
    const { graph, statisticsImages } = await cook([a])
    expect(weightsOf(graph)).toEqual(weightsOf(a.graph))
    expect(statisticsImages).toBe(0)
  })

  it('does not overflow where the sum of the weights would, and keeps tiny ones', () => {
    const name = [...masks.keys()][0] ?? ''
    for (const value of [3.4e38, -3.4e38, 1e-45, 2 ** -126, 0]) {
      const rounded = Math.fround(value)
      const given = [1, 2, 3].map(() => changed(a, name, () => rounded))
      const third = changed(a, name, (_, i) => (i % 2 === 0 ? rounded : 0))
      const mean = weightsOf(right(averageOf([changed(a, name, () => rounded), ...given, third]))).get(name)
      expect(mean?.every((x, i) => x === (i % 2 === 0 ? rounded : Math.fround((4 * rounded) / 5)))).toBe(true)
    }
  })

  it('is the same to the last bit when it is made again', async () => {
    expect(weightsOf((await cook([a, b])).graph)).toEqual(weightsOf((await cook([a, b])).graph))
  })
})

describe('statistics', () => {
  it('are the means of those of batches, weighted by their images', async () => {
    const { graph, statisticsImages } = await cook([a, b])
    expect(statisticsImages).toBe(tinyData.train.size)
    // The first normalisation sees the first convolution of the images, whatever the statistics.
    const [conv, norm] = [graph.nodes[0], graph.nodes[1]]
    if (conv === undefined || norm === undefined || !isOp(norm, BatchNormalization)) throw new Error('another network')
    const first = withParts(graph, {
      nodes: [conv],
      outputs: [{ name: conv.outputs[0] ?? '', type: graph.types.get(conv.outputs[0] ?? '') ?? unknownType }],
      hints: new Map(),
    })
    const [mean, variance] = norm.inputs.slice(3, 5).map((name) => weightsOf(graph).get(name) ?? new Float32Array())
    const sums = [new Float64Array(mean?.length ?? 0), new Float64Array(mean?.length ?? 0)]
    const { seed } = recipe
    let cursor = {
      ...startOf(seed),
      order: seededRandom(seed, 'soup order'),
      augmentation: seededRandom(seed, 'soup augmentation'),
    }
    for (let seen = 0; seen < tinyData.train.size;) {
      const drawn = drawTrainingBatch(tinyData, cursor, recipe)
      const { images, labels } = right(await loadBatch(tinyData, tinyData.train, drawn)())
      const outputs = await runGraph(first, { shape: [labels.length, ...tinyData.shape], data: images })
      const values = [...(outputs.values().next().value?.data ?? [])].map(Number)
      const channels = mean?.length ?? 1
      const area = values.length / labels.length / channels
      for (let k = 0; k < channels; k++) {
        const own = values.filter((_, i) => Math.floor(i / area) % channels === k)
        const m = own.reduce((s, x) => s + x, 0) / own.length
        const v = own.reduce((s, x) => s + (x - m) ** 2, 0) / own.length
        for (const [s, x] of [m, v].entries()) {
          const sum = sums[s]
          if (sum !== undefined) sum[k] = (sum[k] ?? 0) + (labels.length * x) / tinyData.train.size
        }
      }
      seen += labels.length
      cursor = drawn.next
    }
    for (const [s, found] of [mean, variance].entries()) {
      for (const [k, x] of (found ?? []).entries()) expect(x).toBeCloseTo(sums[s]?.[k] ?? NaN, 4)
    }
  })

  it('are of fewer images where that is asked for, in whole batches', async () => {
    const { statisticsImages } = await cook([a, b], { statisticsImages: 9 })
    expect(statisticsImages).toBe(16)
  })
})

describe('a greedy choice', () => {
  it('tries runs by their accuracy, and lets none lower it', async () => {
    const head = [...weightsOf(a.graph)].findLast(([, values]) => values.length > 3)?.[0] ?? ''
    const broken = { ...changed(b, head, (w) => -40 * w), name: 'broken' }
    const { ingredients, validation, graph } = await cook([broken, b, a], { choice: 'greedy' })
    const scores = ingredients.map((one) => one.validation?.accuracy ?? NaN)
    expect(scores).toEqual(scores.toSorted((x, y) => y - x))
    let best = scores[0] ?? NaN
    for (const { soup: tried, used } of ingredients.slice(1)) {
      expect(used).toBe((tried?.accuracy ?? NaN) >= best)
      if (used) best = tried?.accuracy ?? NaN
    }
    expect(validation?.accuracy).toBe(best)
    expect(best).toBe(await accuracyOf(graph))
    expect(ingredients.find(({ name }) => name === 'broken')?.used).toBe(false)
  })

  it('of which one run is left is that run, to the last bit', async () => {
    const head = [...weightsOf(a.graph)].findLast(([, values]) => values.length > 3)?.[0] ?? ''
    const broken = { ...changed(b, head, (w) => -40 * w), name: 'broken' }
    const { graph, ingredients, statisticsImages } = await cook([broken, a], { choice: 'greedy' })
    expect(ingredients.map(({ name, used }) => [name, used])).toEqual([
      ['run 1', true],
      ['broken', false],
    ])
    expect(weightsOf(graph)).toEqual(weightsOf(a.graph))
    expect(statisticsImages).toBe(0)
  })

  it('needs images that no run was trained on', async () => {
    expect(await refused([a, b], { choice: 'greedy', validate: false })).toMatch('validation images that no network')
    const { ingredients, validation } = await cook([a, b], { validate: false })
    expect([validation, ...ingredients.map((one) => one.validation)]).toEqual([undefined, undefined, undefined])
  })
})

describe('refused are', () => {
  it('other masks, with the first layer that differs and by how many weights', async () => {
    const names = [...masks.keys()]
    const [second = ''] = names.slice(1)
    const bits = expandMask(masks.get(second) ?? elementMask([0], new Uint8Array()))
    let left = 3
    const other = bits.map((bit) => (bit === 1 && left-- > 0 ? 0 : bit))
    const shape = parent.constants.get(second)?.shape ?? []
    const given = { ...b, masks: new Map(masks).set(second, elementMask(shape, other)) }
    expect(await refused([a, given])).toMatch(
      new RegExp(`run 2, mask of ${second}: .*found 3 weights that differ.*one parent`),
    )
    const without = new Map([...masks].slice(1))
    const count = expandMask(masks.get(names[0] ?? '') ?? elementMask([0], new Uint8Array())).filter(
      (bit) => bit === 0,
    ).length
    expect(await refused([a, { ...b, masks: without }])).toMatch(`found ${count} weights that differ`)
    // A mask that keeps everything is none.
    const whole = new Map(masks).set('other', elementMask([2], Uint8Array.of(1, 1)))
    expect(await refused([a, { ...b, masks: whole }])).toBe('made')
  })

  it('other networks, with the node or constant that differs', async () => {
    const other = {
      ...b,
      graph: withParts(b.graph, {
        nodes: b.graph.nodes.map((node, i) =>
          i === 1 && isOp(node, BatchNormalization) ? { ...node, attrs: { ...node.attrs, epsilon: 0.5 } } : node,
        ),
      }),
    }
    expect(await refused([a, other])).toMatch(/run 2, node 2: .* found another BatchNormalization/)
    const renamed = { ...b, graph: tinyResNet() }
    expect(await refused([a, { ...renamed, masks: new Map() }])).toMatch(/mask of/)
    const integers = new Map(b.graph.constants).set('more', tensorOf('int64', [1], [3]))
    expect(await refused([a, { ...b, graph: withParts(b.graph, { constants: integers }) }])).toMatch('run 2, more')
  })

  it('weights that are no numbers, no networks, and numbers of images that are none', async () => {
    const name = [...masks.keys()][0] ?? ''
    for (const value of [NaN, Infinity]) {
      expect(await refused([a, changed(b, name, () => value)], { validate: false })).toMatch(
        `run 2, ${name}: expected finite`,
      )
    }
    expect(await refused([])).toMatch('expected at least one network')
    for (const statisticsImages of [0, -1, 1.5, NaN]) {
      expect(await refused([a, b], { statisticsImages })).toMatch('statisticsImages')
    }
    const wide: DataSet = { ...tinyData, shape: [2, 7, 7] }
    expect(await refused([a, b], {}, wide)).toMatch('images of 2x7x7')
    const more: DataSet = { ...tinyData, classes: ['a', 'b', 'c', 'd'] }
    expect(await refused([a, b], {}, more)).toMatch('logits of 4 classes')
  })
})

it('tells how far it is, and stops where it is asked to', async () => {
  const told: SoupProgress[] = []
  await cook([a, b], { onProgress: (progress) => told.push(progress) })
  expect(new Set(told.map(({ doing, name }) => `${doing} ${name}`))).toEqual(
    new Set(['validation run 1', 'validation run 2', 'statistics run 2']),
  )
  expect(told.every(({ done, of }) => done > 0 && done <= of)).toBe(true)
  const controller = new AbortController()
  const stop = ({ doing }: SoupProgress): void => {
    if (doing === 'statistics') controller.abort()
  }
  expect(await refused([a, b], { signal: controller.signal, onProgress: stop })).toMatch('a signal to stop')
})
