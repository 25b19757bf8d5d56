/** The models in ONNX Runtime: they run for any batch, start at a sane scale, and compile exactly under masks. */
import { describe, expect, test } from 'vitest'
import { models } from '../../src/models/index.ts'
import { compareCompiled } from '../fuzz/differential.ts'
import { type MaskKind, randomMasks } from '../fuzz/masks.ts'
import { uniforms } from '../inflate.ts'
import { build, shapeOf } from './build.ts'
import { images, runGraph, type Values, withAllOutputs, withBatchStatistics } from './run.ts'

/** Its 575 MB of weights take 3 GB of memory to run; MODELS=all runs it too. */
const heavy = 'vgg19-bn-imagenet'
const names = models.map(({ name }) => name).filter((name) => name !== heavy || process.env['MODELS'] === 'all')
const sizeFor = (name: string): readonly [number, number, number] =>
  name === heavy || name === 'vit-tiny-imagenet' ? [3, 224, 224] : shapeOf(name)

const deviationOf = ({ data }: Values): number => {
  let [sum, squares] = [0, 0]
  for (const x of data) {
    sum += x
    squares += x * x
  }
  return Math.sqrt(Math.max(squares / data.length - (sum / data.length) ** 2, 0))
}

describe.each(names)('%s', (name) => {
  const shape = sizeFor(name)

  test('gives the logits of each image, whatever the batch', async () => {
    const graph = build(name, { classes: 7, shape })
    const three = images([3, ...shape])
    const one = { shape: [1, ...shape], data: three.data.slice(0, three.data.length / 3) }
    const [together, alone] = [(await runGraph(graph, three)).get('logits'), (await runGraph(graph, one)).get('logits')]
    expect(together?.shape).toEqual([3, 7])
    expect(alone?.shape).toEqual([1, 7])
    const largest = Math.max(...(together?.data ?? []).map(Math.abs))
    expect(largest).toBeGreaterThan(0)
    expect(Number.isFinite(largest)).toBe(true)
    for (let i = 0; i < 7; i++) {
      expect(Math.abs((alone?.data[i] ?? NaN) - (together?.data[i] ?? NaN))).toBeLessThan(1e-5 * largest)
    }
  })
})

describe('at the start', () => {
  // Running statistics say nothing yet, so the batch's are used, as training does.
  test.each(names.filter((name) => name !== heavy))('%s neither blows up nor dies out', async (name) => {
    const shape = sizeFor(name)
    const graph = withAllOutputs(withBatchStatistics(build(name, { classes: 10, shape })))
    const values = await runGraph(graph, images([8, ...shape]))
    let [least, most] = [Infinity, 0]
    for (const [value, one] of values) {
      // Attention is nearly even at the start: its weights differ by little.
      if (value.endsWith('.softmax')) continue
      least = Math.min(least, deviationOf(one))
      most = Math.max(most, deviationOf(one))
    }
    const logits = values.get('logits')
    if (logits === undefined) throw new Error('no logits')
    console.log(
      `${name}: deviation of values ${least.toPrecision(2)} to ${most.toPrecision(2)}, of logits ${deviationOf(logits).toPrecision(2)}`,
    )
    expect(least).toBeGreaterThan(2e-3)
    expect(most).toBeLessThan(20)
    expect(deviationOf(logits)).toBeLessThan(2.5)
    // Images are told apart: logits differ between images, not only between classes.
    const byClass = Array.from({ length: 10 }, (_, c) =>
      deviationOf({ shape: [8], data: logits.data.filter((_, i) => i % 10 === c) }),
    )
    expect(Math.min(...byClass)).toBeGreaterThan(1e-4)
  })
})

const masked: ReadonlyArray<readonly [string, MaskKind]> = [
  ['resnet20', 'rows'],
  ['resnet20', 'mixed'],
  ['resnet56', 'both'],
  ['resnet18', 'mixed'],
  ['resnet50', 'both'],
  ['vgg19-bn', 'both'],
  // Whole columns of a depthwise convolution would be all of it.
  ['mobilenet-v2', 'rows'],
  ['mlp', 'both'],
  ['vit-tiny', 'both'],
  ['vit-tiny', 'mixed'],
]

describe('compiling', () => {
  test.each(masked)('%s masked by %s is exact', async (name, kind) => {
    const graph = build(name)
    const { compiled, worst } = await compareCompiled(graph, randomMasks(graph, kind, uniforms(5)))
    const { before, after } = compiled.report
    console.log(`${name} ${kind}: MACs ${before.macs} -> ${after.macs}, error ${worst.toExponential(1)}`)
    expect(worst).toBeLessThan(1e-4)
    // Channels went, and the network did not fall to a constant, which would agree whatever else is wrong.
    expect(after.parameters).toBeLessThan(before.parameters)
    expect(after.macs).toBeGreaterThan(before.macs / 10)
    expect(after.nodes).toBeGreaterThan(4)
  })
})
