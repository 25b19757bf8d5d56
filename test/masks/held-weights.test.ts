/** Masks on weights that are kept as integers: under which names, in which shape, and what is written for zero. */
import { readFileSync } from 'node:fs'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { makeNode } from '../../src/ir/make-node.ts'
import type { DType } from '../../src/ir/dtype.ts'
import type { Node } from '../../src/ir/op.ts'
import {
  Add,
  Concat,
  DequantizeLinear,
  Gather,
  MatMul,
  MatMulInteger,
  QLinearMatMul,
  Transpose,
} from '../../src/ir/ops/index.ts'
import {
  DynamicQuantizeMatMul,
  MatMulIntegerToFloat,
  MatMulNBits,
  QGemm,
  QLinearAdd,
  QLinearConcat,
  QLinearLeakyRelu,
  QLinearMul,
  QLinearSigmoid,
} from '../../src/ir/ops/microsoft/index.ts'
import { elements, int64s, type Tensor, tensorOf } from '../../src/ir/tensor.ts'
import { tensorType } from '../../src/ir/type.ts'
import type { FileEntry } from '../../src/masks/file-entry.ts'
import { elementMask, expandMask, type Masks } from '../../src/masks/mask.ts'
import { matchMasks } from '../../src/masks/match/index.ts'
import { layersOf } from '../../src/masks/weights.ts'
import { zerosOf } from '../../src/masks/zeros.ts'
import { applyMasks } from '../../src/passes/apply-masks.ts'
import { readModelBytes } from '../../src/read/model.ts'
import { orThrow } from '../fuzz/differential.ts'
import { graphOf } from './nets.ts'

const counting = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i)

const entry = (name: string, shape: ReadonlyArray<number>, kept: ReadonlyArray<number>): FileEntry => {
  const tensor = tensorOf('float32', shape, kept)
  return { name, size: tensor.bytes.length, decode: () => E.right(tensor) }
}

const matched = (graph: Graph, ...entries: ReadonlyArray<FileEntry>): Masks => orThrow(matchMasks(entries, graph)).masks

const withMicrosoft = {
  opsets: new Map([
    ['', 21],
    ['com.microsoft', 1],
  ]),
}

/** `x[N,32]` times a weight `[3,32]` of four bits, in two blocks, its bytes called `name`. */
const fourBits = (name: string): Graph =>
  graphOf(
    { x: ['N', 32] },
    {
      [name]: tensorOf(
        'uint8',
        [3, 2, 8],
        counting(48).map((i) => (37 * i + 11) % 256),
      ),
      scales: tensorOf('float32', [3, 2], [1, 2, 4, 0.5, 0.25, 8]),
    },
    [makeNode(MatMulNBits, ['x', name, 'scales'], ['y'], { K: 32, N: 3, bits: 4, block_size: 16 })],
    ['y'],
    withMicrosoft,
  )

const weightOf = (graph: Graph): ReadonlyArray<number> => {
  const [layer] = layersOf(graph)
  if (layer === undefined) throw new Error('no layer')
  return Array.from(elements(layer.tensor), Number)
}

describe('a weight in blocks of four bits', () => {
  const some = counting(96).map((i) => (i % 5 === 0 || i < 16 ? 0 : 1))

  test('is masked in the shape of what its bytes stand for', () => {
    const graph = fourBits('w_Q4')
    const masked = orThrow(applyMasks(graph, new Map([['w_Q4', elementMask([3, 32], Uint8Array.from(some))]])))
    expect(masked.constants.get('w_Q4')).toMatchObject({ dtype: 'uint8', shape: [3, 2, 8] })
    expect(weightOf(masked)).toEqual(weightOf(graph).map((w, i) => (some[i] === 0 ? 0 : w)))
    expect(weightOf(graph)).toContain(8 * 7)
    const raw = applyMasks(graph, new Map([['w_Q4', elementMask([3, 2, 8], new Uint8Array(48))]]))
    expect(E.isLeft(raw) && renderError(raw.left)).toContain('the shape [3,32] of the weight')
  })

  test('so is one that multiplies what is of unknown shape', () => {
    const graph = fourBits('w_Q4')
    const unknown = graphOf({}, Object.fromEntries(graph.constants), graph.nodes, ['y'], {
      ...withMicrosoft,
      inputs: [{ name: 'x', type: tensorType('float32', undefined) }],
    })
    const masks: Masks = new Map([['w_Q4', elementMask([3, 32], Uint8Array.from(some))]])
    const [expected, found] = [graph, unknown].map((one) => orThrow(applyMasks(one, masks)).constants.get('w_Q4'))
    expect(found && elements(found)).toEqual(expected && elements(expected))
  })

  test('has zeros where its integers equal their zero', () => {
    const masked = orThrow(
      applyMasks(fourBits('w_Q4'), new Map([['w_Q4', elementMask([3, 32], Uint8Array.from(some))]])),
    )
    const kept = expandMask(zerosOf(masked).get('w_Q4') ?? elementMask([3, 32], new Uint8Array(96)))
    expect(Array.from(kept)).toEqual(weightOf(masked).map((w) => (w === 0 ? 0 : 1)))
  })

  test.each(['layer.weight_Q4', 'layer.weight_Q8', 'layer.weight_Q2', 'layer.weight_quantized', 'layer.weight'])(
    'is found under the name of the weight: %s',
    (name) => {
      const masks = matched(fourBits(name), entry('layer.weight', [3, 32], some))
      expect([...masks.keys()]).toEqual([name])
      expect(masks.get(name)?.elements).toEqual(Uint8Array.from(some))
    },
  )

  test('is found where the mask has the axes of a MatMul', () => {
    const transposed = counting(96).map((i) => some[(i % 3) * 32 + Math.floor(i / 3)] ?? 1)
    const masks = matched(fourBits('layer.weight_Q4'), entry('layer.weight', [32, 3], transposed))
    expect(masks.get('layer.weight_Q4')?.elements).toEqual(Uint8Array.from(some))
  })
})

