import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { checkGraph, noHiddenConstants, type Spec } from '../../src/ir/check.ts'
import type { Graph } from '../../src/ir/graph.ts'
import type { Node } from '../../src/ir/op.ts'
import { parse } from '../../src/ir/parse.ts'
import { dense, type External, gather, type Tensor, tensorOf } from '../../src/ir/tensor.ts'
import { tensorType, type ValueType } from '../../src/ir/type.ts'

const read = (body: string, opset = 17): Graph => {
  const graph = parse(`graph "g" (ir 8, opset ${opset})\n${body}`)
  if (E.isLeft(graph)) throw new Error(graph.left.subject)
  return graph.right
}

const graph = read(`input x: float32[N,3]
  input s: float32[3]
  default s: float32[3] = [1, 2, 3]
  const c: float32[3] = [1, 2, 3]
  const to: int64[2] = [-1, 3]
  h = Shape(x)
  a = Add(x, c)
  b = Reshape(a, to)
  y = LeakyRelu(b) { alpha: 0.5f }
  output y: float32[N,3]`)

const verdict = (g: Graph, ...specs: ReadonlyArray<Spec>): string => {
  const checked = checkGraph(g, specs)
  if (E.isRight(checked)) return checked.right === g ? 'fine' : 'another graph'
  return `${checked.left.subject}: expected ${checked.left.expected}, found ${checked.left.found}`
}

test('a graph that makeGraph made is fine', () => {
  expect(verdict(graph)).toBe('fine')
})

const withConstant = (tensor: Tensor): Graph => ({ ...graph, constants: new Map([...graph.constants, ['c', tensor]]) })
const withNode = (at: number, change: (node: Node) => Node): Graph => ({
  ...graph,
  nodes: graph.nodes.map((node, i) => (i === at ? change(node) : node)),
})
const withType = (name: string, type: ValueType): Graph => ({
  ...graph,
  types: new Map([...graph.types, [name, type]]),
})
const floats = tensorOf('float32', [3], [1, 2, 3])
const picked = gather(tensorOf('float32', [5], [1, 2, 3, 4, 5]), 0, Int32Array.of(0, 1, 4))
if (picked.tag !== 'Gather') throw new Error('not a selection')
const external: External = {
  tag: 'External',
  dtype: 'float32',
  shape: [3],
  location: 'w',
  offset: 0,
  length: 8,
  read: () => new Uint8Array(),
}

