/** Models that ONNX Runtime has optimised already: its fused operators are taken apart, so that channels go through them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { expect, test } from 'vitest'
import { lower } from '../../src/export/lower.ts'
import type { Graph } from '../../src/ir/graph.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { parse } from '../../src/ir/parse.ts'
import { allOps, isOpaque } from '../../src/ir/registry.ts'
import { AttributeProto_AttributeType } from '../../src/onnx/onnx_pb.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { simplify } from '../../src/passes/simplify.ts'
import { buildGraph, type GraphBuilder } from '../builder.ts'
import { compareCompiled, orThrow } from '../fuzz/differential.ts'
import { fileBytes, info, modelBytes, node, read } from '../read/make.ts'
import { right, runLawful } from './laws.ts'

const parsed = (body: string): Graph => right(parse(`graph "test" (ir 8, opset 17, opset "com.microsoft" 1)\n${body}`))

const cases: ReadonlyArray<readonly [op: string, body: string, nodes: ReadonlyArray<string>]> = [
  [
    'BiasGelu',
    'input x: float32[N,3]\nconst b: float32[3] = [1, 2, 3]\ny = com.microsoft.BiasGelu(x, b)\noutput y: float32[N,3]',
    ['Add', 'com.microsoft.Gelu'],
  ],
  [
    'DynamicQuantizeMatMul',
    `input x: float32[N,2]
const w: int8[2,2] = [1, 2, 3, 4]
const s: float32[] = 0.5
const b: float32[2] = [1, 2]
y = com.microsoft.DynamicQuantizeMatMul(x, w, s, _, b)
output y: float32[N,2]`,
    ['DynamicQuantizeLinear', 'MatMulInteger', 'Cast', 'Mul', 'Mul', 'Add'],
  ],
  [
    'MatMulIntegerToFloat',
    `input x: uint8[N,2]
const w: int8[2,2] = [1, 2, 3, 4]
const s: float32[] = 0.5
const z: uint8[] = 3
y = com.microsoft.MatMulIntegerToFloat(x, w, s, s, z)
output y: float32[N,2]`,
    ['MatMulInteger', 'Cast', 'Mul', 'Mul'],
  ],
  [
    'QGemm',
    `input x: uint8[N,2]
const w: int8[2,3] = [1, 2, 3, 4, 5, 6]
const s: float32[] = 0.5
const z: uint8[] = 3
const wz: int8[] = 0
const c: int32[1,1] = [7]
y = com.microsoft.QGemm(x, s, z, w, s, wz, c, s, z)
output y: uint8[N,3]`,
    ['com.microsoft.QGemm'],
  ],
  [
    'FastGelu',
    'input x: float32[N,3]\nconst b: float32[3] = [1, 2, 3]\ny = com.microsoft.FastGelu(x, b)\noutput y: float32[N,3]',
    ['Add', 'com.microsoft.FastGelu'],
  ],
  [
    'FusedConv',
    'input x: float32[N,2,3,3]\nconst w: float32[2,2,1,1] = [1, 2, 3, 4]\ny = com.microsoft.FusedConv(x, w, _, x) { activation: "Relu" }\noutput y: float32[N,2,3,3]',
    ['Conv', 'Add', 'Relu'],
  ],
  [
    'FusedGemm',
    'input x: float32[N,2]\nconst w: float32[2,2] = [1, 2, 3, 4]\ny = com.microsoft.FusedGemm(x, w) { activation: "Sigmoid" }\noutput y: float32[N,2]',
    ['Gemm', 'Sigmoid'],
  ],
  [
    'FusedMatMul',
    'input x: float32[N,S,2]\ny = com.microsoft.FusedMatMul(x, x) { transB: 1, alpha: 0.5 }\noutput y: float32[N,S,S]',
    ['Transpose', 'MatMul', 'Mul'],
  ],
  [
    'SkipLayerNormalization',
    'input x: float32[N,3]\nconst g: float32[3] = [1, 2, 3]\ny, _, _, s = com.microsoft.SkipLayerNormalization(x, x, g)\noutput y: float32[N,3]\noutput s: float32[N,3]',
    ['Add', 'LayerNormalization'],
  ],
  [
    'SkipSimplifiedLayerNormalization',
    'input x: float32[N,3]\nconst g: float32[3] = [1, 2, 3]\ny = com.microsoft.SkipSimplifiedLayerNormalization(x, x, g, g)\noutput y: float32[N,3]',
    ['Add', 'Add', 'SimplifiedLayerNormalization'],
  ],
  [
    'Attention',
    `input x: float32[N,S,2]
     const w: float32[2,6] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3]
     const b: float32[6] = [1, 2, 3, 4, 5, 6]
     y = com.microsoft.Attention(x, w, b) { num_heads: 2 }
     output y: float32[N,S,2]`,
    [
      ...['MatMul', 'Add', 'Split', 'Reshape', 'Transpose', 'Reshape', 'Transpose', 'Reshape', 'Transpose'],
      ...['Transpose', 'MatMul', 'Mul', 'Softmax', 'MatMul', 'Transpose', 'Reshape'],
    ],
  ],
  [
    'QAttention',
    `input x: uint8[N,S,2]
     const w: int8[2,6] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3]
     const b: float32[6] = [1, 2, 3, 4, 5, 6]
     const s: float32[] = 0.5
     const z: uint8[] = 3
     y = com.microsoft.QAttention(x, w, b, s, s, _, z) { num_heads: 2 }
     output y: float32[N,S,2]`,
    [
      ...['MatMulInteger', 'Cast', 'Mul', 'Mul', 'Add', 'Split', 'Reshape', 'Transpose', 'Reshape', 'Transpose'],
      ...['Reshape', 'Transpose', 'Transpose', 'MatMul', 'Mul', 'Softmax', 'MatMul', 'Transpose', 'Reshape'],
    ],
  ],
  [
    'MultiHeadAttention',
    `input x: float32[N,S,2]
     y = com.microsoft.MultiHeadAttention(x, x, x) { num_heads: 2 }
     output y: float32[N,S,2]`,
    [
      ...['Reshape', 'Transpose', 'Reshape', 'Transpose', 'Reshape', 'Transpose'],
      ...['Transpose', 'MatMul', 'Mul', 'Softmax', 'MatMul', 'Transpose', 'Reshape'],
    ],
  ],
  [
    'GroupQueryAttention',
    `input x: float32[1,3,64]
     const last: int32[1] = [2]
     const total: int32[1] = [3]
     y = com.microsoft.GroupQueryAttention(x, _, _, _, _, last, total) { num_heads: 4, kv_num_heads: 2 }
     output y: float32[1,3,32]`,
    ['Split', 'com.microsoft.GroupQueryAttention'],
  ],
  [
    'EmbedLayerNormalization',
    `input x: int32[N,S]
     const zero: int32[1] = [0]
     ids = Mul(x, zero)
     const words: float32[2,2] = [1, 2, 3, 4]
     const places: float32[4,2] = [1, 2, 3, 4, 5, 6, 7, 8]
     const g: float32[2] = [1, 2]
     y, count = com.microsoft.EmbedLayerNormalization(ids, _, words, places, _, g, g)
     output y: float32[N,S,2]`,
    ['Mul', 'Gather', 'Shape', 'Gather', 'Slice', 'Add', 'LayerNormalization', 'Shape', 'Gather', 'ConstantOfShape'],
  ],
]

/** Those that are compared in ONNX Runtime alone, by tests of their own. */
const unevaluated = ['GroupQueryAttention']

