import { expect, test } from 'vitest'
import { contextOf } from '../../src/ir/graph.ts'
import { allOps, opOf } from '../../src/ir/registry.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { simplify } from '../../src/passes/simplify.ts'
import { compareCompiled } from '../fuzz/differential.ts'
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

test('sizes are written as scales only where ONNX and its runtime count as many elements of these', async () => {
  // 9 / 5 is less in float32 than it is: of 5 elements it makes 9 in float32, 8 before that is rounded.
  const ratios = Array.from({ length: 12 * 12 }, (_, i) => [1 + Math.floor(i / 12), 1 + (i % 12)] as const)
  const written = await Promise.all(
    ratios.map(async ([from, to]) => {
      const graph = read(`${target(`N,1,${from},2`, 2, `${to}, 2`)}
        const c: float32[1,1,${to},1] = [${Array.from({ length: to }, (_, i) => i + 1).join(', ')}]
        r = Resize(x, _, _, t) { mode: "linear" }
        y = Mul(r, c)
        output y: float32[N,1,${to},2]`)
      const { compiled, worst } = await compareCompiled(graph, noMasks)
      expect(worst).toBeLessThan(1e-6)
      return compiled.graph.nodes.length === 2
    }),
  )
  expect(written[ratios.findIndex(([from, to]) => from === 5 && to === 9)]).toBe(false)
  expect(written.filter(Boolean).length).toBeGreaterThan(100)
})

test.each(['Resize(x, _, s)', 'Upsample(x, s)'])('of such scales no size is known: %s', (node) => {
  const body = `input x: float32[1,1,5,5]\nconst s: float32[4] = [1, 1, 1.8, 2]\ny = ${node}\noutput y: float32[*]`
  const type = read(body, node.startsWith('Up') ? 9 : 17).types.get('y')
  expect(type).toMatchObject({ shape: [1, 1, expect.any(String), 10] })
})

test('every operator that simplifies has a case here', () => {
  const missing = allOps
    .filter((op) => op.simplify)
    .map((op) => op.name)
    // Those that are several others in one are in fused-operators.test.ts.
    .filter((name) => !name.includes('.') && name !== 'Attention' && !simplifiable.some(([op]) => op === name))
  expect(missing).toStrictEqual([])
})
