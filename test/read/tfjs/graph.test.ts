/** Operators of GraphModels, as TensorFlow.js computes them, and as ONNX Runtime computes what they became. */
import * as E from 'fp-ts/lib/Either.js'
import { beforeAll, describe, expect, test } from 'vitest'
import { renderError } from '../../../src/ir/failure.ts'
import { lowerings } from '../../../src/read/tfjs/graph/ops.ts'
import { uniforms } from '../../inflate.ts'
import { compare, quiet, read, type Saved, weightsFile } from './tensorflow-js.ts'

beforeAll(quiet)

/** A tensor that a node reads: an input of the model, or a constant. */
type Given =
  | { readonly input: ReadonlyArray<number>; readonly dtype?: 'DT_INT32' }
  | { readonly ints: ReadonlyArray<number>; readonly shape?: ReadonlyArray<number> }
  | { readonly floats: ReadonlyArray<number>; readonly positive?: boolean }

const input = (...shape: ReadonlyArray<number>): Given => ({ input: shape })
const whole = (...shape: ReadonlyArray<number>): Given => ({ input: shape, dtype: 'DT_INT32' })
const ints = (...values: ReadonlyArray<number>): Given => ({ ints: values })
const int = (value: number): Given => ({ ints: [value], shape: [] })
/** A constant of random numbers. */
const weight = (...shape: ReadonlyArray<number>): Given => ({ floats: shape })
const positive = (...shape: ReadonlyArray<number>): Given => ({ floats: shape, positive: true })

type Attributes = Readonly<Record<string, unknown>>

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const text = (value: string): unknown => ({ s: base64(value) })
const texts = (...values: ReadonlyArray<string>): unknown => ({ list: { s: values.map(base64) } })
const list = (...values: ReadonlyArray<number>): unknown => ({ list: { i: values.map(String) } })
const i = (value: number): unknown => ({ i: String(value) })
const f = (value: number): unknown => ({ f: value })
const yes: unknown = { b: true }
const type = (name: string): unknown => ({ type: name })

const dims = (shape: ReadonlyArray<number>): unknown => ({
  shape: { dim: shape.map((size) => ({ size: String(size) })) },
})

interface Step {
  readonly op: string
  readonly reads: ReadonlyArray<Given | string>
  readonly attr?: Attributes
}

/** A graph of `steps`, called `0`, `1` and so on, whose last one is the output. */
const graphOf = (steps: ReadonlyArray<Step>): Saved => {
  const nodes: object[] = []
  const specs: object[] = []
  const parts: Uint8Array[] = []
  const draw = uniforms(3)
  const nameOf = (given: Given | string, at: string): string => {
    if (typeof given === 'string') return given
    if ('input' in given) {
      nodes.push({
        name: at,
        op: 'Placeholder',
        attr: { dtype: type(given.dtype ?? 'DT_FLOAT'), shape: dims(given.input) },
      })
      return at
    }
    const shape = 'ints' in given ? (given.shape ?? [given.ints.length]) : given.floats
    const count = shape.reduce((product, size) => product * size, 1)
    const value = (): number => ('positive' in given ? 0.1 + draw() : 2 * draw() - 1)
    const values = 'ints' in given ? Int32Array.from(given.ints) : Float32Array.from({ length: count }, value)
    nodes.push({ name: at, op: 'Const', attr: {} })
    specs.push({ name: at, shape, dtype: 'ints' in given ? 'int32' : 'float32' })
    parts.push(new Uint8Array(values.buffer))
    return at
  }
  for (const [at, { op, reads, attr = {} }] of steps.entries()) {
    const names = reads.map((given, port) => nameOf(given, `${at}/${port}`))
    nodes.push({ name: `${at}`, op, input: names, attr })
  }
  const name = `${steps.length - 1}`
  const signature = { outputs: { [name]: { name } } }
  const json = {
    format: 'graph-model',
    signature,
    modelTopology: { node: nodes, versions: { producer: 1 } },
    weightsManifest: [{ paths: [weightsFile], weights: specs }],
  }
  return { json, weights: new Uint8Array(Buffer.concat(parts)) }
}

const step = (op: string, reads: ReadonlyArray<Given | string>, attr: Attributes = {}): Step => ({ op, reads, attr })

