/** Calls of a model's own functions become their nodes; ONNX Runtime computes the same from both. */
import * as ort from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { lower } from '../../src/export/lower.ts'
import { isOpaque } from '../../src/ir/registry.ts'
import { AttributeProto_AttributeType as Type, type FunctionProto, type ModelProto } from '../../src/onnx/onnx_pb.ts'
import { orThrow } from '../fuzz/differential.ts'
import { type GraphInit, info, modelBytes, type ModelInit, node, parse, read, subgraph } from './make.ts'

const domain = 'local'
const imports = [
  { domain: '', version: 17n },
  { domain, version: 1n },
]

type FunctionInit = NonNullable<ModelInit['functions']>[number]

const fn = (name: string, input: string[], output: string[], body: FunctionInit['node'], more = {}): FunctionInit => ({
  name,
  domain,
  input,
  output,
  node: body ?? [],
  opsetImport: imports,
  ...more,
})

const call = (name: string, input: string[], output: string[], more = {}) =>
  node(name, input, output, { domain, ...more })

const refer = (name: string, to: string) => ({ name, type: Type.FLOAT, refAttrName: to })
const float = (name: string, f: number) => ({ name, type: Type.FLOAT, f })

const bytesOf = (graph: GraphInit, functions: ReadonlyArray<FunctionInit>, more: ModelInit = {}): Uint8Array =>
  modelBytes(
    { input: [info('x', [4])], output: [info('y', [4])], ...graph },
    { functions: [...functions], opsetImport: imports, ...more },
  )

const opsOf = (bytes: Uint8Array): ReadonlyArray<string> =>
  read(bytes).nodes.map((one) => (isOpaque(one) ? one.attrs.opType : one.op))

const functionsLeft = (bytes: Uint8Array): ReadonlyArray<string> => {
  const written: ModelProto = parse(orThrow(lower(read(bytes))).model)
  return written.functions.map(({ name }: FunctionProto) => name)
}

const run = async (bytes: Uint8Array): Promise<ReadonlyArray<number>> => {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3, graphOptimizationLevel: 'disabled' })
  const { y } = await session.run({ x: new ort.Tensor('float32', [-2, -0.5, 0.5, 2], [4]) })
  await session.release()
  return y?.data instanceof Float32Array ? [...y.data] : []
}

const expectInlined = async (bytes: Uint8Array, ops: ReadonlyArray<string>): Promise<void> => {
  expect(opsOf(bytes)).toEqual(ops)
  expect(functionsLeft(bytes)).toEqual([])
  expect(await run(orThrow(lower(read(bytes))).model)).toEqual(await run(bytes))
}

/** `LeakyRelu(a) + a`, with alpha an attribute that is 0.25 unless given. */
const leaky = fn(
  'Leaky',
  ['a'],
  ['b'],
  [node('LeakyRelu', ['a'], ['t'], { attribute: [refer('alpha', 'slope')] }), node('Add', ['t', 'a'], ['b'])],
  { attributeProto: [float('slope', 0.25)] },
)

