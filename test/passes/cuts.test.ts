/** Layers that shrink alone: channels selected in front of a reader, constants put back behind a writer, where that pays. */
import { describe, expect, test } from 'vitest'
import { cpuOf8 } from '../../src/cost/tables/cpu-8.ts'
import type { Graph } from '../../src/ir/graph.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { compile } from '../../src/passes/compile.ts'
import { buildGraph, type GraphBuilder, type Zeros } from '../builder.ts'
import { compareCompiled, orThrow } from '../fuzz/differential.ts'

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
const every = (n: number, step: number): number[] => range(n).filter((i) => i % step === 0)

/** Runs masked and compiled model; widths by weight, nodes by operator, and why channels stay. */
const compiled = async (graph: Graph, widths: 'planned' | 'raw' = 'planned') => {
  const { compiled, worst } = await compareCompiled(graph, noMasks, { widths })
  expect(worst).toBeLessThan(1e-5)
  expect(orThrow(compile(compiled.graph, noMasks, { widths })).graph).toBe(compiled.graph)
  const layers = new Map(compiled.report.layers.map((layer) => [layer.weight, layer]))
  return {
    graph: compiled.graph,
    width: (weight: string) => `${layers.get(weight)?.inputs.after} -> ${layers.get(weight)?.outputs.after}`,
    why: (weight: string) => (layers.get(weight)?.stays ?? []).map(({ side, reason }) => `${side}: ${reason.text}`),
    count: (op: string) => compiled.graph.nodes.filter((node) => node.op === op).length,
  }
}

const conv = (
  b: GraphBuilder,
  name: string,
  x: string,
  [outs, ins, kernel]: readonly [number, number, number],
  zeros: Zeros = {},
  bias: ReadonlyArray<number> | undefined = undefined,
): string => {
  const pads = range(4).map(() => (kernel - 1) / 2)
  const inputs = [x, b.weight(name, [outs, ins, kernel, kernel], zeros)]
  return b.op(ops.Conv, bias === undefined ? inputs : [...inputs, b.floats(`${name}.bias`, bias)], { pads })
}

const image = { x: ['N', 4, 8, 8] as const }

