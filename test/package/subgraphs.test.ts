/** Loops and branches: their bodies are compiled as graphs of their own, and compute what they did. */
import * as E from 'fp-ts/lib/Either.js'
import * as ort from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { compile } from '../../src/package/compile.ts'
import { lower } from '../../src/export/lower.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { isOpaque } from '../../src/ir/registry.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { AttributeProto_AttributeType as Type, NodeProtoSchema } from '../../src/onnx/onnx_pb.ts'
import { decode } from '../../src/onnx/codec.ts'
import { subgraphsOf } from '../../src/read/captures.ts'
import { orThrow } from '../fuzz/differential.ts'
import { normals, uniforms } from '../inflate.ts'
import { floats, type GraphInit, info, modelBytes, node, read, subgraph, type TensorInit } from '../read/make.ts'

/** A float matrix, some columns zero. */
const matrix = (name: string, rows: number, columns: number, dead: ReadonlyArray<number> = []): TensorInit => {
  const normal = normals(uniforms(rows * 31 + columns))
  const values = Float32Array.from({ length: rows * columns }, (_, i) =>
    dead.includes(i % columns) ? 0 : 0.3 * normal(),
  )
  return { name, dims: [BigInt(rows), BigInt(columns)], dataType: 1, rawData: new Uint8Array(values.buffer) }
}

const scalar = (name: string, value: bigint): TensorInit => ({ name, dims: [], dataType: 7, int64Data: [value] })
const truth = (name: string, value: boolean): TensorInit => ({
  name,
  dims: [],
  dataType: 9,
  int32Data: [value ? 1 : 0],
})

/** A perceptron from `x` to `y` whose names begin with `p`; its weights are initializers called `up` and `down`. */
const perceptron = (p: string, x: string, y: string) => [
  node('MatMul', [x, 'up'], [`${p}a`], { name: `${p}up` }),
  node('Relu', [`${p}a`], [`${p}b`], { name: `${p}relu` }),
  node('MatMul', [`${p}b`, 'down'], [y], { name: `${p}down` }),
]

const dead = [0, 3, 4, 9, 12, 13]
const weights = [matrix('up', 4, 16, dead), matrix('down', 16, 4)]

const run = async (graph: Graph, feeds: Record<string, ort.Tensor>): Promise<ReadonlyArray<number>> => {
  const session = await ort.InferenceSession.create(orThrow(lower(graph)).model, { logSeverityLevel: 3 })
  const results = await session.run(feeds)
  await session.release()
  const { y } = results
  return y?.data instanceof Float32Array ? [...y.data] : []
}

const x = new ort.Tensor('float32', [0.5, -1, 2, 0.25, -0.5, 1, 1, -2], [2, 4])

/** The compiled model, which computes the same and compiles to itself. */
const compiled = async (bytes: Uint8Array, feeds: ReadonlyArray<Record<string, ort.Tensor>>): Promise<Graph> => {
  const model = read(bytes)
  const { graph } = orThrow(compile(model, noMasks))
  for (const feed of feeds) {
    const [before, after] = [await run(model, feed), await run(graph, feed)]
    expect(after.length).toBe(before.length)
    before.forEach((value, i) => expect(Math.abs(value - (after[i] ?? NaN))).toBeLessThan(1e-5))
    expect(before.some((value) => value !== 0)).toBe(true)
  }
  const again = orThrow(compile(read(orThrow(lower(graph)).model), noMasks))
  expect(orThrow(lower(again.graph)).model).toEqual(orThrow(lower(graph)).model)
  return graph
}

/** The initializers of the subgraphs of a graph's nodes, with their shapes. */
const inside = (graph: Graph): ReadonlyArray<string> =>
  graph.nodes.filter(isOpaque).flatMap(({ attrs }) => {
    const proto = decode(NodeProtoSchema, attrs.payload)
    if (E.isLeft(proto)) return []
    return subgraphsOf(proto.right).flatMap((g) => g.initializer.map(({ dims }) => dims.join('x')))
  })

const branches = (then: GraphInit, otherwise: GraphInit) => ({
  attribute: [subgraph('then_branch', then), subgraph('else_branch', otherwise)],
})

