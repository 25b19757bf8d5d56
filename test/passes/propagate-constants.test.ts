/** What no input can change is a constant: which values are known, who reads them how, and what is refused. */
import { describe, expect, test } from 'vitest'
import { evaluateGraph } from '../../src/ir/interpret.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { tensorOf } from '../../src/ir/tensor.ts'
import type { Shape } from '../../src/ir/type.ts'
import { axisMask, noMasks } from '../../src/masks/mask.ts'
import { compile } from '../../src/passes/compile.ts'
import { evaluateKnown, type KnownValues, knownValues, memoryLimit, workLimit } from '../../src/passes/known-values.ts'
import { propagateConstants } from '../../src/passes/propagate-constants.ts'
import { readModelBytes } from '../../src/read/model.ts'
import { buildGraph, convNormRelu, type GraphBuilder, type GraphOptions } from '../builder.ts'
import { compareCompiled, orThrow } from '../fuzz/differential.ts'
import { inflate } from '../inflate.ts'
import { expectRefusal, expectRewrite, read, runLawful } from './laws.ts'

const image = { x: ['N', 4, 8, 8] as const }
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

/** Compiles; the result computes the same in ONNX Runtime and compiles to itself. */
const compiled = async (
  inputs: Readonly<Record<string, Shape>>,
  body: (b: GraphBuilder) => ReadonlyArray<string>,
  options: GraphOptions = {},
) => {
  const graph = buildGraph(inputs, body, options)
  const { compiled, worst } = await compareCompiled(graph, noMasks, { level: 'disabled' })
  expect(worst).toBeLessThan(1e-5)
  const again = orThrow(compile(compiled.graph, noMasks))
  expect(again.graph, 'compiled again').toBe(compiled.graph)
  return {
    graph: compiled.graph,
    macs: compiled.report.after.macs,
    ops: compiled.graph.nodes.map((node) => node.op),
    shapes: [...compiled.graph.constants.values()].map((tensor) => tensor.shape.join()),
  }
}

/** A layer without weights, whose channels hold numbers other than zero. */
const dead = (b: GraphBuilder, name: string, x: string, outs = 8, ins = 4): string =>
  convNormRelu(b, name, x, [outs, ins, 3], { rows: range(outs) }, false)

const padded = (b: GraphBuilder, name: string, x: string, outs = 8, ins = 8): string =>
  b.op(ops.Conv, [x, b.weight(name, [outs, ins, 3, 3])], { pads: [1, 1, 1, 1] })

describe('constants that differ from position to position', () => {
  test('a constant that met padding is a constant of the residual stream', async () => {
    const { ops: left, shapes } = await compiled(image, (b) => [
      b.op(ops.Add, [padded(b, 'c', dead(b, 'a', 'x')), convNormRelu(b, 'd', 'x', [8, 4, 3])]),
    ])
    expect(left).toEqual(['Conv', 'Relu', 'Add'])
    expect(shapes).toContain('1,8,8,8')
  })
  test('through strides, dilation, groups, pooling and transposed convolution', async () => {
    const { ops: left } = await compiled({ x: ['N', 4, 9, 7] }, (b) => {
      const a = dead(b, 'a', 'x')
      const c = b.op(ops.Conv, [a, b.weight('c', [8, 4, 3, 3])], { pads: [2, 1, 0, 1], strides: [2, 1], group: 2 })
      const d = b.op(ops.Conv, [c, b.weight('d', [8, 1, 3, 3])], { pads: [2, 2, 2, 2], dilations: [2, 2], group: 8 })
      const e = b.op(ops.MaxPool, [d], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] })
      const f = b.op(ops.AveragePool, [e], { kernel_shape: [2, 2], pads: [1, 0, 0, 1], count_include_pad: 1 })
      const g = b.op(ops.ConvTranspose, [f, b.weight('g', [8, 4, 3, 3])], { strides: [2, 3], pads: [0, 1, 1, 0] })
      const h = b.op(ops.Resize, [g, '', '', b.ints('sizes', [1, 4, 9, 7])])
      return [
        b.op(ops.Mul, [
          'x',
          b.op(ops.Sigmoid, [b.op(ops.Slice, [h, b.ints('s', [0]), b.ints('t', [9]), b.ints('ax', [2])])]),
        ]),
      ]
    })
    expect(left.length).toBeGreaterThan(0)
  })
  test('at the sizes of the input a model is fixed to', async () => {
    const { ops: left } = await compiled({ x: [2, 4, 8, 8] }, (b) => [
      b.op(ops.Concat, [padded(b, 'c', dead(b, 'a', 'x')), convNormRelu(b, 'd', 'x', [8, 4, 3])], { axis: 1 }),
    ])
    expect(left).toEqual(['Conv', 'Relu', 'Concat'])
  })
  test('is expanded over the batch where it meets another branch', async () => {
    for (const opset of [13, 17]) {
      const {
        ops: left,
        macs,
        shapes,
      } = await compiled(
        image,
        (b) => [
          b.op(ops.Concat, [padded(b, 'c', dead(b, 'a', 'x')), convNormRelu(b, 'd', 'x', [8, 4, 3])], { axis: 1 }),
        ],
        { opset },
      )
      expect(left.filter((op) => op !== 'Gather')).toEqual(['Conv', 'Relu', 'Shape', 'Concat', 'Expand', 'Concat'])
      expect(left.includes('Gather')).toBe(opset < 15)
      expect(shapes).toContain('1,8,8,8')
      expect(macs).toBe(8 * 4 * 9 * 64)
    }
  })
  test('is not expanded where no opset has Expand', async () => {
    const { ops: left } = await compiled(
      image,
      (b) => [b.op(ops.Concat, [padded(b, 'c', dead(b, 'a', 'x')), 'x'], { axis: 1 })],
      { opset: 7 },
    )
    expect(left).not.toContain('Expand')
  })
  test('a value that two nodes read is expanded once', async () => {
    const { ops: left } = await compiled(image, (b) => {
      const c = padded(b, 'c', dead(b, 'a', 'x'))
      const join = (other: string): string => b.op(ops.Concat, [c, other], { axis: 1 })
      return [join(convNormRelu(b, 'd', 'x', [8, 4, 3])), join('x')]
    })
    expect(left.filter((op) => op === 'Expand')).toHaveLength(1)
    expect(left.filter((op) => op === 'Shape')).toHaveLength(1)
  })
})