describe('names that a quantizer makes of those of weights', () => {
  const fileOf = (name: string): Graph =>
    orThrow(readModelBytes(readFileSync(new URL(`../models/quantized/${name}.onnx`, import.meta.url))))
  const kept = counting(16 * 27).map((i) => (i < 4 * 27 || i % 2 === 0 ? 0 : 1))

  test.each([
    ['qdq_by_channel', 'conv1.weight_DequantizeLinear_Output'],
    ['qdq_by_tensor', 'conv1.weight_DequantizeLinear_Output'],
    ['qoperator_by_channel', 'conv1.weight_quantized'],
    ['qoperator_by_tensor', 'conv1.weight_quantized'],
  ])('%s: a mask of the name in PyTorch is for its integers', (name, constant) => {
    const graph = fileOf(name)
    const masks = matched(graph, entry('conv1.weight', [16, 3, 3, 3], kept))
    expect([...masks.keys()]).toEqual([constant])
    const [before, after] = [graph, orThrow(applyMasks(graph, masks))].map(weightOf)
    expect(after).toEqual(before?.map((w, i) => (kept[i] === 0 ? 0 : w)))
    expect(after).not.toEqual(before)
  })

  test('a name that another weight has too is for neither', () => {
    const graph = graphOf(
      { x: ['N', 4] },
      {
        'a.weight_quantized': tensorOf('int8', [4, 4], counting(16)),
        'a.weight': tensorOf('float32', [4, 4], counting(16)),
        scale: tensorOf('float32', [], [0.5]),
      },
      [
        makeNode(DequantizeLinear, ['a.weight_quantized', 'scale'], ['w']),
        makeNode(MatMul, ['x', 'w'], ['h']),
        makeNode(MatMul, ['h', 'a.weight'], ['y']),
      ],
      ['y'],
    )
    const masks = matchMasks(
      [
        entry(
          'a.weight',
          [4, 4],
          counting(16).map((i) => i % 2),
        ),
      ],
      graph,
    )
    expect(E.isLeft(masks) && renderError(masks.left)).toContain('a.weight')
  })
})

