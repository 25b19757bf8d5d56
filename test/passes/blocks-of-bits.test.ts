/** Layers whose weights are held in blocks of a few bits: what goes from them, and that ONNX Runtime computes the same without it. */
import * as ort from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { lower } from '../../src/export/lower.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { makeNode } from '../../src/ir/make-node.ts'
import { Add, Gemm, Relu } from '../../src/ir/ops/index.ts'
import { MatMulNBits } from '../../src/ir/ops/microsoft/index.ts'
import { isOp } from '../../src/ir/registry.ts'
import { type Tensor, tensorOf } from '../../src/ir/tensor.ts'
import { axisMask, type Masks } from '../../src/masks/mask.ts'
import { applyMasks } from '../../src/passes/apply-masks.ts'
import { compileValid, orThrow } from '../fuzz/differential.ts'
import { uniforms } from '../inflate.ts'
import { graphOf } from '../masks/nets.ts'

interface Layer {
  readonly bits?: number
  readonly block?: number
  readonly level?: number
  /** Of the first layer: what a unit is where its weights are masked. */
  readonly bias?: number
  readonly zeros?: 'packed' | 'numbers'
  readonly ownBias?: boolean
}

/** `x[2,8]` → Gemm of `hidden` units → Relu → a layer of few bits with 6 outputs → Relu → another one with 5. */
const network = (
  hidden: number,
  { bits = 4, block = 16, level = 0, bias = 0, zeros, ownBias = false }: Layer,
): Graph => {
  const uniform = uniforms(7)
  const drawn = (shape: ReadonlyArray<number>, low: number, high: number): Tensor =>
    tensorOf(
      'float32',
      shape,
      Array.from({ length: shape.reduce((n, d) => n * d, 1) }, () => low + (high - low) * uniform()),
    )
  const bytes = (shape: ReadonlyArray<number>): Tensor =>
    tensorOf(
      'uint8',
      shape,
      Array.from({ length: shape.reduce((n, d) => n * d, 1) }, () => Math.floor(256 * uniform())),
    )
  const count = Math.ceil(hidden / block)
  const zeroPoints =
    zeros === 'packed'
      ? bytes([6, Math.ceil((count * bits) / 8)])
      : tensorOf(
          'float32',
          [6, count],
          Array.from({ length: 6 * count }, (_, i) => i % 2 ** bits),
        )
  return graphOf(
    { x: [2, 8] },
    {
      first: drawn([8, hidden], -1, 1),
      'first.bias': tensorOf('float32', [hidden], new Float64Array(hidden).fill(bias)),
      second: bytes([6, count, (block * bits) / 8]),
      'second.scales': drawn([6, count], 0.01, 0.1),
      ...(zeros === undefined ? {} : { 'second.zeros': zeroPoints }),
      ...(ownBias ? { 'second.bias': drawn([6], -1, 1) } : {}),
      third: bytes([5, 1, 8]),
      'third.scales': drawn([5, 1], 0.01, 0.1),
    },
    [
      makeNode(Gemm, ['x', 'first', 'first.bias'], ['a'], {}, 'first'),
      makeNode(Relu, ['a'], ['b']),
      makeNode(
        MatMulNBits,
        ['b', 'second', 'second.scales', zeros ? 'second.zeros' : '', '', ownBias ? 'second.bias' : ''],
        ['c'],
        { K: hidden, N: 6, bits, block_size: block, accuracy_level: level },
        'second',
      ),
      makeNode(Relu, ['c'], ['d']),
      makeNode(MatMulNBits, ['d', 'third', 'third.scales'], ['y'], { K: 6, N: 5, bits: 4, block_size: 16 }, 'third'),
    ],
    ['y'],
    {
      opsets: new Map([
        ['', 21],
        ['com.microsoft', 1],
      ]),
    },
  )
}

