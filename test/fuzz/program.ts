/**
 * Random graphs as programs: a list of steps, each applied to values made so far. A step that does not apply is skipped,
 * so any sub-list of a program is a program, and fast-check shrinks a failing one to the few steps that matter.
 */
import * as E from 'fp-ts/lib/Either.js'
import * as fc from 'fast-check'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { lower } from '../../src/export/lower.ts'
import { restore } from '../../src/export/restore.ts'
import type { DType } from '../../src/ir/dtype.ts'
import { type Graph, type GraphParts, makeGraph, readsOf, type ValueInfo } from '../../src/ir/graph.ts'
import type { Node, OpDef } from '../../src/ir/op.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { makeNode } from '../../src/ir/make-node.ts'
import { type AnyOp, findOp } from '../../src/ir/registry.ts'
import { int64s, type Tensor, tensorOf } from '../../src/ir/tensor.ts'
import { sizeOf, tensorType, unknownType, type ValueType } from '../../src/ir/type.ts'
import {
  type AttributeProto,
  type AttributeProtoSchema,
  type GraphProto,
  ModelProtoSchema,
  NodeProtoSchema,
} from '../../src/onnx/onnx_pb.ts'
import { opaqueNode } from '../../src/read/node.ts'
import { normals, uniforms } from '../inflate.ts'
import { attention, groupedHeads } from './attention-steps.ts'
import { branchesOf, loop, scan } from './control-steps.ts'
import { edgeSteps } from './edge-steps.ts'
import { branches, copies } from './merge-steps.ts'
import { grouped, stream } from './norm-steps.ts'
import { atTheEdge, type FloatType } from './numbers.ts'
import { partedLayers } from './split-steps.ts'
import { blockLayers, dynamicLayers, integerAttention, integerLayers, roundedLayers } from './quantized-steps.ts'
import { recurrence } from './recurrent-steps.ts'
import { sequenced } from './sequence-steps.ts'
import { assigned, ranked, resized } from './writing-steps.ts'

/** One step: which builder, and numbers it makes its choices from. */
export interface Step {
  readonly kind: number
  readonly from: number
  readonly other: number
  readonly choices: readonly [number, number, number, number]
}

export interface Program {
  readonly dtype: FloatType
  /** Whether its numbers and operators are those at the edges: magnitudes, tails, epsilon 0, cancellation. */
  readonly edges: boolean
  readonly channels: number
  readonly size: number
  /** Whether its layers are neither attention nor quantized nor in bodies. */
  readonly basic: boolean
  readonly symbolicBatch: boolean
  /** Whether the sizes of the input's last two axes are symbols. */
  readonly symbolicSizes: boolean
  readonly heads: boolean
  readonly seed: number
  readonly steps: ReadonlyArray<Step>
}

export interface Value {
  readonly name: string
  readonly shape: ReadonlyArray<number>
}

export interface Builder {
  readonly dtype: FloatType
  readonly opset: number
  readonly values: Value[]
  /** A seeded number in [0, 1) that depends on nothing but the program and the step. */
  readonly uniform: () => number
  readonly constant: (tensor: Tensor) => string
  /** A constant of the program's type. */
  readonly numbers: (shape: ReadonlyArray<number>, values: ReadonlyArray<number>) => string
  readonly weights: (shape: ReadonlyArray<number>, deviation: number, isZero?: (index: number) => boolean) => string
  readonly positive: (shape: ReadonlyArray<number>) => string
  readonly emit: <A>(
    op: OpDef<string, A>,
    inputs: ReadonlyArray<string>,
    attrs: Partial<A>,
    ...shapes: ReadonlyArray<number>[]
  ) => void
  /** A node whose outputs no other step reads; they need not be batch first. */
  readonly inners: <A>(
    op: OpDef<string, A>,
    inputs: ReadonlyArray<string>,
    attrs: Partial<A>,
    shapes: ReadonlyArray<ReadonlyArray<number>>,
  ) => ReadonlyArray<Value>
  /** A node whose attributes are graphs (If, Loop, Scan); nothing else reads its outputs unless it is told to. */
  readonly opaque: (
    opType: string,
    inputs: ReadonlyArray<string>,
    attributes: ReadonlyArray<AttributeInit>,
    shapes: ReadonlyArray<ReadonlyArray<number>>,
  ) => ReadonlyArray<Value>
  /** A builder of a body: it starts from values of this one, and gives the graph of what was built. */
  readonly body: (given: ReadonlyArray<Value>) => Body
  /** One with a single output. */
  readonly inner: <A>(
    op: OpDef<string, A>,
    inputs: ReadonlyArray<string>,
    attrs: Partial<A>,
    shape: ReadonlyArray<number>,
  ) => Value
}