describe('graph outputs', () => {
  test('a constant output is given for every batch', async () => {
    const { ops: left, macs } = await compiled(image, (b) => {
      const y = padded(b, 'c', b.op(ops.Relu, [dead(b, 'a', 'x')]))
      const pooled = b.op(ops.Flatten, [b.op(ops.GlobalAveragePool, [y])])
      return [b.op(ops.Gemm, [pooled, b.weight('fc', [3, 8]), b.weight('bias', [3])], { transB: 1 })]
    })
    expect(left).toEqual(['Shape', 'Concat', 'Expand'])
    expect(macs).toBe(0)
  })
  test('of fixed sizes it is an initializer with a name', async () => {
    const { ops: left } = await compiled({ x: [1, 4, 8, 8] }, (b) => [padded(b, 'c', dead(b, 'a', 'x'))])
    expect(left).toEqual(['Identity'])
  })
  test('a constant output that other nodes read', async () => {
    const { ops: left } = await compiled(image, (b) => {
      const c = padded(b, 'c', dead(b, 'a', 'x'))
      return [c, b.op(ops.Add, [c, padded(b, 'd', 'x', 8, 4)]), b.op(ops.Relu, [c])]
    })
    expect(left.filter((op) => op === 'Conv')).toHaveLength(1)
  })
  test('indices of the largest are certain integers', async () => {
    const graph = buildGraph(image, (b) => {
      const pooled = b.op(ops.GlobalAveragePool, [padded(b, 'c', dead(b, 'a', 'x'))])
      return [b.op(ops.ArgMax, [pooled], { axis: 1 })]
    })
    const after = orThrow(compile(graph, noMasks)).graph
    expect(after.nodes.map((node) => node.op)).toEqual(['Shape', 'Concat', 'Expand'])
  })
})

