/** Models that the fuzzer of files has found, or that are made to break: read and compiled, or refused by a tagged error. */
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { noMasks } from '../../src/masks/mask.ts'
import { AttributeProto_AttributeType as Type } from '../../src/onnx/onnx_pb.ts'
import { compile } from '../../src/passes/compile.ts'
import { readModelBytes } from '../../src/read/model.ts'
import { floats, type GraphInit, info, modelBytes, node, type TensorInit } from '../read/make.ts'

const ints = (name: string, values: ReadonlyArray<number>, dims = [values.length]): TensorInit => ({
  name,
  dims: dims.map(BigInt),
  dataType: 7,
  int64Data: values.map(BigInt),
})

const zeros = (name: string, dims: ReadonlyArray<number>): TensorInit => ({
  ...floats(name, new Array<number>(dims.reduce((a, b) => a * b, 1)).fill(0)),
  dims: dims.map(BigInt),
})

const texts = (name: string, count: number): TensorInit => ({
  name,
  dims: [BigInt(count)],
  dataType: 8,
  stringData: Array.from({ length: count }, () => Uint8Array.of(97)),
})

/** A tensor of another type, all its bytes 0. */
const raw = (name: string, dataType: number, dims: ReadonlyArray<number>, bytes: number): TensorInit => ({
  name,
  dims: dims.map(BigInt),
  dataType,
  rawData: new Uint8Array(bytes),
})

const intAttribute = (name: string, ...values: ReadonlyArray<number>) => ({
  name,
  type: Type.INTS,
  ints: values.map(BigInt),
})

const complex64 = 14
const float8 = 17
const float4 = 23

const x4 = info('x', [1, 4, 8, 8])