/** An attribute of a node in the file. */
export type AttributeInit = Exclude<MessageInitShape<typeof AttributeProtoSchema>, AttributeProto>

/** What is built of a body. */
export interface Body {
  readonly builder: Builder
  /** An input of its own. */
  readonly input: (shape: ReadonlyArray<number>, dtype?: DType) => Value
  readonly finish: (outputs: ReadonlyArray<string>) => GraphProto
}

export type Apply = (b: Builder, step: Step, x: Value, y: Value) => void

const opNamed = (name: string): AnyOp => {
  const op = findOp(name)
  if (op === undefined) throw new Error(`no operator ${name}`)
  return op
}

const isImage = (v: Value): boolean => v.shape.length === 4
const channels = (v: Value): number => v.shape[1] ?? 0
const sameShape = (a: Value, b: Value): boolean =>
  a.shape.length === b.shape.length && a.shape.every((d, i) => d === b.shape[i])
const pick = <T>(list: readonly [T, ...T[]], choice: number): T => list[choice % list.length] ?? list[0]
const divisors = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0)

const conv: Apply = (b, { choices: [p, q, r, s] }, x) => {
  if (!isImage(x)) return
  const kernel = pick([1, 3, 3, 2], p)
  const pad = kernel === 3 ? pick([1, 0, 1], q) : 0
  const stride = pick([1, 1, 2], r)
  const dilation = kernel === 3 && s % 5 === 4 ? 2 : 1
  const groups = pick([1, 1, 1, 2, channels(x)], q + s)
  if (channels(x) % groups !== 0) return
  const outs = groups * pick([2, 3, 4, 1], s)
  const out = (size: number): number => Math.floor((size + 2 * pad - ((kernel - 1) * dilation + 1)) / stride) + 1
  const [h, w] = [out(x.shape[2] ?? 0), out(x.shape[3] ?? 0)]
  if (h < 1 || w < 1) return
  const inputs = [x.name, b.weights([outs, channels(x) / groups, kernel, kernel], 0.5)]
  if (p % 2 === 0) inputs.push(b.weights([outs], 0.3))
  b.emit(
    ops.Conv,
    inputs,
    {
      group: groups,
      kernel_shape: [kernel, kernel],
      pads: [pad, pad, pad, pad],
      strides: [stride, stride],
      dilations: [dilation, dilation],
    },
    [x.shape[0] ?? 1, outs, h, w],
  )
}

const convTranspose: Apply = (b, { choices: [p, q, r] }, x) => {
  if (!isImage(x) || (x.shape[2] ?? 0) > 8) return
  const groups = channels(x) % 2 === 0 ? pick([1, 1, 2], q) : 1
  const outs = pick([1, 2, 3], r)
  const stride = pick([2, 1], p)
  const out = (size: number): number => (size - 1) * stride + 2
  const inputs = [x.name, b.weights([channels(x), outs, 2, 2], 0.5), b.weights([outs * groups], 0.3)]
  b.emit(ops.ConvTranspose, inputs, { group: groups, kernel_shape: [2, 2], strides: [stride, stride] }, [
    x.shape[0] ?? 1,
    outs * groups,
    out(x.shape[2] ?? 0),
    out(x.shape[3] ?? 0),
  ])
}

const batchNorm: Apply = (b, _step, x) => {
  if (x.shape.length < 2) return
  const c = [channels(x)]
  b.emit(
    ops.BatchNormalization,
    [x.name, b.positive(c), b.weights(c, 0.3), b.weights(c, 0.3), b.positive(c)],
    {},
    x.shape,
  )
}

/** What exporters write most: a convolution and its normalisation, or two linear layers in a row. */
const convNorm: Apply = (b, step, x, y) => {
  conv(b, step, x, y)
  const made = b.values.at(-1)
  if (made !== undefined && made !== x) batchNorm(b, step, made, y)
}

const linearPair: Apply = (b, step, x, y) => {
  const [first, second] = [[1, 0, 0, 3] as const, [0, 0, 0, 1] as const]
  if (isImage(x)) {
    conv(b, { ...step, choices: [4, 1, 0, 2] }, x, y)
    const made = b.values.at(-1)
    if (made !== undefined && made !== x) conv(b, { ...step, choices: [4, 1, 0, 0] }, made, y)
  } else if (x.shape.length === 2) {
    gemm(b, { ...step, choices: first }, x, y)
    const made = b.values.at(-1)
    if (made !== undefined && made !== x) gemm(b, { ...step, choices: second }, made, y)
  }
}

