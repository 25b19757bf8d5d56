/** What crosses the edge of Loop, Scan and If: channels that are zero or that nothing needs go, and each result runs like the model. */
import * as ort from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { compile } from '../../src/package/compile.ts'
import { lower } from '../../src/export/lower.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { isOpaque } from '../../src/ir/registry.ts'
import { type Dim, printType, tensorType } from '../../src/ir/type.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { AttributeProto_AttributeType as Type } from '../../src/onnx/onnx_pb.ts'
import { createValueInfo } from '../../src/onnx/value-info.ts'
import { subgraphs } from '../../src/package/subgraphs.ts'
import { orThrow } from '../fuzz/differential.ts'
import { normals, uniforms } from '../inflate.ts'
import { type GraphInit, info, modelBytes, node, type NodeInit, read, subgraph, type TensorInit } from '../read/make.ts'

const dense = (name: string, dims: ReadonlyArray<number>, values: ReadonlyArray<number>): TensorInit => ({
  name,
  dims: dims.map(BigInt),
  dataType: 1,
  rawData: new Uint8Array(Float32Array.from(values).buffer),
})

/** A float matrix with rows and columns of zeros. */
const matrix = (
  name: string,
  rows: number,
  columns: number,
  zeros: { readonly rows?: ReadonlyArray<number>; readonly columns?: ReadonlyArray<number> } = {},
): TensorInit => {
  const normal = normals(uniforms(rows * 31 + columns + name.length))
  const values = Array.from({ length: rows * columns }, (_, i) =>
    zeros.rows?.includes(Math.floor(i / columns)) === true || zeros.columns?.includes(i % columns) === true
      ? 0
      : 0.4 * normal(),
  )
  return dense(name, [rows, columns], values)
}

const vector = (name: string, size: number, zero: ReadonlyArray<number> = []): TensorInit =>
  dense(
    name,
    [size],
    Array.from({ length: size }, (_, i) => (zero.includes(i) ? 0 : 0.1 * (i + 1))),
  )

const sizes = (name: string, ...values: number[]): TensorInit => ({
  name,
  dims: [BigInt(values.length)],
  dataType: 7,
  int64Data: values.map(BigInt),
})

const yes: TensorInit = { name: 'yes', dims: [], dataType: 9, int32Data: [1] }

const numbers = (shape: ReadonlyArray<number>): ort.Tensor => {
  const normal = normals(uniforms(shape.length + 5))
  return new ort.Tensor('float32', Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, normal), shape)
}

type Feeds = Record<string, ort.Tensor>

const run = async (graph: Graph, feeds: Feeds): Promise<ReadonlyMap<string, ReadonlyArray<number>>> => {
  const session = await ort.InferenceSession.create(orThrow(lower(graph)).model, { logSeverityLevel: 3 })
  const results = await session.run(feeds)
  await session.release()
  return new Map(
    Object.entries(results).map(([name, { data, dims }]) => [name, [...dims, ...Array.from(data, Number)]]),
  )
}

/** What the body of a node reads of its own, by name of the input, and what it makes. */
const edgeOf = (graph: Graph, opType = 'Loop'): string => {
  for (const one of graph.nodes) {
    if (!isOpaque(one) || one.attrs.opType !== opType) continue
    const bodies = subgraphs.open(one, graph) ?? []
    return bodies
      .map(({ graph: body }) => {
        const typed = (names: ReadonlyArray<{ readonly name: string }>) =>
          names.map(({ name }) => printType(body.types.get(name) ?? { kind: 'other', encoded: undefined }))
        const floats = (all: ReadonlyArray<string>) => all.filter((type) => type.startsWith('float')).join(' ')
        return `${floats(typed(body.inputs))} -> ${floats(typed(body.outputs))}`.replaceAll('float32', '')
      })
      .join('; ')
  }
  return 'none'
}