describe('If', () => {
  const both = branches(
    { name: 'then', node: perceptron('t', 'x', 'r'), output: [info('r', [2, 4])] },
    { name: 'else', node: [node('Neg', ['x'], ['n'])], output: [info('n', [2, 4])] },
  )
  const choice = node('If', ['c'], ['y'], both)

  test('a branch loses the channels of the weights that it captures', async () => {
    const bytes = modelBytes({
      input: [info('x', [2, 4]), info('c', [], 'bool')],
      output: [info('y', [2, 4])],
      initializer: weights,
      node: [choice],
    })
    const feeds = [1, 0].map((c) => ({ x, c: new ort.Tensor('bool', Uint8Array.of(c), []) }))
    const graph = await compiled(bytes, feeds)
    expect(inside(graph)).toEqual(['4x10', '10x4'])
    expect([...graph.constants.keys()].filter((name) => ['up', 'down'].includes(name))).toEqual([])
  })

  test('a branch loses the channels of a weight that it makes of captured integers', async () => {
    const integers = Int8Array.from({ length: 64 }, (_, i) => (dead.includes(i % 16) ? 0 : ((i * 37) % 255) - 127))
    const stored: TensorInit = { name: 'q', dims: [4n, 16n], dataType: 3, rawData: new Uint8Array(integers.buffer) }
    const scales = floats(
      's',
      Array.from({ length: 16 }, (_, i) => 0.002 * (i + 1)),
    )
    const made = node('DequantizeLinear', ['q', 's'], ['w'], { attribute: [{ name: 'axis', type: Type.INT, i: 1n }] })
    const [, relu, down] = perceptron('t', 'x', 'r')
    if (relu === undefined || down === undefined) throw new Error('no perceptron')
    const then = [made, node('MatMul', ['x', 'w'], ['ta']), relu, down]
    const bytes = modelBytes({
      input: [info('x', [2, 4]), info('c', [], 'bool')],
      output: [info('y', [2, 4])],
      initializer: [...weights.slice(1), stored],
      node: [
        node(
          'If',
          ['c'],
          ['y'],
          branches(
            { name: 'then', node: then, initializer: [scales], output: [info('r', [2, 4])] },
            { name: 'else', node: [node('Neg', ['x'], ['n'])], output: [info('n', [2, 4])] },
          ),
        ),
      ],
    })
    const feeds = [1, 0].map((c) => ({ x, c: new ort.Tensor('bool', Uint8Array.of(c), []) }))
    expect((await compiled(bytes, feeds)).constants.get('q')).toBeUndefined()
  })

  test('what else reads a captured weight reads all of it', async () => {
    const bytes = modelBytes({
      input: [info('x', [2, 4]), info('c', [], 'bool')],
      output: [info('y', [2, 4]), info('all', [4, 16])],
      initializer: weights,
      node: [choice, node('Abs', ['up'], ['all'])],
    })
    const graph = await compiled(bytes, [{ x, c: new ort.Tensor('bool', Uint8Array.of(1), []) }])
    expect(inside(graph)).toEqual(['4x10', '10x4'])
    expect(graph.types.get('all')).toMatchObject({ shape: [4, 16] })
  })

  test.each([true, false])('a condition that is %s is the branch, and is compiled like all else', async (taken) => {
    const bytes = modelBytes({
      input: [info('x', [2, 4])],
      output: [info('y', [2, 4])],
      initializer: [...weights, truth('c', taken)],
      // A name of the branch that the model has too, behind it.
      node: [choice, ...(taken ? [] : [node('Relu', ['y'], ['ta'])])],
    })
    const graph = await compiled(bytes, [{ x }])
    expect(graph.nodes.map(({ op }) => op)).toEqual(taken ? ['MatMul', 'Relu', 'MatMul'] : ['Neg'])
    if (taken) expect(orThrow(compile(read(bytes), noMasks)).report.layers.map((l) => l.outputs.after)).toEqual([10, 4])
  })
})

