/** Einsum as exporters write it: it becomes matrix products also where sizes are symbols, and channels go through it. */
import { expect, test } from 'vitest'
import { noMasks } from '../../src/masks/mask.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { simplify } from '../../src/passes/simplify.ts'
import { buildGraph, type GraphBuilder } from '../builder.ts'
import { compareCompiled } from '../fuzz/differential.ts'
import { read, runLawful } from './laws.ts'

/** What an Einsum of operands with these shapes becomes. */
const lowered = (equation: string, ...shapes: ReadonlyArray<string>): ReadonlyArray<string> => {
  const inputs = shapes.map((shape, i) => `input x${i}: float32[${shape}]`).join('\n')
  const names = shapes.map((_, i) => `x${i}`).join(', ')
  const graph = read(`${inputs}\ny = Einsum(${names}) { equation: "${equation}" }\noutput y: float32[*]`)
  return runLawful(simplify, graph).nodes.map(({ op }) => op)
}

test.each([
  ['scores of heads', 'bqhd,bkhd->bhqk', ['B,S,4,8', 'B,T,4,8'], ['Transpose', 'Transpose', 'MatMul']],
  ['context of heads', 'bhqk,bkhd->bqhd', ['B,4,S,T', 'B,T,4,8'], ['Transpose', 'MatMul', 'Transpose']],
  ['out of heads', 'bshd,hde->bse', ['B,S,4,8', '4,8,16'], ['Reshape', 'Reshape', 'MatMul']],
  ['a convolution of one pixel', 'oi,bis->bos', ['16,8', 'B,8,S'], ['MatMul']],
  ['one outer axis', '...i,i->...i', ['B,S,8', '8'], ['Unsqueeze', 'Mul']],
])('%s', (_, equation, shapes, expected) => {
  expect(lowered(equation, ...shapes)).toEqual(expected)
})

test('sizes that may differ are not summed over as equal ones', () => {
  expect(lowered('bk,kd->bd', 'B,S', 'T,4')).toEqual(['Einsum'])
})

test('two axes that a product would merge stay where neither size is known', () => {
  expect(lowered('bmnk,bkl->bmnl', 'B,M,N,4', 'B,4,3')).toEqual(['Einsum'])
})

test('channels of a layer written as Einsum go', async () => {
  const layer = (b: GraphBuilder, x: string, equation: string, weight: string): string =>
    b.op(ops.Einsum, [x, weight], { equation })
  const graph = buildGraph({ x: ['N', 'S', 8] }, (b) => {
    const hidden = layer(b, 'x', 'bse,ef->bsf', b.weight('up', [8, 32], { columns: [0, 3, 5, 6, 7, 9, 20, 31] }))
    const y = layer(b, b.op(ops.Relu, [hidden]), 'bsf,ef->bse', b.weight('down', [8, 32]))
    return [y]
  })
  const { compiled, worst } = await compareCompiled(graph, noMasks)
  expect(worst).toBeLessThan(1e-5)
  expect(compiled.graph.nodes.map(({ op }) => op)).toEqual(['MatMul', 'Relu', 'MatMul'])
  expect(compiled.report.layers.map(({ outputs }) => outputs.after)).toEqual([24, 8])
})