const unaries = [
  'Relu',
  'Relu',
  'Sigmoid',
  'Tanh',
  'LeakyRelu',
  'HardSwish',
  'HardSigmoid',
  'Softplus',
  'Elu',
  'Abs',
  'Neg',
  'Erf',
  'Identity',
  'Softsign',
  'Cos',
  'Sin',
]

const unary: Apply = (b, { choices: [p] }, x) => {
  b.emit(opNamed(unaries[p % unaries.length] ?? 'Relu'), [x.name], {}, x.shape)
}

const partial: Apply = (b, { choices: [p] }, x) => {
  // Kept finite: the square root of a sigmoid, the exponential of a hyperbolic tangent.
  b.emit(p % 2 === 0 ? ops.Sigmoid : ops.Tanh, [x.name], {}, x.shape)
  const made = b.values.at(-1)
  if (made !== undefined) b.emit(p % 2 === 0 ? ops.Sqrt : ops.Exp, [made.name], {}, x.shape)
}

const clip: Apply = (b, { choices: [p] }, x) => {
  b.emit(ops.Clip, [x.name, b.numbers([], [p % 2 === 0 ? 0 : -0.5]), b.numbers([], [1.5])], {}, x.shape)
}

const prelu: Apply = (b, _step, x) => {
  if (x.shape.length < 2) return
  b.emit(ops.PRelu, [x.name, b.weights([channels(x), ...x.shape.slice(2).map(() => 1)], 0.3)], {}, x.shape)
}

const arithmetic = (choice: number): AnyOp => opNamed(pick(['Add', 'Mul', 'Sub', 'Add'], choice))

const binary: Apply = (b, { choices: [p] }, x, y) => {
  if (sameShape(x, y)) return b.emit(arithmetic(p), [x.name, y.name], {}, x.shape)
  // Squeeze and excite: one number a channel against an image.
  if (isImage(x) && isImage(y) && channels(x) === channels(y) && y.shape[2] === 1 && y.shape[3] === 1) {
    b.emit(p % 2 === 0 ? ops.Mul : ops.Add, [x.name, y.name], {}, x.shape)
  }
}

const extremum: Apply = (b, { choices: [p] }, x, y) => {
  if (sameShape(x, y)) b.emit(p % 2 === 0 ? ops.Max : ops.Min, [x.name, y.name], {}, x.shape)
}

const withConstant: Apply = (b, { choices: [p, q] }, x) => {
  const op = arithmetic(p)
  const shape = pick([[channels(x), ...x.shape.slice(2).map(() => 1)], [1], x.shape.slice(-1), x.shape.slice(1)], q)
  if (x.shape.length >= 2)
    b.emit(op, q % 3 === 2 ? [b.weights(shape, 0.7), x.name] : [x.name, b.weights(shape, 0.7)], {}, x.shape)
}

const divide: Apply = (b, _step, x) => {
  if (x.shape.length >= 2)
    b.emit(ops.Div, [x.name, b.positive([channels(x), ...x.shape.slice(2).map(() => 1)])], {}, x.shape)
}

const pool: Apply = (b, { choices: [p, q, r] }, x) => {
  if (!isImage(x)) return
  const kernel = pick([2, 3], p)
  const pad = kernel === 3 ? q % 2 : 0
  const stride = pick([1, 2], r)
  const out = (size: number): number => Math.floor((size + 2 * pad - kernel) / stride) + 1
  const [h, w] = [out(x.shape[2] ?? 0), out(x.shape[3] ?? 0)]
  if (h < 1 || w < 1) return
  const window = { kernel_shape: [kernel, kernel], pads: [pad, pad, pad, pad], strides: [stride, stride] }
  const shape = [x.shape[0] ?? 1, channels(x), h, w]
  if (p % 3 === 0) b.emit(ops.MaxPool, [x.name], window, shape)
  else b.emit(ops.AveragePool, [x.name], { ...window, count_include_pad: r % 2 }, shape)
}

const globalPool: Apply = (b, { choices: [p] }, x) => {
  if (!isImage(x)) return
  const shape = [x.shape[0] ?? 1, channels(x), 1, 1]
  if (p % 4 === 0) b.emit(ops.GlobalMaxPool, [x.name], {}, shape)
  else if (p % 4 === 1 && b.opset < 18) b.emit(ops.ReduceMean, [x.name], { axes: [2, 3], keepdims: 1 }, shape)
  else if (p % 4 === 1) b.emit(ops.ReduceMean, [x.name, b.constant(int64s([2, 3]))], { keepdims: 1 }, shape)
  else b.emit(ops.GlobalAveragePool, [x.name], {}, shape)
}

