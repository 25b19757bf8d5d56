/** The size of what each output of a layer reads, however its weight lies in memory. */
import { describe, expect, it } from 'vitest'
import { readsOfContraction } from '../../src/ir/families/contraction.ts'
import { layoutOf, rowSums } from '../../src/ir/families/weights.ts'
import { contextOf } from '../../src/ir/graph.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { opOf } from '../../src/ir/registry.ts'
import { elementReader } from '../../src/ir/tensor.ts'
import { buildGraph, type GraphBuilder } from '../builder.ts'

const layers: ReadonlyArray<readonly [string, (b: GraphBuilder) => string]> = [
  ['Conv', (b) => b.op(ops.Conv, ['image', b.weight('w', [5, 6, 3, 3])])],
  ['Conv of one place', (b) => b.op(ops.Conv, ['image', b.weight('w', [5, 6, 1, 1])])],
  ['Conv in groups', (b) => b.op(ops.Conv, ['image', b.weight('w', [4, 3, 3, 3])], { group: 2 })],
  ['ConvTranspose', (b) => b.op(ops.ConvTranspose, ['image', b.weight('w', [6, 5, 3, 3])])],
  ['ConvTranspose of one place', (b) => b.op(ops.ConvTranspose, ['image', b.weight('w', [6, 5, 1, 1])])],
  ['ConvTranspose in groups', (b) => b.op(ops.ConvTranspose, ['image', b.weight('w', [6, 2, 3, 3])], { group: 3 })],
  ['MatMul', (b) => b.op(ops.MatMul, ['rows', b.weight('w', [6, 5])])],
  ['Gemm', (b) => b.op(ops.Gemm, ['rows', b.weight('w', [5, 6])], { transB: 1 })],
]

describe('sums over rows', () => {
  it.each(layers)('of %s', (_, layer) => {
    const graph = buildGraph({ image: [2, 6, 8, 8], rows: [7, 6] }, (b) => [layer(b)])
    const node = graph.nodes.at(-1)
    if (node === undefined) throw new Error('a layer')
    const ctx = contextOf(graph, node)
    const contraction = opOf(node).contraction?.(ctx)
    if (contraction === undefined) throw new Error('a contraction')
    const reads = readsOfContraction(ctx, contraction)
    const { taps, start } = layoutOf(reads.weight.shape, contraction, reads)
    const at = elementReader(reads.weight)
    const expected = Array.from({ length: reads.outputs }, (__, output) => {
      const perGroup = reads.outputs / contraction.groups
      const [group, row] = [Math.floor(output / perGroup), output % perGroup]
      let sum = 0
      for (let input = 0; input < reads.inputsPerGroup; input++) {
        const begin =
          contraction.grouped === 'output' ? start(row, group * reads.inputsPerGroup + input) : start(output, input)
        for (let tap = 0; tap < taps; tap++) sum += Math.abs(at(begin + tap))
      }
      return sum
    })
    expect([...rowSums(reads)]).toEqual(expected.map((sum): unknown => expect.closeTo(sum, 12)))
  })
})
