import { expect, test } from 'vitest'
import { contextOf } from '../../src/ir/graph.ts'
import { allOps, opOf } from '../../src/ir/registry.ts'
import { simplify } from '../../src/passes/simplify.ts'
import { expectRefusal, read, runLawful } from './laws.ts'

test('nothing to simplify is the same graph', () => {
  expectRefusal(simplify, 'input x: float32[2]\ny = Relu(x)\noutput y: float32[2]')
})

const simplifiable: ReadonlyArray<readonly [op: string, body: string, opset?: number]> = [
  ['Clip', 'input x: float32[2]\nconst zero: float32[] = 0\ny = Clip(x, zero)\noutput y: float32[2]'],
]

test.each(simplifiable)('%s', (op, body, opset = 17) => {
  const graph = read(body, opset)
  const after = runLawful(simplify, graph)
  expect(after).not.toBe(graph)
  for (const node of after.nodes) expect(opOf(node).simplify?.(contextOf(after, node), (hint) => hint)).toBeUndefined()
  expect(graph.nodes.some((node) => node.op === op)).toBe(true)
})

test('every operator that simplifies has a case here', () => {
  const missing = allOps.filter((op) => op.simplify).map((op) => op.name).filter((name) => !simplifiable.some(([op]) => op === name))
  expect(missing).toStrictEqual([])
})
