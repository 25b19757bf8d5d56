/** What passes write is of the model's opset: operators that it has, operands and attributes as it has them. */
import * as E from 'fp-ts/lib/Either.js'
import { expect, test } from 'vitest'
import { checkGraph } from '../../src/ir/check.ts'
import { renderError } from '../../src/ir/failure.ts'
import type { Graph } from '../../src/ir/graph.ts'
import type { Node } from '../../src/ir/op.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { encodeAttributes } from '../../src/ir/registry.ts'
import { int64s, type Tensor } from '../../src/ir/tensor.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { buildGraph, type GraphBuilder } from '../builder.ts'
import { compareCompiled, compileValid } from '../fuzz/differential.ts'

/** The opset from which on an operator has these attributes as operands, which it has had as attributes before. */
const operands: Readonly<Record<string, readonly [since: number, attributes: ReadonlyArray<string>]>> = {
  Clip: [11, ['min', 'max']],
  Dropout: [12, ['ratio']],
  Pad: [11, ['pads', 'value']],
  ReduceMean: [18, ['axes']],
  ReduceSum: [13, ['axes']],
  Slice: [10, ['starts', 'ends', 'axes']],
  Split: [13, ['split']],
  Squeeze: [13, ['axes']],
  Unsqueeze: [13, ['axes']],
  TopK: [10, ['k']],
  Upsample: [9, ['scales']],
}

/** What is wrong with the form of a node in an opset. */
const misformed = (node: Node, opset: number): string | undefined => {
  const [since, attributes] = operands[node.op] ?? []
  if (since === undefined || attributes === undefined) return undefined
  const given = [...encodeAttributes(node).keys()].filter((key) => attributes.includes(key))
  const others = node.inputs.slice(1).filter((input) => input !== '')
  if (opset >= since) return given.length > 0 ? `${node.op} with ${given.join()} in opset ${opset}` : undefined
  return others.length > 0 ? `${node.op} of ${node.inputs.length} operands in opset ${opset}` : undefined
}

/** Nodes as the opset has them. */
interface Writer {
  readonly b: GraphBuilder
  readonly opset: number
  readonly reshape: (x: string, shape: ReadonlyArray<number>) => string
  readonly squeeze: (x: string, axis: number) => string
  readonly unsqueeze: (x: string, axis: number) => string
  readonly slice: (x: string, axis: number, start: number, end: number) => string
  readonly mean: (x: string, axis: number) => string
  readonly at: (x: string, axis: number, index: Tensor) => string
}

const writer = (b: GraphBuilder, opset: number): Writer => {
  let count = 0
  const ints = (...values: ReadonlyArray<number>): string => b.ints(`ints${count++}`, values)
  return {
    b,
    opset,
    reshape: (x, shape) => b.op(ops.Reshape, [x, ints(...shape)]),
    squeeze: (x, axis) => (opset < 13 ? b.op(ops.Squeeze, [x], { axes: [axis] }) : b.op(ops.Squeeze, [x, ints(axis)])),
    unsqueeze: (x, axis) =>
      opset < 13 ? b.op(ops.Unsqueeze, [x], { axes: [axis] }) : b.op(ops.Unsqueeze, [x, ints(axis)]),
    slice: (x, axis, start, end) =>
      opset < 10
        ? b.op(ops.Slice, [x], { starts: [BigInt(start)], ends: [BigInt(end)], axes: [BigInt(axis)] })
        : b.op(ops.Slice, [x, ints(start), ints(end), ints(axis)]),
    mean: (x, axis) =>
      opset < 18
        ? b.op(ops.ReduceMean, [x], { axes: [axis], keepdims: 1 })
        : b.op(ops.ReduceMean, [x, ints(axis)], { keepdims: 1 }),
    at: (x, axis, index) => b.op(ops.Gather, [x, b.constant(`index${count++}`, index)], { axis }),
  }
}

interface Case {
  readonly name: string
  /** The first opset that has what the case is written in. */
  readonly since: number
  readonly graph: (opset: number) => Graph
  /** Operators of the result in the newest opset, so that the case shows what it is for. */
  readonly makes: string
  /** Of an opset that has no such operator: it stays as it is. */
  readonly before?: readonly [opset: number, makes: string]
}

const built = (shape: ReadonlyArray<number>, body: (w: Writer) => string) => (opset: number) =>
  buildGraph({ x: shape }, (b) => [body(writer(b, opset))], { opset })

