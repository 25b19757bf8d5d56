/** What a report advises: masking it brings what was promised. And masks that take effect nowhere. */
import { describe, expect, test } from 'vitest'
import type { Graph } from '../../src/ir/graph.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { axisMask, elementMask, intersectMasks, type Mask, type Masks, wholeMask } from '../../src/masks/mask.ts'
import { compile, type CompileReport } from '../../src/passes/compile.ts'
import { isSmallToTry } from '../../src/passes/effort.ts'
import { renderCompileReport } from '../../src/report/terminal/compile-table.ts'
import { plainStyle } from '../../src/report/terminal/style.ts'
import { buildGraph, type GraphBuilder } from '../builder.ts'
import { right } from './laws.ts'

const image = { x: ['N', 4, 8, 8] }

const conv = (b: GraphBuilder, name: string, from: string, shape: readonly [number, number, number]): string =>
  b.op(ops.Conv, [from, b.weight(name, [shape[0], shape[1], shape[2], shape[2]])], {
    pads: shape[2] === 3 ? [1, 1, 1, 1] : [0, 0, 0, 0],
  })

/** A stream of 16 channels that three layers write to, with a normalisation behind one of them. */
const residual = buildGraph(image, (b) => {
  const stem = b.op(ops.Relu, [conv(b, 'stem', 'x', [16, 4, 3])])
  const inner = b.op(ops.Relu, [conv(b, 'inner', stem, [8, 16, 3])])
  const outer = conv(b, 'outer', inner, [16, 8, 1])
  const norm = b.op(ops.BatchNormalization, [
    outer,
    b.positive('s', [16]),
    b.weight('t', [16]),
    b.weight('m', [16]),
    b.positive('v', [16]),
  ])
  const sum = b.op(ops.Relu, [b.op(ops.Add, [stem, norm])])
  const last = conv(b, 'last', b.op(ops.Sigmoid, [sum]), [16, 16, 1])
  return [conv(b, 'head', b.op(ops.Add, [sum, last]), [4, 16, 3])]
})

const rows = (graph: Graph, weight: string, gone: ReadonlyArray<number>): readonly [string, Mask] => {
  const shape = graph.constants.get(weight)?.shape ?? []
  const kept = new Uint8Array(shape[0] ?? 0).fill(1)
  for (const i of gone) kept[i] = 0
  return [weight, axisMask(shape, 0, kept)]
}

const reportOf = (graph: Graph, masks: Masks): CompileReport =>
  right(compile(graph, masks, { advise: true, target: 'cpu' })).report

/** Masks what the first advice says, and compiles again from the start. */
const follow = (graph: Graph, masks: Masks, report: CompileReport): void => {
  for (const { mask, macs } of report.advice ?? []) {
    const more = new Map(mask.map(({ weight, channels }) => rows(graph, weight, channels)))
    const after = reportOf(graph, intersectMasks(masks, more))
    expect(report.after.macs - after.after.macs).toBe(macs)
  }
}

describe('advice', () => {
  test('names the layer that keeps channels of the others, and what that would bring', () => {
    const masks = new Map([rows(residual, 'stem', [0, 3, 5]), rows(residual, 'outer', [0, 3, 5, 7])])
    const report = reportOf(residual, masks)
    expect(report.advice?.[0]?.mask).toStrictEqual([{ layer: 'conv3', weight: 'last', channels: [0, 3, 5] }])
    follow(residual, masks, report)
  })

  test('tells channels of the model as it was read, where some went before', () => {
    const masks = new Map([
      rows(residual, 'stem', [0, 1, 2, 3, 4, 5, 6]),
      rows(residual, 'outer', [0, 1, 2, 3, 4, 5, 6]),
      rows(residual, 'last', [0, 1, 2, 4, 6]),
    ])
    const report = reportOf(residual, masks)
    expect(report.layers[0]?.outputs.after).toBe(11)
    expect(report.advice?.[0]?.mask).toStrictEqual([{ layer: 'conv3', weight: 'last', channels: [3, 5] }])
    follow(residual, masks, report)
  })

  test('holds where branches became one layer', () => {
    const graph = buildGraph(image, (b) => {
      const stem = b.op(ops.Relu, [conv(b, 'stem', 'x', [16, 4, 3])])
      const three = conv(b, 'three', stem, [16, 16, 3])
      const one = conv(b, 'one', stem, [16, 16, 1])
      const sides = ['side', 'other'].map((name) => conv(b, name, b.op(ops.Sigmoid, [stem]), [16, 16, 1]))
      const sum = b.op(ops.Tanh, [b.op(ops.Add, [three, one])])
      const all = sides.reduce((left, side) => b.op(ops.Add, [left, b.op(ops.Relu, [side])]), sum)
      return [conv(b, 'head', all, [4, 16, 3])]
    })
    const masks = new Map([rows(graph, 'side', [1, 2, 3]), rows(graph, 'other', [1, 2, 3])])
    const report = reportOf(graph, masks)
    expect(report.passes['fuse-parallel']).toBeGreaterThan(0)
    expect(report.advice?.[0]?.mask.map(({ weight, channels }) => [weight, channels])).toStrictEqual([
      ['three', [1, 2, 3]],
      ['one', [1, 2, 3]],
    ])
    follow(graph, masks, report)
  })

  test('is none where nothing would go, and none is made unless it is asked for', () => {
    expect(reportOf(residual, new Map()).advice).toStrictEqual([])
    expect(right(compile(residual, new Map())).report.advice).toBeUndefined()
  })
})