const run = async (graph: Graph): Promise<ReadonlyArray<number>> => {
  const session = await ort.InferenceSession.create(orThrow(lower(graph)).model, { logSeverityLevel: 3 })
  const uniform = uniforms(3)
  const { y } = await session.run({ x: new ort.Tensor('float32', Float32Array.from({ length: 16 }, uniform), [2, 8]) })
  await session.release()
  if (!(y?.data instanceof Float32Array)) throw new Error('the output is not float32')
  return Array.from(y.data)
}

const without = (shape: ReadonlyArray<number>, axis: number, gone: ReadonlyArray<number>) =>
  axisMask(
    shape,
    axis,
    Uint8Array.from({ length: shape[axis] ?? 0 }, (_, i) => (gone.includes(i) ? 0 : 1)),
  )

const range = (from: number, to: number): ReadonlyArray<number> => Array.from({ length: to - from }, (_, i) => from + i)

/** Sizes of the layers of few bits that are left; the compiled model computes what the masked one does. */
const compiled = async (graph: Graph, masks: Masks) => {
  const masked = orThrow(applyMasks(graph, masks))
  const made = compileValid(graph, masks, { widths: 'raw' }).graph
  const [expected, found] = [await run(masked), await run(made)]
  const size = Math.max(...expected.map(Math.abs))
  expect(size).toBeGreaterThan(0.01)
  found.forEach((y, i) => expect(Math.abs(y - (expected[i] ?? NaN))).toBeLessThanOrEqual(2 ** -20 * size))
  const sizes = made.nodes.flatMap((node) =>
    isOp(node, MatMulNBits) ? [[node.attrs.K, node.attrs.N, node.attrs.block_size]] : [],
  )
  return { sizes, ops: made.nodes.map(({ op }) => op) }
}

const units = (hidden: number, gone: ReadonlyArray<number>): Masks =>
  new Map([['first', without([8, hidden], 1, gone)]])

describe('inputs of a layer of few bits', () => {
  test.each([
    ['a whole block', 48, 16, range(16, 32), 32, 16],
    ['a block that is not full', 42, 16, range(32, 42), 32, 16],
    ['parts of the last block', 48, 16, range(35, 41), 42, 16],
    ['parts of another block stay', 48, 16, [0, 1, 2], 48, 16],
    ['halves of blocks, which are smaller then', 96, 32, [...range(0, 16), ...range(48, 64)], 64, 16],
    ['half a block of which a little more is dead', 64, 32, range(0, 20), 48, 16],
    ['all that is behind', 64, 16, range(9, 64), 9, 16],
    ['two blocks, and parts of a third that stay', 80, 16, [...range(0, 32), ...range(33, 40)], 48, 16],
  ] as const)('go in blocks: %s', async (_, hidden, block, gone, left, size) => {
    const { sizes } = await compiled(network(hidden, { block }), units(hidden, gone))
    expect(sizes[0]).toEqual([left, 6, size])
  })

  test.each([
    ['two bits', { bits: 2, zeros: 'packed' }],
    ['eight bits', { bits: 8 }],
    ['packed zero points', { zeros: 'packed' }],
    ['zero points of eight bits', { zeros: 'packed', bits: 8 }],
    ['zero points that are numbers', { zeros: 'numbers' }],
    ['a bias', { ownBias: true }],
  ] as const)('go with their scales: %s', async (_, layer) => {
    const { sizes } = await compiled(network(58, layer), units(58, [...range(0, 16), ...range(32, 48)]))
    expect(sizes[0]).toEqual([26, 6, 16])
  })

  test.each([
    ['behind the layer', {}, ['Gemm', 'Relu', 'com.microsoft.MatMulNBits', 'Add', 'Relu', 'com.microsoft.MatMulNBits']],
    [
      'in its bias',
      { ownBias: true, zeros: 'packed' },
      ['Gemm', 'Relu', 'com.microsoft.MatMulNBits', 'Relu', 'com.microsoft.MatMulNBits'],
    ],
  ] as const)('go where they are constant, and are paid for %s', async (_, layer, ops) => {
    const found = await compiled(network(48, { bias: 0.5, ...layer }), units(48, range(0, 32)))
    expect(found.sizes[0]).toEqual([16, 6, 16])
    expect(found.ops).toEqual(ops)
  })

  test('stay the blocks that they were where a runtime may round the input by blocks, and stay where they are constant', async () => {
    const level = 4
    const half = await compiled(network(64, { level, block: 32 }), units(64, [...range(0, 16), ...range(60, 64)]))
    expect(half.sizes[0]).toEqual([64, 6, 32])
    const whole = await compiled(network(64, { level, block: 32 }), units(64, range(0, 32)))
    expect(whole.sizes[0]).toEqual([32, 6, 32])
    const constant = await compiled(network(64, { level, block: 32, bias: 0.5 }), units(64, range(0, 32)))
    expect(constant.sizes[0]).toEqual([64, 6, 32])
  })
})