/** The compiled model, which computes the same for all feeds and compiles to itself. */
const compiled = async (
  graph: GraphInit,
  feeds: ReadonlyArray<Feeds>,
  widths: 'planned' | 'raw' = 'raw',
): Promise<Graph> => {
  const model = read(modelBytes(graph))
  const { graph: next } = orThrow(compile(model, noMasks, { widths }))
  for (const feed of feeds) {
    const [before, after] = [await run(model, feed), await run(next, feed)]
    for (const [name, values] of before) {
      const others = after.get(name) ?? []
      expect(others.length).toBe(values.length)
      values.forEach((value, i) => expect(Math.abs(value - (others[i] ?? NaN))).toBeLessThan(1e-5))
    }
  }
  expect(orThrow(compile(next, noMasks, { widths })).graph).toBe(next)
  const again = orThrow(compile(read(orThrow(lower(next)).model), noMasks, { widths })).graph
  expect(orThrow(lower(again)).model).toEqual(orThrow(lower(next)).model)
  return next
}

const silent = [1, 4]
const unread = [2]

interface Cell {
  /** Units of which the rows are zero. */
  readonly silent?: ReadonlyArray<number>
  /** Units with a bias that is not zero. */
  readonly biased?: ReadonlyArray<number>
  /** Units that no other unit reads. */
  readonly unread?: ReadonlyArray<number>
  /** Units that are read behind the loop. */
  readonly head?: ReadonlyArray<number>
  /** What is computed of the units that are read behind the loop. */
  readonly behind?: (from: string, to: string) => ReadonlyArray<NodeInit>
  /** What is computed of the state in front of the layer that reads it. */
  readonly inside?: (from: string, to: string) => ReadonlyArray<NodeInit>
  readonly first?: TensorInit
  readonly output?: boolean
  readonly more?: Partial<GraphInit>
  readonly rows?: Dim
}

const all = [0, 1, 2, 3, 4, 5]

/** `h' = tanh(x · in + h · own + bias)` of six units, as often as `times` says; the head reads the last state. */
const loop = (c: Cell): GraphInit => {
  const without = (list: ReadonlyArray<number>): number[] => all.filter((i) => !list.includes(i))
  const zero = c.silent ?? []
  const body: GraphInit = {
    name: 'body',
    input: [info('i', [], 'int64'), info('going', [], 'bool'), info('h', ['p', 'q'])],
    node: [
      node('Identity', ['going'], ['still']),
      node('MatMul', ['x', 'in'], ['fed']),
      ...(c.inside?.('h', 'seen') ?? [node('Identity', ['h'], ['seen'])]),
      node('MatMul', ['seen', 'own'], ['kept']),
      node('Add', ['fed', 'kept'], ['sum']),
      node('Add', ['sum', 'bias'], ['all']),
      node('Tanh', ['all'], ['next']),
    ],
    output: [info('still', [], 'bool'), info('next', ['r', 's'])],
  }
  const own = matrix('own', 6, 6, { columns: zero, rows: c.unread ?? [] })
  return {
    input: [info('x', [c.rows ?? 2, 3]), info('times', [], 'int64')],
    output: [info('y', [c.rows ?? 2, 2]), ...(c.output === true ? [info('last', [c.rows ?? 2, 6])] : [])],
    initializer: [
      matrix('in', 3, 6, { columns: zero }),
      own,
      vector('bias', 6, without(c.biased ?? without(zero))),
      matrix('head', 6, 2, { rows: without(c.head ?? all) }),
      c.first ?? dense('first', [2, 6], Array<number>(12).fill(0)),
      yes,
    ],
    node: [
      node('Loop', ['times', 'yes', 'first'], ['last'], { attribute: [subgraph('body', body)] }),
      ...(c.behind?.('last', 'shown') ?? [node('Identity', ['last'], ['shown'])]),
      node('MatMul', ['shown', 'head'], ['y'], { name: 'head' }),
    ],
    ...c.more,
  }
}

const times = (count: number): ort.Tensor => new ort.Tensor('int64', BigInt64Array.of(BigInt(count)), [])
const feeds = [0, 1, 3].map((count) => ({ x: numbers([2, 3]), times: times(count) }))

