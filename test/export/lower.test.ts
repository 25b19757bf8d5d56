import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { lower, type Lowered, type LowerOptions } from '../../src/export/lower.ts'
import { type Graph, withParts } from '../../src/ir/graph.ts'
import type { Node } from '../../src/ir/op.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { makeNode } from '../../src/ir/make-node.ts'
import { dense, elements, gather, type Tensor, tensorOf } from '../../src/ir/tensor.ts'
import { type Dim, tensorType } from '../../src/ir/type.ts'
import { codeOf } from '../../src/onnx/types.ts'
import { AttributeProto_AttributeType as Type, type ModelProto, type ValueInfoProto } from '../../src/onnx/onnx_pb.ts'
import { buildGraph } from '../builder.ts'
import { floats, info, modelBytes, node, parse, read } from '../read/make.ts'

const written = (graph: Graph, options?: LowerOptions): Lowered => {
  const lowered = lower(graph, options)
  if (E.isLeft(lowered)) throw new Error(`${lowered.left.subject}: ${lowered.left.found}`)
  return lowered.right
}

const write = (graph: Graph, options?: LowerOptions): ModelProto => parse(written(graph, options).model)

const nodeAt = (graph: Graph, index: number): Node => {
  const found = graph.nodes[index]
  if (found === undefined) throw new Error(`no node ${index}`)
  return found
}

const constantOf = (graph: Graph, name: string): Tensor => {
  const found = graph.constants.get(name)
  if (found === undefined) throw new Error(`no constant ${name}`)
  return found
}

const printed = (values: ReadonlyArray<ValueInfoProto> | undefined): ReadonlyArray<string> =>
  (values ?? []).map(({ name, type }) => {
    if (type?.value.case !== 'tensorType') return name
    const dims = type.value.value.shape?.dim.map(({ value }) => String(value.value ?? '?'))
    return `${name}: ${type.value.value.elemType}[${dims?.join(',') ?? '*'}]`
  })

const join = (chunks: Iterable<Uint8Array>): Uint8Array => Uint8Array.from([...chunks].flatMap((chunk) => [...chunk]))

const convolution = (): Graph =>
  read(
    modelBytes({
      input: [info('x', ['N', 2, 6, 6])],
      output: [info('y', ['N', 3, 4, 4])],
      valueInfo: [info('a', ['N', 'C', 4, 4]), info('gone', [1]), info('c', ['N', 'C', 'H', 4])],
      initializer: [
        {
          ...floats(
            'w',
            Array.from({ length: 54 }, (_, i) => i),
          ),
          dims: [3n, 2n, 3n, 3n],
        },
      ],
      node: [
        node('Conv', ['x', 'w'], ['a'], {
          name: 'conv',
          attribute: [{ name: 'pads', type: Type.INTS, ints: [0n, 0n, 0n, 0n] }],
        }),
        node('Relu', ['a'], ['b']),
        node('Relu', ['b'], ['c']),
        node('Relu', ['c'], ['y']),
      ],
    }),
  )

