/** Mixtures of experts of which some are dead: by their own weights, or by gates that never let them through. */
import { describe, expect, test } from 'vitest'
import type { Graph } from '../../src/ir/graph.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { buildGraph, type GraphBuilder } from '../builder.ts'
import { compareCompiled } from '../fuzz/differential.ts'

const [width, hidden, experts] = [16, 48, 4]

type Gates = (b: GraphBuilder) => string

/** `Σ_e gates_e(x) · Relu(x A_e) B_e`, each expert by itself; of those that are dead B_e is zero. */
const mixture = (gates: Gates, dead: ReadonlyArray<number>): Graph =>
  buildGraph({ x: ['N', width] }, (b) => {
    const shares = gates(b)
    const all = Array.from({ length: width * hidden }, (_, i) => i)
    const terms = Array.from({ length: experts }, (_, e) => {
      const inner = b.op(ops.Relu, [b.op(ops.MatMul, ['x', b.weight(`first${e}`, [width, hidden])])])
      const made = b.op(ops.MatMul, [
        inner,
        b.weight(`second${e}`, [hidden, width], { rows: dead.includes(e) ? all : [] }),
      ])
      return b.op(ops.Mul, [made, b.op(ops.Gather, [shares, b.ints(`at${e}`, [e])], { axis: 1 })])
    })
    return [terms.reduce((sum, term) => b.op(ops.Add, [sum, term]))]
  })

const softmax: Gates = (b) =>
  b.op(ops.Softmax, [b.op(ops.MatMul, ['x', b.weight('gate', [width, experts])])], { axis: 1 })

/** The two largest shares of a row, zeros in the place of the others. */
const topTwo: Gates = (b) => {
  const shares = softmax(b)
  b.op(ops.TopK, [shares, b.ints('two', [2])], { axis: 1 }, 2)
  const zeros = b.op(ops.Mul, [shares, b.floats('zero', [0], [])])
  return b.op(ops.ScatterElements, [zeros, 'topK0.1', 'topK0.0'], { axis: 1 })
}

/** Gates of which two are 0 for any input. */
const closed: Gates = (b) =>
  b.op(ops.Relu, [b.op(ops.MatMul, ['x', b.weight('gate', [width, experts], { columns: [0, 3] })])])

const left = (graph: Graph): ReadonlyArray<string> =>
  [...graph.constants.keys()].filter((name) => /^(first|second)/.test(name)).sort()

describe('experts that are dead are not computed', () => {
  test.each([
    ['whose weights are zero, behind a softmax', softmax, [1, 2], [0, 3]],
    ['whose weights are zero, of which the two best are added', topTwo, [1], [0, 2, 3]],
    ['whose gates are zero', closed, [], [1, 2]],
  ])('%s', async (_, gates, dead, alive) => {
    const { compiled, worst } = await compareCompiled(mixture(gates, dead), noMasks)
    expect(worst).toBeLessThan(1e-5)
    expect(left(compiled.graph)).toEqual(['first', 'second'].flatMap((name) => alive.map((e) => `${name}${e}`)))
  })

  test('but one that is alive is, whatever the others are', async () => {
    const { compiled } = await compareCompiled(mixture(softmax, [0, 1, 2]), noMasks)
    expect(left(compiled.graph)).toEqual(['first3', 'second3'])
    // What the shares add up to needs all of them.
    expect(compiled.graph.constants.get('gate')?.shape).toEqual([width, experts])
  })
})