describe('a state of a Loop', () => {
  test('loses what is zero at first and stays zero, however often the body runs', async () => {
    expect(edgeOf(await compiled(loop({ silent }), feeds))).toBe('[2,4] [2,3] -> [2,4]')
  })
  test('keeps what is not zero at first', async () => {
    const first = dense('first', [2, 6], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0])
    expect(edgeOf(await compiled(loop({ silent, first }), feeds))).toBe('[2,5] [2,3] -> [2,5]')
  })
  test('keeps what is one number at first and then zero', async () => {
    const first = dense('first', [2, 6], [0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 2, 0])
    expect(edgeOf(await compiled(loop({ silent, first }), feeds))).toBe('[2,5] [2,3] -> [2,5]')
  })
  test('keeps what the body makes a number of', async () => {
    const biased = all.filter((i) => i !== 4)
    expect(edgeOf(await compiled(loop({ silent, biased }), feeds))).toBe('[2,5] [2,3] -> [2,5]')
  })
  test('is restored where the model hands it on', async () => {
    const graph = await compiled(loop({ silent, output: true }), feeds)
    expect(edgeOf(graph)).toBe('[2,4] [2,3] -> [2,4]')
    expect(graph.types.get('last')).toMatchObject({ shape: [2, 6] })
  })
  test('loses what nothing needs, in the body or behind it', async () => {
    const head = all.filter((i) => !unread.includes(i))
    expect(edgeOf(await compiled(loop({ unread, head }), feeds))).toBe('[2,5] [2,3] -> [2,5]')
  })
  test('keeps what is needed behind it', async () => {
    expect(edgeOf(await compiled(loop({ unread }), feeds))).toBe('[2,6] [2,3] -> [2,6]')
    const head = all.filter((i) => !unread.includes(i))
    expect(edgeOf(await compiled(loop({ unread, head, output: true }), feeds))).toBe('[2,6] [2,3] -> [2,6]')
  })
  test('keeps what the body needs', async () => {
    const head = all.filter((i) => !unread.includes(i))
    expect(edgeOf(await compiled(loop({ head }), feeds))).toBe('[2,6] [2,3] -> [2,6]')
  })
  test('keeps what nothing needs where zero in its place makes no number behind it', async () => {
    const head = all.filter((i) => !unread.includes(i))
    const first = dense('first', [2, 6], Array<number>(12).fill(0.5))
    const behind = (from: string, to: string) => [node('Abs', [from], ['size']), node('Log', ['size'], [to])]
    expect(edgeOf(await compiled(loop({ unread, head, behind, first }), feeds, 'planned'))).toBe('[2,6] [2,3] -> [2,6]')
  })
  test('keeps what nothing needs where a zero in its place is divided behind it, though that is zero before', async () => {
    const first = dense('first', [2, 6], Array<number>(12).fill(0.5))
    const numerator = dense(
      'numerator',
      [6],
      all.map((i) => (unread.includes(i) ? 0 : 1)),
    )
    const last = info('shown', [2, 6])
    const behind = (from: string, to: string) => [
      node('Abs', [from], ['size']),
      node('Div', ['numerator', 'size'], [to]),
    ]
    const graph = loop({ unread, behind, first })
    const output = [...(graph.output ?? []), last]
    const initializer = [...(graph.initializer ?? []), numerator]
    expect(edgeOf(await compiled({ ...graph, output, initializer }, feeds))).toBe('[2,6] [2,3] -> [2,6]')
  })
  test('keeps what nothing needs where the body goes on to compute with a zero in its place', async () => {
    const half = Array.from({ length: 32 }, (_, i) => i)
    // Two groups of three units, of which one does not need its last: as many have to stay in each. What goes of `w` pays for that.
    const body: GraphInit = {
      name: 'body',
      input: [info('i', [], 'int64'), info('going', [], 'bool'), info('h', [2, 6]), info('w', [2, 64])],
      node: [
        node('Identity', ['going'], ['still']),
        node('Abs', ['h'], ['size']),
        node('Log', ['size'], ['log']),
        node('Reshape', ['log', 'apart'], ['image']),
        node('Conv', ['image', 'each'], ['mixed'], { attribute: [{ name: 'group', type: Type.INT, i: 2n }] }),
        node('Reshape', ['mixed', 'together'], ['next']),
        node('MatMul', ['x', 'in'], ['fed']),
        node('MatMul', ['w', 'own'], ['kept']),
        node('Add', ['fed', 'kept'], ['sum']),
        node('Tanh', ['sum'], ['w_next']),
      ],
      output: [info('still', [], 'bool'), info('next', [2, 6]), info('w_next', [2, 64])],
    }
    const next = await compiled(
      {
        input: [info('x', [2, 3]), info('times', [], 'int64')],
        output: [info('y', [2, 2]), info('z', [2, 2])],
        initializer: [
          yes,
          dense('first', [2, 6], Array<number>(12).fill(0.5)),
          dense('nought', [2, 64], Array<number>(128).fill(0)),
          dense(
            'each',
            [6, 3, 1],
            Array.from({ length: 18 }, (_, i) => (i < 9 && i % 3 === 2 ? 0 : 0.2)),
          ),
          sizes('apart', 2, 6, 1),
          sizes('together', 2, 6),
          matrix('in', 3, 64, { columns: half }),
          matrix('own', 64, 64, { columns: half }),
          matrix('head', 6, 2, { rows: unread }),
          matrix('wide', 64, 2),
        ],
        node: [
          node('Loop', ['times', 'yes', 'first', 'nought'], ['last', 'w_last'], {
            attribute: [subgraph('body', body)],
          }),
          node('MatMul', ['last', 'head'], ['y']),
          node('MatMul', ['w_last', 'wide'], ['z']),
        ],
      },
      feeds,
    )
    expect(edgeOf(next)).toBe('[2,6] [2,32] [2,3] -> [2,6] [2,32]')
  })
  test('of a batch of any size', async () => {
    const zero = node('MatMul', ['x', 'nothing'], ['first'], { name: 'first' })
    const graph = loop({ silent, rows: 'N' })
    const initializer = [
      ...(graph.initializer ?? []).filter(({ name }) => name !== 'first'),
      matrix('nothing', 3, 6, { columns: [1, 4, 5] }),
    ]
    const next = await compiled({ ...graph, initializer, node: [zero, ...(graph.node ?? [])] }, [
      ...feeds,
      { x: numbers([5, 3]), times: times(2) },
    ])
    expect(edgeOf(next)).toBe('[p,4] [N,3] -> [?,4]')
  })
  test('that the body hands on as it is becomes what the body captures, as a constant that is known there', async () => {
    const body: GraphInit = {
      name: 'body',
      input: [
        info('i', [], 'int64'),
        info('going', [], 'bool'),
        info('h', [2, 6]),
        info('w', [6, 6]),
        info('b', [2, 6]),
      ],
      node: [
        node('Identity', ['going'], ['still']),
        node('MatMul', ['h', 'w'], ['kept']),
        node('Add', ['kept', 'b'], ['next']),
        node('Identity', ['w'], ['w_next']),
        node('Identity', ['b'], ['b_next']),
      ],
      output: [info('still', [], 'bool'), info('next', [2, 6]), info('w_next', [6, 6]), info('b_next', [2, 6])],
    }
    const graph: GraphInit = {
      input: [info('x', [2, 6]), info('times', [], 'int64')],
      output: [info('y', [2, 6]), info('same', [2, 6])],
      initializer: [matrix('own', 6, 6, { rows: silent, columns: silent }), yes],
      node: [
        node('Neg', ['x'], ['shift']),
        node('Loop', ['times', 'yes', 'x', 'own', 'shift'], ['y', 'w_last', 'same'], {
          attribute: [subgraph('body', body)],
        }),
      ],
    }
    const next = await compiled(
      graph,
      [0, 2].map((count) => ({ x: numbers([2, 6]), times: times(count) })),
    )
    const [made] = next.nodes.filter(isOpaque)
    expect(made?.inputs.length).toBe(3)
    // Its name means something else in the body.
    const shadowed = {
      ...body,
      node: [
        ...(body.node ?? []).slice(0, 2),
        node('Abs', ['kept'], ['shift']),
        node('Add', ['shift', 'b'], ['next']),
        ...(body.node ?? []).slice(3),
      ],
    }
    const loops = node('Loop', ['times', 'yes', 'x', 'own', 'shift'], ['y', 'w_last', 'same'], {
      attribute: [subgraph('body', shadowed)],
    })
    const kept = orThrow(
      compile(read(modelBytes({ ...graph, node: [node('Neg', ['x'], ['shift']), loops] })), noMasks),
    ).graph
    expect(kept.nodes.filter(isOpaque)[0]?.inputs.length).toBe(5)
  })
  test('of any size is not told that it stays as many as it is at first', async () => {
    const some = (name: string) => createValueInfo(name, tensorType('float32', undefined))
    const body: GraphInit = {
      name: 'body',
      input: [info('i', [], 'int64'), info('going', [], 'bool'), some('h'), some('before')],
      node: [
        node('Identity', ['going'], ['still']),
        node('Concat', ['h', 'h'], ['next'], { attribute: [{ name: 'axis', type: Type.INT, i: 0n }] }),
        node('Shape', ['h'], ['size']),
        node('Expand', ['row', 'size'], ['wide']),
      ],
      output: [info('still', [], 'bool'), some('next'), some('wide')],
    }
    const graph: GraphInit = {
      input: [info('x', ['N', 3]), info('row', ['N', 3]), info('times', [], 'int64')],
      output: [info('last', ['K', 3]), info('y', ['M', 3])],
      initializer: [yes, dense('none', [1, 3], [0, 0, 0])],
      node: [node('Loop', ['times', 'yes', 'x', 'none'], ['last', 'y'], { attribute: [subgraph('body', body)] })],
    }
    await compiled(graph, [{ x: numbers([1, 3]), row: numbers([1, 3]), times: times(3) }])
  })
  test('that is a sequence stays where Identity takes none', () => {
    const list = (name: string): NonNullable<GraphInit['input']>[number] => ({
      name,
      type: {
        value: {
          case: 'sequenceType',
          value: { elemType: { value: { case: 'tensorType', value: { elemType: 1 } } } },
        },
      },
    })
    const body: GraphInit = {
      name: 'body',
      input: [info('i', [], 'int64'), info('going', [], 'bool'), info('h', [2, 3]), list('list')],
      node: [node('Identity', ['going'], ['still']), node('Tanh', ['h'], ['next'])],
      output: [info('still', [], 'bool'), info('next', [2, 3]), list('list')],
    }
    const graph: GraphInit = {
      input: [info('x', [2, 3]), list('given'), info('times', [], 'int64')],
      output: [info('last', [2, 3]), list('same')],
      initializer: [yes],
      node: [node('Loop', ['times', 'yes', 'x', 'given'], ['last', 'same'], { attribute: [subgraph('body', body)] })],
    }
    const opsAt = (version: bigint): ReadonlyArray<string> => {
      const model = read(modelBytes(graph, { opsetImport: [{ domain: '', version }] }))
      return orThrow(compile(model, noMasks)).graph.nodes.map((one) => (isOpaque(one) ? one.attrs.opType : one.op))
    }
    expect(opsAt(13n)).toEqual(['Loop'])
    expect(opsAt(16n)).toEqual(['Loop', 'Identity'])
  })
  test('of an initializer that may be overridden stays', async () => {
    const given = loop({ silent })
    const graph = { ...given, input: [...(given.input ?? []), info('first', [2, 6])] }
    const next = await compiled(graph, [...feeds, { ...feeds[2], first: numbers([2, 6]) }].slice(1))
    expect(edgeOf(next)).toBe('[2,6] [2,3] -> [2,6]')
  })
})