const window = (
  padding: string,
  strides: ReadonlyArray<number> = [1, 1],
  dilations: ReadonlyArray<number> = [1, 1],
) => ({
  padding: text(padding),
  strides: list(1, ...strides, 1),
  dilations: list(1, ...dilations, 1),
  data_format: text('NHWC'),
})
const pool = (size: ReadonlyArray<number>, strides: ReadonlyArray<number>, padding: string) => ({
  ksize: list(1, ...size, 1),
  strides: list(1, ...strides, 1),
  padding: text(padding),
})

/** A convolution, so that what follows has its channels first. */
const image = step('Conv2D', [input(2, 6, 5, 3), weight(3, 3, 3, 4)], window('SAME'))
const after = (op: string, reads: ReadonlyArray<Given | string>, attr: Attributes = {}): ReadonlyArray<Step> => [
  image,
  step(op, ['0', ...reads], attr),
]

const epilogue = (...ops: ReadonlyArray<string>): Attributes => ({ fused_ops: texts(...ops) })
const fusedArgs = (count: number): Attributes => ({ num_args: i(count) })

const unaryOps = [
  ...['Abs', 'Asinh', 'Atan', 'Ceil', 'Cos', 'Cosh', 'Erf', 'Exp', 'Floor', 'Neg', 'Round', 'Sign', 'Sin', 'Sinh'],
  ...['Square', 'Relu', 'Relu6', 'Elu', 'Selu', 'Sigmoid', 'Softplus', 'Tanh', 'Softmax', 'LogSoftmax', 'LeakyRelu'],
  ...['ZerosLike', 'OnesLike', 'StopGradient', 'Identity', 'Snapshot', 'Size', 'Rank', 'Shape'],
]
/** Of numbers in between 0 and 1, or above. */
const partialOps = ['Tan', 'Acos', 'Asin', 'Atanh', 'Log', 'Reciprocal', 'Sqrt', 'Rsqrt']
const binaryOps = [
  ...['Add', 'AddV2', 'Sub', 'Mul', 'RealDiv', 'Div', 'DivNoNan', 'FloorDiv', 'Mod', 'FloorMod', 'Maximum', 'Minimum'],
  ...['SquaredDifference', 'Equal', 'NotEqual', 'Greater', 'GreaterEqual', 'Less', 'LessEqual', 'Prelu'],
]
const asNumbers = step('Cast', ['1'], { DstT: type('DT_FLOAT') })
const truths = new Set(['Equal', 'NotEqual', 'Greater', 'GreaterEqual', 'Less', 'LessEqual'])

/** What is tried, each with a name; every node of the last operator is of the one that is named first. */
type Case = readonly [name: string, steps: ReadonlyArray<Step>]