describe('integers that several nodes read', () => {
  const products = (zeros: readonly [number, number]): Graph =>
    graphOf(
      {},
      {
        w: tensorOf('uint8', [2, 2], [10, 20, 30, 40]),
        first: tensorOf('uint8', [], [zeros[0]]),
        second: tensorOf('uint8', [], [zeros[1]]),
      },
      [
        makeNode(MatMulInteger, ['x', 'w', '', 'first'], ['y']),
        makeNode(MatMulInteger, ['x', 'w', '', 'second'], ['z']),
      ],
      ['y', 'z'],
      {
        inputs: [{ name: 'x', type: tensorType('uint8', ['N', 2]) }],
        outputs: ['y', 'z'].map((name) => ({ name, type: tensorType('int32', undefined) })),
      },
    )
  const column: Masks = new Map([['w', elementMask([2, 2], Uint8Array.of(0, 1, 0, 1))]])

  test('are masked where they stand for zero in all of them', () => {
    const masked = orThrow(applyMasks(products([7, 7]), column))
    const integers = masked.constants.get('w')
    expect(integers && Array.from(elements(integers), Number)).toEqual([7, 20, 7, 40])
  })

  test('are not masked where they do not', () => {
    const masked = applyMasks(products([7, 9]), column)
    expect(E.isLeft(masked) && renderError(masked.left)).toContain('nodes with other zero points')
  })

  test('are not masked where their zero point is computed', () => {
    const graph = graphOf(
      {},
      { w: tensorOf('uint8', [2, 2], [10, 20, 30, 40]) },
      [makeNode(MatMulInteger, ['x', 'w', '', 'zero'], ['y'])],
      ['y'],
      {
        inputs: [
          { name: 'x', type: tensorType('uint8', ['N', 2]) },
          { name: 'zero', type: tensorType('uint8', []) },
        ],
        outputs: [{ name: 'y', type: tensorType('int32', undefined) }],
      },
    )
    const masked = applyMasks(graph, column)
    expect(E.isLeft(masked) && renderError(masked.left)).toContain('or computed ones')
  })

  const dequantized = (zeros: readonly [number, number]): Graph =>
    graphOf(
      { x: ['N', 2] },
      {
        w: tensorOf('uint8', [2, 2], [10, 20, 30, 40]),
        scale: tensorOf('float32', [], [0.5]),
        first: tensorOf('uint8', [], [zeros[0]]),
        second: tensorOf('uint8', [], [zeros[1]]),
      },
      [
        makeNode(DequantizeLinear, ['w', 'scale', 'first'], ['a']),
        makeNode(DequantizeLinear, ['w', 'scale', 'second'], ['b']),
        makeNode(MatMul, ['x', 'a'], ['y']),
        makeNode(MatMul, ['x', 'b'], ['z']),
      ],
      ['y', 'z'],
    )
  const weightsOf = (graph: Graph): ReadonlyArray<ReadonlyArray<number>> =>
    layersOf(graph).map(({ tensor }) => Array.from(elements(tensor), Number))

  test('are masked where nodes make the same zero of them', () => {
    expect(weightsOf(orThrow(applyMasks(dequantized([10, 10]), column)))).toEqual([
      [0, 5, 0, 15],
      [0, 5, 0, 15],
    ])
  })

  test('are masked under the names of what nodes make of them, each by itself', () => {
    const graph = dequantized([10, 20])
    const wrong = applyMasks(graph, column)
    expect(E.isLeft(wrong) && renderError(wrong.left)).toContain('nodes with other zero points')
    const mask = elementMask([2, 2], Uint8Array.of(1, 0, 1, 1))
    expect(weightsOf(orThrow(applyMasks(graph, new Map([['a', mask]]))))).toEqual([
      [0, 0, 10, 15],
      [-5, 0, 5, 10],
    ])
  })
})

