import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { fixedNames, freshNames, producersOf, usersOf } from '../../src/ir/analysis.ts'
import { renderError } from '../../src/ir/failure.ts'
import { type Graph, type GraphParts, makeGraph, withParts } from '../../src/ir/graph.ts'
import { Concat } from '../../src/ir/ops/concat.ts'
import { Opaque } from '../../src/ir/ops/opaque.ts'
import { Relu } from '../../src/ir/ops/relu.ts'
import { parse } from '../../src/ir/parse.ts'
import { makeNode } from '../../src/ir/make-node.ts'
import { tensorOf } from '../../src/ir/tensor.ts'
import { printType, tensorType, unknownType, type ValueType } from '../../src/ir/type.ts'

const read = (body: string): Graph => {
  const graph = parse(`graph "g" (ir 8, opset 17)\n${body}`)
  if (E.isLeft(graph)) throw new Error(renderError(graph.left))
  return graph.right
}

const graph = read(`uses named
  input x: float32[N,4]
  const c: float32[4] = [1, 2, 3, 4]
  const w: float32[4] = [1, 2, 3, 4]
  a = Add(x, c)
  b = Mul(a, a)
  z = Opaque(b) { opType: "If", captures: [w, a], defines: [inner, inner_1] }
  y = Relu(b)
  output y: float32[N,4]`)

const complaint = (changed: Partial<GraphParts>): string => {
  const made = makeGraph({ ...graph, ...changed })
  return E.isLeft(made) ? `${made.left.subject}: expected ${made.left.expected}, found ${made.left.found}` : 'none'
}

describe('makeGraph', () => {
  const [input] = graph.inputs
  const relu = (from: string, to: string) => makeNode(Relu, [from], [to])
  test.each<readonly [string, Partial<GraphParts>, string]>([
    [
      'two inputs of one name',
      { inputs: [...graph.inputs, ...graph.inputs] },
      'input x: expected one input of this name, found several',
    ],
    [
      'a constant that is an input',
      { constants: new Map([['x', tensorOf('float32', [], [1])]]) },
      'initializer x: expected a name of its own, found a second definition',
    ],
    ['a read of nothing', { nodes: [relu('q', 'y')] }, 'Relu y, input q: expected a value defined earlier, found none'],
    [
      'a capture of nothing',
      { nodes: [makeNode(Opaque, [], ['y'], { opType: 'If', captures: ['q'] })] },
      'If y, input q: expected a value defined earlier, found none',
    ],
    [
      'a node that reads itself',
      { nodes: [relu('y', 'y')] },
      'Relu y, input y: expected a value defined earlier, found none',
    ],
    [
      'two nodes with one output',
      { nodes: [relu('x', 'y'), relu('x', 'y')] },
      'Relu y, output y: expected a name of its own, found a second definition',
    ],
    ['an output of nothing', { nodes: [] }, 'graph output y: expected a value of the graph, found none'],
  ])('refuses %s', (_what, changed, expected) => {
    expect(input?.name).toBe('x')
    expect(complaint(changed)).toBe(expected)
  })

  test('omitted ports are no values', () => {
    const clip = read(
      'input x: float32[2]\nconst most: float32[] = 1\ny, _ = Dropout(x)\nz = Clip(y, _, most)\noutput z: float32[2]',
    )
    expect([...clip.types.keys()]).toStrictEqual(['x', 'most', 'y', 'z'])
    expect(usersOf(clip).has('')).toBe(false)
  })

  test('a node whose operands make no sense is an error, or what it is demoted to', () => {
    const parts = { ...graph, inputs: [{ name: 'x', type: tensorType('float32', ['N', 3]) }] }
    expect(E.isLeft(makeGraph(parts))).toBe(true)
    const demoted = makeGraph(parts, (node, reason) =>
      makeNode(Opaque, node.inputs, node.outputs, { opType: node.op, reason }),
    )
    if (E.isLeft(demoted)) throw new Error(renderError(demoted.left))
    expect(demoted.right.nodes.map((node) => node.op)).toStrictEqual(['Opaque', 'Opaque', 'Opaque', 'Opaque'])
    expect(demoted.right.types.get('a')).toStrictEqual(unknownType)
  })
})