const reduce: Apply = (b, { choices: [p, q] }, x) => {
  if (x.shape.length < 3) return
  const axis = 1 + (q % (x.shape.length - 1))
  const shape = x.shape.flatMap((d, a) => (a === axis ? [] : [d]))
  if (p % 2 === 0 && b.opset < 18) b.emit(ops.ReduceMax, [x.name], { axes: [axis], keepdims: 0 }, shape)
  else if (p % 2 === 0) b.emit(ops.ReduceMax, [x.name, b.constant(int64s([axis]))], { keepdims: 0 }, shape)
  else b.emit(ops.ReduceSum, [x.name, b.constant(int64s([axis]))], { keepdims: 0 }, shape)
}

const concat: Apply = (b, { choices: [p] }, x, y) => {
  if (x.shape.length !== y.shape.length || x.shape.length < 2 || channels(x) + channels(y) > 16) return
  if (!x.shape.every((d, a) => a === 1 || d === y.shape[a])) return
  const inputs = p % 3 === 0 ? [x.name, y.name, x.name] : [x.name, y.name]
  b.emit(
    ops.Concat,
    inputs,
    { axis: 1 },
    x.shape.map((d, a) => (a === 1 ? (p % 3 === 0 ? 2 : 1) * channels(x) + channels(y) : d)),
  )
}

const split: Apply = (b, { choices: [p] }, x) => {
  if (x.shape.length < 2 || channels(x) < 2) return
  const first = 1 + (p % (channels(x) - 1))
  const shape = (n: number): number[] => x.shape.map((d, a) => (a === 1 ? n : d))
  b.emit(
    ops.Split,
    [x.name, b.constant(int64s([first, channels(x) - first]))],
    { axis: 1 },
    shape(first),
    shape(channels(x) - first),
  )
}

const slice: Apply = (b, { choices: [p, q, r] }, x) => {
  if (x.shape.length < 2 || channels(x) < 2) return
  const start = p % channels(x)
  const step = 1 + (r % 2)
  const end = start + 1 + (q % (channels(x) - start))
  const inputs = [
    x.name,
    b.constant(int64s([start])),
    b.constant(int64s([end])),
    b.constant(int64s([1])),
    b.constant(int64s([step])),
  ]
  b.emit(
    ops.Slice,
    inputs,
    {},
    x.shape.map((d, a) => (a === 1 ? Math.ceil((end - start) / step) : d)),
  )
}

const pad: Apply = (b, { choices: [p, q] }, x) => {
  if (!isImage(x) || (x.shape[2] ?? 0) > 8) return
  const pads = p % 3 === 0 ? [0, 1, 0, 0, 0, 0, 0, 0] : [0, 0, 1, 0, 0, 0, 0, 1]
  const value = b.numbers([], [q % 2 === 0 ? 0 : 0.75])
  b.emit(
    ops.Pad,
    [x.name, b.constant(int64s(pads)), value],
    {},
    x.shape.map((d, a) => d + (pads[a] ?? 0) + (pads[a + 4] ?? 0)),
  )
}

const flatten: Apply = (b, _step, x) => {
  if (x.shape.length > 2) b.emit(ops.Flatten, [x.name], {}, [x.shape[0] ?? 1, sizeOf(x.shape.slice(1))])
}

const shuffle: Apply = (b, { choices: [p] }, x) => {
  if (!isImage(x)) return
  const groups = divisors(channels(x))
  const g = groups[p % groups.length] ?? 1
  const [n, h, w] = [x.shape[0] ?? 1, x.shape[2] ?? 1, x.shape[3] ?? 1]
  b.emit(ops.Reshape, [x.name, b.constant(int64s([0, g, channels(x) / g, h, w]))], {}, [n, g, channels(x) / g, h, w])
  const split5 = b.values.at(-1)
  if (split5 === undefined) return
  if (p % 3 === 2) return
  b.emit(ops.Transpose, [split5.name], { perm: [0, 2, 1, 3, 4] }, [n, channels(x) / g, g, h, w])
  const turned = b.values.at(-1)
  if (turned !== undefined) b.emit(ops.Reshape, [turned.name, b.constant(int64s([0, channels(x), h, w]))], {}, x.shape)
}