describe('Scan', () => {
  /** Two states, `c` and `h`; it reads slices of eight features and makes one of five. */
  const scan = (along: number): GraphInit => {
    const body: GraphInit = {
      name: 'body',
      input: [info('c', ['a', 'b']), info('h', ['d', 'e']), info('s', ['f', 'g'])],
      node: [
        node('MatMul', ['s', 'in'], ['fed']),
        node('MatMul', ['h', 'own'], ['kept']),
        node('Add', ['fed', 'kept'], ['sum']),
        node('Tanh', ['sum'], ['new']),
        node('Sigmoid', ['c'], ['gate']),
        node('Mul', ['gate', 'c'], ['old']),
        node('Add', ['old', 'new'], ['c_next']),
        node('Tanh', ['c_next'], ['h_next']),
        node('MatMul', ['h_next', 'out'], ['made']),
        node('Relu', ['made'], ['shown']),
      ],
      output: [info('c_next', ['a', 'b']), info('h_next', ['d', 'e']), info('shown', ['m', 'n'])],
    }
    const axes = (name: string, ...values: number[]) => ({ name, type: Type.INTS, ints: values.map(BigInt) })
    return {
      input: [info('x', along === 0 ? [7, 2, 8] : [2, 7, 8])],
      output: [info('y', ['o', 'p', 3]), info('z', [2, 2])],
      initializer: [
        matrix('up', 8, 8, { columns: [7] }),
        matrix('in', 8, 6, { columns: silent, rows: [0, 3] }),
        matrix('own', 6, 6, { columns: silent }),
        matrix('out', 6, 5, { columns: [2] }),
        matrix('head', 5, 3, { rows: [0] }),
        matrix('last', 6, 2),
        dense('zero', [2, 6], Array<number>(12).fill(0)),
      ],
      node: [
        node('MatMul', ['x', 'up'], ['fed_all'], { name: 'up' }),
        node('Scan', ['zero', 'zero', 'fed_all'], ['c_last', 'h_last', 'all'], {
          attribute: [
            subgraph('body', body),
            { name: 'num_scan_inputs', type: Type.INT, i: 1n },
            axes('scan_input_axes', along),
            axes('scan_output_axes', along === 0 ? 0 : -2),
          ],
        }),
        node('MatMul', ['all', 'head'], ['y'], { name: 'head' }),
        node('MatMul', ['h_last', 'last'], ['z'], { name: 'last' }),
      ],
    }
  }
  test.each([0, 1])('states, slices that it reads and slices that it makes, along axis %d', async (along) => {
    const graph = await compiled(scan(along), [{ x: numbers(along === 0 ? [7, 2, 8] : [2, 7, 8]) }])
    // Of the slices 0 and 3 are not read and 7 is zero; of what it makes 0 is not read and 2 is zero.
    expect(edgeOf(graph, 'Scan')).toBe('[2,4] [2,4] [2,5] -> [2,4] [2,4] [2,3]')
  })
})

