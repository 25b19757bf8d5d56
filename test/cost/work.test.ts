/** Which kernel of ONNX Runtime computes a layer, and the terms that its time is made of. */
import { describe, expect, test } from 'vitest'
import { cpuTables } from '../../src/cost/tables/index.ts'
import { workTime } from '../../src/cost/table.ts'
import { type Convolution, kernelOf, windowWork, type WindowAxis } from '../../src/cost/work.ts'
import { uniforms } from '../inflate.ts'

const axis = (to: number, size: number, step = 1): WindowAxis => ({
  from: to * step,
  to,
  size,
  step,
  gap: 1,
  before: Math.floor((size - 1) / 2),
})

const convolution = (
  inputs: number,
  outputs: number,
  size: number,
  { groups = 1, image = 28, step = 1, rank = 2 } = {},
): Convolution => ({
  kind: 'convolution',
  inputs,
  outputs,
  groups,
  window: windowWork(
    1,
    Array.from({ length: rank }, () => axis(image, size, step)),
    true,
  ),
})

describe('kernels', () => {
  test.each([
    ['blocked', convolution(64, 64, 3)],
    ['blocked', convolution(20, 7, 3)],
    ['plain', convolution(21, 64, 3)],
    ['direct', convolution(15, 64, 3)],
    ['direct pointwise', convolution(12, 64, 1)],
    ['pointwise', convolution(36, 64, 1)],
    ['strided pointwise', convolution(36, 64, 1, { step: 2 })],
    ['plain pointwise', convolution(35, 64, 1)],
    ['depthwise', convolution(36, 36, 3, { groups: 36 })],
    ['plain depthwise', convolution(35, 35, 3, { groups: 35 })],
    ['blocked', convolution(64, 64, 3, { groups: 4 })],
    ['plain grouped', convolution(64, 32, 3, { groups: 4 })],
    ['plain', convolution(64, 64, 3, { rank: 1 })],
  ])('%s', (kernel, work) => {
    expect(kernelOf(work, 16)).toBe(kernel)
  })
  test('of a machine without blocks', () => {
    expect([convolution(64, 64, 3), convolution(8, 8, 1)].map((work) => kernelOf(work, 1))).toEqual([
      'plain',
      'plain pointwise',
    ])
  })
})

describe('windows', () => {
  test('places of the kernel that lie on the input are counted one by one', () => {
    const draw = uniforms(5)
    const below = (limit: number): number => Math.floor(draw() * limit)
    for (let n = 0; n < 300; n++) {
      const axes = [0, 1].map((): WindowAxis => {
        const [from, size, step, gap] = [1 + below(12), 1 + below(5), 1 + below(3), 1 + below(2)]
        return { from, to: 1 + below(12), size, step, gap, before: below(4) }
      })
      const [height, width] = axes
      if (height === undefined || width === undefined) continue
      const work = windowWork(2, axes, true)
      const places = (one: WindowAxis, at: number): number =>
        Array.from({ length: one.size }, (_, k) => at * one.step + k * one.gap - one.before).filter(
          (on) => on >= 0 && on < one.from,
        ).length
      const all = (one: WindowAxis): ReadonlyArray<number> => Array.from({ length: one.to }, (_, at) => places(one, at))
      const rows = 2 * all(height).reduce((sum, x) => sum + x, 0) * width.size
      const inside = all(width).filter((x) => x === width.size).length
      const isOneRow = work.size === 1 && !work.isStrided
      const rest = (isOneRow ? height.to * width.to : inside) % 6
      if (isOneRow)
        expect(work).toMatchObject({
          all: 2 * height.to * width.to,
          three: 2 * (rest - (rest % 3)),
          one: 2 * (rest % 3),
        })
      else {
        expect(work.all).toBe(rows * width.to)
        expect(work.three).toBe(rows * (rest - (rest % 3)))
        expect(work.one).toBe(rows * ((rest % 3) + width.to - inside))
      }
    }
  })
})

describe('the tables that are committed', () => {
  const table = cpuTables.avx512
  const time = (inputs: number, size: number): number =>
    workTime(convolution(inputs, 32, size, { image: 56 }), table) ?? NaN
  test('order widths as they were measured: 1x1 kernels of 6, 8 and 16 inputs took 19, 24 and 16 microseconds', () => {
    expect(time(16, 1)).toBeLessThan(time(6, 1))
    expect(time(6, 1)).toBeLessThan(time(8, 1))
  })
  test('3x3 kernels of 8, 12, 13 and 16 inputs took 67, 99, 107 and 126', () => {
    const times = [8, 12, 13, 16].map((inputs) => time(inputs, 3))
    expect(times).toEqual(times.toSorted((a, b) => a - b))
  })
  test('61 inputs took longer than 64', () => {
    expect(time(61, 3)).toBeGreaterThan(time(64, 3))
  })
})