describe('a large model', () => {
  /** So many activations in front of what the advice is about. */
  const behind = (nodes: number): Graph =>
    buildGraph(image, (b) => {
      let last = 'x'
      for (let i = 0; i < nodes; i++) last = b.op(i % 2 === 0 ? ops.Sigmoid : ops.Tanh, [last])
      const stem = conv(b, 'stem', last, [16, 4, 1])
      const sum = b.op(ops.Add, [stem, conv(b, 'other', last, [16, 4, 1])])
      return [conv(b, 'head', sum, [4, 16, 1])]
    })
  const reportIn = (graph: Graph, advise: true | 'small'): CompileReport =>
    right(compile(graph, new Map([rows(graph, 'stem', [0, 1, 2])]), { advise, target: 'cpu' })).report

  test('is not tried unless that is asked for, and the report says so', () => {
    const large = behind(2 ** 12)
    const report = reportIn(large, 'small')
    expect(report.advice).toBeUndefined()
    expect(report.adviceLeftOut).toStrictEqual({ nodes: 2 ** 12 + 4, bytes: 768 })
    expect(renderCompileReport(report, plainStyle)).toContain(
      'advice  what to mask besides was not tried on 4100 nodes with 768 B of constants; --advice tries it.',
    )
    const asked = reportIn(large, true)
    expect(asked.adviceLeftOut).toBeUndefined()
    expect(asked.advice).toBeDefined()
  })

  test('ends at a number of nodes and bytes', () => {
    expect(reportIn(behind(8), 'small').adviceLeftOut).toBeUndefined()
    expect(isSmallToTry({ nodes: 2 ** 12, bytes: 2 ** 30 })).toBe(true)
    expect(isSmallToTry({ nodes: 2 ** 12 + 1, bytes: 0 })).toBe(false)
    expect(isSmallToTry({ nodes: 1, bytes: 2 ** 30 + 1 })).toBe(false)
  })
})

describe('masks that take effect nowhere', () => {
  const reasons = (masks: Masks): ReadonlyArray<readonly [string, string]> =>
    reportOf(residual, masks).idleMasks.map(({ mask, reason }) => [mask, reason])

  test('say why', () => {
    const stem = residual.constants.get('stem')?.shape ?? []
    const few = new Uint8Array(16 * 4 * 9).fill(1)
    few[7] = 0
    expect(reasons(new Map([['stem', wholeMask(stem)]]))).toStrictEqual([['stem', 'it masks nothing']])
    expect(reasons(new Map([['stem', elementMask(stem, few)]]))).toStrictEqual([
      ['stem', 'it leaves no channel of Conv conv0 out as a whole'],
    ])
    expect(reasons(new Map([rows(residual, 'outer', [0, 3])]))).toStrictEqual([
      [
        'outer',
        expect.stringMatching(
          /^2 outputs of Conv conv2 stay: each is constant, but to put it back .* would take longer/,
        ),
      ],
    ])
    expect(reasons(new Map([rows(residual, 'outer', [0])]))).toStrictEqual([
      ['outer', expect.stringMatching(/^1 output of Conv conv2 stays: it is constant/)],
    ])
  })

  test('are none of those that take effect', () => {
    expect(reasons(new Map([rows(residual, 'inner', [0])]))).toStrictEqual([])
  })
})

describe('a layer that is gone', () => {
  /** Of a dense network: what it makes stands beside what it read. */
  const block = buildGraph(image, (b) => {
    const stem = conv(b, 'stem', 'x', [16, 4, 3])
    const inner = b.op(ops.Relu, [conv(b, 'inner', b.op(ops.Relu, [stem]), [8, 16, 1])])
    const outer = conv(b, 'outer', inner, [4, 8, 3])
    return [conv(b, 'head', b.op(ops.Relu, [b.op(ops.Concat, [stem, outer], { axis: 1 })]), [4, 20, 1])]
  })

  test('keeps nothing that could be explained', () => {
    const { layers } = reportOf(block, new Map([rows(block, 'inner', [0, 1, 2, 3, 4, 5, 6, 7])]))
    const inner = layers.find(({ weight }) => weight === 'inner')
    expect(inner?.outputs.after).toBe(0)
    // What it read is needed beside it.
    expect(inner?.stays).toStrictEqual([])
  })
})
