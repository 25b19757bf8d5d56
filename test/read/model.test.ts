import { create, equals } from '@bufbuild/protobuf'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { lower, type LowerOptions } from '../../src/export/lower.ts'
import { fixedNames, freshNames } from '../../src/ir/analysis.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { Opaque, type OpaqueAttributes } from '../../src/ir/ops/opaque.ts'
import { isOp } from '../../src/ir/registry.ts'
import { elements, type Tensor } from '../../src/ir/tensor.ts'
import { printType, type Shape } from '../../src/ir/type.ts'
import { encode } from '../../src/onnx/codec.ts'
import {
  AttributeProto_AttributeType as Type,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from '../../src/onnx/onnx_pb.ts'
import {
  floats,
  FLOAT,
  type GraphInit,
  info,
  INT64,
  modelBytes,
  type ModelInit,
  node,
  type NodeInit,
  parse,
  read,
  readFailure,
  subgraph,
} from './make.ts'

const write = (graph: Graph, options?: LowerOptions): ModelProto => {
  const lowered = lower(graph, options)
  if (E.isLeft(lowered)) throw new Error(lowered.left.found)
  return parse(lowered.right.model)
}

/** What is written of a model that was read and not changed. */
const roundTrip = (graph: GraphInit, model?: ModelInit): ModelProto => write(read(modelBytes(graph, model)))

const numbers = (tensor: Tensor | undefined): ReadonlyArray<number> =>
  tensor ? Array.from(elements(tensor), Number) : []

const opaque = (graph: Graph, index: number): OpaqueAttributes => {
  const found = graph.nodes[index]
  if (!isOp(found, Opaque)) throw new Error(`node ${index} is known`)
  return found.attrs
}

const reluModel = (more: NodeInit = {}, graph: GraphInit = {}): GraphInit => ({
  input: [info('x')],
  output: [info('y')],
  node: [node('Relu', ['x'], ['y'], more)],
  ...graph,
})

describe('reading a model', () => {
  it('gives names, types, constants and nodes', () => {
    const graph = read(
      modelBytes({
        input: [info('x', ['N', 3])],
        output: [info('y', ['N', 3])],
        initializer: [floats('w', [1, 2, 3])],
        node: [node('Add', ['x', 'w'], ['a'], { name: 'first' }), node('Relu', ['a'], ['y'])],
      }),
    )
    expect(graph.name).toBe('g')
    expect([...graph.opsets]).toEqual([['', 17]])
    expect(graph.nodes.map(({ op, name, inputs, outputs }) => [op, name, inputs, outputs])).toEqual([
      ['Add', 'first', ['x', 'w'], ['a']],
      ['Relu', '', ['a'], ['y']],
    ])
    expect([...graph.types].map(([name, type]) => `${name}: ${printType(type)}`)).toEqual([
      'x: float32[N,3]',
      'w: float32[3]',
      'a: float32[N,3]',
      'y: float32[N,3]',
    ])
    expect(numbers(graph.constants.get('w'))).toEqual([1, 2, 3])
  })

  it('keeps constants of the file as views', () => {
    const bytes = modelBytes(reluModel({}, { initializer: [floats('w', [1])] }))
    const weight = read(bytes).constants.get('w')
    expect(weight?.tag === 'Dense' && weight.bytes.buffer).toBe(bytes.buffer)
  })

  it('makes sizes that are unknown anonymous and writes them as they were', () => {
    const input = info('x', ['N', '?', 5])
    const dims = input.type?.value.case === 'tensorType' ? input.type.value.value.shape?.dim : undefined
    if (dims?.[2]) dims[2].value = { case: 'dimValue', value: -1n }
    const graph = { input: [input], output: [info('y', ['N', 'M', 'K'])], node: [node('Relu', ['x'], ['y'])] }
    expect(printType(read(modelBytes(graph)).inputs[0]?.type ?? { kind: 'other', encoded: undefined })).toBe(
      'float32[N,?,?]',
    )
    expect(equals(ModelProtoSchema, roundTrip(graph), parse(modelBytes(graph)))).toBe(true)
  })

  describe('initializers that are also inputs', () => {
    const graph: GraphInit = {
      input: [info('w', [2]), info('x', [2]), info('v', [2])],
      output: [info('y')],
      initializer: [floats('v', [3, 4]), floats('w', [1, 2])],
      node: [node('Add', ['x', 'w'], ['a']), node('Add', ['a', 'v'], ['y'])],
    }

    it('are constants before IR version 4, and inputs again when written', () => {
      const made = read(modelBytes(graph, { irVersion: 3n }))
      expect(made.inputs.map(({ name }) => name)).toEqual(['x'])
      expect([...made.constants.keys()].sort()).toEqual(['v', 'w'])
      const written = write(made)
      expect(written.graph?.input.map(({ name }) => name)).toEqual(['w', 'x', 'v'])
      expect(written.graph?.initializer.map(({ name }) => name)).toEqual(['w', 'v'])
      expect(written.irVersion).toBe(3n)
    })

    it('are declared with their new shape, and left out when they are gone', () => {
      const made = read(modelBytes(graph, { irVersion: 3n }))
      const scalar: Tensor = { tag: 'Dense', dtype: 'float32', shape: [1], bytes: new Uint8Array(4) }
      const nodes = made.nodes.slice(0, 1).map((one) => ({ ...one, outputs: ['y'] }))
      const written = write({
        ...made,
        nodes,
        constants: new Map([
          ['w', scalar],
          ['v', scalar],
        ]),
      })
      expect(written.graph?.input.map(({ name }) => name)).toEqual(['w', 'x'])
      const type = written.graph?.input[0]?.type?.value
      expect(type?.case === 'tensorType' && type.value.shape?.dim.map(({ value }) => value.value)).toEqual([1n])
    })

    it('can be overridden from IR version 4 on: no constants', () => {
      const made = read(modelBytes(graph, { irVersion: 4n }))
      expect(made.inputs.map(({ name }) => name)).toEqual(['w', 'x', 'v'])
      expect(made.constants.size).toBe(0)
      expect([...made.defaults].map(([name, tensor]) => [name, numbers(tensor)])).toEqual([
        ['v', [3, 4]],
        ['w', [1, 2]],
      ])
      const written = write(made)
      expect(written.graph?.input.map(({ name }) => name)).toEqual(['w', 'x', 'v'])
      expect(written.graph?.initializer.map(({ name }) => name)).toEqual(['w', 'v'])
    })
  })

  it('has operators of other domains that it does not import in their first version', () => {
    const gelu = node('QuickGelu', ['x'], ['y'], { domain: 'com.microsoft' })
    const graph = read(modelBytes({ input: [info('x')], output: [info('y')], node: [gelu] }))
    expect(graph.nodes.map(({ op }) => op)).toEqual(['com.microsoft.QuickGelu'])
    expect(write(graph).opsetImport.map(({ domain }) => domain)).toEqual([''])
  })

  describe('nodes that are kept as they are', () => {
    const reasonOf = (given: NodeInit, model?: ModelInit): string => {
      const bytes = modelBytes(
        { input: [info('x')], output: [info('y')], initializer: [floats('w', [1, 2, 3])], node: [given] },
        model,
      )
      const graph = read(bytes)
      // Whatever it is, it is written as it was.
      expect(write(graph).graph?.node[0]).toEqual(parse(bytes).graph?.node[0])
      return opaque(graph, 0).reason
    }
    const relu = (more: NodeInit): NodeInit => node('Relu', ['x'], ['y'], more)
    const opset = (version: bigint, domain = ''): ModelInit => ({ opsetImport: [{ domain, version }] })

    it.each<[string, NodeInit, ModelInit | undefined, string]>([
      ['another domain', relu({ domain: 'com.example' }), undefined, 'com.example'],
      ['an operator without definition', node('Zorch', ['x'], ['y']), undefined, 'operator Zorch is not known'],
      ['the name the IR uses for such nodes', node('Opaque', ['x'], ['y']), undefined, 'operator Opaque is not known'],
      [
        'a name that every object has',
        node('constructor', ['x'], ['y']),
        undefined,
        'operator constructor is not known',
      ],
      ['an opset before the definition', relu({}), opset(1n), 'Relu of opset 1'],
      ['no import of the default domain', relu({}), opset(1n, 'com.example'), 'does not import'],
      ['a function of the model by that name', relu({}), { functions: [{ name: 'Relu', domain: '' }] }, 'function'],
      ['an overload', relu({ overload: 'v2' }), undefined, 'function'],
      [
        'an unknown attribute',
        relu({ attribute: [{ name: 'zorch', type: Type.INT, i: 1n }] }),
        undefined,
        'unknown attribute zorch',
      ],
      ['a subgraph', relu({ attribute: [subgraph('body', { name: 'b' })] }), undefined, 'subgraphs'],
      [
        'an attribute twice',
        node('Add', ['x', 'x'], ['y'], {
          attribute: [
            { name: 'a', type: Type.INT },
            { name: 'a', type: Type.INT },
          ],
        }),
        undefined,
        'given twice',
      ],
      [
        'an attribute reference',
        relu({ attribute: [{ name: 'a', refAttrName: 'b', type: Type.INT }] }),
        undefined,
        'refers',
      ],
      [
        'an attribute with two values',
        relu({ attribute: [{ name: 'a', type: Type.INT, i: 1n, f: 1 }] }),
        undefined,
        'several types',
      ],
      [
        'an attribute that is no text',
        relu({ attribute: [{ name: 'a', type: Type.STRING, s: Uint8Array.of(0xff) }] }),
        undefined,
        'UTF-8',
      ],
      [
        'a type attribute',
        relu({ attribute: [{ name: 'a', type: Type.TYPE_PROTO, tp: {} }] }),
        undefined,
        'not modelled',
      ],
      ['types that do not fit', node('Add', ['x', 'w'], ['y']), undefined, 'do not broadcast'],
    ])('because of %s', (_, given, model, reason) => {
      expect(reasonOf(given, model)).toContain(reason)
    })

    it('take their output types from the declarations', () => {
      const graph = read(
        modelBytes({
          input: [info('x')],
          output: [info('y', [7])],
          valueInfo: [info('a', ['N', 4])],
          node: [node('Zorch', ['x'], ['a', 'b']), node('Relu', ['a'], ['c']), node('Zorch', ['c'], ['y'])],
        }),
      )
      expect(
        ['a', 'b', 'c', 'y'].map((name) => printType(graph.types.get(name) ?? { kind: 'other', encoded: undefined })),
      ).toEqual(['float32[N,4]', '?', 'float32[N,4]', 'float32[?]'])
    })

    it('do not stop what follows from being known', () => {
      const graph = read(
        modelBytes({
          input: [info('x')],
          output: [info('y')],
          initializer: [floats('w', [1, 2, 3])],
          node: [node('Add', ['x', 'w'], ['a']), node('Relu', ['a'], ['b']), node('Relu', ['x'], ['y'])],
        }),
      )
      expect(graph.nodes.map(({ op }) => op)).toEqual(['Opaque', 'Opaque', 'Relu'])
    })
  })

  describe('subgraphs', () => {
    const branch = (reads: string, writes: string): GraphInit => ({
      name: 'b',
      node: [node('Neg', [reads], ['t']), node('Relu', ['t'], [writes])],
      output: [info(writes)],
    })

    it('capture outer values, and not names that they define themselves', () => {
      const nested: GraphInit = {
        name: 'n',
        input: [info('i')],
        initializer: [floats('k', [1, 1])],
        node: [
          node('Add', ['i', 'k'], ['p']),
          node('If', ['flag'], ['q'], {
            attribute: [subgraph('then_branch', branch('p', 'out')), subgraph('else_branch', branch('deep', 'out'))],
          }),
        ],
        output: [info('q')],
      }
      const body: GraphInit = {
        name: 'b',
        input: [info('x')],
        node: [
          node('Add', ['x', 'shared'], ['t']),
          node('Scan', ['t'], ['r'], { attribute: [subgraph('body', nested)] }),
        ],
        output: [info('r'), info('through')],
      }
      const graph = read(
        modelBytes({
          input: [info('x'), info('shared'), info('deep'), info('through'), info('flag', [], 'bool')],
          output: [info('y')],
          node: [node('Loop', ['', '', 'x'], ['y'], { attribute: [subgraph('body', body)] })],
        }),
      )
      expect(opaque(graph, 0).captures).toEqual(['shared', 'through', 'flag', 'deep'])
      expect([...opaque(graph, 0).defines].sort()).toEqual(['i', 'k', 'out', 'p', 'q', 'r', 't', 'x'])
      for (const name of ['shared', 'through', 'deep']) expect(fixedNames(graph).has(name)).toBe(true)
      expect(freshNames(graph)('t')).toBe('t_1')
    })

    it('wait for what they capture', () => {
      const graph = read(
        modelBytes({
          input: [info('x'), info('c', [], 'bool')],
          output: [info('y')],
          node: [
            node('If', ['c'], ['y'], {
              attribute: [subgraph('then_branch', branch('late', 'o')), subgraph('else_branch', branch('x', 'o'))],
            }),
            node('Relu', ['x'], ['late']),
          ],
        }),
      )
      expect(graph.nodes.map(({ outputs }) => outputs[0])).toEqual(['late', 'y'])
    })

    it('that capture what nobody defines are an error', () => {
      const graph = {
        input: [info('c')],
        output: [info('y')],
        node: [node('If', ['c'], ['y'], { attribute: [subgraph('then_branch', branch('nowhere', 'o'))] })],
      }
      expect(readFailure(modelBytes(graph))).toMatchObject({ code: 'undefined-value', subject: 'If y, input nowhere' })
    })
  })

  describe('order', () => {
    const chain = (order: ReadonlyArray<number>): GraphInit => {
      const names = ['x', 'a', 'b', 'c', 'd', 'y']
      return {
        input: [info('x')],
        output: [info('y')],
        node: order.map((i) => node(i % 2 === 0 ? 'Relu' : 'Zorch', [names[i] ?? ''], [names[i + 1] ?? ''])),
      }
    }

    it.each([[[0, 1, 2, 3, 4]], [[4, 3, 2, 1, 0]], [[2, 0, 4, 1, 3]], [[1, 0, 3, 2, 4]]])(
      '%j is brought into topological order',
      (order) => {
        expect(read(modelBytes(chain(order))).nodes.map(({ outputs }) => outputs[0])).toEqual(['a', 'b', 'c', 'd', 'y'])
      },
    )

    it('of independent nodes stays', () => {
      const nodes = ['p', 'q', 'r', 's'].map((name) => node('Relu', ['x'], [name]))
      const graph = { input: [info('x')], output: [info('y')], node: [node('Add', ['q', 's'], ['y']), ...nodes] }
      expect(read(modelBytes(graph)).nodes.map(({ outputs }) => outputs[0])).toEqual(['p', 'q', 'r', 's', 'y'])
    })

    it('of a long chain in reverse is found without recursion', () => {
      const count = 20_000
      const nodes = Array.from({ length: count }, (_, i) =>
        node('Zorch', [i === 0 ? 'x' : `v${i}`], [`v${i + 1}`]),
      ).reverse()
      const graph = read(modelBytes({ input: [info('x')], output: [info(`v${count}`)], node: nodes }))
      expect(graph.nodes.map(({ outputs }) => outputs[0])).toEqual(Array.from({ length: count }, (_, i) => `v${i + 1}`))
    })

    it.each<[string, ReadonlyArray<NodeInit>, string]>([
      ['of one node', [node('Relu', ['y'], ['y'])], 'values y'],
      ['of two', [node('Relu', ['b'], ['y']), node('Relu', ['y'], ['b'])], 'values y, b'],
      [
        'behind others',
        [node('Relu', ['a'], ['y']), node('Add', ['c', 'x'], ['a']), node('Relu', ['a'], ['c'])],
        'values a, c',
      ],
    ])('a cycle %s is an error that names its values', (_, nodes, subject) => {
      expect(readFailure(modelBytes({ input: [info('x')], output: [info('y')], node: [...nodes] }))).toMatchObject({
        code: 'cycle',
        subject,
      })
    })
  })

  describe('names', () => {
    it('that nothing defines are an error with the closest one', () => {
      const graph = {
        input: [info('data_input')],
        output: [info('y')],
        node: [node('Relu', ['data_imput'], ['y'], { name: 'act' })],
      }
      expect(readFailure(modelBytes(graph))).toMatchObject({
        code: 'undefined-value',
        subject: 'Relu act, input data_imput',
        help: 'The closest name is data_input.',
      })
    })

    it.each<[string, GraphInit, string]>([
      ['of two nodes', { node: [node('Relu', ['x'], ['y']), node('Neg', ['x'], ['y'])] }, 'duplicate-name'],
      ['of a node and an input', { node: [node('Relu', ['x'], ['x'])] }, 'duplicate-name'],
      ['of a node and an initializer', { initializer: [floats('y', [1])] }, 'duplicate-name'],
      ['of two initializers', { initializer: [floats('w', [1]), floats('w', [1])] }, 'duplicate-name'],
      ['of two inputs', { input: [info('x'), info('x')] }, 'malformed-graph'],
      ['of two outputs of one node', { node: [node('Split', ['x'], ['y', 'y'])] }, 'duplicate-name'],
      ['empty, of an input', { input: [info('x'), info('')] }, 'required-field-empty'],
      ['empty, of an output', { output: [info('')] }, 'required-field-empty'],
      ['empty, of an initializer', { initializer: [floats('', [1])] }, 'required-field-empty'],
      ['empty, of a sparse initializer', { sparseInitializer: [{ dims: [1n] }] }, 'required-field-empty'],
      ['of an output that nothing defines', { output: [info('z')] }, 'malformed-graph'],
    ])('%s are an error', (_, graph, code) => {
      expect(readFailure(modelBytes(reluModel({}, graph)))).toMatchObject({ _tag: 'ReadError', code })
    })

    it('with U+FFFD by the thousand are found in one pass over the file', () => {
      const count = 20_000
      const name = (i: number): string => `\ufffd${i}`
      const nodes = Array.from({ length: count }, (_, i) => node('Relu', [name(i)], [name(i + 1)]))
      const bytes = modelBytes({ input: [info(name(0))], output: [info(name(count))], node: nodes })
      const before = process.cpuUsage()
      expect(read(bytes).nodes.length).toBe(count)
      // Each of them sought in the whole file took minutes of processor time.
      expect(process.cpuUsage(before).user).toBeLessThan(30_000_000)
    })

    it('that are not UTF-8 are an error, wherever they are, and U+FFFD itself is not', () => {
      const branch = { name: 'b', node: [node('Relu', ['x'], ['n@@@'])], output: [info('n@@@')] }
      const body = node('If', ['x'], ['z'], { attribute: [subgraph('then_branch', branch)] })
      for (const graph of [
        reluModel({}, { input: [info('x'), info('n@@@')] }),
        reluModel({}, { node: [node('Relu', ['x'], ['y']), node('Relu', ['x'], ['n@@@'])] }),
        reluModel({}, { node: [node('Relu', ['x'], ['y']), body] }),
      ]) {
        const replaced = (bytes: ReadonlyArray<number>): Uint8Array => {
          const model = modelBytes(graph)
          for (let at = model.indexOf(0x40); at >= 0; at = model.indexOf(0x40)) model.set(bytes, at)
          return model
        }
        expect(readFailure(replaced([0xff, 0xfe, 0x41]))).toMatchObject({ code: 'malformed-text' })
        const fine = read(replaced([0xef, 0xbf, 0xbd]))
        expect(write(fine)).toEqual(parse(replaced([0xef, 0xbf, 0xbd])))
      }
    })

    it.each<[string, ModelInit, string]>([
      ['no IR version', { irVersion: 0n }, 'ir-version-missing'],
      [
        'two versions of a domain',
        { opsetImport: [{ version: 17n }, { domain: 'ai.onnx', version: 18n }] },
        'opset-import-conflict',
      ],
    ])('%s is an error', (_, model, code) => {
      expect(readFailure(modelBytes(reluModel(), model)).code).toBe(code)
    })
  })

  it('reads IR versions and opsets that no runtime accepts', () => {
    for (const irVersion of [1n, 2n, 99n])
      expect(read(modelBytes(reluModel(), { irVersion })).preserved.irVersion).toBe(Number(irVersion))
    expect(read(modelBytes(reluModel(), { opsetImport: [{ version: 99n }] })).opsets.get('')).toBe(99)
  })

  it('knows the default domain by both of its names', () => {
    const written = roundTrip(reluModel({ domain: 'ai.onnx' }), { opsetImport: [{ domain: 'ai.onnx', version: 17n }] })
    expect(
      read(modelBytes(reluModel({ domain: 'ai.onnx' }), { opsetImport: [{ domain: 'ai.onnx', version: 17n }] }))
        .nodes[0]?.op,
    ).toBe('Relu')
    expect([written.graph?.node[0]?.domain, written.opsetImport.map(({ domain }) => domain)]).toEqual([
      'ai.onnx',
      ['ai.onnx'],
    ])
  })
})

describe('what the IR does not model', () => {
  const unknown = [{ no: 900, wireType: 2, data: Uint8Array.of(2, 7, 8) }]

  it('comes back: doc strings, metadata, denotations and unknown fields at every level', () => {
    const more = { docString: 'doc', metadataProps: [{ key: 'k', value: 'v' }] }
    const declared = (name: string, shape?: Shape) =>
      create(ValueInfoProtoSchema, { name, type: info(name, shape).type, ...more })
    const attribute = { name: 'group', type: Type.INT, i: 2n, docString: 'doc' }
    const bytes = modelBytes(
      {
        ...more,
        input: [declared('x'), info('image', [1, 2, 4, 4])],
        output: [info('y'), declared('c', [1, 2, 2, 2])],
        valueInfo: [declared('a')],
        initializer: [
          floats('w', [1, 2], more),
          {
            ...floats(
              'k',
              Array.from({ length: 18 }, () => 1),
            ),
            dims: [2n, 1n, 3n, 3n],
          },
        ],
        node: [
          node('Add', ['x', 'w'], ['a'], { name: 'n', ...more }),
          node('Relu', ['a'], ['y']),
          node('Conv', ['image', 'k'], ['c'], { attribute: [attribute] }),
        ],
        quantizationAnnotation: [{ tensorName: 'a', quantParameterTensorNames: [{ key: 'SCALE_TENSOR', value: 'w' }] }],
      },
      {
        ...more,
        producerName: 'maker',
        producerVersion: '3',
        domain: 'example',
        modelVersion: 5n,
        functions: [{ name: 'F', domain: 'local', input: ['i'], output: ['o'], node: [node('Relu', ['i'], ['o'])] }],
        trainingInfo: [{ updateBinding: [{ key: 'w', value: 'w_next' }] }],
        configuration: [{ name: 'two', numDevices: 2 }],
      },
    )
    const source = parse(bytes)
    const graph = source.graph
    if (!graph) throw new Error('no graph')
    for (const message of [
      source,
      graph,
      graph.node[0],
      graph.node[2]?.attribute[0],
      graph.input[0],
      graph.valueInfo[0],
      graph.initializer[0],
    ]) {
      if (message) message.$unknown = unknown
    }
    for (const { type } of [...graph.input.slice(0, 1), ...graph.valueInfo]) {
      if (type?.value.case !== 'tensorType') throw new Error('no tensor')
      type.denotation = 'TENSOR'
      for (const dim of type.value.value.shape?.dim ?? []) dim.denotation = 'DATA_FEATURE'
    }
    const known = read(encode(ModelProtoSchema, source))
    expect(known.nodes.map(({ op }) => op)).toEqual(['Add', 'Relu', 'Conv'])
    const written = write(known)
    expect(written).toEqual(source)
    expect(written.$unknown).toEqual(unknown)
    expect(written.graph?.node[2]?.attribute[0]?.$unknown).toEqual(unknown)
    expect(known.preserved.uses).toEqual(['a', 'w', 'w_next'])
  })

  it('holds names that stay: of training, and of device configurations', () => {
    const graph = read(
      modelBytes(reluModel({ deviceConfigurations: [{ configurationId: 'c', shardingSpec: [{ tensorName: 'y' }] }] }), {
        trainingInfo: [
          {
            initializationBinding: [{ key: 'a', value: 'b' }],
            algorithm: {
              name: 't',
              node: [node('Add', ['outer', 'inner0'], ['inner1'])],
              initializer: [floats('inner0', [1])],
            },
          },
        ],
      }),
    )
    expect([...graph.preserved.uses].sort()).toEqual(['a', 'b', 'inner0', 'inner1', 'outer', 'y'])
    expect(graph.nodes[0]?.op).toBe('Relu')
  })

  it('keeps initializers that only preserved parts name, and drops those that nothing names', () => {
    const written = roundTrip(
      reluModel(
        {},
        {
          initializer: [floats('scale', [1]), floats('nobody', [1])],
          quantizationAnnotation: [
            { tensorName: 'y', quantParameterTensorNames: [{ key: 'SCALE_TENSOR', value: 'scale' }] },
          ],
        },
      ),
    )
    expect(written.graph?.initializer.map(({ name }) => name)).toEqual(['scale'])
  })

  it('are sparse initializers, which come back where they were', () => {
    const sparse = {
      values: floats('s', [1, 2]),
      indices: { name: 'i', dims: [2n], dataType: INT64, rawData: new Uint8Array(BigInt64Array.of(0n, 3n).buffer) },
      dims: [4n],
    }
    const graph: GraphInit = {
      input: [info('x', [4])],
      output: [info('y', [4])],
      sparseInitializer: [sparse],
      node: [node('Add', ['x', 's'], ['y'])],
    }
    const made = read(modelBytes(graph))
    expect(printType(made.types.get('s') ?? { kind: 'other', encoded: undefined })).toBe('float32[4]')
    expect(made.nodes.map(({ op }) => op)).toEqual(['Opaque', 'Add'])
    expect(write(made)).toEqual(parse(modelBytes(graph)))
    // One that is the default of an input stays out of the graph.
    const overridable = { ...graph, input: [info('x', [4]), info('s', [4])] }
    expect(read(modelBytes(overridable)).nodes).toHaveLength(1)
    expect(write(read(modelBytes(overridable)))).toEqual(parse(modelBytes(overridable)))
  })

  it('are types of other kinds', () => {
    const sequence = create(TypeProtoSchema, {
      value: {
        case: 'sequenceType',
        value: { elemType: { value: { case: 'tensorType', value: { elemType: FLOAT } } } },
      },
    })
    const graph: GraphInit = {
      input: [{ name: 's', type: sequence }, { name: 'none' }],
      output: [{ name: 'y', type: sequence }],
      node: [node('SequenceErase', ['s'], ['y'])],
    }
    const made = read(modelBytes(graph))
    expect(made.inputs.map(({ type }) => type.kind)).toEqual(['other', 'other'])
    expect(made.inputs[0]?.type).toMatchObject({ encoded: encode(TypeProtoSchema, sequence) })
    expect(write(made)).toEqual(parse(modelBytes(graph)))
  })

  it('are attributes of nodes that are not known, byte for byte', () => {
    const given = create(NodeProtoSchema, {
      ...node('Zorch', ['x', ''], ['y', '']),
      attribute: [
        { name: 's', type: Type.STRING, s: Uint8Array.of(0xff, 0xfe) },
        { name: 'i', type: Type.INT, i: 2n ** 63n - 1n },
        { name: 't', type: Type.TENSOR, t: floats('', [1, NaN]) },
      ],
    })
    given.$unknown = unknown
    expect(roundTrip(reluModel({}, { node: [given] })).graph?.node[0]).toEqual(given)
  })
})