describe('a call becomes the nodes of the function', () => {
  test('twice, with an attribute and with its default', async () => {
    const nodes = [
      call('Leaky', ['x'], ['t'], { attribute: [float('slope', 0.5)], name: 'first' }),
      call('Leaky', ['t'], ['y']),
    ]
    await expectInlined(bytesOf({ node: nodes }, [leaky]), ['LeakyRelu', 'Add', 'LeakyRelu', 'Add'])
    expect(read(bytesOf({ node: nodes }, [leaky])).nodes.map(({ outputs }) => outputs[0])).toEqual([
      'first/t',
      't',
      'y/t',
      'y',
    ])
  })

  test('nested, an attribute handed down', async () => {
    const outer = fn(
      'Outer',
      ['a'],
      ['c'],
      [call('Leaky', ['a'], ['b'], { attribute: [refer('slope', 'outer')] }), call('Leaky', ['b'], ['c'])],
      { attribute: ['outer'] },
    )
    const nodes = [call('Outer', ['x'], ['y'], { attribute: [float('outer', 0.125)] })]
    await expectInlined(bytesOf({ node: nodes }, [outer, leaky]), ['LeakyRelu', 'Add', 'LeakyRelu', 'Add'])
  })

  test('with subgraphs that read its inputs', async () => {
    const branch = (op: string) => ({ name: op, node: [node(op, ['a'], ['r'])], output: [info('r', [4])] })
    const choose = fn(
      'Choose',
      ['a', 'which'],
      ['b'],
      [
        node('If', ['which'], ['b'], {
          attribute: [subgraph('then_branch', branch('Relu')), subgraph('else_branch', branch('Neg'))],
        }),
      ],
    )
    const nodes = [
      node('ReduceSum', ['x'], ['s'], { attribute: [{ name: 'keepdims', type: Type.INT, i: 0n }] }),
      node('Greater', ['x', 's'], ['g']),
      node('Cast', ['g'], ['i'], { attribute: [{ name: 'to', type: Type.INT, i: 1n }] }),
      node('ReduceMax', ['i'], ['m'], { attribute: [{ name: 'keepdims', type: Type.INT, i: 0n }] }),
      node('Cast', ['m'], ['c'], { attribute: [{ name: 'to', type: Type.INT, i: 9n }] }),
      call('Choose', ['x', 'c'], ['y']),
    ]
    await expectInlined(bytesOf({ node: nodes }, [choose]), ['ReduceSum', 'Greater', 'Cast', 'ReduceMax', 'Cast', 'If'])
  })

  // ONNX Runtime cannot run such a call.
  test('that hands an input on', () => {
    const pass = fn('Pass', ['a'], ['b', 'a'], [node('Neg', ['a'], ['b'])])
    const graph = read(bytesOf({ node: [call('Pass', ['x'], ['t', 'y'])] }, [pass]))
    expect(graph.nodes.map(({ op, inputs, outputs }) => [op, inputs, outputs])).toEqual([
      ['Neg', ['x'], ['t']],
      ['Identity', ['x'], ['y']],
    ])
  })

  test('a name that is taken is not used again', () => {
    const nodes = [call('Leaky', ['x'], ['y']), node('Neg', ['x'], ['y/t'])]
    const names = read(bytesOf({ node: nodes }, [leaky])).nodes.flatMap(({ outputs }) => outputs)
    expect(names).toEqual(['y/t_1', 'y', 'y/t'])
  })
})

describe('a call stays', () => {
  const nodes = [call('F', ['x'], ['y'])]
  test.each<[string, ReadonlyArray<FunctionInit>]>([
    [
      'of a function that calls itself',
      [fn('F', ['a'], ['b'], [call('G', ['a'], ['b'])]), fn('G', ['a'], ['b'], [call('F', ['a'], ['b'])])],
    ],
    [
      'where the function imports another opset',
      [fn('F', ['a'], ['b'], [node('Relu', ['a'], ['b'])], { opsetImport: [{ domain: '', version: 13n }] })],
    ],
    ['where a name of the function is nothing', [fn('F', ['a'], ['b'], [node('Add', ['a', 'z'], ['b'])])]],
    ['where a name is defined twice', [fn('F', ['a'], ['b'], [node('Neg', ['a'], ['b']), node('Relu', ['a'], ['b'])])]],
    ['where an output is nothing', [fn('F', ['a'], ['b'], [node('Neg', ['a'], ['c'])])]],
    ['that gives more than the function takes', [fn('F', [], ['b'], [node('Constant', [], ['b'])])]],
  ])('%s', (_, functions) => {
    expect(opsOf(bytesOf({ node: nodes }, functions))).toEqual(['F'])
    expect(functionsLeft(bytesOf({ node: nodes }, functions))).toEqual(functions.map(({ name }) => name))
  })

  test('where all calls together would become too many nodes', () => {
    const deep = Array.from({ length: 40 }, (_, i) =>
      fn(`F${i}`, ['a'], ['c'], [call(`F${i + 1}`, ['a'], ['b']), call(`F${i + 1}`, ['b'], ['c'])]),
    )
    const functions = [...deep, fn('F40', ['a'], ['c'], [node('Neg', ['a'], ['c'])])]
    expect(opsOf(bytesOf({ node: [call('F0', ['x'], ['y'])] }, functions))).toEqual(['F0'])
    expect(opsOf(bytesOf({ node: [call('F37', ['x'], ['y'])] }, functions))).toEqual(Array(8).fill('Neg'))
  })

  test('in a subgraph, and the function with it', () => {
    const branch = { name: 'g', node: [call('Leaky', ['x'], ['r'])], output: [info('r', [4])] }
    const choice = node('If', ['c'], ['t'], {
      attribute: [subgraph('then_branch', branch), subgraph('else_branch', branch)],
    })
    const graph = { input: [info('x', [4]), info('c', [], 'bool')], node: [choice, call('Leaky', ['t'], ['y'])] }
    expect(opsOf(bytesOf(graph, [leaky]))).toEqual(['If', 'LeakyRelu', 'Add'])
    expect(functionsLeft(bytesOf(graph, [leaky]))).toEqual(['Leaky'])
  })
})
