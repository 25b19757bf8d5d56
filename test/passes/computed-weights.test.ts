/** Convolutions of which the weight is computed, as StyleGAN modulates them: what goes, and what has to stay. */
import { describe, expect, test } from 'vitest'
import { shapeOf } from '../../src/ir/links.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { tensorOf } from '../../src/ir/tensor.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { buildGraph, type GraphBuilder } from '../builder.ts'
import { compareCompiled } from '../fuzz/differential.ts'
import { normals, uniforms } from '../inflate.ts'

const read = 6
const made = 4

interface Layer {
  readonly groups?: number
  readonly op?: 'Conv' | 'ConvTranspose'
  /** Channels, of all groups, that the layer before makes zero. */
  readonly dead?: ReadonlyArray<number>
  /** Where the weight is zero: by group, output, input. */
  readonly isZero?: (group: number, output: number, input: number) => boolean
  /** Channels of the layer before that are an output of the model, too. */
  readonly seen?: ReadonlyArray<number>
  /** Outputs, of all groups, that nothing reads. */
  readonly unread?: ReadonlyArray<number>
  readonly bias?: 'none' | 'constant' | 'computed'
  /** Whether each output's weights are divided by their length. */
  readonly isDemodulated?: boolean
}

/** The weight of one layer, made of numbers and a style. */
const modulated = (b: GraphBuilder, layer: Required<Layer>): string => {
  const { groups, op, isZero } = layer
  const normal = normals(uniforms(3))
  const shape = op === 'Conv' ? [groups * made, read, 3, 3] : [groups * read, made, 3, 3]
  const values = Float64Array.from({ length: shape.reduce((n, size) => n * size) }, (_, i) => {
    const [row, column] = [Math.floor(i / 9 / (shape[1] ?? 1)), Math.floor(i / 9) % (shape[1] ?? 1)]
    const [o, c] = op === 'Conv' ? [row % made, column] : [column, row % read]
    return isZero(Math.floor(row / (op === 'Conv' ? made : read)), o, c) ? 0 : 0.5 * normal()
  })
  const kernel = b.constant('kernel', tensorOf('float32', shape, values))
  const rows = op === 'Conv' ? read : groups * read
  const style = b.op(ops.MatMul, ['style', b.weight('style.weight', [4, rows])])
  const spread = b.op(ops.Reshape, [style, b.ints('spread', op === 'Conv' ? [1, rows, 1, 1] : [rows, 1, 1, 1])])
  const weight = b.op(ops.Mul, [kernel, spread])
  if (!layer.isDemodulated) return weight
  const squares = b.op(ops.Mul, [weight, weight])
  const sums = b.op(ops.ReduceSum, [squares, b.ints('axes', [1, 2, 3])], { keepdims: 1 })
  const lengths = b.op(ops.Sqrt, [b.op(ops.Add, [sums, b.floats('epsilon', [1e-6], [])])])
  return b.op(ops.Div, [weight, lengths])
}

/** The shapes that the layer reads and has after compiling: input, weight, output. */
const shapes = async (layer: Layer): Promise<string> => {
  const whole: Required<Layer> = {
    groups: 1,
    op: 'Conv',
    dead: [],
    seen: [],
    isZero: () => false,
    unread: [],
    bias: 'none',
    isDemodulated: false,
    ...layer,
  }
  const { groups, bias } = whole
  const graph = buildGraph({ x: [1, 3, 6, 6], style: [1, 4] }, (b) => {
    const before = b.op(ops.Conv, ['x', b.weight('before', [groups * read, 3, 1, 1], { rows: whole.dead })])
    const x = b.op(ops.Relu, [before])
    const operands = [x, modulated(b, whole)]
    if (bias === 'constant')
      operands.push(
        b.floats(
          'bias',
          Array.from({ length: groups * made }, (_, o) => o + 1),
        ),
      )
    if (bias === 'computed') {
      const row = b.op(ops.MatMul, ['style', b.weight('bias.weight', [4, groups * made])])
      operands.push(b.op(ops.Reshape, [row, b.ints('flat', [groups * made])]))
    }
    const attrs = { group: groups, pads: [1, 1, 1, 1] }
    const y = whole.op === 'Conv' ? b.op(ops.Conv, operands, attrs) : b.op(ops.ConvTranspose, operands, attrs)
    const after = b.weight('after', [2, groups * made, 1, 1], { columns: whole.unread })
    const result = b.op(ops.Conv, [b.op(ops.Tanh, [y]), after])
    return whole.seen.length === 0 ? [result] : [result, b.op(ops.Gather, [x, b.ints('seen', whole.seen)], { axis: 1 })]
  })
  const { compiled, worst } = await compareCompiled(graph, noMasks)
  expect(worst).toBeLessThan(1e-5)
  const { nodes, constants, types } = compiled.graph
  const node = nodes.find(({ op, inputs }) => op === whole.op && !constants.has(inputs[1] ?? ''))
  const values = [node?.inputs[0], node?.inputs[1], node?.outputs[0]]
  return values
    .map((value) =>
      shapeOf(types.get(value ?? ''))
        ?.slice(0, 2)
        .join('x'),
    )
    .join(' ')
}

