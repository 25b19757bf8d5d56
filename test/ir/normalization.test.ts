/** A constant channel becomes the shift of a normalisation only where rounding does not make something else of it. */
import { describe, expect, test } from 'vitest'
import { numbersOf } from '../../src/ir/evaluate.ts'
import { contextOf } from '../../src/ir/graph.ts'
import { findOp } from '../../src/ir/registry.ts'
import { constant, graphOf, input, int, nodeOf, type Operand, type Sample, sample, valuesOf } from './helpers.ts'
import { runSample } from './onnx-runtime.ts'

const parameters = (size: number): ReadonlyArray<Operand> => [
  constant([size], { values: new Array<number>(size).fill(1) }),
  constant([size], { values: new Array<number>(size).fill(0.25) }),
]

/** The input holds one number; axis 0 is normalised over by none. */
const problems = (c: number): ReadonlyArray<readonly [string, Sample]> => {
  const filled = (...shape: ReadonlyArray<number>): Operand =>
    input(shape, { values: new Array<number>(shape.reduce((n, d) => n * d, 1)).fill(c) })
  return [
    ['InstanceNormalization', sample('', [filled(1, 2, 37, 41), ...parameters(2)])],
    ['LayerNormalization', sample('', [filled(3, 769), ...parameters(769)])],
    [
      'GroupNormalization',
      sample('', [filled(1, 4, 37, 41), ...parameters(4)], { attributes: { num_groups: int(2) } }),
    ],
  ]
}

const claimOf = (name: string, one: Sample, c: number): number | undefined => {
  const op = findOp(name)
  if (op === undefined) throw new Error(`no operator ${name}`)
  const { constant } = op
  if (constant === 'copied') throw new Error(`${name} copies`)
  return constant?.(contextOf(graphOf(op, one, valuesOf(one, 1)), nodeOf(op, one)), [c, 1, 0.25], 0, 0)
}

describe.each(['InstanceNormalization', 'LayerNormalization', 'GroupNormalization'])('%s', (name) => {
  const problemFor = (c: number): Sample => {
    const found = problems(c).find(([other]) => other === name)?.[1]
    if (found === undefined) throw new Error(`no problem for ${name}`)
    return found
  }

  test.each([0, 0.1, -0.7, 1 / 3, 0.8])('of %f is the shift, in ONNX Runtime too', async (c) => {
    const op = findOp(name)
    const one = problemFor(c)
    expect(claimOf(name, one, c)).toBe(0.25)
    const [actual] = op === undefined ? [] : await runSample(op, one, valuesOf(one, 1))
    const worst = Math.max(...(actual === undefined ? [NaN] : Array.from(numbersOf(actual), (v) => Math.abs(v - 0.25))))
    expect(worst).toBeLessThan(2 ** -10)
  })

  test.each([1.7, 7.3, -12.9, 100])('of %f is not known', (c) =>
    expect(claimOf(name, problemFor(c), c)).toBeUndefined(),
  )
})