describe('types', () => {
  const typeOf = (body: string, name: string): string => {
    const made = read(body)
    return printType(made.types.get(name) ?? unknownType)
  }

  test.each<readonly [string, string, string]>([
    [
      'a declaration fills in what inference does not know',
      'hint y: float32[2,?]\ninput x: float32[*]\ny = Relu(x)',
      'float32[2,?]',
    ],
    ['size by size', 'hint y: float32[7,5]\ninput x: float32[?,4]\ny = Relu(x)', 'float32[7,4]'],
    ['it never overrides a size', 'hint y: float32[3]\ninput x: float32[2]\ny = Relu(x)', 'float32[2]'],
    ['nor a symbol', 'hint y: float32[3]\ninput x: float32[N]\ny = Relu(x)', 'float32[N]'],
    ['nor the rank', 'hint y: float32[3,3]\ninput x: float32[?]\ny = Relu(x)', 'float32[?]'],
    ['nor the element type', 'hint y: float16[3]\ninput x: float32[?]\ny = Relu(x)', 'float32[?]'],
    [
      'of an opaque node it is all there is',
      'hint y: float16[3]\ninput x: float32[?]\ny = Opaque(x) { opType: "Odd" }',
      'float16[3]',
    ],
  ])('%s', (_what, body, expected) => {
    expect(typeOf(body, 'y')).toBe(expected)
  })

  test('unknown sizes have symbols of their own, and element-wise operators pass them on', () => {
    const made = read('input x: float32[?,?]\ny = Relu(x)\noutput y: float32[?,?]')
    const shape = (type: ValueType | undefined) => (type?.kind === 'tensor' ? type.shape : undefined)
    expect(shape(made.types.get('x'))).toStrictEqual(['?x.0', '?x.1'])
    expect(shape(made.types.get('y'))).toStrictEqual(['?x.0', '?x.1'])
  })

  test('known elements of shapes, not of anything large', () => {
    const made = read(`input x: float32[N,4]
      const one: int64[] = 1
      s = Shape(x)
      n = Gather(s, one)
      output n: int64[]`)
    expect([...made.contents]).toStrictEqual([
      ['s', ['N', 4]],
      ['n', [4]],
    ])
  })
})

describe('withParts', () => {
  test('derives types anew, and a malformed result is our bug', () => {
    const other = withParts(graph, { inputs: [{ name: 'x', type: tensorType('float32', [5, 4]) }] })
    expect(printType(other.types.get('y') ?? unknownType)).toBe('float32[5,4]')
    expect(() => withParts(graph, { nodes: [] })).toThrow(
      'graph output y: expected a value of the graph, found none. Please report this as a bug.',
    )
  })

  const open = read(`input x: float32[?,4]
    input t: float32[3,4]
    y = Concat(x, t) { axis: 1 } name "both" meta "MgFk"
    z = Add(y, y)
    output z: float32[?,?]`)
  const inputs = (...shape: ReadonlyArray<number>) => [
    { name: 'x', type: tensorType('float32', shape) },
    ...open.inputs.slice(1),
  ]

  test('a node that could never work, which shows only when more is known of its operands, becomes opaque', () => {
    const known = withParts(open, { inputs: inputs(2, 4) })
    expect(known.nodes.map((node) => node.op)).toStrictEqual(['Opaque', 'Add'])
    expect(known.nodes[0]).toMatchObject({
      inputs: ['x', 't'],
      outputs: ['y'],
      name: 'both',
      attrs: {
        opType: 'Concat',
        payload: Uint8Array.of(50, 1, 100),
        attributes: new Map([['axis', { kind: 'int', value: 1n }]]),
        reason: 'inputs differ in size along axis 0: 2, 3',
      },
    })
    expect(known.types.get('y')).toStrictEqual(open.types.get('y'))
    expect(withParts(known, { outputs: [] }).nodes).toStrictEqual(known.nodes)
  })

  test('under other names, too', () => {
    const other = (name: string): string => (name === 'y' ? 'u' : name)
    const nodes = open.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(other),
      outputs: node.outputs.map(other),
    }))
    expect(withParts(open, { inputs: inputs(2, 4), nodes }).nodes.map((node) => node.op)).toStrictEqual([
      'Opaque',
      'Add',
    ])
  })

  test('a node that contradicts what was known is our bug, and so is one that was not there', () => {
    expect(() => withParts(open, { inputs: inputs(2, 5) })).toThrow('invariant broken: Concat both')
    const [both, sum] = open.nodes
    const added = makeNode(Concat, ['t', 'x'], ['v'], { axis: 1 })
    const nodes = [both, added, sum].flatMap((node) => node ?? [])
    expect(withParts(open, { nodes }).nodes).toHaveLength(3)
    expect(() => withParts(open, { inputs: inputs(2, 4), nodes })).toThrow('invariant broken: Concat v')
  })
})

describe('analyses', () => {
  test('who defines and who reads a value, captures included, each reader once', () => {
    const [a, b, z, y] = graph.nodes
    expect([...producersOf(graph)]).toStrictEqual([
      ['a', a],
      ['b', b],
      ['z', z],
      ['y', y],
    ])
    expect([...usersOf(graph)]).toStrictEqual([
      ['x', [a]],
      ['c', [a]],
      ['a', [b, z]],
      ['b', [z, y]],
      ['w', [z]],
    ])
    expect(usersOf(graph)).toBe(usersOf(graph))
  })

  test('names that stay: inputs, outputs, captures, and what preserved parts name', () => {
    expect([...fixedNames(graph)].sort()).toStrictEqual(['a', 'named', 'w', 'x', 'y'])
  })

  test('new names are new, in subgraphs too, and the same each time', () => {
    const names = (hints: ReadonlyArray<string>): ReadonlyArray<string> => hints.map(freshNames(graph))
    expect(names(['new', 'new', 'a', 'inner', 'named', 'c'])).toStrictEqual([
      'new',
      'new_1',
      'a_1',
      'inner_2',
      'named_1',
      'c_1',
    ])
    expect(names(['new'])).toStrictEqual(['new'])
  })
})