describe('a constant of integers of which a node has the zero point on another port', () => {
  const mask = elementMask([2, 2], Uint8Array.of(0, 1, 1, 0))
  const scale = tensorOf('float32', [], [0.5])
  const byte = (...values: ReadonlyArray<number>): Tensor =>
    tensorOf('uint8', values.length === 1 ? [] : [values.length], values)

  /** The integers of `c[2,2]`, 10 20 30 40 before, where all nodes are given `x[2,2]`, scale `s` and these constants besides. */
  const maskedBy = (
    nodes: ReadonlyArray<Node>,
    constants: Readonly<Record<string, Tensor>>,
    x: DType = 'uint8',
  ): ReadonlyArray<number> | string => {
    const graph = graphOf(
      {},
      { c: tensorOf('uint8', [2, 2], [10, 20, 30, 40]), s: scale, ...constants },
      nodes,
      ['y'],
      {
        inputs: [{ name: 'x', type: tensorType(x, [2, 2]) }],
        outputs: [{ name: 'y', type: tensorType('float32', undefined) }],
        ...withMicrosoft,
      },
    )
    const masked = applyMasks(graph, new Map([['c', mask]]))
    if (E.isLeft(masked)) return renderError(masked.left)
    const integers = masked.right.constants.get('c')
    return integers === undefined ? 'no constant' : Array.from(elements(integers), Number)
  }

  const both = ['x', 's', 'a', 'c', 's', 'b']
  test.each([
    ['QLinearAdd', makeNode(QLinearAdd, [...both, 's', 'a'], ['q'])],
    ['QLinearMul', makeNode(QLinearMul, [...both, 's', 'a'], ['q'])],
    ['QLinearConcat', makeNode(QLinearConcat, ['s', 'a', ...both], ['q'], { axis: 0 })],
    ['QLinearMatMul', makeNode(QLinearMatMul, [...both, 's', 'a'], ['q'])],
    ['QLinearMatMul, on the left', makeNode(QLinearMatMul, ['c', 's', 'b', 'x', 's', 'a', 's', 'a'], ['q'])],
    ['QGemm', makeNode(QGemm, [...both, '', 's', 'a'], ['q'])],
    ['QLinearSigmoid', makeNode(QLinearSigmoid, ['c', 's', 'b', 's', 'a'], ['q'])],
    ['QLinearLeakyRelu', makeNode(QLinearLeakyRelu, ['c', 's', 'b', 's', 'a'], ['q'])],
  ])('%s: holds that where it is masked', (_, node) => {
    const real = makeNode(DequantizeLinear, ['q', 's', 'a'], ['y'])
    expect(maskedBy([node, real], { a: byte(3), b: byte(7) })).toEqual([7, 20, 30, 7])
  })

  test('operators that are taken apart while compiling say so too', () => {
    const product = makeNode(MatMulIntegerToFloat, ['x', 'c', 's', 's', 'a', 'b'], ['y'])
    expect(maskedBy([product], { a: byte(3), b: byte(7) })).toEqual([7, 20, 30, 7])
    expect(maskedBy([product], { a: byte(3), b: byte(7, 9) })).toEqual([7, 20, 30, 9])
    const left = makeNode(MatMulIntegerToFloat, ['c', 'x', 's', 's', 'b', 'a'], ['y'])
    expect(maskedBy([left], { a: byte(3), b: byte(7, 9) })).toEqual([7, 20, 30, 9])
    const dynamic = makeNode(DynamicQuantizeMatMul, ['x', 'c', 's', 'b'], ['y'])
    expect(maskedBy([dynamic], { b: byte(7, 9) }, 'float32')).toEqual([7, 20, 30, 9])
  })

  test('rows or columns have zeros of their own', () => {
    const real = makeNode(DequantizeLinear, ['q', 's', 'a'], ['y'])
    const [a, b] = [byte(3), byte(7, 9)]
    const transposed = makeNode(QGemm, [...both, '', 's', 'a'], ['q'], { transB: 1 })
    const mixed = new Map([['c', elementMask([2, 2], Uint8Array.of(1, 0, 1, 0))]])
    const columns = makeNode(QGemm, [...both, '', 's', 'a'], ['q'])
    const graph = (node: Node): Graph =>
      graphOf({}, { c: tensorOf('uint8', [2, 2], [10, 20, 30, 40]), s: scale, a, b }, [node, real], ['y'], {
        inputs: [{ name: 'x', type: tensorType('uint8', [2, 2]) }],
        ...withMicrosoft,
      })
    const integers = (node: Node) => orThrow(applyMasks(graph(node), mixed)).constants.get('c')
    expect(Array.from(elements(integers(transposed) ?? a), Number)).toEqual([10, 7, 30, 9])
    expect(Array.from(elements(integers(columns) ?? a), Number)).toEqual([10, 9, 30, 9])
  })

  test('nodes between that leave the zero what it is are looked through', () => {
    const behind = (name: string): Node => makeNode(DequantizeLinear, [name, 's', 'b'], ['y'])
    const ids = int64s([1, 0, 1])
    expect(maskedBy([makeNode(Gather, ['c', 'ids'], ['q']), behind('q')], { ids, b: byte(7) })).toEqual([7, 20, 30, 7])
    const several = [
      makeNode(Transpose, ['c'], ['t'], { perm: [1, 0] }),
      makeNode(Concat, ['x', 't'], ['q'], { axis: 0 }),
      behind('q'),
    ]
    expect(maskedBy(several, { b: byte(7) })).toEqual([7, 20, 30, 7])
    // Which of several zeros belongs to which element is not followed, unless all are one.
    const [moved, each] = several.slice(0, 1).concat(makeNode(DequantizeLinear, ['t', 'both', 'b'], ['y'], { axis: 0 }))
    if (moved === undefined || each === undefined) throw new Error('no nodes')
    const scales = tensorOf('float32', [2], [0.5, 0.25])
    expect(maskedBy([moved, each], { b: byte(7, 9), both: scales })).toContain('nodes with other zero points')
    expect(maskedBy([moved, each], { b: byte(7, 7), both: scales })).toEqual([7, 20, 30, 7])
  })

  test('what changes the zero on the way is not looked through', () => {
    const nodes = [makeNode(Add, ['c', 'one'], ['q']), makeNode(DequantizeLinear, ['q', 's', 'b'], ['y'])]
    expect(maskedBy(nodes, { one: tensorOf('uint8', [2, 2], [1, 1, 1, 1]), b: byte(7) })).toEqual([0, 20, 30, 0])
  })
})