describe.each(['Conv', 'ConvTranspose'] as const)('%s', (op) => {
  const turned = (o: number, c: number): string => (op === 'Conv' ? `${o}x${c}` : `${c}x${o}`)

  test('loses channels of which the weights are zero, and weights of channels that are zero', async () => {
    expect(await shapes({ op })).toBe(`1x6 ${turned(4, 6)} 1x4`)
    expect(await shapes({ op, isZero: (_g, _o, c) => c < 2 })).toBe(`1x4 ${turned(4, 4)} 1x4`)
    expect(await shapes({ op, dead: [1, 5] })).toBe(`1x4 ${turned(4, 4)} 1x4`)
    expect(await shapes({ op, dead: [1, 5], isZero: (_g, _o, c) => c < 2 })).toBe(`1x3 ${turned(4, 3)} 1x4`)
  })

  test('keeps a channel of which one weight is not zero', async () => {
    expect(await shapes({ op, isZero: (_g, o, c) => c < 2 && o > 0 })).toBe(`1x6 ${turned(4, 6)} 1x4`)
  })

  test('loses outputs that nothing reads or that are zero', async () => {
    expect(await shapes({ op, unread: [0, 3] })).toBe(`1x6 ${turned(2, 6)} 1x2`)
    expect(await shapes({ op, isZero: (_, o) => o === 2 })).toBe(`1x6 ${turned(3, 6)} 1x3`)
  })

  test.each(['constant', 'computed'] as const)('loses them with their bias (%s)', async (bias) => {
    expect(await shapes({ op, bias, unread: [0, 3] })).toBe(`1x6 ${turned(2, 6)} 1x2`)
    // What is left of an output without weights is its bias.
    const left = bias === 'constant' ? 3 : 4
    expect(await shapes({ op, bias, isZero: (_, o) => o === 2 })).toBe(`1x6 ${turned(left, 6)} 1x${left}`)
  })

  describe('in groups', () => {
    const whole = op === 'Conv' ? '1x12 8x6 1x8' : '1x12 12x4 1x8'

    test('loses channels that are zero in all of them', async () => {
      expect(await shapes({ op, groups: 2 })).toBe(whole)
      const less = op === 'Conv' ? '1x8 8x4 1x8' : '1x8 8x4 1x8'
      expect(await shapes({ op, groups: 2, isZero: (_g, _o, c) => c < 2 })).toBe(less)
      expect(await shapes({ op, groups: 2, dead: [0, 1, 6, 7] })).toBe(less)
      expect(await shapes({ op, groups: 2, bias: 'constant', unread: [0, 4] })).toBe(
        op === 'Conv' ? '1x12 6x6 1x6' : '1x12 12x3 1x6',
      )
    })

    test('keeps channels that are not zero in one of them', async () => {
      expect(await shapes({ op, groups: 2, dead: [0, 7] })).toBe(whole)
      expect(await shapes({ op, groups: 2, isZero: (g, _o, c) => c === g })).toBe(whole)
      const less = op === 'Conv' ? '1x10 8x5 1x8' : '1x10 10x4 1x8'
      expect(await shapes({ op, groups: 2, dead: [0, 2, 7, 8] })).toBe(less)
      expect(await shapes({ op, groups: 2, dead: [0, 6, 1, 7], seen: [5, 7] })).toBe(less)
    })

    test('keeps outputs that one of them needs', async () => {
      expect(await shapes({ op, groups: 2, unread: [0, 5] })).toBe(whole)
      expect(await shapes({ op, groups: 2, unread: [0, 1, 2, 3] })).toBe(whole)
    })
  })
})

describe('lengths of weights', () => {
  test('are not changed by zeros', async () => {
    const isZero = (_g: number, o: number, c: number): boolean => c < 2 || o === 3
    expect(await shapes({ isDemodulated: true, isZero })).toBe('1x4 3x4 1x3')
  })

  test('are of all channels, also where those that are zero before leave the product', async () => {
    expect(await shapes({ isDemodulated: true, dead: [1, 5] })).toBe('1x4 4x4 1x4')
  })
})

describe('a sum over several axes', () => {
  const kept = async (op: 'ReduceSum' | 'ReduceMean', through: 'Relu' | 'Sigmoid'): Promise<string> => {
    const graph = buildGraph({ x: [1, 3, 6, 6] }, (b) => {
      const before = b.op(ops.Conv, ['x', b.weight('before', [6, 3, 1, 1], { rows: [1, 4] })])
      const some = b.op(ops[through], [before])
      return [
        op === 'ReduceSum'
          ? b.op(ops.ReduceSum, [some, b.ints('axes', [1, 3])], { keepdims: 1 })
          : b.op(ops.ReduceMean, [some], { axes: [1, 3], keepdims: 1 }),
      ]
    })
    const { compiled, worst } = await compareCompiled(graph, noMasks)
    expect(worst).toBeLessThan(1e-5)
    return `${compiled.report.layers[0]?.outputs.after}`
  }

  test('loses what is zero, and nothing else', async () => {
    expect(await kept('ReduceSum', 'Relu')).toBe('4')
    expect(await kept('ReduceSum', 'Sigmoid')).toBe('6')
    expect(await kept('ReduceMean', 'Relu')).toBe('6')
  })
})