test('branches that are always taken call nothing as a body within another one does', async () => {
  const inner: GraphInit = {
    name: 'inner',
    input: [info('i', [], 'int64'), info('going', [], 'bool'), info('h', [2, 4])],
    node: [node('Identity', ['going'], ['still']), node('Sin', ['h'], ['t'])],
    output: [info('still', [], 'bool'), info('t', [2, 4])],
  }
  const loops = node('Loop', ['three', 'yes', 'r'], ['looped'], { attribute: [subgraph('body', inner)] })
  const other: GraphInit = { name: 'other', node: [node('Neg', ['x'], ['n'])], output: [info('n', [2, 4])] }
  const bytes = modelBytes({
    input: [info('x', [2, 4])],
    output: [info('y', [2, 4])],
    initializer: [scalar('three', 3n), truth('yes', true)],
    node: [
      node(
        'If',
        ['yes'],
        ['r'],
        branches(
          {
            name: 'first',
            node: [node('Cos', ['x'], ['t']), node('Exp', ['t'], ['u'])],
            output: [info('u', [2, 4])],
          },
          other,
        ),
      ),
      node('If', ['yes'], ['y'], branches({ name: 'second', node: [loops], output: [info('looped', [2, 4])] }, other)),
    ],
  })
  const graph = await compiled(bytes, [{ x }])
  expect(graph.nodes.map(({ op }) => op)).toEqual(['Cos', 'Exp', 'Opaque'])
})

describe('Loop', () => {
  const body: GraphInit = {
    name: 'body',
    input: [info('i', [], 'int64'), info('going', [], 'bool'), info('h', [2, 4])],
    node: [node('Identity', ['going'], ['still']), ...perceptron('l', 'h', 'p'), node('Add', ['p', 'shift'], ['next'])],
    output: [info('still', [], 'bool'), info('next', [2, 4])],
  }

  test('its body loses channels, keeps what it carries, and reads values around it', async () => {
    const bytes = modelBytes({
      input: [info('x', [2, 4])],
      output: [info('y', [2, 4])],
      initializer: [...weights, scalar('three', 3n), truth('yes', true)],
      node: [
        node('Neg', ['x'], ['shift']),
        node('Loop', ['three', 'yes', 'x'], ['y'], { attribute: [subgraph('body', body)] }),
      ],
    })
    const graph = await compiled(bytes, [{ x }])
    expect(inside(graph)).toEqual(['4x10', '10x4'])
  })

  test('a loop within a branch', async () => {
    const then: GraphInit = {
      name: 'then',
      node: [node('Loop', ['three', 'yes', 'x'], ['r'], { attribute: [subgraph('body', body)] })],
      output: [info('r', [2, 4])],
    }
    const bytes = modelBytes({
      input: [info('x', [2, 4]), info('c', [], 'bool')],
      output: [info('y', [2, 4])],
      initializer: [...weights, scalar('three', 3n), truth('yes', true)],
      node: [
        node('Neg', ['x'], ['shift']),
        node(
          'If',
          ['c'],
          ['y'],
          branches(then, { name: 'e', node: [node('Abs', ['x'], ['n'])], output: [info('n', [2, 4])] }),
        ),
      ],
    })
    const feeds = [1, 0].map((c) => ({ x, c: new ort.Tensor('bool', Uint8Array.of(c), []) }))
    const graph = await compiled(bytes, feeds)
    expect([...graph.constants.keys()].sort()).toEqual(['three', 'yes'])
  })
})

test('Scan: its body loses channels', async () => {
  const body: GraphInit = {
    name: 'body',
    input: [info('h', [1, 4]), info('s', [4])],
    node: [node('Add', ['h', 's'], ['sum']), ...perceptron('l', 'sum', 'next'), node('Identity', ['next'], ['out'])],
    output: [info('next', [1, 4]), info('out', [1, 4])],
  }
  const bytes = modelBytes({
    input: [info('x', [2, 4])],
    output: [info('y', [2, 1, 4])],
    initializer: [...weights, { name: 'zero', dims: [1n, 4n], dataType: 1, rawData: new Uint8Array(16) }],
    node: [
      node('Scan', ['zero', 'x'], ['last', 'y'], {
        attribute: [subgraph('body', body), { name: 'num_scan_inputs', type: Type.INT, i: 1n }],
      }),
    ],
  })
  const graph = await compiled(bytes, [{ x }])
  expect(inside(graph)).toEqual(['4x10', '10x4'])
})

