/** Compiling holds no large weight in memory: those of the result are made while they are written, from pieces of the file. */
import * as E from 'fp-ts/lib/Either.js'
import { expect, test } from 'vitest'
import { evaluateGraph } from '../../src/ir/interpret.ts'
import { type Graph, withParts } from '../../src/ir/graph.ts'
import { makeNode } from '../../src/ir/make-node.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { elements, type External, type Tensor, tensorOf } from '../../src/ir/tensor.ts'
import { axisMask, elementMask, type Masks } from '../../src/masks/mask.ts'
import { applyMasks } from '../../src/passes/apply-masks.ts'
import { compile } from '../../src/passes/compile.ts'
import { read, right } from './laws.ts'

const [inputs, hidden] = [600, 800]

/** A weight in a file. */
const weightInFile = (rows: number, columns: number, seed: number): External => {
  const values = Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(seed + i * 0.7) / 20 + 0.06)
  const { bytes } = tensorOf('float32', [rows, columns], values)
  return {
    tag: 'External',
    dtype: 'float32',
    shape: [rows, columns],
    location: `w${seed}`,
    offset: 0,
    length: bytes.length,
    read: (offset, length) => bytes.slice(offset, offset + length),
  }
}

/** Two layers whose numbers are folded, some of whose channels go and some of whose stay for width. */
const network = (): Graph => {
  const graph = read(`
    input x: float32[N,${inputs}]
    y = Identity(x)
    output y: float32[N,${inputs}]`)
  const constants = new Map<string, Tensor>([
    ['a', weightInFile(inputs, hidden, 1)],
    ['b', weightInFile(hidden, inputs, 2)],
    [
      'scale',
      tensorOf(
        'float32',
        [hidden],
        Float32Array.from({ length: hidden }, (_, i) => 1 + (i % 7)),
      ),
    ],
  ])
  const nodes = [
    makeNode(ops.MatMul, ['x', 'a'], ['p']),
    makeNode(ops.Mul, ['p', 'scale'], ['q']),
    makeNode(ops.Relu, ['q'], ['r']),
    makeNode(ops.MatMul, ['r', 'b'], ['y']),
  ]
  return withParts(graph, { nodes, constants })
}

const masksOf = (dead: number): Masks =>
  new Map([
    [
      'a',
      axisMask(
        [inputs, hidden],
        1,
        Uint8Array.from({ length: hidden }, (_, i) => (i < dead ? 0 : 1)),
      ),
    ],
    [
      'b',
      elementMask(
        [hidden, inputs],
        Uint8Array.from({ length: hidden * inputs }, (_, i) => (i % 3 === 0 ? 0 : 1)),
      ),
    ],
  ])

test('a row that is longer than an array can be is an error', () => {
  const taps = 2 ** 33
  const weight: External = {
    tag: 'External',
    dtype: 'float32',
    shape: [2, 1, 2 ** 16, 2 ** 17],
    location: 'w',
    offset: 0,
    length: 2 * 4 * taps,
    read: (_, length) => new Uint8Array(length),
  }
  const graph = read(`
    input x: float32[N,1,H,W]
    y = Identity(x)
    output y: float32[*]`)
  const nodes = [makeNode(ops.Conv, ['x', 'w'], ['y'])]
  const compiled = compile(withParts(graph, { nodes, constants: new Map([['w', weight]]) }), new Map())
  expect(E.isLeft(compiled) && compiled.left).toMatchObject({
    _tag: 'ReadError',
    subject: 'the weights',
    found: `Invalid typed array length: ${4 * taps}`,
  })
})

test.each([
  ['that go', 200],
  ['that stay for width', 1],
])('channels %s', (_, dead) => {
  const graph = network()
  const masked = right(applyMasks(graph, masksOf(dead)))
  const compiled = right(compile(graph, masksOf(dead))).graph
  for (const [name, tensor] of [...masked.constants, ...compiled.constants]) {
    if (tensor.shape.length > 1) expect([name, tensor.tag]).not.toStrictEqual([name, 'Dense'])
  }
  expect(compiled.nodes.map(({ op }) => op)).toStrictEqual(['MatMul', 'Relu', 'MatMul'])
  const x = tensorOf(
    'float32',
    [2, inputs],
    Float32Array.from({ length: 2 * inputs }, (_, i) => Math.cos(i)),
  )
  const outputs = [masked, compiled].map((one) => {
    const y = right(evaluateGraph(one, new Map([['x', x]]))).get('y')
    return Array.from(y === undefined ? [] : elements(y), Number)
  })
  expect(outputs[1]?.length).toBe(2 * inputs)
  outputs[1]?.forEach((y, i) => expect(y).toBeCloseTo(outputs[0]?.[i] ?? NaN, 4))
})
