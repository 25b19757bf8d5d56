/** How compiled models are judged in ONNX Runtime. */
import { expect, test } from 'vitest'
import { lower } from '../../src/export/lower.ts'
import type { Graph } from '../../src/ir/graph.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { tensorOf } from '../../src/ir/tensor.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { verifyCompiled } from '../../src/package/verify-compiled.ts'
import { buildGraph } from '../builder.ts'
import { orThrow } from '../fuzz/differential.ts'

/** `y = x · scale`, computed in float32 or, between two casts, in float16. */
const scaled = (half: boolean, scale: number): Graph =>
  buildGraph({ x: [2, 8] }, (b) => {
    const factor = b.constant('factor', tensorOf(half ? 'float16' : 'float32', [1], [scale]))
    if (!half) return [b.op(ops.Mul, ['x', factor])]
    return [b.op(ops.Cast, [b.op(ops.Mul, [b.op(ops.Cast, ['x'], { to: 10 }), factor])], { to: 1 })]
  })

const judged = async (model: Graph, compiled: Graph, tolerance?: number) => {
  const options = tolerance === undefined ? {} : { tolerance }
  return orThrow(await verifyCompiled(model, noMasks, orThrow(lower(compiled)), options)())
}

test('a float32 output that passes through float16 is judged by the precision of float16', async () => {
  const close = 1 + 2 ** -8
  expect(await judged(scaled(true, 1), scaled(true, close))).toMatchObject({ equal: true })
  expect(await judged(scaled(true, 1), scaled(true, 1.25))).toMatchObject({ equal: false })
  // Neither a float32 model nor a tolerance that is asked for gets looser.
  expect(await judged(scaled(false, 1), scaled(false, close))).toMatchObject({ equal: false })
  expect(await judged(scaled(true, 1), scaled(true, close), 1e-4)).toMatchObject({ equal: false })
})
