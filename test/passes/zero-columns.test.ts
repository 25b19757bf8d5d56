/** Layers of integers do not read channels that are zero before a node rounds them by their range. */
import { expect, test } from 'vitest'
import { elements } from '../../src/ir/tensor.ts'
import { zeroColumns } from '../../src/passes/zero-columns.ts'
import { read, right, runLawful } from './laws.ts'

const layer = (body: string, factor = '[1, 0, 2, 0]', more = ''): string => `
  input x: float32[2,4]
  const f: float32[4] = ${factor}
  const w: uint8[4,2] = [1, 2, 3, 4, 5, 6, 7, 8]
  const wz: uint8[2] = [5, 6]
  h = Mul(x, f)
  q, s, z = DynamicQuantizeLinear(h)
  ${body}
  output y: int32[2,2]
  ${more}`

const weightsOf = (graph: ReturnType<typeof read>): ReadonlyArray<ReadonlyArray<number>> =>
  graph.nodes.flatMap(({ op, inputs }) => {
    const tensor = graph.constants.get(inputs[1] ?? '')
    return op !== 'MatMulInteger' || tensor === undefined ? [] : [Array.from(elements(tensor), Number)]
  })

test('the weights of such channels become what stands for zero', () => {
  const graph = read(layer('y = MatMulInteger(q, w, z, wz)'))
  const after = runLawful(zeroColumns, graph)
  expect(weightsOf(after)).toEqual([[1, 2, 5, 6, 5, 6, 5, 6]])
  expect(right(zeroColumns.run(after))).toBe(after)
})

test('a weight that another layer reads too is changed for this one alone', () => {
  const more = `input other: uint8[2,4]
  a = MatMulInteger(other, w, _, wz)
  output a: int32[2,2]`
  const graph = read(layer('y = MatMulInteger(q, w, z, wz)', '[1, 0, 2, 3]', more))
  expect(weightsOf(runLawful(zeroColumns, graph))).toEqual([
    [1, 2, 5, 6, 5, 6, 7, 8],
    [1, 2, 3, 4, 5, 6, 7, 8],
  ])
})

test.each([
  ['no channel is zero', 'y = MatMulInteger(q, w, z, wz)', '[1, 1, 2, 3]', ''],
  ['the layer takes another number off', 'y = MatMulInteger(q, w, o, wz)', '[1, 0, 2, 0]', 'input o: uint8[]'],
  ['something is between', 'r = Transpose(q) { perm: [0, 1] }\n  y = MatMulInteger(r, w, z, wz)', '[1, 0, 2, 0]', ''],
  ['nothing is taken off', 'y = MatMulInteger(q, w, _, wz)', '[1, 0, 2, 0]', ''],
])('nothing changes where %s', (_, body, factor, more) => {
  const graph = read(`${more}${layer(body, factor)}`)
  expect(right(zeroColumns.run(graph))).toBe(graph)
})

test('a constant that is not zero is read', () => {
  const graph = read(`
    input x: float32[2,2]
    const c: float32[2,2] = [3, 0, 3, 0]
    const w: uint8[4,2] = [1, 2, 3, 4, 5, 6, 7, 8]
    h = Concat(x, c) { axis: 1 }
    q, s, z = DynamicQuantizeLinear(h)
    y = MatMulInteger(q, w, z)
    output y: int32[2,2]`)
  expect(weightsOf(runLawful(zeroColumns, graph))).toEqual([[1, 2, 3, 4, 5, 6, 0, 0]])
})
