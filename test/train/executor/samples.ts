/** A tiny graph for every training rule: `[2, 4, 5, 6]` images plus a trained shift go in, rows of logits come out. */
import type { Graph } from '../../../src/ir/graph.ts'
import * as ops from '../../../src/ir/ops/index.ts'
import type { OpDef } from '../../../src/ir/op.ts'
import { int64s } from '../../../src/ir/tensor.ts'
import { buildGraph, type GraphBuilder } from '../../builder.ts'

export interface Sample {
  readonly label: string
  /** The operators it is about. */
  readonly covers: ReadonlyArray<string>
  readonly graph: Graph
  readonly shape: ReadonlyArray<number>
  /** Whether inputs stay a quarter away from whole numbers, where steps are. */
  readonly steps: boolean
}

type Body = (b: GraphBuilder, x: string) => string

interface Options {
  readonly opset?: number
  readonly shape?: ReadonlyArray<number>
  readonly steps?: boolean
  /** The first size of the input; absent: a symbol. */
  readonly batch?: number
}

const image = [2, 4, 5, 6]

const sample = (
  label: string,
  covers: ReadonlyArray<{ readonly name: string }>,
  body: Body,
  { opset = 17, shape = image, steps = false, batch }: Options = {},
): Sample => ({
  label,
  covers: covers.map(({ name }) => name),
  shape,
  steps,
  graph: buildGraph(
    { x: [batch ?? 'N', ...shape.slice(1)] },
    (b) => {
      const size = shape.slice(1).reduce((n, d) => n * d, 1)
      const shift = steps
        ? b.floats('shift', new Array<number>(size).fill(0), shape.slice(1))
        : b.weight('shift', shape.slice(1))
      const y = body(b, b.op(ops.Add, ['x', shift]))
      const scaled = b.op(ops.Mul, [b.op(ops.Flatten, [y]), b.floats('third', [0.3], [])])
      return [scaled]
    },
    { opset },
  ),
})

/** `op(x)`. */
const unary = <A>(op: OpDef<string, A>, attrs: Partial<A> = {}, options: Options = {}): Sample =>
  sample(`${op.name} ${JSON.stringify(attrs)}`, [op], (b, x) => b.op(op, [x], attrs), options)

/** `op` of numbers between 0 and 1. */
const ofPositive = (op: OpDef<string, object>): Sample =>
  sample(op.name, [op, ops.Sigmoid], (b, x) => b.op(op, [b.op(ops.Sigmoid, [x])]))

const activations: ReadonlyArray<Sample> = [
  ...[
    ops.Relu,
    ops.Abs,
    ops.Neg,
    ops.Exp,
    ops.Sin,
    ops.Cos,
    ops.Tanh,
    ops.Softplus,
    ops.Softsign,
    ops.Erf,
    ops.Identity,
  ].map((op) => unary<object>(op)),
  ...[ops.Log, ops.Sqrt, ops.Reciprocal].map((op) => ofPositive(op)),
  ...[ops.Floor, ops.Ceil, ops.Round, ops.Sign].map((op) =>
    sample(op.name, [op], (b, x) => b.op(ops.Add, [x, b.op<object>(op, [x])]), { steps: true }),
  ),
  unary(ops.Mish, {}, { opset: 18 }),
  unary(ops.HardSwish),
  unary(ops.HardSigmoid, { alpha: 0.25, beta: 0.4 }),
  unary(ops.LeakyRelu, { alpha: 0.1 }),
  unary(ops.Elu, { alpha: 0.7 }),
  unary(ops.Celu, { alpha: 0.7 }),
  unary(ops.Selu),
  unary(ops.Gelu, {}, { opset: 20 }),
  unary(ops.Gelu, { approximate: 'tanh' }, { opset: 20 }),
  unary(ops.ThresholdedRelu, { alpha: 0.3 }),
  sample('Clip', [ops.Clip], (b, x) => b.op(ops.Clip, [x, b.floats('min', [-0.4], []), b.floats('max', [0.6], [])])),
  sample('Clip from below', [ops.Clip], (b, x) => b.op(ops.Clip, [x, b.floats('min', [-0.4], [])])),
  unary(ops.Softmax, { axis: 1 }),
  unary(ops.Softmax, { axis: 2 }, { opset: 11 }),
  unary(ops.LogSoftmax, { axis: -1 }),
  unary(ops.Dropout),
  sample('Cast to itself', [ops.Cast], (b, x) => b.op(ops.Cast, [x], { to: 1 })),
]