const cases: ReadonlyArray<Case> = [
  ...unaryOps.map((op): readonly [string, ReadonlyArray<Step>] => [op, after(op, [])]),
  ...partialOps.map((op): readonly [string, ReadonlyArray<Step>] => [
    op,
    [image, step('Sigmoid', ['0']), step(op, ['1'])],
  ]),
  ['Acosh', [image, step('Sigmoid', ['0']), step('Exp', ['1']), step('Acosh', ['2'])]],
  ...binaryOps.flatMap((op): ReadonlyArray<readonly [string, ReadonlyArray<Step>]> => {
    const end = truths.has(op) ? [asNumbers] : []
    return [
      [`${op} with channels`, [...after(op, [weight(4)]), ...end]],
      [`${op} with a number`, [...after(op, [weight()]), ...end]],
      [`${op} with rows`, [...after(op, [weight(5, 1)]), ...end]],
    ]
  }),
  ['Pow', [image, step('Exp', ['0']), step('Pow', ['1', weight(4)])]],
  ['AddN', [image, step('Relu', ['0']), step('AddN', ['0', '1', weight(2, 6, 5, 4)])]],
  ['ClipByValue', after('ClipByValue', [{ floats: [] }, positive()])],
  ['LogicalAnd', [image, ...logic('LogicalAnd'), cast('3')]],
  ['LogicalOr', [image, ...logic('LogicalOr'), cast('3')]],
  ['LogicalNot', [image, step('Greater', ['0', weight()]), step('LogicalNot', ['1']), cast('2')]],
  ['IsNan', [image, step('IsNan', ['0']), cast('1')]],
  ['IsInf', [image, step('IsInf', ['0']), cast('1')]],
  ['Select', [image, step('Greater', ['0', weight()]), step('Select', ['1', '0', weight(2, 6, 5, 4)])]],
  ['SelectV2', [image, step('Greater', ['0', weight()]), step('SelectV2', ['1', '0', weight(4)])]],
  ['FloorDiv of integers', [step('FloorDiv', [whole(4, 3), ints(2, -3, 5)])]],
  ['FloorMod of integers', [step('Sub', [whole(4, 3), ints(2, 2, 2)]), step('FloorMod', ['0', ints(2, -3, 5)])]],
  ['Add of integers and numbers', [step('Add', [whole(4, 3), weight(3)])]],

  ['Conv2D', [step('Conv2D', [input(2, 7, 8, 3), weight(3, 2, 3, 4)], window('SAME', [2, 3]))]],
  ['Conv2D dilated', [step('Conv2D', [input(1, 9, 9, 3), weight(3, 3, 3, 4)], window('VALID', [1, 1], [2, 3]))]],
  [
    'Conv2D padded explicitly',
    [
      step('Conv2D', [input(1, 5, 5, 2), weight(3, 3, 2, 4)], {
        ...window('EXPLICIT'),
        explicit_paddings: list(0, 0, 1, 2, 0, 3, 0, 0),
      }),
    ],
  ],
  [
    'Conv3D',
    [
      step('Conv3D', [input(1, 4, 5, 6, 2), weight(2, 2, 2, 2, 3)], {
        ...window('SAME', [1, 2, 1], [1, 1, 1]),
        data_format: text('NDHWC'),
      }),
    ],
  ],
  [
    'DepthwiseConv2dNative',
    [step('DepthwiseConv2dNative', [input(1, 6, 6, 3), weight(3, 3, 3, 2)], window('SAME', [2, 2]))],
  ],
  [
    'Conv2DBackpropInput',
    [step('Conv2DBackpropInput', [ints(1, 8, 9, 2), weight(3, 3, 2, 3), input(1, 4, 5, 3)], window('SAME', [2, 2]))],
  ],
  [
    'Conv2DBackpropInput valid',
    [step('Conv2DBackpropInput', [ints(1, 9, 10, 2), weight(3, 2, 2, 3), input(1, 4, 5, 3)], window('VALID', [2, 2]))],
  ],
  ...[[], ['Relu'], ['Relu6'], ['Elu'], ['Sigmoid'], ['LeakyRelu']].map(
    (ops): readonly [string, ReadonlyArray<Step>] => [
      `_FusedConv2D BiasAdd ${ops.join()}`,
      [
        step('_FusedConv2D', [input(1, 6, 6, 3), weight(3, 3, 3, 4), weight(4)], {
          ...window('SAME'),
          ...epilogue('BiasAdd', ...ops),
          ...fusedArgs(1),
          leakyrelu_alpha: f(0.3),
        }),
      ],
    ],
  ),
  [
    '_FusedConv2D with an alpha for each channel',
    [
      step('_FusedConv2D', [input(1, 6, 6, 3), weight(3, 3, 3, 4), weight(4), weight(4)], {
        ...window('SAME'),
        ...epilogue('BiasAdd', 'Prelu'),
        ...fusedArgs(2),
      }),
    ],
  ],
  [
    'FusedDepthwiseConv2dNative',
    [
      step('FusedDepthwiseConv2dNative', [input(1, 6, 6, 3), weight(3, 3, 3, 1), weight(3)], {
        ...window('SAME'),
        ...epilogue('BiasAdd', 'Relu6'),
        ...fusedArgs(1),
      }),
    ],
  ],
  [
    '_FusedMatMul',
    [
      step('_FusedMatMul', [input(3, 4), weight(5, 4), weight(5)], {
        ...epilogue('BiasAdd', 'Relu'),
        ...fusedArgs(1),
        transpose_b: yes,
      }),
    ],
  ],
  ['MatMul', [step('MatMul', [input(4, 3), weight(5, 4)], { transpose_a: yes, transpose_b: yes })]],
  ['BatchMatMul', [step('BatchMatMul', [input(2, 4, 3), input(2, 3, 5)])]],
  ['BatchMatMulV2', [step('BatchMatMulV2', [input(2, 4, 3), weight(2, 5, 3)], { adj_y: yes })]],
  ['BiasAdd', after('BiasAdd', [weight(4)])],
  ...['FusedBatchNorm', 'FusedBatchNormV2', 'FusedBatchNormV3'].map((op): readonly [string, ReadonlyArray<Step>] => [
    op,
    after(op, [weight(4), weight(4), weight(4), positive(4)], { epsilon: f(0.01), is_training: { b: false } }),
  ]),
  ['MaxPool', after('MaxPool', [], pool([3, 2], [2, 2], 'SAME'))],
  ['AvgPool', after('AvgPool', [], pool([3, 2], [2, 1], 'SAME'))],
  ['MaxPool3D', [step('MaxPool3D', [input(1, 4, 5, 6, 2)], pool([2, 2, 2], [2, 2, 2], 'VALID'))]],
  ['AvgPool3D', [step('AvgPool3D', [input(1, 4, 5, 6, 2)], pool([2, 2, 2], [1, 1, 1], 'VALID'))]],

  ...['Mean', 'Sum', 'Max', 'Min', 'Prod'].flatMap((op): ReadonlyArray<readonly [string, ReadonlyArray<Step>]> => [
    [`${op} over the image`, after(op, [ints(1, 2)])],
    [`${op} over rows, kept`, after(op, [ints(1)], { keep_dims: yes })],
    [`${op} over rows`, after(op, [ints(1)])],
    [`${op} over channels`, after(op, [ints(-1)])],
    [`${op} over the batch`, after(op, [ints(0)])],
    [`${op} over all`, after(op, [ints(0, 1, 2, 3)])],
  ]),
  ['All', [image, step('Greater', ['0', weight()]), step('All', ['1', ints(3)]), cast('2')]],
  ['Any', [image, step('Greater', ['0', weight()]), step('Any', ['1', ints(1, 2)]), cast('2')]],
  ['ArgMax', after('ArgMax', [int(3)])],
  ['ArgMin', after('ArgMin', [int(1)])],
  ['Concat', [image, step('Relu', ['0']), step('Concat', [int(2), '0', '1'], { N: i(2) })]],
  ['ConcatV2', [image, step('ConcatV2', ['0', weight(2, 6, 5, 3), int(-1)], { N: i(2) })]],
  ['Pad', after('Pad', [{ ints: [0, 0, 1, 2, 3, 0, 0, 1], shape: [4, 2] }])],
  ['PadV2', after('PadV2', [{ ints: [0, 0, 1, 2, 3, 0, 0, 0], shape: [4, 2] }, weight()])],
  ['MirrorPad', after('MirrorPad', [{ ints: [0, 0, 1, 2, 3, 0, 0, 0], shape: [4, 2] }], { mode: text('REFLECT') })],
  [
    'MirrorPad symmetric',
    after('MirrorPad', [{ ints: [0, 0, 1, 1, 0, 1, 0, 0], shape: [4, 2] }], { mode: text('SYMMETRIC') }),
  ],
  ['Reshape', after('Reshape', [ints(2, -1, 8)])],
  [
    'Reshape to what is computed',
    [image, step('Shape', ['0']), slice('1', 1), step('Pack', ['2', int(-1)]), step('Reshape', ['0', '3'])],
  ],
  ['Transpose', after('Transpose', [ints(0, 3, 1, 2)])],
  ['Transpose of what has its channels last', [step('Transpose', [input(2, 3, 4), ints(2, 0, 1)])]],
  [
    'Squeeze',
    [image, step('Mean', ['0', ints(1, 2)], { keep_dims: yes }), step('Squeeze', ['1'], { squeeze_dims: list(1, 2) })],
  ],
  ['Squeeze of all', [image, step('Mean', ['0', ints(1, 2)], { keep_dims: yes }), step('Squeeze', ['1'])]],
  ['ExpandDims', after('ExpandDims', [int(-1)])],
  ['Split', [image, step('Split', [int(3), '0'], { num_split: i(2) }), step('Sub', ['1:1', '1'])]],
  [
    'SplitV',
    [
      image,
      step('SplitV', ['0', ints(1, -1, 2), int(1)], { num_split: i(3) }),
      step('ConcatV2', ['1:2', '1', '1:1', int(1)], { N: i(3) }),
    ],
  ],
  ['Pack', [image, step('Relu', ['0']), step('Pack', ['0', '1'], { axis: i(-1), N: i(2) })]],
  ['Unpack', [image, step('Unpack', ['0'], { axis: i(3), num: i(4) }), step('Sub', ['1:3', '1:1'])]],
  ['Slice', after('Slice', [ints(0, 1, 2, 1), ints(-1, 3, -1, 2)])],
  ['StridedSlice', after('StridedSlice', [ints(0, 1, 4, -3), ints(2, 6, 0, 4), ints(1, 2, -1, 1)], { end_mask: i(8) })],
  [
    'StridedSlice with an axis less and another more',
    after('StridedSlice', [ints(0, 0, 0, -1), ints(0, 0, 0, 0), ints(1, 1, 1, 1)], {
      ellipsis_mask: i(2),
      new_axis_mask: i(4),
      shrink_axis_mask: i(9),
    }),
  ],
  ['ReverseV2', after('ReverseV2', [ints(1, 3)])],
  ['Gather', [step('Gather', [weight(5, 4), whole(3, 2)])]],
  ['GatherV2', after('GatherV2', [ints(2, 0, 1), int(-1)])],
  ['GatherNd', [step('GatherNd', [input(3, 4, 2), { ints: [0, 1, 2, 3], shape: [2, 2] }])]],
  ['Tile', after('Tile', [ints(1, 2, 1, 3)])],
  ['Fill', [image, step('Shape', ['0']), step('Fill', ['1', weight()]), step('Add', ['0', '2'])]],
  ['BroadcastTo', [step('BroadcastTo', [input(3, 1), ints(2, 3, 4)])]],
  ...[false, true].flatMap((alignCorners) =>
    [false, true]
      .filter((halfPixel) => !(alignCorners && halfPixel))
      .flatMap((halfPixel) =>
        ['ResizeBilinear', 'ResizeNearestNeighbor'].flatMap(
          (op): ReadonlyArray<readonly [string, ReadonlyArray<Step>]> => {
            const flags = { align_corners: { b: alignCorners }, half_pixel_centers: { b: halfPixel } }
            const label = `${op}${alignCorners ? ' with aligned corners' : ''}${halfPixel ? ' with half pixel centers' : ''}`
            return [
              [`${label}, twice as large`, after(op, [ints(12, 10)], flags)],
              [`${label}, to another size`, after(op, [ints(7, 3)], flags)],
            ]
          },
        ),
      ),
  ),
  ['DepthToSpace', after('DepthToSpace', [], { block_size: i(2), data_format: text('NHWC') })],
  ['TopKV2', [step('TopKV2', [input(3, 7), int(4)]), cast('0:1'), step('Pack', ['0', '1'], { N: i(2) })]],
  ['Cumsum', [step('Cumsum', [input(3, 7), int(1)], { exclusive: yes, reverse: yes })]],
  ['OneHot', [step('OneHot', [whole(6), int(4), weight(), weight()], { T: type('DT_FLOAT') })]],
  ['LRN', after('LRN', [], { depth_radius: i(1), alpha: f(0.5), beta: f(0.7), bias: f(1.5) })],
  ['Einsum', [step('Einsum', [input(2, 3, 4), weight(4, 5)], { equation: text('bij,jk->bki') })]],
  ['Range', [step('Range', [int(1), int(9), int(3)]), step('Add', ['0', whole(1)])]],
  ['Cast', [step('Cast', [input(9)], { DstT: type('DT_INT32') })]],
  ['Where', [step('Greater', [input(3, 4), weight()]), step('Where', ['0'])]],
  ['IdentityN', [image, step('Relu', ['0']), step('IdentityN', ['1', '0']), step('Sub', ['2:1', '2'])]],
]