describe('finds', () => {
  test.each<readonly [what: string, broken: Graph, complaint: string]>([
    [
      'an operator nobody knows',
      withNode(1, (node) => ({ ...node, op: 'Ad' })),
      'node : expected an operator of the registry, found Ad',
    ],
    [
      'an opset that its operator does not cover',
      { ...graph, opsets: new Map([['', 4]]) },
      'Add a: expected an opset from 7 to Infinity, found opset 4',
    ],
    [
      'attributes of another operator',
      withNode(3, (node) => ({ ...node, attrs: {} })),
      'LeakyRelu y: expected attributes that can be written, found attribute alpha of LeakyRelu is not one chasec models',
    ],
    [
      'a use before the definition',
      { ...graph, nodes: graph.nodes.toReversed() },
      'LeakyRelu y, input b: expected a value defined earlier, found none',
    ],
    [
      'two definitions',
      withNode(3, (node) => ({ ...node, outputs: ['a'] })),
      'LeakyRelu a, output a: expected a name of its own, found a second definition',
    ],
    [
      'operands that do not fit',
      withNode(1, (node) => ({ ...node, inputs: ['x', 'to'] })),
      'Add a: expected operands it can work on, found ',
    ],
    [
      'an output that nothing computes',
      { ...graph, outputs: [{ name: 'z', type: tensorType('float32', []) }] },
      'graph output z: expected a value of the graph, found none',
    ],
    [
      'two outputs of one name',
      { ...graph, outputs: [...graph.outputs, ...graph.outputs] },
      'graph output y: expected one output of this name, found several',
    ],
    [
      'a declared output that contradicts',
      { ...graph, outputs: [{ name: 'y', type: tensorType('float32', ['N', 4]) }] },
      'graph output y: expected float32[N,4], found float32[N,3]',
    ],
    [
      'another element type of an output',
      { ...graph, outputs: [{ name: 'y', type: tensorType('float16', ['N', 3]) }] },
      'graph output y: expected float16[N,3], found float32[N,3]',
    ],
    [
      'a stored type that does not follow',
      withType('a', tensorType('float32', ['N', 4])),
      'value a: expected the type float32[N,3], found float32[N,4]',
    ],
    [
      'a stored type that is missing',
      { ...graph, types: new Map([...graph.types].filter(([name]) => name !== 'y')) },
      'value y: expected the type float32[N,3], found none',
    ],
    [
      'a stored type of nothing',
      withType('ghost', tensorType('float32', [])),
      'value ghost: expected no type and no contents, found some',
    ],
    [
      'stored contents that do not follow',
      { ...graph, contents: new Map([['h', ['N', 4]]]) },
      'value h: expected the elements N,3, found N,4',
    ],
    [
      'stored contents that are missing',
      { ...graph, contents: new Map() },
      'value h: expected the elements N,3, found none',
    ],
    [
      'stored contents of nothing',
      { ...graph, contents: new Map([...graph.contents, ['ghost', [1]]]) },
      'value ghost: expected no type and no contents, found some',
    ],
    [
      'a default of nothing',
      { ...graph, defaults: new Map([['q', floats]]) },
      'default q: expected a graph input of this name, found none',
    ],
    [
      'a default that does not fit',
      { ...graph, defaults: new Map([['s', tensorOf('float32', [2], [1, 2])]]) },
      'default s: expected float32[3], found float32[2]',
    ],
    [
      'a shape that is none',
      withConstant({ ...floats, shape: [1.5, 2] }),
      'constant c: expected sizes from 0 up, found [1.5,2]',
    ],
    ['too few bytes', withConstant({ ...floats, bytes: new Uint8Array(8) }), 'constant c: expected 12 bytes, found 8'],
    ['too short a range of a file', withConstant(external), 'constant c: expected 12 bytes, found 8'],
    [
      'too few strings',
      withConstant({ ...floats, dtype: 'string', bytes: new Uint8Array(), strings: [] }),
      'constant c: expected 3 strings, found 0',
    ],
    [
      'an index out of range',
      withConstant({ ...picked, indices: [Int32Array.of(0, 1, 5)] }),
      'constant c: expected indices below 5 on axis 0, found 5',
    ],
    [
      'a selection of another shape',
      withConstant({ ...picked, shape: [4] }),
      'constant c: expected 3 indices on axis 0, found shape [4]',
    ],
    [
      'a selection of another type',
      withConstant({ ...picked, dtype: 'float16' }),
      'constant c: expected a selection from float32 of rank 1, found float16[3]',
    ],
    [
      'a selection from too few bytes',
      withConstant({ ...picked, source: { ...floats, shape: [5] } }),
      'constant c, source: expected 20 bytes, found 12',
    ],
  ])('%s', (_what, broken, complaint) => {
    expect(verdict(broken).slice(0, complaint.length)).toBe(complaint)
  })

  test('a broken tensor among attributes', () => {
    const constant = read('y = Constant() { value: tensor float32[1] [1] }\noutput y: float32[1]')
    const broken = {
      ...constant,
      nodes: constant.nodes.map((node): Node => ({
        ...node,
        attrs: {
          ...Object(node.attrs),
          value: { ...dense('float32', [1], new Uint8Array(4)), bytes: new Uint8Array(2) },
        },
      })),
    }
    expect(verdict(broken)).toBe('Constant y, attribute value: expected 4 bytes, found 2')
  })
})

describe('noHiddenConstants', () => {
  test.each<readonly [string, string, string]>([
    [
      'a Constant node',
      'y = Constant() { value_float: 1f }\noutput y: float32[]',
      'Constant y: expected an initializer, found a Constant node',
    ],
    [
      'an idle Identity',
      'input x: float32[2]\na = Identity(x)\ny = Relu(a)\noutput y: float32[2]',
      'Identity a: expected no Identity of which the name can change, found one',
    ],
    [
      'an Identity that guards the name of an output',
      'input x: float32[2]\ny = Identity(x)\noutput y: float32[2]',
      'fine',
    ],
    [
      'an Identity that says more than its input',
      'input x: float32[?]\nhint a: float32[2]\na = Identity(x)\ny = Relu(a)\noutput y: float32[2]',
      'fine',
    ],
  ])('%s', (_what, body, complaint) => {
    expect(verdict(read(body), noHiddenConstants)).toBe(complaint)
  })
})