/** Shapes that broadcast against an image, channels last or not. */
const operandShapes: ReadonlyArray<ReadonlyArray<number>> = [[4, 5, 6], [4, 1, 1], [6], [1, 4, 5, 1], [2, 1, 1, 6]]

const arithmetic: ReadonlyArray<Sample> = [
  ...operandShapes.flatMap((shape) =>
    [ops.Add, ops.Sub, ops.Mul].map((op) =>
      sample(`${op.name} [${shape.join(',')}]`, [op], (b, x) => {
        const pooled = b.op(ops.Conv, [x, b.weight('kernel', [4, 4, 1, 1])])
        return b.op<object>(op, [pooled, b.weight('operand', shape)])
      }),
    ),
  ),
  sample('Div', [ops.Div], (b, x) => b.op(ops.Div, [x, b.positive('divisor', [4, 1, 1])])),
  sample('Div by an activation', [ops.Div], (b, x) =>
    b.op(ops.Div, [x, b.op(ops.Add, [b.op(ops.Sigmoid, [x]), b.floats('half', [0.5], [])])]),
  ),
  sample('Pow', [ops.Pow], (b, x) => b.op(ops.Pow, [b.op(ops.Sigmoid, [x]), b.floats('exponent', [2.5], [])])),
  sample('Pow trained', [ops.Pow], (b, x) =>
    b.op(ops.Pow, [b.op(ops.Sigmoid, [x]), b.positive('exponent', [4, 1, 1])]),
  ),
  ...[ops.Max, ops.Min, ops.Sum, ops.Mean].map((op) =>
    sample(op.name, [op], (b, x) =>
      b.op<object>(op, [
        x,
        b.weight('one', [4, 1, 1]),
        b.op(ops.Tanh, [x]),
        b.floats('two', [-0.9, 0.2, 0.8, -0.1, 0.5, 0.05]),
      ]),
    ),
  ),
  sample('PRelu', [ops.PRelu], (b, x) => b.op(ops.PRelu, [x, b.weight('slope', [4, 1, 1])])),
  ...[ops.Greater, ops.GreaterOrEqual, ops.Less, ops.LessOrEqual, ops.Equal].map((op) =>
    sample(
      `Where ${op.name}`,
      [ops.Where, op],
      (b, x) => {
        const condition = b.op<object>(op, [x, b.floats('zero', [0], [])])
        return b.op(ops.Where, [condition, b.op(ops.Neg, [x]), b.weight('other', [4, 1, 1])])
      },
      { steps: true },
    ),
  ),
  sample(
    'Where of several conditions',
    [ops.And, ops.Or, ops.Not],
    (b, x) => {
      const above = b.op(ops.Greater, [x, b.floats('low', [-1], [])])
      const below = b.op(ops.Less, [x, b.floats('high', [1], [])])
      const outside = b.op(ops.Not, [b.op(ops.And, [above, below])])
      return b.op(ops.Where, [b.op(ops.Or, [outside, above]), x, b.op(ops.Neg, [x])])
    },
    { steps: true },
  ),
]

interface ConvCase {
  readonly weight: ReadonlyArray<number>
  readonly attrs: Partial<Parameters<typeof ops.Conv.inferTypes>[0]['attrs']>
  readonly bias?: boolean
}

const conv = ({ weight, attrs, bias = false }: ConvCase, shape = image): Sample =>
  sample(
    `Conv [${weight.join(',')}] ${JSON.stringify(attrs)}`,
    [ops.Conv],
    (b, x) =>
      b.op(ops.Conv, [x, b.weight('kernel', weight), ...(bias ? [b.weight('bias', [weight[0] ?? 1])] : [])], attrs),
    { shape },
  )