describe('If', () => {
  const layer = (p: string, w: string, bias: string): GraphInit => ({
    name: p,
    node: [
      node('MatMul', ['u', w], [`${p}a`]),
      node('Add', [`${p}a`, bias], [`${p}b`]),
      node('Relu', [`${p}b`], [`${p}c`]),
    ],
    output: [info(`${p}c`, ['a', 'b'])],
  })
  test('reads constants of channels at all positions, though none of these is needed where they are known', async () => {
    const branch = (p: string): GraphInit => ({
      name: p,
      node: [
        node('Reshape', ['v', 'flat'], [`${p}a`]),
        node('MatMul', [`${p}a`, `${p}w`], [`${p}b`]),
        node('Tanh', [`${p}b`], [`${p}c`]),
      ],
      output: [info(`${p}c`, ['a', 'b'])],
    })
    const graph: GraphInit = {
      input: [info('x', ['N', 3, 2, 2])],
      output: [info('y', ['N', 5])],
      initializer: [
        dense('nought', [], [0]),
        dense('shift', [3, 1, 1], [-0.8, 0.1, 0.3]),
        { name: 'flat', dims: [2n], dataType: 7, int64Data: [0n, 12n] },
        matrix('tw', 12, 5),
        matrix('ew', 12, 5, { columns: [1] }),
      ],
      node: [
        node('Mul', ['x', 'nought'], ['z']),
        node('Add', ['z', 'shift'], ['v']),
        node('ReduceMax', ['x'], ['most'], { attribute: [{ name: 'keepdims', type: Type.INT, i: 0n }] }),
        node('Greater', ['most', 'nought'], ['test']),
        node('If', ['test'], ['y'], {
          attribute: [subgraph('then_branch', branch('t')), subgraph('else_branch', branch('e'))],
        }),
      ],
    }
    const x = numbers([2, 3, 2, 2])
    const negative = new ort.Tensor(
      'float32',
      Float32Array.from(Array.from(x.data, Number), (v) => -1 - Math.abs(v)),
      x.dims,
    )
    await compiled(graph, [{ x }, { x: negative }])
  })
  test('loses what is constant in both branches, what nothing needs, and what both do not read', async () => {
    const graph: GraphInit = {
      input: [info('x', [2, 4]), info('c', [], 'bool')],
      output: [info('y', [2, 3])],
      initializer: [
        matrix('up', 4, 6),
        matrix('one', 6, 6, { columns: [0, 1, 2], rows: [3] }),
        matrix('two', 6, 6, { columns: [0, 1, 3], rows: [3] }),
        dense('b1', [6], [2, 0, 0, 1, 1, 1]),
        dense('b2', [6], [2, 1, 1, 0, 1, 1]),
        matrix('head', 6, 3, { rows: [4] }),
      ],
      node: [
        node('MatMul', ['x', 'up'], ['u'], { name: 'up' }),
        node('If', ['c'], ['r'], {
          attribute: [
            subgraph('then_branch', layer('t', 'one', 'b1')),
            subgraph('else_branch', layer('e', 'two', 'b2')),
          ],
        }),
        node('MatMul', ['r', 'head'], ['y'], { name: 'head' }),
      ],
    }
    const feeds = [0, 1].map((c) => ({ x: numbers([2, 4]), c: new ort.Tensor('bool', Uint8Array.of(c), []) }))
    // Unit 0 is 2 in both, 4 is not read; of what is captured 3 is read by none.
    expect(edgeOf(await compiled(graph, feeds), 'If')).toBe('[2,5] -> [2,4]; [2,5] -> [2,4]')
  })
})

