/** What goes from attention: heads, places within heads, and both at once; each result runs like the masked model. */
import { describe, expect, test } from 'vitest'
import type { Graph } from '../../src/ir/graph.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { buildGraph, type GraphBuilder, type Zeros } from '../builder.ts'
import { compareCompiled } from '../fuzz/differential.ts'

/** Runs masked and compiled model; the widths of layers by name. */
const compiled = async (graph: Graph) => {
  const { compiled, worst } = await compareCompiled(graph, noMasks, { target: 'cpu' })
  expect(worst).toBeLessThan(1e-5)
  const layers = new Map(compiled.report.layers.map((layer) => [layer.weight, layer]))
  const width = (weight: string): string => {
    const found = layers.get(weight)
    return `${found?.inputs.after} -> ${found?.outputs.after}`
  }
  return { graph: compiled.graph, width, report: compiled.report }
}

const heads = 4
const places = 8
const width = heads * places

/** The channels of some heads, or of some places in every head. */
const ofHeads = (...which: number[]): number[] =>
  which.flatMap((h) => Array.from({ length: places }, (_, p) => h * places + p))
const ofPlaces = (...which: number[]): number[] =>
  Array.from({ length: heads }, (_, h) => which.map((p) => h * places + p)).flat()

const linear = (
  b: GraphBuilder,
  name: string,
  x: string,
  [ins, outs]: readonly [number, number],
  zeros: Zeros = {},
): string => b.op(ops.MatMul, [x, b.weight(name, [ins, outs], zeros)])

const split = (b: GraphBuilder, name: string, x: string, perm: ReadonlyArray<number> = [0, 2, 1, 3]): string =>
  b.op(ops.Transpose, [b.op(ops.Reshape, [x, b.ints(`${name}.heads`, [0, 0, heads, places])])], { perm })

const merge = (b: GraphBuilder, name: string, x: string): string =>
  b.op(ops.Reshape, [b.op(ops.Transpose, [x], { perm: [0, 2, 1, 3] }), b.ints(`${name}.merged`, [0, 0, width])])

describe('an axis split into heads and places', () => {
  test('loses heads and places at once', async () => {
    const { width: wide } = await compiled(
      buildGraph({ x: ['N', 5, 16] }, (b) => {
        const gone = { columns: [...ofHeads(1), ...ofPlaces(2, 3, 6, 7)] }
        const x = b.op(ops.Relu, [split(b, 'x', linear(b, 'in', 'x', [16, width], gone))])
        return [linear(b, 'out', merge(b, 'x', x), [width, 16])]
      }),
    )
    expect([wide('in'), wide('out')]).toEqual(['16 -> 12', '12 -> 16'])
  })
})