describe('symbolic axes', () => {
  const isKnown = (inputs: Readonly<Record<string, Shape>>, body: (b: GraphBuilder, y: string) => string): boolean => {
    let name = ''
    const graph = buildGraph(inputs, (b) => {
      // Along no axis are all slices uniform: only evaluation knows it.
      const scale = b.floats('scale', [1, 2, 3, 4, 5, 6], [2, 3])
      const zero = b.op(ops.Mul, ['x', b.floats('zero', [0])])
      name = body(b, b.op(ops.Add, [zero, scale]))
      return [name]
    })
    return knownValues(graph).has(name)
  }
  const matrices = { x: ['N', 'T', 2, 3] as const }
  test('what works on each element of a batch for itself keeps a value known', () => {
    expect(isKnown(matrices, (b, y) => b.op(ops.MatMul, [y, b.weight('w', [3, 3])]))).toBe(true)
    expect(isKnown(matrices, (b, y) => b.op(ops.MatMul, [b.op(ops.Transpose, [y], { perm: [0, 1, 3, 2] }), y]))).toBe(
      true,
    )
    expect(isKnown(matrices, (b, y) => b.op(ops.Softmax, [y], { axis: 3 }))).toBe(true)
    expect(isKnown(matrices, (b, y) => b.op(ops.Transpose, [y], { perm: [2, 1, 3, 0] }))).toBe(true)
    expect(isKnown(matrices, (b, y) => b.op(ops.Flatten, [y], { axis: 2 }))).toBe(false)
  })
  test('what mixes the elements of a batch depends on how many there are', () => {
    expect(isKnown(matrices, (b, y) => b.op(ops.ReduceSum, [y, b.ints('axes', [0])], { keepdims: 1 }))).toBe(false)
    expect(isKnown(matrices, (b, y) => b.op(ops.CumSum, [y, b.constant('axis', tensorOf('int64', [], [1]))]))).toBe(
      false,
    )
    expect(isKnown(matrices, (b, y) => b.op(ops.Softmax, [y], { axis: 1 }))).toBe(false)
    expect(isKnown(matrices, (b, y) => b.op(ops.Reshape, [y, b.ints('shape', [-1, 6])]))).toBe(false)
    expect(isKnown(matrices, (b, y) => b.op(ops.Shape, [y]))).toBe(false)
  })
  test('two symbols that happen to be bound to one size are not one', () => {
    // Of which size the sum is, N or M, is not known.
    const twoBatches = { x: ['N', 'T', 2, 3] as const, z: ['M', 'T', 2, 3] as const }
    const other = (b: GraphBuilder, x: string): string =>
      b.op(ops.Add, [b.op(ops.Mul, [x, b.floats('none', [0])]), b.floats('other', range(6), [2, 3])])
    expect(isKnown(twoBatches, (b, y) => b.op(ops.Add, [y, other(b, 'x')]))).toBe(true)
    expect(isKnown(twoBatches, (b, y) => b.op(ops.Add, [y, other(b, 'z')]))).toBe(false)
  })
})

describe('accuracy', () => {
  const known = (start: number, body: (b: GraphBuilder, y: string) => string, slope = 0.25): boolean => {
    let name = ''
    const graph = buildGraph({ x: ['N', 2, 3] }, (b) => {
      const zero = b.op(ops.Mul, ['x', b.floats('zero', [0])])
      // Different at every position, so that no analysis of channels knows it.
      const ramp = b.floats(
        'ramp',
        range(6).map((i) => start + slope * i),
        [1, 2, 3],
      )
      name = body(b, b.op(ops.Add, [zero, ramp]))
      return [name]
    })
    return knownValues(graph).has(name)
  }
  test('tails of functions are not known', () => {
    const silu = (b: GraphBuilder, y: string): string => b.op(ops.Mul, [y, b.op(ops.Sigmoid, [y])])
    expect(known(-2, silu)).toBe(true)
    expect(known(-16, silu)).toBe(false)
    expect(known(-16, (b, y) => b.op(ops.Softplus, [y]))).toBe(false)
    expect(known(-16, (b, y) => b.op(ops.Exp, [y]))).toBe(true)
  })
  test('one element in a tail is enough', () => {
    expect(known(-12, (b, y) => b.op(ops.Sigmoid, [y]), 4)).toBe(false)
  })
  test('what a function is off by counts in what follows', () => {
    // Runtimes compute Elu(-0.003) as e^x - 1: eight of its bits are gone, and four more where such numbers cancel.
    const differences = (b: GraphBuilder, y: string): string => {
      const x = b.op(ops.Elu, [b.op(ops.Mul, [y, b.floats('thousandth', [1e-3])])])
      const shifted = b.op(ops.Mul, [
        x,
        b.floats(
          'near',
          range(6).map((i) => 1 - (i + 1) / 50),
          [1, 2, 3],
        ),
      ])
      return b.op(ops.Sub, [shifted, x])
    }
    expect(known(-3, (b, y) => b.op(ops.Elu, [b.op(ops.Mul, [y, b.floats('thousandth', [1e-3])])]), -0.1)).toBe(true)
    expect(known(3, differences, 0.1)).toBe(true)
    expect(known(-3, differences, -0.1)).toBe(false)
  })
  test('sums that cancel are not known', () => {
    const rounded = (by: number) => (b: GraphBuilder, y: string) =>
      b.op(ops.Sub, [b.op(ops.Add, [y, b.floats('large', [by])]), b.floats('same', [by])])
    expect(known(0.3, rounded(1))).toBe(true)
    expect(known(0.3, rounded(1.5 * 2 ** 23))).toBe(false)
  })
  test('what is next to a jump is not known', () => {
    const floor = (b: GraphBuilder, y: string): string => b.op(ops.Floor, [b.op(ops.Mul, [y, b.floats('by', [1])])])
    expect(known(0.3, floor)).toBe(true)
    expect(known(1, floor, 1)).toBe(false)
    expect(known(0.3, (b, y) => b.op(ops.ArgMax, [y], { axis: 2 }))).toBe(true)
    expect(known(0.3, (b, y) => b.op(ops.ArgMax, [y], { axis: 2 }), 1e-8)).toBe(false)
  })
  test('where squares leave their type, norms are not known', () => {
    const norm = (factor: number) => (b: GraphBuilder, y: string) =>
      b.op(ops.LayerNormalization, [b.op(ops.Mul, [y, b.floats('by', [factor])]), b.weight('one', [3])], { axis: 2 })
    expect(known(1, norm(1))).toBe(true)
    expect(known(1, norm(1e18))).toBe(true)
    expect(known(1, norm(1e24))).toBe(false)
    expect(known(1, norm(1e-24))).toBe(false)
  })
  test('what is not finite is not known', () => {
    expect(known(0, (b, y) => b.op(ops.Log, [y]))).toBe(false)
    expect(known(100, (b, y) => b.op(ops.Exp, [y]))).toBe(false)
  })
  test('a node whose result is not known is not left to constant folding', () => {
    expectRefusal(
      propagateConstants,
      `input   x: float32[1,3]
const   zero: float32[] = 0
const   ramp: float32[1,3] = [-20, -19, -18]
const   w: float32[1,3] = [1, 2, 3]
a = Mul(x, zero)  # float32[1,3]
b = Add(a, ramp)  # float32[1,3]
y = Sigmoid(b)  # float32[1,3]
z = Mul(y, x)  # float32[1,3]
output  z: float32[1,3]
`,
    )
  })
})

