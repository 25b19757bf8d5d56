import { expect, test } from 'vitest'
import { contextOf } from '../../src/ir/graph.ts'
import { allOps, opOf } from '../../src/ir/registry.ts'
import { simplify } from '../../src/passes/simplify.ts'
import { expectRefusal, read, runLawful, write } from './laws.ts'

test('nothing to simplify is the same graph', () => {
  expectRefusal(simplify, 'input x: float32[2]\ny = Relu(x)\noutput y: float32[2]')
})

/** `x` and the first `n` elements of its shape, which are no constants, followed by `tail`. */
const target = (shape: string, n: number, tail: string): string => `
  input x: float32[${shape}]
  const first: int64[${n}] = [${Array.from({ length: n }, (_, i) => i).join(', ')}]
  const tail: int64[${tail.split(',').length}] = [${tail}]
  s = Shape(x)
  head = Gather(s, first)
  t = Concat(head, tail) { axis: 0 }`

/** For each operator that simplifies a graph in which it does, and what becomes of it. */
const simplifiable: ReadonlyArray<readonly [op: string, body: string, after: string]> = [
  [
    'Einsum',
    'input x: float32[N,S,6]\ninput w: float32[4,5,6]\ny = Einsum(x, w) { equation: "bse,hde->bshd" }\noutput y: float32[N,S,4,5]',
    'const   y_shape_1: int64[4] = [0, 0, 4, 5]\n',
  ],
  [
    'Expand',
    `${target('N,3,1', 1, '3, 4')}\ny = Expand(x, t)\noutput y: float32[N,3,4]`,
    'const   y_shape: int64[3] = [1, 1, 4]\n',
  ],
  [
    'Reshape',
    `${target('N,3,4', 1, '12')}\ny = Reshape(x, t)\noutput y: float32[N,12]`,
    'const   y_shape: int64[2] = [0, 12]\n',
  ],
  [
    'Resize',
    `${target('N,2,3,3', 2, '6, 9')}\ny = Resize(x, _, _, t) { mode: "nearest" }\noutput y: float32[N,2,6,9]`,
    'const   y_scales: float32[4] = [1, 1, 2, 3]\n',
  ],
  ...(
    [
      ['GRU', 3],
      ['LSTM', 4],
      ['RNN', 1],
    ] as const
  ).map(([op, gates]): readonly [string, string, string] => [
    op,
    `input x: float32[T,1,3]
     const w: float32[1,${2 * gates},3] = elided(0123456789abcdef)
     const r: float32[1,${2 * gates},2] = elided(0123456789abcdee)
     const h: float32[1,1,2] = [0, 0]
     y = ${op}(x, w, r, _, _, h) { hidden_size: 2 }
     output y: float32[T,1,1,2]`,
    `y = ${op}(x, w, r) { hidden_size: 2 }`,
  ]),
]

test.each(simplifiable)('%s', (op, body, expected) => {
  const graph = read(body)
  const after = runLawful(simplify, graph)
  expect(graph.nodes.at(-1)?.op).toBe(op)
  expect(write(after)).toContain(expected)
  for (const node of after.nodes) expect(opOf(node).simplify?.(contextOf(after, node), (hint) => hint)).toBeUndefined()
})

test('every operator that simplifies has a case here', () => {
  const missing = allOps
    .filter((op) => op.simplify)
    .map((op) => op.name)
    // Those that are several others in one are in fused-operators.test.ts.
    .filter((name) => !name.includes('.') && name !== 'Attention' && !simplifiable.some(([op]) => op === name))
  expect(missing).toStrictEqual([])
})