describe('in front of a reader', () => {
  /** A stream of 64 channels, of which `inner` reads some and the head all. */
  const residual = (columns: ReadonlyArray<number>, kernel = 3, size: number | string = 8): Graph =>
    buildGraph({ x: ['N', 4, size, size] }, (b) => {
      const stream = b.op(ops.Relu, [conv(b, 'stem', 'x', [64, 4, 3])])
      const inner = b.op(ops.Relu, [conv(b, 'inner', stream, [64, 64, kernel], { columns })])
      return [conv(b, 'head', b.op(ops.Add, [stream, conv(b, 'outer', inner, [64, 64, 3])]), [8, 64, 1])]
    })
  test('channels are selected that it needs, others stay for others', async () => {
    const { width, count } = await compiled(residual(every(64, 2)))
    expect([width('stem'), width('inner'), width('outer'), count('Gather')]).toEqual([
      '4 -> 64',
      '32 -> 64',
      '64 -> 64',
      1,
    ])
  })
  test('not where that takes longer than it saves, which the report says', async () => {
    const { width, count, why } = await compiled(residual([3]))
    expect([width('inner'), count('Gather')]).toEqual(['64 -> 64', 0])
    expect(why('inner')).toEqual([
      'input: is not needed by Conv conv1, but to leave it out there would take longer than it saves',
    ])
    expect((await compiled(residual([3]), 'raw')).width('inner')).toBe('63 -> 64')
  })
  test.each([8, 'S'])('as far as that takes longer for images of %s', (size) => {
    // A 3x3 convolution is worth a gather from some number of channels on, whatever is known of the image.
    const isSelected = (count: number, kernel: number): boolean =>
      orThrow(compile(residual(range(count), kernel, size), noMasks)).graph.nodes.some(({ op }) => op === 'Gather')
    expect([1, 4, 16, 32].map((count) => isSelected(count, 3))).toEqual([false, false, true, true])
    // One of one place is worth it later.
    expect([1, 4, 16, 32].map((count) => isSelected(count, 1))).toEqual([false, false, false, true])
  })
  test('once for all readers that need the same', async () => {
    const graph = buildGraph({ x: ['N', 16] }, (b) => {
      const columns = every(96, 3)
      const stream = b.op(ops.Relu, [b.op(ops.MatMul, ['x', b.weight('stem', [16, 96])])])
      const [q, k] = ['q', 'k'].map((name) => b.op(ops.MatMul, [stream, b.weight(name, [96, 256], { rows: columns })]))
      return [b.op(ops.Mul, [q ?? '', k ?? '']), b.op(ops.MatMul, [stream, b.weight('all', [96, 8])])]
    })
    const { width, count } = await compiled(graph)
    expect([width('q'), width('k'), width('stem'), count('Gather')]).toEqual(['64 -> 256', '64 -> 256', '16 -> 96', 1])
  })
  test('features of an input of the model', async () => {
    const graph = buildGraph({ x: ['N', 32] }, (b) => [
      b.op(ops.MatMul, ['x', b.weight('first', [32, 256], { rows: every(32, 2) })]),
    ])
    const { width, graph: after } = await compiled(graph)
    expect(width('first')).toBe('16 -> 256')
    expect(after.inputs).toEqual(graph.inputs)
  })
  test('heads of a bias that layers share, each its own', async () => {
    const graph = buildGraph({ x: [2, 6, 16], bias: [1, 4, 6, 6] }, (b) => {
      let x = 'x'
      for (const [at, head] of [0, 3].entries()) {
        const gone = range(8).map((p) => head * 8 + p)
        const projected = (name: string): string =>
          b.op(
            ops.Transpose,
            [
              b.op(ops.Reshape, [
                b.op(ops.MatMul, [x, b.weight(`${name}${at}`, [16, 32])]),
                b.ints(`${name}${at}.heads`, [0, 0, 4, 8]),
              ]),
            ],
            { perm: name === 'k' ? [0, 2, 3, 1] : [0, 2, 1, 3] },
          )
        const scores = b.op(ops.Add, [b.op(ops.MatMul, [projected('q'), projected('k')]), 'bias'])
        const mixed = b.op(ops.MatMul, [b.op(ops.Softmax, [scores], { axis: -1 }), projected('v')])
        const merged = b.op(ops.Reshape, [
          b.op(ops.Transpose, [mixed], { perm: [0, 2, 1, 3] }),
          b.ints(`m${at}`, [0, 0, 32]),
        ])
        x = b.op(ops.Add, [x, b.op(ops.MatMul, [merged, b.weight(`o${at}`, [32, 16], { rows: gone })])])
      }
      return [x]
    })
    const { width } = await compiled(graph)
    for (const at of [0, 1]) {
      expect(['q', 'k', 'v', 'o'].map((name) => width(`${name}${at}`))).toEqual([
        '16 -> 24',
        '16 -> 24',
        '16 -> 24',
        '24 -> 16',
      ])
    }
  })
  test('experts that nothing is left of, of a softmax that needs them all', async () => {
    const graph = buildGraph({ x: ['N', 16] }, (b) => {
      const gate = b.op(ops.Softmax, [b.op(ops.MatMul, ['x', b.weight('gate', [16, 6])])], { axis: -1 })
      const up = b.op(ops.Relu, [
        b.op(ops.MatMul, [b.op(ops.Unsqueeze, ['x', b.ints('first', [0])]), b.weight('up', [6, 16, 48])]),
      ])
      const weights = b.weight('down', [6, 48, 16], { rows: [1, 4] })
      const down = b.op(ops.MatMul, [up, weights])
      const shares = b.op(ops.Unsqueeze, [b.op(ops.Transpose, [gate], { perm: [1, 0] }), b.ints('last', [2])])
      return [b.op(ops.ReduceSum, [b.op(ops.Mul, [down, shares]), b.ints('axes', [0])], { keepdims: 0 })]
    })
    const { graph: after } = await compiled(graph)
    expect(after.constants.get('up')?.shape).toEqual([4, 16, 48])
    expect(after.constants.get('down')?.shape).toEqual([4, 48, 16])
    expect(after.constants.get('gate')?.shape).toEqual([16, 6])
  })
  test('not in front of what selects already', async () => {
    const graph = buildGraph({ x: ['N', 16] }, (b) => {
      const stream = b.op(ops.Relu, [b.op(ops.MatMul, ['x', b.weight('stem', [16, 96])])])
      const half = b.op(ops.Slice, [stream, b.ints('from', [0]), b.ints('to', [48]), b.ints('axis', [1])])
      return [
        b.op(ops.MatMul, [half, b.weight('half', [48, 64])]),
        b.op(ops.MatMul, [stream, b.weight('all', [96, 8])]),
      ]
    })
    expect((await compiled(graph, 'raw')).graph.nodes).toHaveLength(graph.nodes.length)
  })
})