test.each(cases)('%s is taken apart', (name, body, nodes) => {
  const found = runLawful(simplify, parsed(body), { unevaluated: unevaluated.includes(name) })
  expect(found.nodes.map(({ op }) => op)).toEqual(nodes)
})

/** What Attention of two heads becomes, with a mask. */
const attention = (attributes: string, mask: string, type = 'float32'): ReadonlyArray<string> => {
  const body = `input x: float32[N,2,8]
    input m: ${type}[2,2]
    const long: float32[1,3] = [0, -1, 0]
    const hidden: float32[1,2] = [-inf, -inf]
    y = Attention(x, x, x, ${mask}) { q_num_heads: 2, kv_num_heads: 2${attributes} }
    output y: float32[N,2,8]`
  return runLawful(simplify, right(parse(`graph "test" (ir 10, opset 23)\n${body}`)), {
    unevaluated: mask === 'hidden',
  }).nodes.map(({ op }) => op)
}

test('Attention is taken apart, also where it is causal or has a mask of truth values', () => {
  const whole = attention('', '_')
  expect(whole.filter((op) => ['MatMul', 'Softmax', 'Where'].includes(op))).toEqual(['MatMul', 'Softmax', 'MatMul'])
  expect(attention(', is_causal: 1', '_').filter((op) => op === 'Where')).toHaveLength(1)
  expect(attention('', 'm', 'bool').filter((op) => op === 'Where')).toHaveLength(2)
})