function cast(read: string): Step {
  return step('Cast', [read], { DstT: type('DT_FLOAT') })
}

function logic(op: string): ReadonlyArray<Step> {
  return [step('Greater', ['0', weight()]), step('Less', ['0', weight()]), step(op, ['1', '2'])]
}

/** The element at a place of a vector. */
function slice(read: string, at: number): Step {
  return step('StridedSlice', [read, ints(at), ints(at + 1), ints(1)], { shrink_axis_mask: i(1) })
}

/** Those that TensorFlow.js has no way to run in a graph, or another name for. */
const untried = new Set(['BiasAddV1', 'DepthwiseConv2d', 'Inv', 'SpaceToDepth', 'EnsureShape', 'Softsign'])

describe('an operator', () => {
  test.each(cases)('%s', async (_name, steps) => {
    const { difference } = await compare(graphOf(steps))
    expect(difference).toBeLessThan(4e-6)
  })

  test('every operator that is read is tried', () => {
    const tried = new Set(cases.flatMap(([, steps]) => steps.map(({ op }) => op)))
    expect([...lowerings.keys()].filter((op) => !tried.has(op) && !untried.has(op))).toEqual([])
  })
})

test('between convolutions nothing is moved', async () => {
  const { graph, difference } = await compare(
    graphOf([
      image,
      step('BiasAdd', ['0', weight(4)]),
      step('Relu6', ['1']),
      step('Pad', ['2', { ints: [0, 0, 1, 1, 1, 1, 0, 0], shape: [4, 2] }]),
      step('DepthwiseConv2dNative', ['3', weight(3, 3, 4, 1)], window('VALID', [2, 2])),
      step('FusedBatchNormV3', ['4', weight(4), weight(4), weight(4), positive(4)], { is_training: { b: false } }),
      step('Mean', ['5', ints(1, 2)], { keep_dims: yes }),
      step('Conv2D', ['6', weight(1, 1, 4, 4)], window('SAME')),
      step('Sigmoid', ['7']),
      step('Mul', ['5', '8']),
      step('ResizeBilinear', ['9', ints(6, 5)], { half_pixel_centers: yes }),
      step('ConcatV2', ['10', '2', int(3)], { N: i(2) }),
      step('Conv2D', ['11', weight(1, 1, 8, 2)], window('SAME')),
    ]),
  )
  expect(difference).toBeLessThan(4e-6)
  expect(graph.nodes.filter(({ op }) => op === 'Transpose')).toHaveLength(2)
})