const transpose: Apply = (b, { choices: [p] }, x) => {
  if (x.shape.length === 4) {
    const perm = pick(
      [
        [0, 2, 3, 1],
        [0, 1, 3, 2],
      ],
      p,
    )
    b.emit(
      ops.Transpose,
      [x.name],
      { perm },
      perm.map((a) => x.shape[a] ?? 1),
    )
  } else if (x.shape.length === 3)
    b.emit(ops.Transpose, [x.name], { perm: [0, 2, 1] }, [x.shape[0] ?? 1, x.shape[2] ?? 1, x.shape[1] ?? 1])
}

const toSequence: Apply = (b, _step, x) => {
  if (isImage(x))
    b.emit(ops.Reshape, [x.name, b.constant(int64s([0, 0, -1]))], {}, [
      x.shape[0] ?? 1,
      channels(x),
      sizeOf(x.shape.slice(2)),
    ])
}

const resize: Apply = (b, { choices: [p] }, x) => {
  if (!isImage(x) || (x.shape[2] ?? 0) > 6) return
  const inputs = [x.name, '', b.constant(tensorOf('float32', [4], [1, 1, 2, 2]))]
  const mode = p % 2 === 0 ? ('nearest' as const) : ('linear' as const)
  b.emit(
    ops.Resize,
    inputs,
    { mode, coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
    x.shape.map((d, a) => (a >= 2 ? d * 2 : d)),
  )
}

const depthToSpace: Apply = (b, { choices: [p] }, x) => {
  if (!isImage(x) || channels(x) % 4 !== 0 || (x.shape[2] ?? 0) > 8) return
  b.emit(ops.DepthToSpace, [x.name], { blocksize: 2, mode: p % 2 === 0 ? 'CRD' : 'DCR' }, [
    x.shape[0] ?? 1,
    channels(x) / 4,
    (x.shape[2] ?? 0) * 2,
    (x.shape[3] ?? 0) * 2,
  ])
}

const gemm: Apply = (b, { choices: [p, q, r] }, x) => {
  if (x.shape.length !== 2 || channels(x) > 512) return
  const outs = 1 + (p % 6)
  const transposed = q % 2
  const inputs = [x.name, b.weights(transposed ? [outs, channels(x)] : [channels(x), outs], 0.4)]
  if (r % 4 !== 0) inputs.push(b.weights(pick([[outs], [1], [1, outs], []], r), 0.3))
  b.emit(ops.Gemm, inputs, { transB: transposed, alpha: pick([1, 0.5], q), beta: pick([1, 2], r) }, [
    x.shape[0] ?? 1,
    outs,
  ])
}

const matmul: Apply = (b, { choices: [p, q] }, x) => {
  if (x.shape.length < 2 || x.shape.length > 4) return
  const [rows, columns] = [x.shape.at(-2) ?? 1, x.shape.at(-1) ?? 1]
  const outs = 1 + (p % 5)
  if (q % 3 !== 0) b.emit(ops.MatMul, [x.name, b.weights([columns, outs], 0.4)], {}, [...x.shape.slice(0, -1), outs])
  else if (x.shape.length > 2)
    b.emit(ops.MatMul, [b.weights([outs, rows], 0.4), x.name], {}, [...x.shape.slice(0, -2), outs, columns])
}

const softmax: Apply = (b, { choices: [p] }, x) =>
  b.emit(ops.Softmax, [x.name], { axis: 1 + (p % (x.shape.length - 1)) }, x.shape)

const squeeze: Apply = (b, _step, x) => {
  const axes = x.shape.flatMap((d, a) => (a > 1 && d === 1 ? [a] : []))
  if (axes.length > 0)
    b.emit(
      ops.Squeeze,
      [x.name, b.constant(int64s(axes))],
      {},
      x.shape.filter((_, a) => !axes.includes(a)),
    )
  else if (x.shape.length === 2) b.emit(ops.Unsqueeze, [x.name, b.constant(int64s([2, 3]))], {}, [...x.shape, 1, 1])
}

const either = branchesOf([conv, attention, roundedLayers, gemm])

/** Frequent builders are listed more than once. */
const plain: ReadonlyArray<Apply> = [
  conv,
  conv,
  conv,
  conv,
  convTranspose,
  batchNorm,
  convNorm,
  convNorm,
  convNorm,
  linearPair,
  linearPair,
  linearPair,
  unary,
  unary,
  unary,
  partial,
  clip,
  prelu,
  binary,
  binary,
  binary,
  extremum,
  withConstant,
  divide,
  pool,
  globalPool,
  reduce,
  concat,
  concat,
  split,
  slice,
  pad,
  flatten,
  shuffle,
  transpose,
  toSequence,
  resize,
  depthToSpace,
  gemm,
  gemm,
  matmul,
  matmul,
  softmax,
  squeeze,
  branches,
  branches,
  copies,
  copies,
  stream,
  stream,
  grouped,
]

const basic: ReadonlyArray<Apply> = [...plain, recurrence, recurrence]

const ordinary: ReadonlyArray<Apply> = [
  ...basic,
  ...[attention, attention, groupedHeads, roundedLayers, integerLayers, dynamicLayers, blockLayers, integerAttention],
  ...[either, loop, scan, partedLayers, assigned, ranked, resized, sequenced],
]

const edgeNames = [
  'tails',
  'tails',
  'carriers',
  'carriers',
  'kept',
  'kept',
  'kept',
  'zoo',
  'zoo',
  'zoo',
  'zoo',
  'cancellation',
  'chain',
  'chain',
  'tinyNorm',
  'tinyNorm',
  'pair',
  'pair',
  'gemmFactors',
  'gemmFactors',
  'degenerate',
  'degenerate',
  'degenerate',
  'grouped',
  'grouped',
  'bordered',
  'bordered',
] as const

/** A program at the edges takes its steps from these; half of them are ordinary ones. */
const edgy: ReadonlyArray<Apply> = [...ordinary, ...edgeNames, ...edgeNames].map((apply) =>
  typeof apply === 'string' ? edgeSteps(conv, gemm)[apply] : apply,
)

const buildersOf = ({ edges, basic: isBasic }: Pick<Program, 'edges' | 'basic'>): ReadonlyArray<Apply> =>
  edges ? edgy : isBasic ? basic : ordinary

/** The builder of a step, by name. */
export const stepName = (program: Program, { kind }: Step): string => {
  const list = buildersOf(program)
  return list[kind % list.length]?.name ?? ''
}

/** Mixes integers into a seed. */
const hash = (...parts: ReadonlyArray<number>): number =>
  parts.reduce((h, part) => Math.imul(h ^ part, 0x9e3779b1) ^ (h >>> 15), 0x2545f491) >>> 0

/** A graph or a body under construction. */
interface Scope {
  builder: Builder | undefined
  readonly constants: Map<string, Tensor>
  readonly nodes: Node[]
  readonly read: Set<string>
}

/** The graph of a program. Values that nothing reads are its outputs. */
export const buildProgram = (program: Program): Graph => {
  const { dtype, edges } = program
  // Numbers depend on the program and the step alone, so that a program with fewer steps has the same ones.
  let uniform = uniforms(program.seed)
  let normal = normals(uniform)
  const opset = edges ? 21 : 17
  const batch = program.symbolicBatch ? 'N' : 2
  let [named, made] = [0, 1]
  const opsetsOf = (nodes: ReadonlyArray<Node>): ReadonlyMap<string, number> => {
    const isMicrosoft = nodes.some(({ op }) => op.startsWith('com.microsoft.'))
    return new Map([['', opset], ...(isMicrosoft ? ([['com.microsoft', 1]] as const) : [])])
  }
  const hints = new Map<string, ValueType>()
  const typeOf = (shape: ReadonlyArray<number>): ValueType =>
    tensorType(dtype, shape[0] === 2 && shape.length > 1 ? [batch, ...shape.slice(1)] : shape)

  /** A builder of a graph, or of a body within `around`. */
  const open = (values: Value[], around?: Scope): Scope => {
    const constants = new Map<string, Tensor>()
    const nodes: Node[] = []
    const read = new Set<string>()
    const constant = (tensor: Tensor): string => {
      const name = `c${named++}`
      // What a body holds itself, and what it captures.
      const holder = around !== undefined && uniform() < 0.5 ? around.constants : constants
      holder.set(name, tensor)
      return name
    }
    const numbers = (shape: ReadonlyArray<number>, values: ReadonlyArray<number>): string =>
      constant(tensorOf(dtype, shape, values))
    const draw = (shape: ReadonlyArray<number>, value: (index: number) => number): string => {
      const values = Array.from({ length: sizeOf(shape) }, (_, i) => value(i))
      return numbers(shape, edges ? atTheEdge(dtype, shape, values, uniform) : values)
    }
    const outputsOf = (shapes: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<Value> =>
      shapes.map((shape) => ({ name: `v${made++}`, shape }))
    const add = <A>(
      op: OpDef<string, A>,
      inputs: ReadonlyArray<string>,
      attrs: Partial<A>,
      shapes: ReadonlyArray<ReadonlyArray<number>>,
    ): ReadonlyArray<Value> => {
      const outputs = outputsOf(shapes)
      for (const input of inputs) read.add(input)
      const names = outputs.map(({ name }) => name)
      nodes.push(makeNode(op, inputs, names, attrs, `n${names[0] ?? ''}`))
      return outputs
    }
    const scope: Scope = { builder: undefined, constants, nodes, read }
    scope.builder = {
      dtype,
      opset,
      values,
      uniform: () => uniform(),
      constant,
      numbers,
      weights: (shape, deviation, isZero) => draw(shape, (i) => (isZero?.(i) ? 0 : deviation * normal())),
      positive: (shape) => draw(shape, () => 0.5 + uniform()),
      emit: (op, inputs, attrs, ...shapes) => {
        values.push(...add(op, inputs, attrs, shapes))
      },
      inners: (op, inputs, attrs, shapes) => add(op, inputs, attrs, shapes),
      inner: (op, inputs, attrs, shape) => add(op, inputs, attrs, [shape])[0] ?? { name: '', shape },
      opaque: (opType, inputs, attributes, shapes) => {
        const outputs = outputsOf(shapes)
        const names = outputs.map(({ name }) => name)
        const proto = create(NodeProtoSchema, {
          opType,
          name: `n${names[0] ?? ''}`,
          input: [...inputs],
          output: names,
          attribute: [...attributes],
        })
        const node = opaqueNode(proto, 'it has subgraphs')
        for (const input of readsOf(node)) read.add(input)
        nodes.push(node)
        // Exporters say what bodies make, or nothing but its type; where the batch of a Loop's results is, is not told here.
        for (const { name, shape } of outputs) {
          const isTold = uniform() < 0.7 && (opType !== 'Loop' || shape.length === 2)
          hints.set(name, isTold ? typeOf(shape) : tensorType(dtype, undefined))
        }
        return outputs
      },
      body: (given) => {
        const inner = open([...given], scope)
        const inputs: ValueInfo[] = []
        if (inner.builder === undefined) throw new Error('no builder')
        return {
          builder: inner.builder,
          input: (shape, type) => {
            const value = { name: `v${made++}`, shape }
            inputs.push({ name: value.name, type: type === undefined ? typeOf(shape) : tensorType(type, shape) })
            return value
          },
          finish: (outputs) => bodyOf(inner, scope, inputs, outputs),
        }
      },
    }
    return scope
  }

  /** The graph of a body in the file: what it captures is not part of it. */
  const bodyOf = (inner: Scope, around: Scope, inputs: ReadonlyArray<ValueInfo>, outputs: ReadonlyArray<string>) => {
    const own = new Set([...inputs.map(({ name }) => name), ...inner.nodes.flatMap((node) => node.outputs)])
    const captured = [...new Set([...inner.nodes.flatMap(readsOf), ...outputs])].filter(
      (name) => name !== '' && !own.has(name) && !inner.constants.has(name) && !around.constants.has(name),
    )
    const graph = builtOf({
      name: 'body',
      inputs: [...inputs, ...captured.map((name) => ({ name, type: tensorType(dtype, undefined) }))],
      outputs: outputs.map((name) => ({ name, type: unknownType })),
      nodes: inner.nodes,
      constants: new Map([...around.constants, ...inner.constants]),
      defaults: new Map(),
      hints: new Map(),
      opsets: opsetsOf(inner.nodes),
      preserved: { irVersion: 8, model: new Uint8Array(), uses: [] },
    })
    const typed = builtOf({
      ...graph,
      outputs: outputs.map((name) => ({ name, type: graph.types.get(name) ?? unknownType })),
    })
    const lowered = lower(typed, { external: false })
    const proto = E.isLeft(lowered) ? undefined : restore(ModelProtoSchema, lowered.right.model).graph
    if (proto === undefined) throw new Error('a body is not written')
    proto.input = proto.input.filter(({ name }) => !captured.includes(name))
    proto.initializer = proto.initializer.filter(({ name }) => inner.constants.has(name))
    return proto
  }

  const values: Value[] = [{ name: 'x', shape: [2, program.channels, program.size, program.size] }]
  const { builder, constants, nodes, read } = open(values)
  if (builder === undefined) throw new Error('no builder')
  const builders = buildersOf(program)
  for (const step of program.steps) {
    const x = values[Math.max(0, values.length - 1 - (step.from % 4))]
    const y = values[step.other % values.length]
    const apply = builders[step.kind % builders.length]
    uniform = uniforms(hash(program.seed, step.kind, ...step.choices))
    normal = normals(uniform)
    if (x !== undefined && y !== undefined && apply !== undefined && sizeOf(x.shape) < (edges ? 5_000 : 20_000))
      apply(builder, step, x, y)
  }
  // Most results are read by a last layer: channels of a graph output cannot go.
  for (const value of values.filter((v) => v.name !== 'x' && !read.has(v.name))) {
    const last = { kind: 0, from: 0, other: 0, choices: [0, 1, 0, program.seed % 4] } as const
    if (program.heads && isImage(value)) conv(builder, last, value, value)
    else if (program.heads && value.shape.length === 2) gemm(builder, last, value, value)
    else if (program.heads) matmul(builder, { ...last, choices: [1, 1, 0, 0] }, value, value)
  }
  const sizes = program.symbolicSizes ? ['H', 'W'] : [program.size, program.size]
  const parts: GraphParts = {
    name: 'program',
    inputs: [{ name: 'x', type: tensorType(dtype, [batch, program.channels, ...sizes]) }],
    outputs: values
      .filter((v) => v.name !== 'x' && !read.has(v.name))
      .map((v) => ({ name: v.name, type: tensorType(dtype, undefined) })),
    nodes,
    constants,
    defaults: new Map(),
    hints,
    opsets: opsetsOf(nodes),
    preserved: { irVersion: 8, model: new Uint8Array(), uses: [] },
  }
  const graph = builtOf(parts)
  // Outputs declare the types that inference finds.
  const typed = parts.outputs.map(({ name, type }) => ({ name, type: graph.types.get(name) ?? type }))
  return builtOf({ ...parts, outputs: typed })
}

const builtOf = (parts: GraphParts): Graph => {
  const graph = makeGraph(parts)
  if (E.isLeft(graph))
    throw new Error(`program does not build: ${graph.left.subject}: ${graph.left.expected}, ${graph.left.found}`)
  return graph.right
}

/** What the symbols of a program's input stand for when it is run. */
export const sizesOf = ({ size }: Program): ReadonlyMap<string, number> =>
  new Map([
    ['H', size],
    ['W', size],
  ])

/** A step, of one of the kinds where some are given. */
const stepOf = (kinds: ReadonlyArray<number>, count = edgy.length): fc.Arbitrary<Step> =>
  fc.record({
    kind: kinds.length === 0 ? fc.nat(2 * count - 1) : fc.constantFrom(...kinds),
    from: fc.nat(7).map((n) => Math.max(0, n - 4)),
    other: fc.nat(30),
    choices: fc.tuple(fc.nat(59), fc.nat(59), fc.nat(59), fc.nat(59)),
  })

export interface ProgramOptions {
  readonly dtypes: readonly [FloatType, ...FloatType[]]
  readonly edges: boolean
  /** Whether to leave out attention, quantized layers, bodies and symbolic sizes; false unless given. */
  readonly basic?: boolean
  /** Names of builders to leave out. */
  readonly without?: ReadonlyArray<string>
  /** Names of the builders that all steps are from; empty for all. */
  readonly only?: ReadonlyArray<string>
}

export const programsOf = ({
  dtypes,
  edges,
  basic: isBasic = false,
  without = [],
  only = [],
}: ProgramOptions): fc.Arbitrary<Program> => {
  const builders = buildersOf({ edges, basic: isBasic })
  const names = builders.map(({ name }) => name)
  const wanted = (
    only.length === 0
      ? stepOf([], isBasic ? basic.length + 2 * edgeNames.length : undefined)
      : stepOf(names.flatMap((name, i) => (only.includes(name) ? [i] : [])))
  ).filter(({ kind }) => !without.includes(names[kind % names.length] ?? ''))
  // Half of the programs at the edges are short and have nothing else: what a long one amplifies, it also drowns.
  const single = wanted.filter(({ kind }) => kind % edgy.length >= plain.length)
  const long = fc.array(wanted, { minLength: 1, maxLength: edges ? 10 : 20, size: 'max' })
  return fc.record({
    dtype: fc.constantFrom(...dtypes),
    edges: fc.constant(edges),
    channels: fc.integer({ min: 1, max: 6 }),
    size: fc.integer({ min: 3, max: edges ? 6 : 8 }),
    symbolicBatch: fc.boolean(),
    heads: fc.integer({ min: 0, max: 5 }).map((n) => n > 0),
    seed: fc.nat(1_000_000),
    steps:
      edges && only.length === 0 ? fc.oneof(long, fc.array(single, { minLength: 1, maxLength: 3, size: 'max' })) : long,
    basic: fc.constant(isBasic),
    symbolicSizes: isBasic ? fc.constant(false) : fc.nat(3).map((n) => n === 0),
  })
}

/** Programs of ordinary numbers in float32, of layers without attention, integers and bodies, and of known sizes. */
export const programs: fc.Arbitrary<Program> = programsOf({ dtypes: ['float32'], edges: false, basic: true })