test('outputs of a layer of few bits go one by one, and with them inputs of the last block of the next', async () => {
  for (const layer of [{}, { zeros: 'packed', ownBias: true }] as const) {
    const masks: Masks = new Map([
      ['second', without([6, 42], 0, [1, 4])],
      ...(layer.ownBias ? [['second.bias', without([6], 0, [1, 4])] as const] : []),
    ])
    const { sizes } = await compiled(network(42, layer), masks)
    expect(sizes).toEqual([
      [42, 4, 16],
      [4, 5, 16],
    ])
  }
})

test.each([
  ['an order of inputs', { inputs: ['b', 'second', 'second.scales', '', 'order'] }],
  ['zeros between integers', { inputs: ['b', 'second', 'second.scales', 'halves'] }],
  ['a weight that is packed for a machine', { attrs: { weight_prepacked: 1 } }],
  ['three bits', { attrs: { bits: 3 } }],
  ['blocks of eight', { inputs: ['b', 'second', 'eights'], attrs: { block_size: 8 } }],
] as const)('are not looked into: %s', (_, change) => {
  const graph = network(32, {})
  const odd = graphOf(
    { x: [2, 8] },
    {
      ...Object.fromEntries(graph.constants),
      order: tensorOf('int32', [32], new Float64Array(32)),
      eights: tensorOf('float32', [6, 4], new Float64Array(24).fill(0.1)),
      halves: tensorOf('float32', [6, 2], new Float64Array(12).fill(7.5)),
    },
    graph.nodes.map((node) =>
      node.name === 'second' && isOp(node, MatMulNBits)
        ? { ...node, ...change, attrs: { ...node.attrs, ...('attrs' in change ? change.attrs : {}) } }
        : node,
    ),
    ['y'],
    { opsets: graph.opsets },
  )
  const { layers } = compileValid(odd, units(32, range(0, 16)), { widths: 'raw' }).report
  expect(layers.find(({ layer }) => layer === 'first')?.outputs.after).toBe(32)
})

test('a constant that several layers of few bits read is selected from for each by itself', async () => {
  const graph = network(32, {})
  const again = [
    makeNode(MatMulNBits, ['x32', 'second', 'second.scales'], ['e'], { K: 32, N: 6, bits: 4, block_size: 16 }, 'again'),
    makeNode(Relu, ['e'], ['f']),
    makeNode(Add, ['d', 'f'], ['g']),
    makeNode(MatMulNBits, ['g', 'third', 'third.scales'], ['y'], { K: 6, N: 5, bits: 4, block_size: 16 }, 'third'),
  ]
  const shared = graphOf(
    { x: [2, 8] },
    {
      ...Object.fromEntries(graph.constants),
      widen: tensorOf(
        'float32',
        [8, 32],
        Array.from({ length: 256 }, (_, i) => Math.sin(i)),
      ),
    },
    [makeNode(Gemm, ['x', 'widen'], ['x32'], {}, 'widen'), ...graph.nodes.slice(0, -1), ...again],
    ['y'],
    { opsets: graph.opsets },
  )
  const { sizes } = await compiled(shared, new Map([['first', without([8, 32], 1, range(0, 16))]]))
  expect(sizes).toEqual([
    [16, 6, 16],
    [32, 6, 16],
    [6, 5, 16],
  ])
})
