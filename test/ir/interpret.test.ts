import * as E from 'fp-ts/lib/Either.js'
import { expect, test } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { evaluateGraph } from '../../src/ir/interpret.ts'
import { parse } from '../../src/ir/parse.ts'
import { type Dense, elements, tensorOf } from '../../src/ir/tensor.ts'

const read = (body: string): Graph => {
  const graph = parse(`graph "g" (ir 8, opset 17)\n${body}`)
  if (E.isLeft(graph)) throw new Error(renderError(graph.left))
  return graph.right
}

const graph = read(`input x: float32[N,2]
  input b: float32[2]
  default b: float32[2] = [10, 20]
  const c: float32[2] = gather(float32[3] [1, 2, 3], [2, 0])
  a = Mul(x, c)
  s = Shape(a)
  y = Add(a, b)
  output y: float32[N,2]
  output s: int64[2]`)

const run = (
  g: Graph,
  feeds: Readonly<Record<string, Dense>>,
): string | Readonly<Record<string, ReadonlyArray<number>>> => {
  const values = evaluateGraph(g, new Map(Object.entries(feeds)))
  if (E.isLeft(values)) return renderError(values.left)
  return Object.fromEntries([...values.right].map(([name, value]) => [name, Array.from(elements(value), Number)]))
}

const x = tensorOf('float32', [1, 2], [5, 7])

test('every value, symbolic sizes taken from what is fed', () => {
  expect(run(graph, { x })).toStrictEqual({ x: [5, 7], b: [10, 20], c: [3, 1], a: [15, 7], s: [1, 2], y: [25, 27] })
})

test('a default is for callers to replace', () => {
  expect(run(graph, { x, b: tensorOf('float32', [2], [0, 1]) })).toMatchObject({ y: [15, 8] })
})

test('a missing input', () => {
  expect(run(graph, {})).toBe('input x: expected a tensor, found none. Feed every input of the graph.')
})

test('an operator without reference evaluation', () => {
  expect(run(read('input x: float32[1,2]\ny = Opaque(x) { opType: "Odd" }\noutput y: float32[1,2]'), { x })).toBe(
    'Odd y: expected an operator with a reference evaluation of this case, found Opaque. Run the model in ONNX Runtime instead.',
  )
})