describe('budgets', () => {
  const graph = buildGraph(image, (b) => [
    b.op(ops.Add, [b.op(ops.Softmax, [padded(b, 'c', dead(b, 'a', 'x'))], { axis: 1 }), padded(b, 'd', 'x', 8, 4)]),
  ])
  const knows = (work: number, memory: number): boolean => evaluateKnown(graph, work, memory).has('softmax0')

  test('what would cost more is not known', () => {
    expect(knows(workLimit, memoryLimit)).toBe(true)
    expect(knows(1000, memoryLimit)).toBe(false)
    expect(knows(workLimit, 8 * 8 * 8 * 4)).toBe(false)
    expect(knows(0, 0)).toBe(false)
    // The padded convolution of constants, known by its channels.
    expect(evaluateKnown(graph, workLimit, 8 * 8 * 8 * 4 - 1).has('conv1')).toBe(false)
    expect(evaluateKnown(graph, workLimit, 8 * 8 * 8 * 4 + 512).has('conv1')).toBe(true)
  })
  test('a small model may not take long', () => {
    const side = 1024
    const sums = buildGraph({ x: [side, side] }, (b) => {
      const ramp = tensorOf(
        'float32',
        [side, 1],
        Float32Array.from({ length: side }, (_, i) => i),
      )
      const zero = b.op(ops.Mul, ['x', b.floats('zero', [0])])
      const columns = b.op(ops.Add, [zero, b.constant('columns', ramp)])
      const rows = b.op(ops.Transpose, [columns], { perm: [1, 0] })
      return [b.op(ops.Mul, [b.op(ops.Sin, [b.op(ops.Mul, [columns, rows])]), 'x'])]
    })
    const isKnown = ({ read }: KnownValues): boolean =>
      [...read.values()].some(({ tensor }) => tensor.bytes.length > 2 ** 20)
    expect(isKnown(evaluateKnown(sums, workLimit, memoryLimit))).toBe(true)
    expect(isKnown(knownValues(sums))).toBe(false)
  })
  test('a constant that would take more than 4 MiB is not written', async () => {
    const wide = (size: number) =>
      orThrow(
        compile(
          buildGraph({ x: ['N', 4, size, size] }, (b) => {
            // A constant for each position: nothing smaller stands for it.
            const ramp = Float32Array.from({ length: 16 * size * size }, (_, i) => Math.sin(i))
            const zero = b.op(ops.Mul, [b.op(ops.Conv, ['x', b.weight('w', [16, 4, 1, 1])]), b.floats('zero', [0])])
            const y = b.op(ops.Add, [zero, b.constant('ramp', tensorOf('float32', [1, 16, size, size], ramp))])
            const z = b.op(ops.Mul, [y, b.weight('scale', [16, 1, 1])])
            return [b.op(ops.Add, [b.op(ops.Cos, [z]), b.op(ops.Conv, ['x', b.weight('v', [16, 4, 1, 1])])])]
          }),
          noMasks,
        ),
      ).graph.nodes.some((node) => node.op === 'Cos')
    expect(wide(128)).toBe(false)
    expect(wide(280)).toBe(true)
  })
})

