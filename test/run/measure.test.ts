import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it, vi } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import { tensorOf } from '../../src/ir/tensor.ts'
import { measure, type MeasureOptions } from '../../src/run/measure.ts'
import type { Progress } from '../../src/run/progress.ts'
import type { ModelSource } from '../../src/run/runner.ts'
import { convolution, onnx, unary } from './onnx.ts'

// Processes are started; on a busy machine that takes its time.
vi.setConfig({ testTimeout: 120_000 })

/** A chain of `count` products of 192 × 192 matrices. */
const chain = (count: number): ModelSource => ({
  name: `chain of ${count}`,
  bytes: onnx({
    nodes: Array.from({ length: count }, (_, i) => ({
      op: 'MatMul',
      inputs: [i === 0 ? 'x' : `h${i}`, 'x'],
      outputs: [i === count - 1 ? 'y' : `h${i + 1}`],
    })),
    inputs: [{ name: 'x', shape: [192, 192] }],
    outputs: [{ name: 'y', shape: [192, 192] }],
  }),
})

const options: MeasureOptions = { repeats: 7, seconds: 0.03, warmup: 2, threads: 1 }

describe('measure', () => {
  it('finds a model as fast as itself and a longer one slower', async () => {
    const steps: Progress[] = []
    const result = await measure([chain(1), chain(1), chain(12)], { ...options, onProgress: (p) => steps.push(p) })()
    if (E.isLeft(result)) throw new Error(renderError(result.left))
    const [first, same, longer] = result.right
    if (first === undefined || same === undefined || longer === undefined) throw new Error('three measurements')
    expect(first.speedup).toEqual({ q1: 1, median: 1, q3: 1 })
    expect(same.speedup.median).toBeGreaterThan(0.4)
    expect(same.speedup.median).toBeLessThan(2.5)
    expect(longer.speedup.median).toBeLessThan(0.5)
    expect(longer.speedup.median).toBeGreaterThan(0.01)
    for (const m of result.right) {
      expect(m.repeats).toHaveLength(7)
      expect(m.repeats.every((ms) => ms > 0)).toBe(true)
      expect(m.latency.q1).toBeLessThanOrEqual(m.latency.median)
      expect(m.latency.median).toBeLessThanOrEqual(m.latency.q3)
      expect(m.batch).toBe(192)
      // Each measurement lasted the time asked for.
      expect(m.iterations * m.latency.q3).toBeGreaterThan(7 * 30 * 0.5)
    }
    expect(result.right.map((m) => m.name)).toEqual(['chain of 1', 'chain of 1', 'chain of 12'])
    // The first one is measured once more at the end of each round, against itself.
    expect(result.right.map(({ noise }) => noise !== undefined)).toEqual([true, false, false])
    expect(first.noise?.median).toBeGreaterThan(0.4)
    expect(first.noise?.median).toBeLessThan(2.5)
    const order = steps.filter((s) => s.phase === 'measure').slice(0, 8)
    expect(order.map((s) => s.note)).toEqual([...'11211121'].map((c) => (c === '1' ? 'chain of 1' : 'chain of 12')))
    const lastLoad = steps.findLastIndex((s) => s.phase === 'load')
    expect(lastLoad).toBeLessThan(steps.findIndex((s) => s.phase === 'warm-up'))
  })

  it('counts items per second by the batch, which it binds', async () => {
    const result = await measure([convolution()], { ...options, repeats: 3, batch: 4, sizes: { H: 16, W: 16 } })()
    if (E.isLeft(result)) throw new Error(renderError(result.left))
    const [m] = result.right
    expect(m).toMatchObject({ batch: 4, sizes: { N: 4, H: 16, W: 16 } })
    expect((m?.throughput.median ?? 0) * (m?.latency.median ?? 0)).toBeCloseTo(4000, 3)
  })

  it('runs on the inputs that it is given', async () => {
    const inputs = new Map([['x', tensorOf('float32', [3, 3, 8, 8], new Float32Array(3 * 3 * 64))]])
    const result = await measure([convolution()], { ...options, repeats: 3, inputs })()
    if (E.isLeft(result)) throw new Error(renderError(result.left))
    expect(result.right[0]).toMatchObject({ batch: 3, sizes: {} })
    // Of another shape than the model takes.
    const wrong = new Map([['x', tensorOf('float32', [3], new Float32Array(3))]])
    expect(E.isLeft(await measure([convolution()], { ...options, inputs: wrong })())).toBe(true)
  })

  it('refuses what cannot be measured', async () => {
    const left = async (models: ReadonlyArray<ModelSource>, how: MeasureOptions): Promise<string> => {
      const result = await measure(models, how)()
      return E.isLeft(result) ? `${result.left.subject}: ${result.left.found}` : 'no error'
    }
    expect(await left([], {})).toBe('models: none')
    expect(await left([unary('Relu', [2])], { repeats: 0 })).toBe('repeats: 0')
    expect(await left([unary('Relu', [2])], { seconds: NaN })).toBe('seconds: NaN')
    const inputs = new Map([['x', tensorOf('float32', [2], new Float32Array(2))]])
    expect(await left([unary('Relu', [2])], { inputs, batch: 2 })).toBe('inputs: both')
    expect(await left([unary('Relu', [2, 2])], { batch: 8 })).toContain('fixed at 2')
    expect(await left(['/nowhere/model.onnx'], {})).toBe('/nowhere/model.onnx: no such file')
  })
})