test('a Scan in the body of a Loop, which reads the state of that', async () => {
  const inner: GraphInit = {
    name: 'inner',
    input: [info('g', ['a', 'b']), info('s', ['d'])],
    node: [
      node('MatMul', ['g', 'own'], ['kept']),
      node('Add', ['kept', 'h'], ['sum']),
      node('Add', ['sum', 's'], ['all']),
      node('Tanh', ['all'], ['g_next']),
    ],
    output: [info('g_next', ['a', 'b'])],
  }
  const body: GraphInit = {
    name: 'body',
    input: [info('i', [], 'int64'), info('going', [], 'bool'), info('h', ['p', 'q'])],
    node: [
      node('Identity', ['going'], ['still']),
      node('MatMul', ['x', 'in'], ['fed']),
      node('Scan', ['first', 'fed'], ['g_last'], {
        attribute: [subgraph('body', inner), { name: 'num_scan_inputs', type: Type.INT, i: 1n }],
      }),
      node('MatMul', ['g_last', 'own'], ['next']),
    ],
    output: [info('still', [], 'bool'), info('next', ['r', 's'])],
  }
  const graph: GraphInit = {
    input: [info('x', [2, 3]), info('times', [], 'int64')],
    output: [info('y', [2, 2])],
    initializer: [
      matrix('in', 3, 6, { columns: silent }),
      matrix('own', 6, 6, { columns: silent }),
      matrix('head', 6, 2),
      dense('first', [2, 6], Array<number>(12).fill(0)),
      yes,
    ],
    node: [
      node('Loop', ['times', 'yes', 'first'], ['last'], { attribute: [subgraph('body', body)] }),
      node('MatMul', ['last', 'head'], ['y'], { name: 'head' }),
    ],
  }
  const next = await compiled(graph, feeds)
  expect(edgeOf(next)).toMatch(/^\[2,4\] .*-> \[2,4\]$/)
})