describe('what is refused', () => {
  const refusalOf = (saved: Saved): string => {
    const result = read(saved)
    return E.isLeft(result) ? `${result.left.code} ${renderError(result.left)}` : 'read'
  }
  test('operators, all of them named', () => {
    const saved = graphOf([image, step('Switch', ['0', '0']), step('Merge', ['1', '1:1'])])
    expect(refusalOf(saved)).toMatch(
      /^tfjs-unsupported node .: .*found operators Merge, Switch\. Convert the model itself/,
    )
  })
  test('statistics of the batch', () => {
    const steps = after('FusedBatchNormV3', [weight(4), weight(4), weight(4), positive(4)], { is_training: yes })
    expect(refusalOf(graphOf(steps))).toMatch(/^tfjs-unsupported node 1 \(FusedBatchNormV3\): .*is_training/)
  })
  test('axes that are computed', () => {
    expect(refusalOf(graphOf(after('Mean', [whole(1)])))).toMatch(
      /^tfjs-unsupported node 1 \(Mean\): .*input 1 not a constant/,
    )
  })
  test('a weight without bytes, and one that is not there', () => {
    const saved = graphOf([image])
    expect(refusalOf({ ...saved, weights: saved.weights.subarray(4) })).toMatch(
      /^tfjs-invalid weight 0\/1: expected \d+ bytes/,
    )
    const bare = { ...saved, json: { ...saved.json, weightsManifest: [] } }
    expect(refusalOf(bare)).toMatch(/^tfjs-invalid node 0\/1 \(Const\): expected a weight of its name/)
  })
  test('a cycle, a node that is not there, no outputs', () => {
    expect(refusalOf(graphOf([step('Relu', ['1']), step('Relu', ['0'])]))).toMatch(
      /^tfjs-invalid node .: .*without cycles/,
    )
    expect(refusalOf(graphOf([step('Relu', ['nobody'])]))).toMatch(/^tfjs-invalid node nobody: /)
    expect(
      refusalOf({ json: { modelTopology: { node: [] }, weightsManifest: [] }, weights: new Uint8Array() }),
    ).toMatch(/^tfjs-invalid modelTopology: expected outputs/)
  })
})