test.each([
  ['is not known', 'm'],
  ['hides all keys', 'hidden'],
])('Attention stays where what is added %s', (_, mask) => {
  expect(attention('', mask)).toEqual(['Attention'])
})

test('Attention of another kind is not looked into', () => {
  expect(() => attention('', 'long')).toThrow('a mask of another size')
  expect(() => attention(', softcap: 1.5', '_')).toThrow('a soft cap')
})

test.each([
  ['knows keys and values from before', '_, _, _, past', ''],
  ['gives keys and values', '_', ', kept'],
  ['has a mask of another size', 'mask', ''],
])('QAttention that %s stays', (_, inputs, outputs) => {
  const body = `input x: uint8[N,3,2]
    input mask: int32[1,3]
    input past: float32[2,N,2,1,1]
    const w: int8[2,6] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3]
    const b: float32[6] = [1, 2, 3, 4, 5, 6]
    const s: float32[] = 0.5
    y${outputs} = com.microsoft.QAttention(x, w, b, s, s, ${inputs}) { num_heads: 2 }
    output y: float32[N,3,2]${outputs === '' ? '' : '\n output kept: float32[2,N,2,P,1]'}`
  const { nodes } = runLawful(simplify, parsed(body), { unevaluated: true })
  expect(nodes.map(({ op }) => op)).toEqual(['com.microsoft.QAttention'])
})

test('every operator of com.microsoft that is several others has a case here', () => {
  const missing = allOps
    .flatMap(({ name, simplify: apart }) => (apart && name.startsWith('com.microsoft.') ? [name.slice(14)] : []))
    .filter((name) => !cases.some(([op]) => op === name))
  expect(missing).toEqual([])
})

test('what QGemm adds to all rows alike becomes a bias of one axis', () => {
  const [, body = ''] = cases.find(([op]) => op === 'QGemm') ?? []
  const made = (c: string): ReadonlyArray<number> | undefined => {
    const { nodes, constants } = right(simplify.run(parsed(body.replace('[1,1] = [7]', c))))
    return constants.get(nodes[0]?.inputs[6] ?? '')?.shape
  }
  expect(['[] = 7', '[1] = [7]', '[1,3] = [7, 8, 9]'].map(made)).toEqual([[3], [3], [3]])
  expect(made('[2,1] = [7, 8]')).toEqual([2, 1])
})

test.each([
  ['com.microsoft', 'FusedGemm', 'activation Foo without a parameter'],
  ['com', 'microsoft.FusedGemm', 'operator microsoft.FusedGemm of domain com is not known'],
  ['', 'com.microsoft.FusedGemm', 'operator com.microsoft.FusedGemm is not known'],
])('of domain "%s" %s stays as it is: %s', (domain, opType, reason) => {
  const activation = {
    name: 'activation',
    type: AttributeProto_AttributeType.STRING,
    s: new TextEncoder().encode('Foo'),
  }
  const graph = read(
    modelBytes(
      {
        input: [info('x', [2, 2]), info('w', [2, 2])],
        output: [info('y', [2, 2])],
        node: [node(opType, ['x', 'w'], ['y'], { domain, attribute: [activation] })],
      },
      { opsetImport: ['', 'com', 'com.microsoft'].map((name) => ({ domain: name, version: name === '' ? 17n : 1n })) },
    ),
  )
  expect(graph.nodes.map((one) => (isOpaque(one) ? one.attrs.reason : one.op))).toEqual([reason])
})