describe('the pass', () => {
  test('a small constant where broadcasting applies, the whole one elsewhere', () => {
    expectRewrite(
      propagateConstants,
      `input   x: float32[1,2,2]
const   zero: float32[] = 0
const   ramp: float32[1,2,2] = [1, 2, 1, 2]
a = Mul(x, zero)  # float32[1,2,2]
b = Add(a, ramp)  # float32[1,2,2]
c = Cos(b)  # float32[1,2,2]
d = Exp(x)  # float32[1,2,2]
y = Add(c, d)  # float32[1,2,2]
z = Concat(c, x) { axis: 2 }  # float32[1,2,4]
output  y: float32[1,2,2]
output  z: float32[1,2,4]
`,
      `input   x: float32[1,2,2]
const   zero: float32[] = 0
const   ramp: float32[1,2,2] = [1, 2, 1, 2]
const   c_constant: float32[1,1,2] = [0.5403023, -0.41614684]
a = Mul(x, zero)  # float32[1,2,2]
b = Add(a, ramp)  # float32[1,2,2]
c = Cos(b)  # float32[1,2,2]
d = Exp(x)  # float32[1,2,2]
y = Add(c_constant, d)  # float32[1,2,2]
z = Concat(c, x) { axis: 2 }  # float32[1,2,4]
output  y: float32[1,2,2]
output  z: float32[1,2,4]
`,
    )
  })
  test('an Expand of a constant stays as it is', () => {
    const graph = read(`input   x: float32[N,2]
const   c: float32[1,2] = [1, 2]
const   two: int64[1] = [2]
n = Shape(x) { end: 1 }  # int64[1]
s = Concat(n, two) { axis: 0 }  # int64[2]
e = Expand(c, s)  # float32[N,2]
y = Concat(e, x) { axis: 1 }  # float32[N,4]
output  y: float32[N,4]
output  e: float32[N,2]
`)
    expect(runLawful(propagateConstants, graph)).toBe(graph)
    expect(orThrow(compile(graph, noMasks)).graph.nodes.filter((node) => node.op === 'Expand')).toHaveLength(1)
  })
})

describe('ResNet-18', () => {
  const load = () => orThrow(readModelBytes(inflate('resnet18')))
  const without = (layer: string) => {
    const graph = load()
    const weight = graph.constants.get(layer)
    if (weight === undefined) throw new Error(`no ${layer}`)
    return { graph, masks: new Map([[layer, axisMask(weight.shape, 0, new Uint8Array(weight.shape[0] ?? 0))]]) }
  }
  test('without its first layer is a constant', async () => {
    const graph = load()
    const first = graph.nodes.find((node) => node.op === 'Conv')?.inputs[1] ?? ''
    const { masks } = without(first)
    const { compiled, worst } = await compareCompiled(graph, masks, { sizes: new Map([['N', 2]]) })
    expect(worst).toBeLessThan(1e-5)
    expect(compiled.report.after.macs).toBe(0)
    expect(compiled.graph.nodes.map((node) => node.op)).toEqual(['Shape', 'Concat', 'Expand'])
    for (const batch of [1, 3]) {
      const { name = '' } = compiled.graph.inputs[0] ?? {}
      const x = tensorOf('float32', [batch, 3, 224, 224], new Float32Array(batch * 3 * 224 * 224))
      const outputs = orThrow(evaluateGraph(compiled.graph, new Map([[name, x]])))
      expect(compiled.graph.outputs.map((output) => outputs.get(output.name)?.shape)).toEqual([[batch, 1000]])
    }
  })
  test('with one dead layer in a block loses the block', async () => {
    const { graph, masks } = without('layer1.0.conv1.weight')
    const { compiled, worst } = await compareCompiled(graph, masks, { sizes: new Map([['N', 2]]) })
    expect(worst).toBeLessThan(1e-5)
    const layers = compiled.report.layers.filter(({ layer }) => layer.includes('layer1.0'))
    expect(layers.map(({ macs }) => macs.after)).toEqual([0, 0])
  })
})
