/** Which nodes ONNX Runtime runs of a graph, and what they take together. */
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { compile, readModelBytes } from '../../src/api/index.ts'
import { graphTime, nodesRun } from '../../src/cost/graph-time.ts'
import { cpuTables } from '../../src/cost/tables/index.ts'
import type { Block, Work } from '../../src/cost/work.ts'
import type { Graph } from '../../src/ir/graph.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { lowerCompiled } from '../../src/package/contents.ts'
import { blockOf } from '../../src/package/tune.ts'
import { pruneChannels } from '../../src/passes/prune.ts'
import { profileNodes } from '../../src/run/profile.ts'
import { buildGraph, type GraphBuilder } from '../builder.ts'
import { orThrow } from '../fuzz/differential.ts'
import { inflate } from '../inflate.ts'

const native = await import('onnxruntime-node').then(
  () => true,
  () => false,
)
if (!native) console.log('skipped: what ONNX Runtime runs needs onnxruntime-node')

const nameOf = (work: Work): string =>
  work.kind === 'elements' ? work.op : work.kind === 'convolution' ? 'Conv' : 'product'

const namesOf = (graph: Graph, block: Block): ReadonlyArray<string> => nodesRun(graph, block).map(nameOf)

const counted = (names: ReadonlyArray<string>): Readonly<Record<string, number>> => {
  const out: Record<string, number> = {}
  for (const name of names) out[name] = (out[name] ?? 0) + 1
  return out
}

describe.skipIf(!native)('the nodes of a model are those that ONNX Runtime profiles', () => {
  /** What is fused under another name, and what shapes need, which takes no time. */
  const renamed: Readonly<Record<string, string>> = { FusedConv: 'Conv', QuickGelu: 'Sigmoid', Gemm: 'product' }
  const compared = ['Conv', 'ReorderInput', 'ReorderOutput', 'Concat', 'BatchNormalization', 'MaxPool', 'AveragePool']
  test.each(['mobilenet_v2', 'efficientnet_b0', 'densenet121', 'googlenet', 'squeezenet1_1'])('%s', async (name) => {
    const found = await blockOf(1)()
    if (E.isLeft(found)) throw new Error(found.left.found)
    const bytes = inflate(name)
    const graph = orThrow(readModelBytes(bytes))
    const { masks } = orThrow(pruneChannels(graph, noMasks, { channels: 0.4, scope: 'all', score: 'random' }))
    const runs: Array<readonly [kind: string, graph: Graph, model: Uint8Array]> = [['dense', graph, bytes]]
    for (const widths of ['raw', 'planned'] as const) {
      const compiled = orThrow(compile(graph, masks, { widths }))
      runs.push([widths, compiled.graph, orThrow(lowerCompiled(compiled)).model])
    }
    const [input] = graph.inputs
    for (const [kind, one, model] of runs) {
      const sizes = { [input?.name ?? '']: [1, 3, 224, 224] }
      const profiled = await profileNodes(model, sizes, { threads: 1, runs: 1, milliseconds: 1 })()
      if (E.isLeft(profiled)) throw new Error(profiled.left.found)
      const ran = counted(profiled.right.map(({ op }) => renamed[op] ?? op))
      const said = counted(namesOf(one, found.right))
      for (const op of compared) expect(`${kind}: ${op} ${said[op] ?? 0}`).toBe(`${kind}: ${op} ${ran[op] ?? 0}`)
    }
  })
})

describe('blocks of channels', () => {
  const conv = (b: GraphBuilder, name: string, x: string, outs: number, ins: number): string =>
    b.op(ops.Conv, [x, b.weight(name, [outs, ins, 3, 3])], { pads: [1, 1, 1, 1] })
  const image = { x: [1, 16, 8, 8] as const }

  test('stay from one convolution to the next, whatever is computed with them', () => {
    const graph = buildGraph(image, (b) => {
      const a = b.op(ops.Relu, [conv(b, 'a', 'x', 32, 16)])
      return [b.op(ops.Sigmoid, [b.op(ops.Add, [a, conv(b, 'c', a, 32, 32)])])]
    })
    expect(namesOf(graph, 16)).toEqual(['ReorderInput', 'Conv', 'Conv', 'ReorderOutput'])
    expect(namesOf(graph, 1)).toEqual(['Conv', 'Conv'])
  })
  test('are left for what several nodes read, once', () => {
    const graph = buildGraph(image, (b) => {
      const a = conv(b, 'a', 'x', 32, 16)
      return [b.op(ops.Exp, [a]), b.op(ops.Neg, [a]), conv(b, 'c', a, 16, 32)]
    })
    expect(counted(namesOf(graph, 16))).toEqual({ ReorderInput: 1, Conv: 2, Exp: 1, Neg: 1, ReorderOutput: 2 })
  })
  test.each([
    [32, { Conv: 3, ReorderInput: 1, Concat: 1, ReorderOutput: 1 }],
    // 24 is no multiple of 16: what is joined lies in the order of ONNX.
    [24, { Conv: 3, ReorderInput: 2, Concat: 1, ReorderOutput: 3 }],
  ])('are joined where all members are whole blocks: %i', (width, nodes) => {
    const graph = buildGraph(image, (b) => {
      const joined = b.op(ops.Concat, [conv(b, 'a', 'x', width, 16), conv(b, 'c', 'x', 32, 16)], { axis: 1 })
      return [conv(b, 'd', joined, 16, width + 32)]
    })
    expect(counted(namesOf(graph, 16))).toEqual(nodes)
  })
  test('are left where a convolution reads no multiple of 4', () => {
    const graph = buildGraph(image, (b) => [conv(b, 'c', conv(b, 'a', 'x', 30, 16), 16, 30)])
    expect(namesOf(graph, 16)).toEqual(['ReorderInput', 'Conv', 'ReorderOutput', 'Conv'])
  })
})

describe('the time of a graph', () => {
  const table = cpuTables.avx512
  test('of open sizes is that of an image of 32x32', () => {
    const net = (size: number | string): Graph =>
      buildGraph({ x: ['N', 16, size, size] }, (b) => [
        b.op(ops.Conv, ['x', b.weight('a', [8, 16, 3, 3])], { pads: [1, 1, 1, 1] }),
      ])
    expect(graphTime(net('S'), table)).toBe(graphTime(net(32), table))
    expect(graphTime(net(32), table)).toBeGreaterThan(0)
  })
  test('what is computed from constants takes none', () => {
    const net = (isComputed: boolean): Graph =>
      buildGraph({ x: [1, 8] }, (b) => {
        const weight = b.weight('w', [8, 8])
        return [b.op(ops.MatMul, ['x', isComputed ? b.op(ops.Neg, [weight]) : weight])]
      })
    expect([namesOf(net(true), 16), namesOf(net(false), 16)]).toEqual([['product'], ['product']])
  })
  test('of integers is not known', () => {
    const graph = orThrow(readModelBytes(inflate('quantized/qdq_by_channel')))
    expect(graphTime(graph, table)).toBeUndefined()
  })
})
