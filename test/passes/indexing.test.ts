/** Channels through operators that take or write some of them: steps, reversal, assignment to a slice, a constant condition. */
import { describe, expect, test } from 'vitest'
import { noMasks } from '../../src/masks/mask.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { int64s, tensorOf } from '../../src/ir/tensor.ts'
import { buildGraph, type GraphBuilder } from '../builder.ts'
import { compareCompiled } from '../fuzz/differential.ts'

/** Widths of a layer of 12 channels, some of them dead, with `middle` behind it, and of the layer that reads that. */
const widths = async (
  dead: ReadonlyArray<number>,
  width: number,
  middle: (b: GraphBuilder, x: string) => string,
): Promise<{ readonly widths: ReadonlyArray<string>; readonly ops: ReadonlyArray<string> }> => {
  const graph = buildGraph({ x: ['N', 4] }, (b) => {
    const hidden = b.op(ops.Relu, [b.op(ops.MatMul, ['x', b.weight('w0', [4, 12], { columns: dead })])])
    return [b.op(ops.MatMul, [middle(b, hidden), b.weight('w1', [width, 3])])]
  })
  const { compiled, worst } = await compareCompiled(graph, noMasks)
  expect(worst).toBeLessThan(1e-5)
  return {
    widths: compiled.report.layers.map(({ inputs, outputs }) => `${inputs.after} -> ${outputs.after}`),
    ops: compiled.graph.nodes.map(({ op }) => op),
  }
}

const sliced = (b: GraphBuilder, x: string, start: number, end: number, step: number): string =>
  b.op(ops.Slice, [x, b.ints('start', [start]), b.ints('end', [end]), b.ints('axis', [1]), b.ints('step', [step])])

test('what a step leaves out goes', async () => {
  const found = await widths([], 4, (b, x) => sliced(b, x, 1, 12, 3))
  expect(found).toEqual({ widths: ['4 -> 4', '4 -> 3'], ops: ['MatMul', 'Relu', 'MatMul'] })
})

test('reversal stays one', async () => {
  const found = await widths([0, 5, 6, 11], 12, (b, x) => sliced(b, x, -1, -100, -1))
  expect(found).toEqual({ widths: ['4 -> 8', '8 -> 3'], ops: ['MatMul', 'Relu', 'Slice', 'MatMul'] })
})

test('places that no step takes any more are gathered', async () => {
  const found = await widths([4, 9], 18, (b, x) => b.op(ops.Concat, [sliced(b, x, 0, 12, 2), x], { axis: 1 }))
  expect(found).toEqual({ widths: ['4 -> 10', '15 -> 3'], ops: ['MatMul', 'Relu', 'Gather', 'Concat', 'MatMul'] })
})

test('an assignment to a slice', async () => {
  const found = await widths([1, 2, 9], 20, (b, x) => {
    const places = Array.from({ length: 2 * 12 }, (_, k) => [Math.floor(k / 12), 4 + (k % 12)]).flat()
    const grid = b.constant('places', int64s(places, [2, 12, 2]))
    const zeros = b.constant('zeros', tensorOf('float32', [2, 20], new Float64Array(40)))
    const pair = b.op(ops.Reshape, [x, b.ints('pairs', [2, 12])])
    return b.op(ops.ScatterND, [zeros, grid, pair])
  })
  expect(found.widths).toEqual(['4 -> 9', '9 -> 3'])
})

/** Columns `places` of eight computed ones are written over, by `updates`, in front of a layer that does not read all of them. */
const assigned = async (
  places: ReadonlyArray<number>,
  unread: ReadonlyArray<number>,
  updates: (b: GraphBuilder) => string,
): Promise<{ readonly updates: ReadonlyArray<number> | undefined; readonly ops: ReadonlyArray<string> }> => {
  const graph = buildGraph({ x: [2, 4] }, (b) => {
    const data = b.op(ops.Relu, [b.op(ops.MatMul, ['x', b.weight('w0', [4, 8])])])
    const grid = [0, 1].flatMap((row) => places.flatMap((place) => [row, place]))
    const written = b.op(ops.ScatterND, [data, b.constant('places', int64s(grid, [2, places.length, 2])), updates(b)])
    return [b.op(ops.MatMul, [written, b.weight('w1', [8, 3], { rows: unread })])]
  })
  const { compiled, worst } = await compareCompiled(graph, noMasks, { widths: 'raw' })
  expect(worst).toBeLessThan(1e-5)
  const nodes = compiled.graph.nodes
  const scatter = nodes.find(({ op }) => op === 'ScatterND')
  return { updates: compiled.graph.constants.get(scatter?.inputs[2] ?? '')?.shape, ops: nodes.map(({ op }) => op) }
}

describe('an assignment of', () => {
  const various = (b: GraphBuilder): string => b.constant('u', tensorOf('float32', [2, 3], [1, 2, 3, 4, 5, 6]))
  const same = (b: GraphBuilder): string => b.constant('u', tensorOf('float32', [2, 3], [1, 2, 3, 1, 2, 3]))
  const computed = (b: GraphBuilder): string => b.op(ops.Relu, [b.op(ops.MatMul, ['x', b.weight('w2', [4, 3])])])
  test('constants of which some are read', async () => {
    expect((await assigned([5, 0, 2], [0, 7], various)).updates).toEqual([2, 2])
  })
  test('constants of which none are read', async () => {
    expect((await assigned([5, 0, 2], [0, 2, 5], various)).ops).not.toContain('ScatterND')
  })
  test('constants that go into a bias', async () => {
    expect((await assigned([5, 0, 2], [1], same)).ops).not.toContain('ScatterND')
  })
  test('what is computed, of which none is read', async () => {
    expect((await assigned([5, 0, 2], [0, 2, 5], computed)).ops).toEqual(['MatMul', 'Relu', 'MatMul'])
  })
})

test('what two results have from one constant stays the same in both', async () => {
  const graph = buildGraph({ x: [2, 3] }, (b) => {
    const values = b.op(
      ops.TopK,
      [b.constant('c', tensorOf('float32', [2, 3], [1, 2, 3, 6, 5, 4])), b.ints('k', [2])],
      {},
      2,
    )
    return [b.op(ops.MatMul, [b.op(ops.Concat, [values, 'x'], { axis: 1 }), b.weight('w', [5, 2])])]
  })
  expect((await compareCompiled(graph, noMasks)).worst).toBeLessThan(1e-6)
})

test('a constant condition takes one of two branches', async () => {
  const found = await widths([0, 1, 2], 12, (b, x) => {
    const condition = tensorOf('bool', [12], [1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1])
    return b.op(ops.Where, [b.constant('condition', condition), x, b.floats('zero', [0], [])])
  })
  expect(found.widths).toEqual(['4 -> 6', '6 -> 3'])
})
