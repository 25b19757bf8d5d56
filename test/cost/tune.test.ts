/** Measuring layers: what they are, and a table that is made of them. */
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { samplesOf } from '../../src/cost/samples.ts'
import { predict } from '../../src/cost/table.ts'
import { termsOf } from '../../src/cost/work.ts'
import { measureLayers, tableOf } from '../../src/package/tune.ts'

const native = await import('onnxruntime-node').then(
  () => true,
  () => false,
)
const withRuntime = test.skipIf(!native)
if (!native) console.log('skipped: measuring layers needs onnxruntime-node')

describe('samples', () => {
  test('are the same for the same seed, of many kernels, each with a term for every coefficient', () => {
    const [samples, again, others] = [samplesOf(120, 1), samplesOf(120, 1), samplesOf(120, 2)]
    const works = samples.map(({ work }) => work)
    expect(again.map(({ work }) => work)).toEqual(works)
    expect(others.map(({ work }) => work)).not.toEqual(works)
    const lengths = new Map<string, Set<number>>()
    for (const work of works) {
      const { kernel, terms } = termsOf(work, 16)
      expect(terms.every((term) => Number.isFinite(term) && term >= 0)).toBe(true)
      expect(terms.at(-1)).toBe(1)
      lengths.set(kernel, (lengths.get(kernel) ?? new Set()).add(terms.length))
    }
    expect(lengths.size).toBeGreaterThan(20)
    expect([...lengths.values()].every((some) => some.size === 1)).toBe(true)
  })
})

describe('measuring', () => {
  withRuntime('gives the time of each layer, and a table that predicts about those', async () => {
    const measured = await measureLayers({ layers: 45 })()
    if (E.isLeft(measured)) throw new Error(measured.left.found)
    const { block, layers } = measured.right
    expect([1, 8, 16]).toContain(block)
    expect(layers.length).toBeGreaterThan(10)
    const table = tableOf('a test', block, 1, layers)
    for (const layer of layers) expect(predict(layer, table)).toBeGreaterThan(0)
  })
})