const models: ReadonlyArray<readonly [string, GraphInit]> = [
  [
    'strides of 0',
    {
      input: [x4],
      initializer: [zeros('w', [4, 4, 3, 3])],
      node: [node('Conv', ['x', 'w'], ['y'], { attribute: [intAttribute('strides', 0, 0)] })],
    },
  ],
  [
    'a pool with strides of 0',
    {
      input: [x4],
      node: [
        node('MaxPool', ['x'], ['y'], {
          attribute: [intAttribute('kernel_shape', 2, 2), intAttribute('strides', 0, 0)],
        }),
      ],
    },
  ],
  ...(
    [
      ['text', texts('b', 4)],
      ['complex numbers', raw('b', complex64, [4], 32)],
      ['8-bit floats', raw('b', float8, [4], 4)],
      ['4-bit floats', raw('b', float4, [4], 2)],
    ] as const
  ).flatMap(([kind, b]): ReadonlyArray<readonly [string, GraphInit]> => [
    [
      `a convolution with a bias of ${kind}`,
      { input: [x4], initializer: [zeros('w', [4, 4, 1, 1]), b], node: [node('Conv', ['x', 'w', 'b'], ['y'])] },
    ],
    [
      `a normalisation with a scale of ${kind}`,
      {
        input: [x4],
        initializer: [b, ...['c', 'd', 'e'].map((name) => zeros(name, [4]))],
        node: [node('BatchNormalization', ['x', 'b', 'c', 'd', 'e'], ['y'])],
      },
    ],
    [`sums of ${kind}`, { initializer: [b], node: [node('Add', ['b', 'b'], ['z']), node('Relu', ['z'], ['y'])] }],
    [`a range of ${kind}`, { initializer: [{ ...b, dims: [4n] }], node: [node('Range', ['b', 'b', 'b'], ['y'])] }],
    [`indices of ${kind}`, { input: [x4], initializer: [b], node: [node('Gather', ['x', 'b'], ['y'])] }],
    [`scales of ${kind}`, { input: [x4], initializer: [b], node: [node('Resize', ['x', '', 'b'], ['y'])] }],
    [`sizes of ${kind}`, { input: [x4], initializer: [b], node: [node('Reshape', ['x', 'b'], ['y'])] }],
  ]),
  [
    'a C that does not broadcast',
    {
      input: [info('x', [2, 3])],
      initializer: [zeros('w', [3, 5]), zeros('c', [4])],
      node: [node('Gemm', ['x', 'w', 'c'], ['y'])],
    },
  ],
  [
    'a C that does not broadcast, all constant',
    {
      initializer: [zeros('x', [2, 3]), zeros('w', [3, 5]), zeros('c', [4])],
      node: [node('Gemm', ['x', 'w', 'c'], ['y'])],
    },
  ],
  ['more outputs than there are', { initializer: [zeros('c', [4])], node: [node('Tanh', ['c'], ['z', 'y'])] }],
  [
    'a constant of another size than its shape',
    { initializer: [zeros('c', [4]), ints('s', [3, 3])], node: [node('Reshape', ['c', 's'], ['y'])] },
  ],
  [
    'three hundred axes',
    {
      initializer: [ints('n', [300]), zeros('c', [1])],
      node: [node('ConstantOfShape', ['n'], ['s']), node('Expand', ['c', 's'], ['y'])],
    },
  ],
  [
    'a padding of another type',
    {
      initializer: [raw('x', 3, [2, 3], 6), ints('p', [0, 1, 0, 1]), { ...floats('v', [2]), dims: [] }],
      node: [node('Pad', ['x', 'p', 'v'], ['y'])],
    },
  ],
  [
    'a maximum of floats and integers',
    { initializer: [ints('a', [1, 2]), floats('b', [NaN, 0.5])], node: [node('Max', ['a', 'b'], ['y'])] },
  ],
  ['a scalar made of nothing', { initializer: [ints('s', [])], node: [node('Reshape', ['s', 's'], ['y'])] }],
  [
    'sizes that are known after folding, and do not fit',
    {
      input: [info('x', [4])],
      initializer: [ints('a', [3, 3]), ints('b', [2, 2])],
      node: [node('Add', ['a', 'b'], ['s']), node('Split', ['x', 's'], ['y', 'z'])],
    },
  ],
  [
    'a size that only a part of it knows, and that does not fit another reader',
    {
      input: [info('x', ['n'])],
      initializer: [ints('s', [2]), zeros('w', [3])],
      node: [
        node('Relu', ['x'], ['r']),
        node('Split', ['r', 's'], ['z']),
        node('Add', ['r', 'w'], ['v']),
        node('Sub', ['z', 'v'], ['y']),
      ],
    },
  ],
  [
    'an operand that is known behind an average of one',
    {
      initializer: [ints('s', [2, 64])],
      node: [node('Mean', ['s'], ['m']), node('Tile', ['m', 'm'], ['y'])],
    },
  ],
  [
    'a second output of an operator with one',
    {
      input: [info('x', [4, 3])],
      initializer: [zeros('w', [4, 5])],
      node: [node('Gemm', ['x', 'w'], ['z', 'y'], { attribute: [{ name: 'transA', type: Type.INT, i: 1n }] })],
    },
  ],
  ...['ConstantOfShape', 'Reshape', 'Expand'].map((op): readonly [string, GraphInit] => [
    `as many axes as a Range of billions has, for ${op}`,
    {
      initializer: [...[0, 2 ** 40, 1].map((n, i) => ints(`r${i}`, [n], [])), zeros('c', [1])],
      node: [node('Range', ['r0', 'r1', 'r2'], ['r']), node(op, op === 'ConstantOfShape' ? ['r'] : ['c', 'r'], ['y'])],
    },
  ]),
  ...[-Infinity, 0.5, -3, 2 ** 60].map((depth): readonly [string, GraphInit] => [
    `a depth of ${depth} that is known only while folding`,
    {
      initializer: [zeros('i', [3]), floats('d', [depth]), floats('z', [0]), floats('v', [0, 1])],
      node: [node('Add', ['d', 'z'], ['m']), node('OneHot', ['i', 'm', 'v'], ['y'])],
    },
  ]),
  [
    'a split into billions',
    {
      input: [info('x', [2 ** 40])],
      node: [node('Split', ['x'], ['y'], { attribute: [{ name: 'num_outputs', type: Type.INT, i: 2n ** 36n }] })],
    },
  ],
  [
    'a product that takes minutes',
    {
      initializer: [ints('s', [1000, 1000])],
      node: [
        node('ConstantOfShape', ['s'], ['c0']),
        ...Array.from({ length: 400 }, (_, i) => node('MatMul', [`c${i}`, 'c0'], [`c${i + 1}`])),
        node('Identity', ['c400'], ['y']),
      ],
    },
  ],
]

describe('a model made to break', () => {
  it.each(models)('by %s', (_, graph) => {
    const read = readModelBytes(modelBytes({ output: [info('y', undefined)], ...graph }))
    const result = E.isLeft(read) ? read : compile(read.right, noMasks)
    if (E.isLeft(result)) expect(typeof result.left._tag).toBe('string')
    else expect(result.right.graph.outputs.map(({ name }) => name)).toEqual(['y'])
  })
})