const cases: ReadonlyArray<Case> = [
  {
    name: 'a transpose that moves axes of size 1 only',
    since: 1,
    graph: built([4, 1, 6], ({ b }) => b.op(ops.Transpose, ['x'], { perm: [1, 0, 2] })),
    makes: 'Reshape',
    before: [4, 'Transpose'],
  },
  {
    name: 'axes that are dropped and put in elsewhere',
    since: 1,
    graph: built([4, 1, 6], ({ unsqueeze, squeeze }) => unsqueeze(squeeze('x', 1), 0)),
    makes: 'Reshape',
    before: [4, 'Squeeze Unsqueeze'],
  },
  {
    name: 'one part of two that a reshape splits off',
    since: 5,
    graph: built([4, 12], ({ reshape, at }) => at(reshape('x', [4, 2, 6]), 1, int64s([1], []))),
    makes: 'Slice',
  },
  {
    name: 'all parts that a reshape splits off',
    since: 7,
    graph: built([4, 12], ({ b, reshape, at }) => {
      const parts = reshape('x', [4, 2, 6])
      return b.op(ops.Sub, [at(parts, 1, int64s([1], [])), at(parts, 1, int64s([0], []))])
    }),
    makes: 'Split Sub',
  },
  {
    name: 'constants that a product of matrices reads',
    since: 6,
    graph: built([5, 4], ({ b }) => {
      const some = b.op(ops.MatMul, ['x', b.weight('w0', [4, 6], { columns: [1, 4] })])
      return b.op(ops.MatMul, [b.op(ops.Sigmoid, [some]), b.weight('w1', [6, 3])])
    }),
    makes: 'MatMul Sigmoid MatMul Add',
    before: [6, 'MatMul Sigmoid MatMul'],
  },
  {
    name: 'constants that meet padding',
    since: 6,
    graph: built([1, 3, 5, 5], ({ b }) => {
      const some = b.op(ops.Conv, ['x', b.weight('w0', [16, 3, 1, 1], { rows: [1, 2, 5, 7, 9, 11, 13, 15] })])
      return b.op(ops.Conv, [b.op(ops.Sigmoid, [some]), b.weight('w1', [1, 16, 3, 3])], { pads: [1, 1, 1, 1] })
    }),
    makes: 'Conv Sigmoid Conv Add',
    before: [6, 'Conv Sigmoid Conv'],
  },
  {
    name: 'constants of which a mean is taken',
    since: 6,
    graph: built([5, 4], ({ b, mean }) => {
      const some = b.op(ops.MatMul, ['x', b.weight('w0', [4, 6], { columns: [1, 4] })])
      return mean(b.op(ops.Sigmoid, [some]), 1)
    }),
    makes: 'MatMul Sigmoid ReduceMean Mul Add',
    before: [6, 'MatMul Sigmoid ReduceMean'],
  },
  {
    name: 'constants that are normalised',
    since: 7,
    graph: built([5, 512], ({ b, mean }) => {
      const some = b.op(ops.Sigmoid, [b.op(ops.MatMul, ['x', b.weight('w0', [512, 256], { columns: range(1, 200) })])])
      const centred = b.op(ops.Sub, [some, mean(some, 1)])
      const variance = mean(b.op(ops.Mul, [centred, centred]), 1)
      const root = b.op(ops.Sqrt, [b.op(ops.Add, [variance, b.floats('epsilon', [1e-5], [])])])
      return b.op(ops.MatMul, [b.op(ops.Div, [centred, root]), b.weight('w1', [256, 300])])
    }),
    makes: 'MatMul Sigmoid Pad ReduceMean Sub Mul ReduceMean Add Sqrt Div Slice MatMul',
    before: [10, 'MatMul Sigmoid ReduceMean Sub Mul ReduceMean Add Sqrt Div MatMul'],
  },
  {
    name: 'a bound, padding, a part',
    since: 6,
    graph: built([1, 3, 5, 5], ({ b, opset, slice }) => {
      const some = b.op(ops.Conv, ['x', b.weight('w0', [8, 3, 1, 1], { rows: [1, 2, 5] })])
      const bounds = ['low', 'high'].map((name, i) => b.floats(name, [[-1, 2][i] ?? 0], []))
      const clipped = opset < 11 ? b.op(ops.Clip, [some], { min: -1, max: 2 }) : b.op(ops.Clip, [some, ...bounds])
      const pads = [0, 0, 1, 1, 0, 0, 1, 1]
      const padded = opset < 11 ? b.op(ops.Pad, [clipped], { pads }) : b.op(ops.Pad, [clipped, b.ints('pads', pads)])
      return b.op(ops.Conv, [slice(padded, 1, 0, 6), b.weight('w1', [2, 6, 3, 3])])
    }),
    makes: 'Conv Clip Conv',
  },
]

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}

/** ONNX Runtime has operators from opset 7 on. */
const firstOfRuntime = 7
const opsets = [1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 17, 18, 21]

const opsOf = (graph: Graph): string => graph.nodes.map(({ op }) => op).join(' ')

test.each(cases)('$name', async ({ since, graph, makes, before }) => {
  for (const opset of opsets.filter((one) => one >= since)) {
    const given = graph(opset)
    expect(given.nodes.flatMap((node) => misformed(node, opset) ?? [])).toEqual([])
    const small =
      opset < firstOfRuntime
        ? compileValid(given, noMasks, { target: 'cpu' }).graph
        : await compareCompiled(given, noMasks).then(({ compiled, worst }) => {
            expect(worst).toBeLessThan(1e-5)
            return compiled.graph
          })
    const checked = checkGraph(small)
    expect(E.isLeft(checked) ? renderError(checked.left) : '').toBe('')
    expect(small.nodes.flatMap((node) => misformed(node, opset) ?? [])).toEqual([])
    expect(opsOf(small), `opset ${opset}`).toBe(before !== undefined && opset <= before[0] ? before[1] : makes)
  }
})