describe('lowering', () => {
  it('gives the same bytes every time, whatever order constants were put in', () => {
    const graph = convolution()
    const more = withParts(graph, {
      nodes: [...graph.nodes, { ...nodeAt(graph, 0), outputs: ['z'], inputs: ['x', 'v'] }],
      constants: new Map([['v', constantOf(graph, 'w')], ...graph.constants]),
    })
    const reversed = withParts(more, { constants: new Map([...more.constants].reverse()) })
    expect(written(more).model).toEqual(written(more).model)
    expect(written(reversed).model).toEqual(written(more).model)
    expect(write(more).graph?.initializer.map(({ name }) => name)).toEqual(['w', 'v'])
  })

  it('writes declared types of values that are still there, and none for others', () => {
    expect(printed(write(convolution()).graph?.valueInfo)).toEqual(['a: 1[N,C,4,4]', 'c: 1[N,C,H,4]'])
  })

  it('declares the rest when asked to, but for inputs, outputs and what nothing is known of', () => {
    const graph = read(
      modelBytes({
        input: [info('x', ['N', 2])],
        output: [info('y', ['N', 2])],
        valueInfo: [info('b', ['N', 'C'])],
        node: [
          node('Relu', ['x'], ['a']),
          node('Neg', ['a'], ['b']),
          node('Sum', ['b'], ['s']),
          node('Unknown', ['s'], ['u'], { domain: 'of.nobody' }),
          node('Add', ['s', 'u'], ['y']),
        ],
      }),
    )
    expect(printed(write(graph).graph?.valueInfo)).toEqual(['b: 1[N,C]'])
    const model = write(graph, { shapes: true })
    expect(printed(model.graph?.valueInfo)).toEqual(['b: 1[N,C]', 'a: 1[N,2]', 's: 1[N,2]'])
    const again = write(read(written(graph, { shapes: true }).model), { shapes: true })
    expect(again).toEqual(model)
  })

  it('corrects declared sizes that no longer hold', () => {
    const graph = convolution()
    const shrunk = withParts(graph, {
      inputs: [{ name: 'x', type: tensorType('float32', ['N', 2, 5, 6]) }],
      constants: new Map([['w', gather(constantOf(graph, 'w'), 0, Int32Array.of(0, 2))]]),
      outputs: [{ name: 'c', type: tensorType('float32', ['N', 2, 3, 4]) }],
      nodes: graph.nodes.slice(0, 3),
    })
    const model = write(shrunk)
    // C is 2 in both: it still holds. H is 3 now, which a symbol says as well.
    expect(printed(model.graph?.valueInfo)).toEqual(['a: 1[N,C,3,4]', 'c: 1[N,C,H,4]'])
    expect(printed(model.graph?.input)).toEqual(['x: 1[N,2,5,6]'])
    expect(model.graph?.initializer.map(({ dims }) => dims)).toEqual([[2n, 2n, 3n, 3n]])
  })

  it('writes a number for a symbol of which the size is not known elsewhere', () => {
    const graph = read(
      modelBytes({
        input: [info('x', ['N', 'C'])],
        output: [info('y', ['N', 'C'])],
        valueInfo: [info('a', ['N', 'C'])],
        initializer: [floats('w', [1, 2, 3, 4], { dims: [2n, 2n] })],
        node: [node('MatMul', ['x', 'w'], ['a']), node('Neg', ['x'], ['y'])],
      }),
    )
    expect(printed(write(graph).graph?.valueInfo)).toEqual(['a: 1[N,2]'])
  })

  it('writes numbers for a symbol that would stand for two sizes', () => {
    const graph = read(
      modelBytes({
        input: [info('x', [4])],
        output: [info('y', [4])],
        valueInfo: [info('a', ['S']), info('b', ['S']), info('w', ['T'])],
        initializer: [floats('w', [1, 2, 3, 4])],
        node: [node('Add', ['x', 'w'], ['a']), node('Add', ['a', 'w'], ['b']), node('Add', ['b', 'w'], ['y'])],
      }),
    )
    expect(printed(write(graph).graph?.valueInfo)).toEqual(['a: 1[S]', 'b: 1[S]', 'w: 1[T]'])
    const wide = withParts(graph, {
      nodes: [
        nodeAt(graph, 0),
        { ...nodeAt(graph, 1), inputs: ['a', 'v'] },
        { ...nodeAt(graph, 2), inputs: ['a', 'w'] },
      ],
      constants: new Map([...graph.constants, ['v', tensorOf('float32', [2, 4], new Float32Array(8))]]),
    })
    expect(printed(write(wide).graph?.valueInfo)).toEqual(['a: 1[S]', 'b: 1[2,4]', 'w: 1[T]'])
    const narrow = withParts(graph, {
      inputs: [{ name: 'x', type: tensorType('float32', [1]) }],
      nodes: [{ ...nodeAt(graph, 0), inputs: ['x', 'u'] }, ...graph.nodes.slice(1)],
      constants: new Map([...graph.constants, ['u', tensorOf('float32', [1], [1])]]),
    })
    expect(printed(write(narrow).graph?.valueInfo)).toEqual(['a: 1[1]', 'b: 1[4]', 'w: 1[T]'])
  })

  it('writes a graph that no file was read for', () => {
    const graph = buildGraph({ x: ['N', 4] }, (b) => [
      b.op(ops.Add, [b.op(ops.Relu, ['x']), b.floats('w', [1, 2, 3, 4])]),
    ])
    const model = write(graph)
    expect(model).toMatchObject({ irVersion: 8n, opsetImport: [{ domain: '', version: 17n }], producerName: '' })
    expect(printed(model.graph?.input)).toEqual(['x: 1[N,4]'])
    expect(printed(model.graph?.output)).toEqual(['add0: 1[N,4]'])
    expect(read(written(graph).model).nodes.map(({ op }) => op)).toEqual(['Relu', 'Add'])
  })

  it('does not write sizes that are unknown or derived', () => {
    const x = { name: 'x', type: tensorType('float32', ['?x.0', 3]) }
    const graph = withParts(convolution(), { inputs: [x], nodes: [], outputs: [x], constants: new Map() })
    expect(printed(write(graph).graph?.input)).toEqual(['x: 1[?,3]'])
    expect(write(graph).graph?.valueInfo).toEqual([])
  })

  it('writes attributes as they are, those at their default left out', () => {
    expect(write(convolution()).graph?.node[0]?.attribute).toMatchObject([
      { name: 'pads', type: Type.INTS, ints: [0n, 0n, 0n, 0n] },
    ])
    const graph = convolution()
    const valid = makeNode(ops.Conv, ['x', 'w'], ['a'], { auto_pad: 'VALID' })
    const model = write(withParts(graph, { nodes: [valid, ...graph.nodes.slice(1)] }))
    expect(model.graph?.node[0]?.attribute).toMatchObject([
      { name: 'auto_pad', type: Type.STRING, s: new TextEncoder().encode('VALID') },
    ])
  })

  it('writes a node that became opaque as the node that it was', () => {
    const of = (graph: Graph, channels: Dim): Graph =>
      withParts(graph, { inputs: [{ name: 'x', type: tensorType('float32', ['N', channels, 6, 6]) }] })
    const graph = of(convolution(), 'C')
    const unfit = of(graph, 5)
    expect(unfit.nodes.map(({ op }) => op)).toEqual(['Opaque', 'Relu', 'Relu', 'Relu'])
    expect(write(unfit).graph?.node).toEqual(write(graph).graph?.node)
  })

  describe('the producer', () => {
    const made = (producerName: string, producerVersion: string): Graph =>
      read(modelBytes({ input: [info('x')], output: [info('x')] }, { producerName, producerVersion }))

    it('stays by default', () => {
      expect(write(made('pytorch', '2.1'))).toMatchObject({
        producerName: 'pytorch',
        producerVersion: '2.1',
        metadataProps: [],
      })
    })

    it('is chasec where asked for, the source noted once', () => {
      const once = written(made('pytorch', '2.1'), { producer: '9.9' }).model
      const expected = {
        producerName: 'chasec',
        producerVersion: '9.9',
        metadataProps: [{ key: 'chasec.source_producer', value: 'pytorch 2.1' }],
      }
      expect(parse(once)).toMatchObject(expected)
      expect(write(read(once), { producer: '9.9' })).toMatchObject(expected)
      expect(write(made('', ''), { producer: '9.9' }).metadataProps).toEqual([])
    })
  })

  describe('opsets', () => {
    it('are those of the graph', () => {
      const graph = read(
        modelBytes(
          { input: [info('x')], output: [info('x')] },
          { opsetImport: [{ domain: 'a', version: 1n }, { version: 13n }] },
        ),
      )
      const model = write({
        ...graph,
        opsets: new Map([
          ['', 14],
          ['a', 1],
          ['b', 2],
        ]),
      })
      expect(model.opsetImport.map(({ domain, version }) => [domain, version])).toEqual([
        ['a', 1n],
        ['', 14n],
        ['b', 2n],
      ])
    })
  })

  describe('external data', () => {
    const big = Float32Array.from({ length: 300 }, (_, i) => i)
    const graph = (): Graph =>
      read(
        modelBytes({
          input: [info('x', [1])],
          output: [info('y', [300])],
          initializer: [
            floats(
              'small',
              Array.from({ length: 255 }, () => 1),
            ),
            floats('p', [...big]),
            {
              name: 't',
              dims: [2n],
              dataType: codeOf('string'),
              stringData: [new Uint8Array(2000), new Uint8Array(2000)],
            },
            floats('q', [...big.map((v) => -v)], { docString: 'kept' }),
          ],
          node: [node('Add', ['x', 'p'], ['a']), node('Add', ['a', 'q'], ['y']), node('Zorch', ['small', 't'], ['z'])],
        }),
      )

    it('holds tensors of 1 KiB and more, aligned, and reads back as it was', () => {
      const { model, external } = written(graph(), { external: true })
      const bytes = join(external?.chunks() ?? [])
      expect(external).toMatchObject({ name: 'model.onnx_data', length: 4096 + 1200 })
      expect(bytes.byteLength).toBe(external?.length)
      const entries = parse(model).graph?.initializer.map(({ name, externalData, rawData }) => [
        name,
        externalData.map(({ value }) => value).join(),
        rawData.byteLength,
      ])
      expect(entries).toEqual([
        ['p', 'model.onnx_data,0,1200', 0],
        ['q', 'model.onnx_data,4096,1200', 0],
        ['small', '', 1020],
        ['t', '', 0],
      ])
      const file = {
        size: bytes.byteLength,
        read: (offset: number, length: number) => bytes.slice(offset, offset + length),
      }
      const again = read(model, { external: (location) => (location === 'model.onnx_data' ? file : undefined) })
      expect(again.constants.get('q')?.tag).toBe('External')
      for (const name of ['p', 'q', 'small']) {
        expect(elements(constantOf(again, name))).toEqual(elements(constantOf(graph(), name)))
      }
      // Written inside again, nothing has changed; written outside again, the same bytes come out.
      expect(written(again).model).toEqual(written(graph()).model)
      expect(join(written(again, { external: true }).external?.chunks() ?? [])).toEqual(bytes)
    })

    it('is made piece by piece, a gather only when its turn comes', () => {
      let reads = 0
      const source = {
        tag: 'External' as const,
        dtype: 'float32' as const,
        shape: [2, 300],
        location: 'f',
        offset: 0,
        length: 2400,
        read: (_: number, length: number) => {
          reads += 1
          return new Uint8Array(length).fill(reads)
        },
      }
      const constants = new Map([...graph().constants, ['p', gather(source, 0, Int32Array.of(1))]])
      const { external } = written(withParts(graph(), { constants }), { external: true })
      expect(reads).toBe(0)
      const sizes = [...(external?.chunks() ?? [])].map((chunk) => chunk.byteLength)
      expect(sizes).toEqual([1200, 4096 - 1200, 1200])
      expect(reads).toBe(1)
    })

    it('can have another name, and is left out when nothing is large', () => {
      expect(written(graph(), { external: true, externalName: 'w.bin' }).external?.name).toBe('w.bin')
      expect(written(convolution(), { external: true }).external).toBeUndefined()
    })

    it('is used by itself when tensors exceed 1.9 GB, and its refusal is an error', () => {
      const huge = {
        tag: 'External' as const,
        dtype: 'uint8' as const,
        shape: [3e9],
        location: 'f',
        offset: 0,
        length: 3e9,
        read: (_: number, length: number) => new Uint8Array(length),
      }
      const made = withParts(graph(), { constants: new Map([...graph().constants, ['small', huge]]) })
      expect(written(made).external?.length).toBe(2 * 4096 + 3e9)
      expect(lower(made, { external: false })).toMatchObject({ left: { _tag: 'WriteError', subject: 'the model' } })
    })
  })

  it('holds no data for tensors without elements and writes scalars', () => {
    const parts = {
      constants: new Map([
        ['e', dense('float32', [0, 3], new Uint8Array())],
        ['s', tensorOf('float32', [], [2])],
      ]),
    }
    const graph = buildGraph({ x: [0, 3] }, (b) => {
      for (const [name, tensor] of parts.constants) b.constant(name, tensor)
      return [b.op(ops.Add, [b.op(ops.Add, ['x', 'e']), 's'])]
    })
    const [empty, scalar] = write(graph).graph?.initializer ?? []
    expect([empty?.dims, empty && Object.hasOwn(empty, 'rawData')]).toEqual([[0n, 3n], false])
    expect([scalar?.dims, scalar?.rawData.byteLength]).toEqual([[], 4])
  })
})