const convolutions: ReadonlyArray<Sample> = [
  conv({ weight: [3, 4, 3, 3], attrs: { pads: [1, 1, 1, 1] }, bias: true }),
  conv({ weight: [9, 4, 3, 2], attrs: {} }),
  conv({ weight: [3, 4, 3, 3], attrs: { pads: [1, 1, 1, 1], strides: [2, 2] } }),
  conv({ weight: [3, 4, 3, 3], attrs: { pads: [0, 2, 1, 0], strides: [2, 2] } }),
  conv({ weight: [5, 4, 1, 1], attrs: { strides: [2, 2] } }),
  conv({ weight: [5, 4, 2, 2], attrs: { strides: [3, 3] } }),
  conv({ weight: [5, 4, 3, 3], attrs: { strides: [1, 2], pads: [1, 1, 1, 1] } }),
  conv({ weight: [3, 4, 2, 2], attrs: { pads: [2, 2, 2, 2] } }),
  conv({ weight: [3, 4, 3, 3], attrs: { auto_pad: 'SAME_UPPER', strides: [2, 2] } }),
  conv({ weight: [3, 4, 3, 3], attrs: { auto_pad: 'SAME_LOWER', strides: [2, 2] } }),
  conv({ weight: [3, 4, 2, 2], attrs: { dilations: [2, 3], pads: [1, 1, 1, 2] } }),
  conv({ weight: [3, 4, 2, 2], attrs: { dilations: [2, 2], strides: [2, 2], pads: [1, 1, 1, 1] } }),
  conv({ weight: [6, 2, 3, 3], attrs: { group: 2, pads: [1, 1, 1, 1] }, bias: true }),
  conv({ weight: [4, 1, 3, 3], attrs: { group: 4, pads: [1, 1, 1, 1] }, bias: true }),
  conv({ weight: [4, 1, 3, 3], attrs: { group: 4, pads: [1, 1, 1, 1], strides: [2, 2] } }),
  conv({ weight: [8, 1, 3, 3], attrs: { group: 4, pads: [1, 0, 1, 0] } }),
  conv({ weight: [4, 1, 2, 2], attrs: { group: 4, dilations: [2, 2] } }),
  // More channels than one block of the WebAssembly kernels, with a rest.
  conv({ weight: [27, 23, 3, 3], attrs: { pads: [1, 1, 1, 1] } }, [2, 23, 4, 5]),
  conv({ weight: [23, 1, 3, 3], attrs: { group: 23, pads: [1, 1, 1, 1] } }, [2, 23, 4, 5]),
  conv({ weight: [3, 4, 3], attrs: { pads: [1, 1], strides: [2] }, bias: true }, [2, 4, 7]),
  ...[
    { strides: [2, 2] },
    { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1] },
    { pads: [1, 0, 1, 1] },
    { strides: [2, 2], dilations: [2, 2] },
  ].map((attrs) =>
    sample(`ConvTranspose ${JSON.stringify(attrs)}`, [ops.ConvTranspose], (b, x) =>
      b.op(ops.ConvTranspose, [x, b.weight('kernel', [4, 3, 3, 3]), b.weight('bias', [3])], attrs),
    ),
  ),
]

const contractions: ReadonlyArray<Sample> = [
  sample('Gemm', [ops.Gemm], (b, x) =>
    b.op(ops.Gemm, [b.op(ops.Flatten, [x]), b.weight('matrix', [5, 120]), b.weight('bias', [5])], {
      transB: 1,
      alpha: 0.5,
      beta: 2,
    }),
  ),
  sample('Gemm by rows', [ops.Gemm], (b, x) => b.op(ops.Gemm, [b.op(ops.Flatten, [x]), b.weight('matrix', [120, 5])])),
  sample('MatMul', [ops.MatMul], (b, x) => b.op(ops.MatMul, [x, b.weight('matrix', [6, 7])])),
  sample('MatMul of two activations', [ops.MatMul, ops.Transpose], (b, x) => {
    const q = b.op(ops.MatMul, [x, b.weight('query', [6, 7])])
    const k = b.op(ops.MatMul, [x, b.weight('key', [6, 7])])
    return b.op(ops.MatMul, [q, b.op(ops.Transpose, [k], { perm: [0, 1, 3, 2] })])
  }),
]

const batchNorm = (b: GraphBuilder, x: string, channels: number): string =>
  b.op(ops.BatchNormalization, [
    x,
    b.positive('scale', [channels]),
    b.weight('bias', [channels]),
    b.weight('mean', [channels]),
    b.positive('variance', [channels]),
  ])

const affine = (b: GraphBuilder, shape: ReadonlyArray<number>): ReadonlyArray<string> => [
  b.positive('scale', shape),
  b.weight('bias', shape),
]