/** The model as ONNX Runtime writes it after its own optimisations for any processor. */
const optimised = async (graph: Graph): Promise<Graph> => {
  const folder = mkdtempSync(join(tmpdir(), 'chasec-fused-'))
  try {
    const path = join(folder, 'model.onnx')
    const session = await ort.InferenceSession.create(orThrow(lower(graph)).model, {
      graphOptimizationLevel: 'extended',
      optimizedModelFilePath: path,
      logSeverityLevel: 3,
    })
    await session.release()
    return read(fileBytes(path))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const dead = [1, 2, 5, 9, 11, 14]

test('channels of an optimised convolutional network go', async () => {
  const graph = await optimised(
    buildGraph({ x: ['N', 3, 8, 8] }, (b) => {
      const conv = (x: string, name: string, shape: ReadonlyArray<number>, rows: ReadonlyArray<number> = []): string =>
        b.op(ops.Conv, [x, b.weight(name, shape, { rows }), b.weight(`${name}.bias`, [shape[0] ?? 0], { rows })])
      const first = b.op(ops.Relu, [conv('x', 'w0', [16, 3, 3, 3], dead)])
      const second = b.op(ops.LeakyRelu, [conv(first, 'w1', [16, 16, 3, 3], dead)])
      return [b.op(ops.Sigmoid, [conv(second, 'w2', [4, 16, 1, 1])])]
    }),
  )
  expect(graph.nodes.map(({ op }) => op)).toEqual(Array(3).fill('com.microsoft.FusedConv'))
  const { compiled, worst } = await compareCompiled(graph, noMasks)
  expect(worst).toBeLessThan(1e-5)
  expect(compiled.report.layers.map(({ inputs, outputs }) => [inputs.after, outputs.after])).toEqual([
    [3, 10],
    [10, 10],
    [10, 4],
  ])
})

test('hidden units of an optimised transformer block go', async () => {
  const graph = await optimised(
    buildGraph({ x: ['N', 5, 8] }, (b: GraphBuilder) => {
      const linear = (
        x: string,
        name: string,
        shape: ReadonlyArray<number>,
        columns: ReadonlyArray<number> = [],
      ): string =>
        b.op(ops.Add, [
          b.op(ops.MatMul, [x, b.weight(name, shape, { columns })]),
          b.weight(`${name}.bias`, [shape[1] ?? 0], { rows: columns }),
        ])
      const up = linear('x', 'up', [8, 16], dead)
      const half = b.op(ops.Mul, [up, b.floats('half', [0.5], [])])
      const erf = b.op(ops.Erf, [b.op(ops.Div, [up, b.floats('root', [Math.SQRT2], [])])])
      const gelu = b.op(ops.Mul, [half, b.op(ops.Add, [erf, b.floats('one', [1], [])])])
      const sum = b.op(ops.Add, ['x', linear(gelu, 'down', [16, 8])])
      return [b.op(ops.LayerNormalization, [sum, b.positive('scale', [8]), b.weight('shift', [8])])]
    }),
  )
  expect(graph.nodes.map(({ op }) => op)).toContain('com.microsoft.BiasGelu')
  expect(graph.nodes.map(({ op }) => op)).toContain('com.microsoft.SkipLayerNormalization')
  const { compiled, worst } = await compareCompiled(graph, noMasks)
  expect(worst).toBeLessThan(1e-5)
  expect(compiled.report.layers.map(({ inputs, outputs }) => [inputs.after, outputs.after])).toEqual([
    [8, 10],
    [10, 8],
  ])
})
