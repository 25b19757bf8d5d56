/** Reshapes and transposes in a row become one of each, and only where nothing else reads what is between. */
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import type { Graph } from '../../src/ir/graph.ts'
import * as ops from '../../src/ir/ops/index.ts'
import type { Shape } from '../../src/ir/type.ts'
import { fuseReshape } from '../../src/passes/fuse-reshape.ts'
import { buildGraph, type GraphBuilder } from '../builder.ts'
import { compareGraphs, orThrow } from '../fuzz/differential.ts'

const fused = (graph: Graph): Graph => {
  const result = fuseReshape.run(graph)
  return E.isRight(result) ? result.right : orThrow(result)
}

const names = (shape: Shape, body: (b: GraphBuilder) => ReadonlyArray<string>): ReadonlyArray<string> =>
  fused(buildGraph({ x: shape }, body)).nodes.map(({ op }) => op)

test('heads that are merged with the batch and taken apart again are split at once', () => {
  const graph = fused(
    buildGraph({ x: [5, 'N', 32] }, (b) => {
      const merged = b.op(ops.Reshape, ['x', b.ints('merge', [0, -1, 8])])
      const moved = b.op(ops.Transpose, [merged], { perm: [1, 0, 2] })
      // 4 N of batch and heads are N times 4.
      return [b.op(ops.Reshape, [moved, b.ints('apart', [-1, 4, 5, 8])])]
    }),
  )
  expect(graph.nodes.map(({ op }) => op)).toEqual(['Reshape', 'Transpose'])
  expect(graph.types.get(graph.nodes[0]?.outputs[0] ?? '')).toMatchObject({ shape: [5, 'N', 4, 8] })
  expect(graph.nodes[1]?.attrs).toMatchObject({ perm: [1, 2, 0, 3] })
})

test('a second reshape that joins parts of several axes stays', () => {
  expect(
    names([4, 6, 8], (b) => {
      const first = b.op(ops.Reshape, ['x', b.ints('first', [4, 48])])
      const moved = b.op(ops.Transpose, [first], { perm: [1, 0] })
      return [b.op(ops.Reshape, [moved, b.ints('second', [8, 24])])]
    }),
  ).toEqual(['Reshape', 'Transpose', 'Reshape'])
})

test('two transposes are one, moved axes of size 1 are a reshape, and of reshapes the last one counts', () => {
  expect(
    names([4, 6, 8], (b) => {
      const once = b.op(ops.Transpose, ['x'], { perm: [1, 0, 2] })
      const twice = b.op(ops.Transpose, [once], { perm: [0, 2, 1] })
      const wide = b.op(ops.Unsqueeze, [twice, b.ints('axes', [1])])
      return [b.op(ops.Squeeze, [b.op(ops.Transpose, [wide], { perm: [1, 0, 2, 3] }), b.ints('gone', [0])])]
    }),
  ).toEqual(['Transpose', 'Reshape'])
})

test('what something else reads stays', () => {
  expect(
    names([4, 6, 8], (b) => {
      const once = b.op(ops.Transpose, ['x'], { perm: [1, 0, 2] })
      const flat = b.op(ops.Reshape, [once, b.ints('flat', [24, 8])])
      return [
        once,
        flat,
        b.op(ops.Transpose, [once], { perm: [0, 2, 1] }),
        b.op(ops.Reshape, [flat, b.ints('row', [192])]),
      ]
    }),
  ).toEqual(['Transpose', 'Reshape', 'Transpose', 'Reshape'])
})

describe('an axis of unknown size', () => {
  const heads = (b: GraphBuilder, x: string, merged: ReadonlyArray<number>, apart: ReadonlyArray<number>): string => {
    const moved = b.op(ops.Transpose, [b.op(ops.Reshape, [x, b.ints('merge', merged)])], { perm: [1, 0, 2] })
    return b.op(ops.Reshape, [moved, b.ints('apart', apart)])
  }

  test('is split where all others are as long as before: a length that an exporter wrote down', async () => {
    const masked = buildGraph({ x: ['length', 'batch', 16] }, (b) => {
      const y = b.op(ops.MatMul, ['x', b.weight('in', [16, 32], { columns: [8, 9, 10, 11, 12, 13, 14, 15] })])
      return [b.op(ops.Relu, [heads(b, y, [5, -1, 8], [-1, 4, 5, 8])])]
    })
    const whole = fused(masked)
    expect(whole.nodes.map(({ op }) => op)).toEqual(['MatMul', 'Reshape', 'Transpose', 'Relu'])
    // Where lengths are others, whatever the model makes of them.
    for (const [length, batch] of [
      [5, 3],
      [10, 2],
      [1, 5],
      [3, 5],
    ] as const) {
      const sizes = new Map(Object.entries({ length, batch }))
      expect((await compareGraphs(masked, whole, { sizes })).worst).toBe(0)
    }
  })

  test('is split beside others that are not known but the same', () => {
    const graph = fused(
      buildGraph({ x: ['N', 'M', 32] }, (b) => {
        const merged = b.op(ops.Reshape, ['x', b.ints('merge', [0, 5, -1, 8])])
        const moved = b.op(ops.Transpose, [merged], { perm: [0, 2, 1, 3] })
        return [b.op(ops.Reshape, [moved, b.ints('apart', [0, -1, 4, 5, 8])])]
      }),
    )
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Reshape', 'Transpose'])
    expect(graph.types.get(graph.nodes[0]?.outputs[0] ?? '')).toMatchObject({
      shape: ['N', 5, expect.anything(), 4, 8],
    })
  })

  test('stays where another one is not as long', () => {
    const kinds = (merged: ReadonlyArray<number>, apart: ReadonlyArray<number>): ReadonlyArray<string> =>
      names(['N', 'M', 32], (b) => [heads(b, 'x', merged, apart)])
    const all = ['Reshape', 'Transpose', 'Reshape']
    expect(kinds([0, -1, 8], [-1, 4, 5, 8])).toEqual(all)
    expect(kinds([5, -1, 8], [-1, 4, 10, 4])).toEqual(all)
    expect(kinds([5, -1, 8], [-1, 2, 8])).toEqual(all)
    expect(kinds([5, -1, 8], [4, 5, 8, -1])).toEqual(all)
  })
})