const normalizations: ReadonlyArray<Sample> = [
  sample('BatchNormalization', [ops.BatchNormalization], (b, x) => batchNorm(b, x, 4)),
  sample('BatchNormalization of a matrix', [ops.BatchNormalization], (b, x) => batchNorm(b, b.op(ops.Relu, [x]), 7), {
    shape: [5, 7],
  }),
  sample('BatchNormalization of many channels', [ops.BatchNormalization], (b, x) => batchNorm(b, x, 23), {
    shape: [3, 23, 2, 3],
  }),
  sample('LayerNormalization', [ops.LayerNormalization], (b, x) =>
    b.op(ops.LayerNormalization, [x, ...affine(b, [6])]),
  ),
  sample('LayerNormalization of two axes', [ops.LayerNormalization], (b, x) =>
    b.op(ops.LayerNormalization, [x, ...affine(b, [5, 6])], { axis: 2 }),
  ),
  sample('InstanceNormalization', [ops.InstanceNormalization], (b, x) =>
    b.op(ops.InstanceNormalization, [x, ...affine(b, [4])]),
  ),
  sample('InstanceNormalization channels last', [ops.InstanceNormalization], (b, x) => {
    const y = b.op(ops.Conv, [x, b.weight('kernel', [3, 4, 1, 1])])
    return b.op(ops.InstanceNormalization, [y, ...affine(b, [3])])
  }),
  sample(
    'GroupNormalization',
    [ops.GroupNormalization],
    (b, x) => b.op(ops.GroupNormalization, [x, ...affine(b, [4])], { num_groups: 2 }),
    { opset: 21 },
  ),
  unary(ops.LpNormalization, { axis: 1 }),
]

const pool = { kernel_shape: [3, 2], strides: [2, 2] }

const poolings: ReadonlyArray<Sample> = [
  unary(ops.MaxPool, pool),
  unary(ops.MaxPool, { ...pool, pads: [1, 0, 1, 1] }),
  unary(ops.MaxPool, { ...pool, ceil_mode: 1 }),
  unary(ops.AveragePool, pool),
  unary(ops.AveragePool, { ...pool, pads: [1, 0, 1, 1] }),
  unary(ops.AveragePool, { ...pool, pads: [1, 0, 1, 1], count_include_pad: 1 }),
  unary(ops.AveragePool, { ...pool, ceil_mode: 1, pads: [1, 1, 0, 0] }),
  unary<object>(ops.GlobalAveragePool),
  unary<object>(ops.GlobalMaxPool),
]

const reductions: ReadonlyArray<Sample> = [
  sample('ReduceMean', [ops.ReduceMean], (b, x) => b.op(ops.ReduceMean, [x], { axes: [2, 3] })),
  sample('ReduceMean without axes kept', [ops.ReduceMean], (b, x) => {
    const y = b.op(ops.Conv, [x, b.weight('kernel', [3, 4, 1, 1])])
    return b.op(ops.ReduceMean, [y], { axes: [3], keepdims: 0 })
  }),
  sample('ReduceSum', [ops.ReduceSum], (b, x) => b.op(ops.ReduceSum, [x, b.ints('axes', [-1, 1])])),
  ...[ops.ReduceMax, ops.ReduceMin, ops.ReduceL1, ops.ReduceL2, ops.ReduceSumSquare, ops.ReduceLogSumExp].map((op) =>
    unary(op, { axes: [1, 2], keepdims: 0 }),
  ),
]

const movements: ReadonlyArray<Sample> = [
  sample('Slice', [ops.Slice], (b, x) =>
    b.op(ops.Slice, [x, b.ints('starts', [1, 0]), b.ints('ends', [3, 5]), b.ints('axes', [1, 3])]),
  ),
  sample('Slice with steps', [ops.Slice], (b, x) =>
    b.op(ops.Slice, [
      x,
      b.ints('starts', [5, 0]),
      b.ints('ends', [0, 5]),
      b.ints('axes', [3, 2]),
      b.ints('steps', [-2, 2]),
    ]),
  ),
  sample('Split', [ops.Split], (b, x) => {
    const first = b.op(ops.Split, [x, b.ints('sizes', [1, 3])], { axis: 1 }, 2)
    return b.op(ops.Mul, [first, first.replace('.0', '.1')])
  }),
  sample('Concat', [ops.Concat], (b, x) => {
    const y = b.op(ops.Conv, [x, b.weight('kernel', [3, 4, 1, 1])])
    return b.op(ops.Concat, [y, x], { axis: 1 })
  }),
  sample('Pad', [ops.Pad], (b, x) =>
    b.op(ops.Pad, [x, b.ints('pads', [0, 1, 2, 0, 0, 0, 1, 1]), b.floats('value', [0.5], [])]),
  ),
  sample('Pad by reflection', [ops.Pad], (b, x) =>
    b.op(ops.Pad, [x, b.ints('pads', [0, 0, 2, 1, 0, 0, 1, 2])], { mode: 'reflect' }),
  ),
  sample('Pad with the edge', [ops.Pad], (b, x) =>
    b.op(ops.Pad, [x, b.ints('pads', [0, 0, 2, 1, 0, 0, 1, 2])], { mode: 'edge' }),
  ),
  sample('Gather', [ops.Gather], (b, x) => b.op(ops.Gather, [x, b.ints('indices', [2, 0, 3])], { axis: 1 })),
  sample('Gather a row twice', [ops.Gather], (b, x) =>
    b.op(ops.Gather, [x, b.ints('indices', [2, -1, 2])], { axis: 1 }),
  ),
  sample('Gather one', [ops.Gather], (b, x) =>
    b.op(ops.Gather, [x, b.constant('index', int64s([1], []))], { axis: 2 }),
  ),
]