describe('multiply-accumulates', () => {
  const counts = (bytes: Uint8Array): readonly [before: number, after: number] => {
    const { report } = orThrow(compile(read(bytes), noMasks, { widths: 'raw' }))
    return [report.before.macs, report.after.macs]
  }
  /** Of `rows` through 16 units, or through those of them that stay. */
  const through = (rows: number, units: number): number => 2 * rows * 4 * units

  /** A loop whose body says nothing of the sizes of what it carries; a matrix behind it. */
  const loop = (times: TensorInit | undefined, next = 'p') =>
    modelBytes({
      input: [info('x', [2, 4]), ...(times === undefined ? [info('three', [], 'int64')] : [])],
      output: [info('y', ['m', 5])],
      initializer: [...weights, ...(times === undefined ? [] : [times]), truth('yes', true), matrix('out', 4, 5)],
      node: [
        node('Loop', ['three', 'yes', 'x'], ['h'], {
          attribute: [
            subgraph('body', {
              name: 'body',
              input: [info('i', [], 'int64'), info('going', [], 'bool'), info('h_in', ['p', 'q'])],
              node: [
                node('Identity', ['going'], ['still']),
                ...perceptron('l', 'h_in', 'p'),
                node('Concat', ['p', 'p'], ['twice'], { attribute: [{ name: 'axis', type: Type.INT, i: 0n }] }),
              ],
              output: [info('still', [], 'bool'), info(next, ['r', 's'])],
            }),
          ],
        }),
        node('MatMul', ['h', 'out'], ['y']),
      ],
    })

  test('in the body of a loop count for each step, of the sizes that it carries, and behind it', () => {
    expect(counts(loop(scalar('three', 3n)))).toEqual([3 * through(2, 16) + 2 * 4 * 5, 3 * through(2, 10) + 2 * 4 * 5])
  })

  test('count once where it is not known how often; of what grows, rows are not known behind it', () => {
    expect(counts(loop(undefined))).toEqual([through(2, 16) + 2 * 4 * 5, through(2, 10) + 2 * 4 * 5])
    expect(counts(loop(scalar('three', 3n), 'twice'))[1]).toBe(3 * through(2, 10) + 4 * 5)
  })

  test('of branches are those of the larger one', () => {
    const then: GraphInit = { name: 'then', node: perceptron('t', 'x', 'to'), output: [info('to', [2, 4])] }
    const otherwise: GraphInit = {
      name: 'otherwise',
      node: [...perceptron('e', 'x', 'p'), node('Abs', ['p'], ['q']), ...perceptron('f', 'q', 'eo')],
      output: [info('eo', [2, 4])],
    }
    const bytes = modelBytes({
      input: [info('x', [2, 4]), info('c', [], 'bool')],
      output: [info('y', [2, 4])],
      initializer: weights,
      node: [node('If', ['c'], ['y'], branches(then, otherwise))],
    })
    expect(counts(bytes)).toEqual([2 * through(2, 16), 2 * through(2, 10)])
  })

  test('of what is scanned count for each step', () => {
    const body: GraphInit = {
      name: 'body',
      input: [info('h', ['p', 'q']), info('s', ['r'])],
      node: [node('Add', ['h', 's'], ['sum']), ...perceptron('l', 'sum', 'next'), node('Identity', ['next'], ['out'])],
      output: [info('next', [1, 4]), info('out', [1, 4])],
    }
    const scan = (axis: bigint) =>
      modelBytes({
        input: [info('x', axis === 0n ? [7, 4] : [4, 7])],
        output: [info('y', [7, 1, 4])],
        initializer: [...weights, { name: 'zero', dims: [1n, 4n], dataType: 1, rawData: new Uint8Array(16) }],
        node: [
          node('Scan', ['zero', 'x'], ['last', 'y'], {
            attribute: [
              subgraph('body', body),
              { name: 'num_scan_inputs', type: Type.INT, i: 1n },
              { name: 'scan_input_axes', type: Type.INTS, ints: [axis] },
            ],
          }),
        ],
      })
    for (const axis of [0n, 1n, -1n]) expect(counts(scan(axis))).toEqual([7 * through(1, 16), 7 * through(1, 10)])
  })
})