describe('behind a writer', () => {
  /** A stream of 64 channels to which a block adds, of which some filters are masked. */
  const block = (rows: ReadonlyArray<number>, bias?: (i: number) => number): Graph =>
    buildGraph(image, (b) => {
      const stream = b.op(ops.Relu, [conv(b, 'stem', 'x', [64, 4, 3])])
      const inner = b.op(ops.Relu, [conv(b, 'inner', stream, [64, 64, 3])])
      const outer = conv(b, 'outer', inner, [64, 64, 3], { rows }, bias && range(64).map(bias))
      return [conv(b, 'head', b.op(ops.Relu, [b.op(ops.Add, [stream, outer])]), [8, 64, 1])]
    })
  test('zeros are put back where they are added', async () => {
    const { width, count } = await compiled(block(every(64, 2)))
    expect([width('outer'), width('stem'), count('Pad'), count('Gather'), count('Add')]).toEqual([
      '64 -> 32',
      '4 -> 64',
      1,
      1,
      1,
    ])
  })
  test('one number with a Pad, several with an Add besides', async () => {
    const same = await compiled(block(every(64, 2), () => 0.25))
    expect([same.width('outer'), same.count('Pad'), same.count('Add')]).toEqual(['64 -> 32', 1, 1])
    const some = await compiled(block(every(64, 2), (i) => 0.25 * (i % 8)))
    expect([some.width('outer'), some.count('Pad'), some.count('Add')]).toEqual(['64 -> 32', 1, 2])
  })
  test('not where that takes longer than it saves', async () => {
    const { width, count, why } = await compiled(block([5]))
    expect([width('outer'), count('Gather')]).toEqual(['64 -> 64', 0])
    expect(why('outer')).toEqual([
      'output: is constant, but to put it back in front of Add add0 would take longer than it saves',
    ])
    expect((await compiled(block([5]), 'raw')).width('outer')).toBe('64 -> 63')
  })
  test('not what a position tells apart', async () => {
    const graph = buildGraph(image, (b) => {
      const stream = b.op(ops.Relu, [conv(b, 'stem', 'x', [64, 4, 3])])
      const bias = range(64).map((i) => (i + 1) / 64)
      const biased = conv(b, 'inner', stream, [64, 64, 1], { rows: every(64, 2) }, bias)
      const outer = b.op(ops.Conv, [biased, b.weight('outer', [64, 1, 3, 3])], { group: 64, pads: [1, 1, 1, 1] })
      return [conv(b, 'head', b.op(ops.Relu, [b.op(ops.Add, [stream, outer])]), [8, 64, 1])]
    })
    const { width, count } = await compiled(graph, 'raw')
    expect([width('inner'), count('Pad')]).toEqual(['64 -> 64', 0])
  })
  test('not where Pad takes no input of where to', async () => {
    const graph = buildGraph(
      { x: ['N', 8] },
      (b) => {
        const stream = b.op(ops.Relu, [b.op(ops.MatMul, ['x', b.weight('stem', [8, 16])])])
        const added = b.op(ops.MatMul, ['x', b.weight('added', [8, 16], { columns: every(16, 2) })])
        return [b.op(ops.MatMul, [b.op(ops.Relu, [b.op(ops.Add, [stream, added])]), b.weight('head', [16, 4])])]
      },
      { opset: 10 },
    )
    expect((await compiled(graph, 'raw')).width('added')).toBe('8 -> 16')
  })
  test('not once more behind themselves, where rounded widths take back what else they were for', () => {
    const graph = buildGraph({ x: [2, 5, 3, 3] }, (b) => {
      const stream = b.op(ops.Neg, ['x'])
      const depthwise = (name: string, kernel: number, zeros: Zeros): string =>
        b.op(ops.Conv, [stream, b.weight(name, [5, 1, kernel, kernel], zeros), b.weight(`${name}.bias`, [5])], {
          group: 5,
          pads: range(4).map(() => (kernel - 1) / 2),
        })
      const sum = b.op(ops.Add, [depthwise('full', 3, {}), depthwise('sparse', 1, { rows: [0, 3, 4] })])
      return [b.op(ops.Add, [sum, stream])]
    })
    const dear = ['depthwise', 'plain depthwise', 'ReorderOutput'].map((kernel) => [
      kernel,
      cpuOf8.kernels[kernel]?.map((coefficient) => 400 * coefficient) ?? [],
    ])
    const costs = { ...cpuOf8, kernels: { ...cpuOf8.kernels, ...Object.fromEntries(dear) } }
    const { graph: once } = orThrow(compile(graph, noMasks, { costs }))
    expect(orThrow(compile(once, noMasks, { costs })).graph).toBe(once)
  })
})