const reshapings: ReadonlyArray<Sample> = [
  sample('Reshape', [ops.Reshape], (b, x) => b.op(ops.Reshape, [x, b.ints('shape', [0, -1, 3])])),
  sample('Flatten', [ops.Flatten], (b, x) =>
    b.op(ops.Flatten, [b.op(ops.Conv, [x, b.weight('kernel', [3, 4, 1, 1])])]),
  ),
  sample('Squeeze and Unsqueeze', [ops.Squeeze, ops.Unsqueeze], (b, x) => {
    const wide = b.op(ops.Unsqueeze, [x, b.ints('to', [2])])
    return b.op(ops.Squeeze, [b.op(ops.Relu, [wide]), b.ints('from', [2])])
  }),
  sample('Transpose', [ops.Transpose], (b, x) => {
    const y = b.op(ops.Transpose, [x], { perm: [0, 2, 3, 1] })
    return b.op(ops.Mul, [y, b.weight('factor', [5, 1, 4])])
  }),
  sample('Expand', [ops.Expand], (b, x) => {
    const token = b.op(ops.Expand, [b.weight('token', [1, 5, 1]), b.ints('shape', [2, 4, 5, 6])])
    return b.op(ops.Mul, [x, token])
  }),
  unary(ops.DepthToSpace, { blocksize: 2 }),
  unary(ops.DepthToSpace, { blocksize: 2, mode: 'CRD' }),
]

const scales = (b: GraphBuilder, values: ReadonlyArray<number>): ReadonlyArray<string> => [
  '',
  b.floats('scales', values),
]

const resamplings: ReadonlyArray<Sample> = [
  sample('Resize nearest', [ops.Resize], (b, x) =>
    b.op(ops.Resize, [x, ...scales(b, [1, 1, 2, 2])], { mode: 'nearest' }),
  ),
  sample('Resize linear', [ops.Resize], (b, x) => {
    const y = b.op(ops.Conv, [x, b.weight('kernel', [3, 4, 1, 1])])
    return b.op(ops.Resize, [y, ...scales(b, [1, 1, 2, 1.5])], { mode: 'linear' })
  }),
  sample(
    'Resize to sizes',
    [ops.Resize],
    (b, x) =>
      b.op(ops.Resize, [x, '', '', b.ints('sizes', [2, 4, 3, 9])], {
        mode: 'linear',
        coordinate_transformation_mode: 'align_corners',
      }),
    { batch: 2 },
  ),
  sample('Resize cubic', [ops.Resize], (b, x) => b.op(ops.Resize, [x, ...scales(b, [1, 1, 2, 2])], { mode: 'cubic' })),
  sample('Upsample', [ops.Upsample], (b, x) => b.op(ops.Upsample, [x, b.floats('scales', [1, 1, 2, 2])]), { opset: 9 }),
]

const withoutRuntime: ReadonlyArray<Sample> = [
  unary(ops.Swish, { alpha: 1.5 }, { opset: 24 }),
  sample(
    'RMSNormalization',
    [ops.RMSNormalization],
    (b, x) => b.op(ops.RMSNormalization, [x, b.positive('scale', [6])]),
    { opset: 23 },
  ),
]

/** Operators that ONNX Runtime does not have yet are compared with our reference evaluation. */
export const evaluated = new Set(withoutRuntime.map(({ label }) => label))

export const samples: ReadonlyArray<Sample> = [
  ...activations,
  ...arithmetic,
  ...convolutions,
  ...contractions,
  ...normalizations,
  ...poolings,
  ...reductions,
  ...movements,
  ...reshapings,
  ...resamplings,
  ...withoutRuntime,
]
