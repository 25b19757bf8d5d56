import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it, vi } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import { tensorOf } from '../../src/ir/tensor.ts'
import type { RunError } from '../../src/run/error.ts'
import type { Progress } from '../../src/run/progress.ts'
import type { ModelSource } from '../../src/run/runner.ts'
import { type Difference, verify, type VerifyOptions } from '../../src/run/verify.ts'
import { convolution, onnx, type NodeSpec, types, unary, type Value } from './onnx.ts'

// Processes are started; on a busy machine that takes its time.
vi.setConfig({ testTimeout: 120_000 })

const difference = async (a: ModelSource, b: ModelSource, options?: VerifyOptions): Promise<Difference> => {
  const result = await verify(a, b, options)()
  if (E.isLeft(result)) throw new Error(renderError(result.left))
  return result.right
}

const refusal = async (a: ModelSource, b: ModelSource, options?: VerifyOptions): Promise<RunError> => {
  const result = await verify(a, b, options)()
  if (E.isRight(result)) throw new Error('expected an error')
  return result.left
}

const x: Value = { name: 'x', shape: ['N', 6] }
const graph = (nodes: ReadonlyArray<NodeSpec>, outputs: ReadonlyArray<Value>, input = x): Uint8Array =>
  onnx({ nodes, inputs: [input], outputs })

describe('verify', () => {
  it('finds a model equal to itself, on three seeds and several sizes', async () => {
    const steps: Progress[] = []
    const result = await difference(convolution(), convolution(), {
      referenceOptimizationLevel: 'disabled',
      onProgress: (p) => steps.push(p),
    })
    expect(result).toMatchObject({ equal: true, vacuous: false, vacuousOutputs: [], provider: 'cpu' })
    expect(result.runtime).toMatch(/^onnxruntime-node \d/)
    expect(result.cases.map((c) => [c.seed, c.sizes['N'], c.sizes['H'], c.magnitude ?? 1])).toEqual([
      [1, 1, 32, 1],
      [2, 1, 32, 1],
      [3, 1, 32, 1],
      [1, 3, 48, 1],
      [2, 3, 48, 1],
      [3, 3, 48, 1],
      [1, 2, 64, 1],
      [2, 2, 64, 1],
      [3, 2, 64, 1],
      [1, 1, 32, 1e-12],
      [1, 1, 32, 1e-3],
      [1, 1, 32, 1e3],
      [1, 1, 32, 1e12],
    ])
    expect(result.cases[4]?.outputs[0]).toMatchObject({ name: 'y', shape: [3, 4, 48, 48] })
    for (const one of result.cases.slice(0, 9)) expect(one.outputs[0]?.maxReference).toBeGreaterThan(1)
    expect(new Set(result.cases.map((c) => c.outputs[0]?.maxReference)).size).toBe(13)
    expect(new Set(steps.map((s) => s.phase))).toEqual(new Set(['load', 'sizes', 'verify']))
    expect(steps.at(-1)).toMatchObject({ phase: 'verify', done: 13, total: 13 })
  })

  it('catches one weight of 108 that is off by a thousandth, and forgives rounding', async () => {
    const off = await difference(convolution(), convolution(1e-3), { sizeCount: 1 })
    expect(off.equal).toBe(false)
    expect(off.worst?.output.relative).toBeGreaterThan(1e-4)
    expect(off.worst?.output.relative).toBeLessThan(1e-2)
    const rounding = await difference(convolution(), convolution(1e-7), { sizeCount: 1 })
    expect(rounding.equal).toBe(true)
    const strict = await difference(convolution(), convolution(1e-5), { sizeCount: 1, tolerance: 1e-8 })
    expect(strict).toMatchObject({ equal: false, tolerance: { float32: 1e-8 } })
  })

  it('catches a batch size that was baked in', async () => {
    const input: Value = { name: 'x', shape: ['N', 3, 2] }
    const output: Value = { name: 'y', shape: ['N', 6] }
    const flatten = graph([{ op: 'Flatten', inputs: ['x'], outputs: ['y'] }], [output], input)
    const reshape = onnx({
      nodes: [{ op: 'Reshape', inputs: ['x', 's'], outputs: ['y'] }],
      inputs: [input],
      outputs: [{ name: 'y', shape: [null, null] }],
      constants: [{ name: 's', type: types.int64, shape: [2], data: [1, -1] }],
    })
    const result = await difference(flatten, reshape)
    expect(result.equal).toBe(false)
    expect(result.cases.filter((c) => c.sizes['N'] === 1).every((c) => c.equal)).toBe(true)
    expect(result.cases.filter((c) => c.sizes['N'] === 3).some((c) => c.equal)).toBe(false)
    expect(result.worst?.output.note).toContain('the reference gives float32[3, 6], the candidate float32[1, 18]')
  })

  it('names what differs between the interfaces', async () => {
    const relu: NodeSpec = { op: 'Relu', inputs: ['x'], outputs: ['a'] }
    const neg: NodeSpec = { op: 'Neg', inputs: ['x'], outputs: ['b'] }
    const a: Value = { name: 'a', shape: ['N', 6] }
    const b: Value = { name: 'b', shape: ['N', 6] }
    const reference = graph([relu, neg], [a, b])
    const swapped = await refusal(reference, graph([relu, neg], [b, a]))
    expect(swapped.expected).toMatch(/outputs .*a: float32\[N, 6\]; b:/)
    expect(swapped.found).toMatch(/^b: float32\[N, 6\]; a:/)
    const fewer = await refusal(reference, graph([relu, neg], [a]))
    expect(fewer).toMatchObject({ _tag: 'RunError', subject: 'the candidate model', found: 'a: float32[N, 6]' })
    const renamed = await refusal(unary('Relu', ['N', 6]), graph([{ ...relu, outputs: ['z'] }], [{ ...a, name: 'z' }]))
    expect(renamed.found).toContain('z:')
    expect((await refusal(unary('Relu', ['N', 6]), unary('Relu', ['N', 5]))).expected).toContain('inputs')
    expect((await refusal(unary('Relu', ['N', 6]), unary('Relu', ['N', 6, 1]))).expected).toContain('inputs')
    expect((await refusal(unary('Abs', [6]), unary('Abs', [6], types.double))).found).toContain('float64')
    const other = onnx({ nodes: [{ ...relu, inputs: ['q'] }], inputs: [{ name: 'q', shape: ['N', 6] }], outputs: [a] })
    expect((await refusal(graph([relu], [a]), other)).found).toContain('q:')
  })

  it('uses the sizes that the candidate was specialised to', async () => {
    const result = await difference(unary('Relu', ['N', 'C']), unary('Relu', [4, 'C']))
    expect(result.equal).toBe(true)
    expect(new Set(result.cases.map((c) => c.outputs[0]?.shape[0]))).toEqual(new Set([4]))
  })

  it('wants NaN at the same places', async () => {
    const output: Value = { name: 'y', shape: ['N', 6] }
    const log = unary('Log', ['N', 6])
    const same = await difference(log, log)
    expect(same).toMatchObject({ equal: true, vacuous: false })
    const abs = graph(
      [
        { op: 'Abs', inputs: ['x'], outputs: ['a'] },
        { op: 'Log', inputs: ['a'], outputs: ['y'] },
      ],
      [output],
    )
    const result = await difference(log, abs)
    expect(result.equal).toBe(false)
    expect(result.worst?.output.nonFinite).toBeGreaterThan(0)
    expect(result.worst?.output.maxAbs).toBe(0)
  })

  it('wants integer outputs to be equal and counts those that are not', async () => {
    const arg = (op: string): Uint8Array =>
      graph(
        [{ op, inputs: ['x'], outputs: ['y'], ints: { axis: 1, keepdims: 0 } }],
        [{ name: 'y', type: types.int64, shape: ['N'] }],
      )
    expect(await difference(arg('ArgMax'), arg('ArgMax'))).toMatchObject({ equal: true, vacuous: false })
    const result = await difference(arg('ArgMax'), arg('ArgMin'))
    expect(result.equal).toBe(false)
    expect(result.worst?.output).toMatchObject({ dtype: 'int64', equal: false, tolerance: 0, differing: 1 })
  })

  it('says when the reference gives nothing to compare', async () => {
    const constant = (start: NodeSpec): Uint8Array =>
      graph([{ op: 'Sub', inputs: ['x', 'x'], outputs: ['z'] }, start], [{ name: 'y', shape: ['N', 6] }])
    const zero = constant({ op: 'Relu', inputs: ['z'], outputs: ['y'] })
    const nan = constant({ op: 'Div', inputs: ['z', 'z'], outputs: ['y'] })
    expect(await difference(zero, zero)).toMatchObject({ equal: true, vacuous: true, vacuousOutputs: ['y'] })
    expect(await difference(nan, nan)).toMatchObject({ equal: true, vacuous: true })
    expect(await difference(zero, unary('Relu', ['N', 6]))).toMatchObject({ equal: false, vacuous: true })
    expect(await difference(nan, zero)).toMatchObject({ equal: false })
  })

  it('tells a vacuous output beside a lively one', async () => {
    const both = graph(
      [
        { op: 'Sub', inputs: ['x', 'x'], outputs: ['z'] },
        { op: 'Neg', inputs: ['x'], outputs: ['y'] },
      ],
      [
        { name: 'y', shape: ['N', 6] },
        { name: 'z', shape: ['N', 6] },
      ],
    )
    expect(await difference(both, both)).toMatchObject({ equal: true, vacuous: false, vacuousOutputs: ['z'] })
  })

  it('asks for sizes that it cannot guess, takes them, and refuses those that are not there', async () => {
    const matMul = onnx({
      nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
      inputs: [{ name: 'x', shape: ['N', 'K'] }],
      outputs: [{ name: 'y', shape: ['N', 2] }],
      constants: [{ name: 'w', shape: [5, 2], data: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] }],
    })
    const error = await refusal(matMul, matMul)
    expect(error.found).toContain('N=1, K=7')
    expect(error.help).toContain('--shape name=size')
    const bound = await difference(matMul, matMul, { bindings: { K: 5 } })
    expect(bound.equal).toBe(true)
    expect(new Set(bound.cases.map((c) => c.sizes['N']))).toEqual(new Set([1, 3, 2]))
    expect((await refusal(matMul, matMul, { bindings: { Q: 5 } })).found).toContain('N, K')
  })

  it('keeps integer inputs within what the model takes as indices', async () => {
    const gather = onnx({
      nodes: [{ op: 'Gather', inputs: ['table', 'x'], outputs: ['y'] }],
      inputs: [{ name: 'x', type: types.int64, shape: ['N', 'T'] }],
      outputs: [{ name: 'y', shape: ['N', 'T', 1] }],
      constants: [{ name: 'table', shape: [2, 1], data: [3, 5] }],
    })
    const result = await difference(gather, gather)
    expect(result).toMatchObject({ equal: true, range: 'binary' })
    expect(result.cases.map((c) => c.outputs[0]?.maxReference)).toContain(5)
  })

  it('finds positive inputs for a model that divides integers', async () => {
    const divide = onnx({
      nodes: [{ op: 'Div', inputs: ['c', 'x'], outputs: ['y'] }],
      inputs: [{ name: 'x', type: types.int64, shape: [50] }],
      outputs: [{ name: 'y', type: types.int64, shape: [50] }],
      constants: [{ name: 'c', type: types.int64, shape: [], data: [60] }],
    })
    expect(await difference(divide, divide)).toMatchObject({ equal: true, vacuous: false, range: 'positive' })
  })

  it('says which model fails at which sizes', async () => {
    const output: Value = { name: 'y', shape: ['N', 6] }
    const fixed = onnx({
      nodes: [{ op: 'Add', inputs: ['x', 'b'], outputs: ['y'] }],
      inputs: [{ name: 'x', shape: ['N', 6] }],
      outputs: [output],
      constants: [{ name: 'b', shape: [1, 6], data: [0, 0, 0, 0, 0, 0] }],
    })
    const broken = onnx({
      nodes: [{ op: 'Add', inputs: ['x', 'b'], outputs: ['y'] }],
      inputs: [{ name: 'x', shape: ['N', 6] }],
      outputs: [output],
      constants: [{ name: 'b', shape: [2, 6], data: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] }],
    })
    const error = await refusal(fixed, { bytes: broken, name: 'broken' })
    expect(error.subject).toBe('broken')
    expect(error.found).toContain('sizes N=3')
    expect(error.expected).toContain('the reference model')
  })

  it('takes inputs of the caller', async () => {
    const given = new Map([['x', tensorOf('float32', [1, 6], [-1, 2, -3, 4, -5, 6])]])
    const result = await difference(unary('Relu', ['N', 6]), unary('Abs', ['N', 6]), { inputs: [given] })
    expect(result.cases).toHaveLength(1)
    expect(result.worst?.output).toMatchObject({ maxAbs: 5, maxReference: 6, equal: false })
  })

  it('refuses a tolerance that cannot fail and empty lists of seeds', async () => {
    const relu = unary('Relu', [2])
    expect((await refusal(relu, relu, { tolerance: 1 })).subject).toBe('tolerance')
    expect((await refusal(relu, relu, { tolerance: NaN })).subject).toBe('tolerance')
    expect((await refusal(relu, relu, { seeds: [] })).subject).toBe('seeds')
    expect((await refusal(relu, relu, { inputs: [] })).subject).toBe('inputs')
  })

  describe('at other magnitudes', () => {
    const input: Value = { name: 'x', shape: ['N', 6] }
    const output: Value = { name: 'y', shape: ['N', 6] }
    const factors = (...list: ReadonlyArray<number>): Uint8Array =>
      onnx({
        nodes: list.map((_, i) => ({
          op: 'Mul',
          inputs: [i === 0 ? 'x' : `v${i}`, `c${i}`],
          outputs: [i === list.length - 1 ? 'y' : `v${i + 1}`],
        })),
        inputs: [input],
        outputs: [output],
        constants: list.map((factor, i) => ({ name: `c${i}`, shape: [1], data: [factor] })),
      })

    it('finds what overflows with large inputs only', async () => {
      const [safe, overflowing] = [factors(1e-10, 1e30), factors(1e30, 1e-10)]
      const result = await difference(safe, overflowing, { graphOptimizationLevel: 'disabled' })
      expect(result.equal).toBe(false)
      expect(result.cases.filter((c) => !c.equal).map((c) => c.magnitude)).toEqual([1e12])
      const usual = await difference(safe, overflowing, { graphOptimizationLevel: 'disabled', magnitudes: [] })
      expect(usual.equal).toBe(true)
    })

    it('finds what vanishes with tiny inputs only', async () => {
      const [safe, vanishing] = [factors(1e20, 1e-20), factors(1e-20, 1e-20, 1e20, 1e20)]
      const result = await difference(safe, vanishing, { graphOptimizationLevel: 'disabled', magnitudes: [1e-12] })
      expect(result.cases.filter((c) => !c.equal).map((c) => c.magnitude)).toEqual([1e-12])
    })

    it('compares nothing where the reference is not finite, and says so', async () => {
      const steep = factors(1e30)
      const result = await difference(steep, steep)
      expect(result).toMatchObject({ equal: true, skipped: [1e12] })
      expect(result.cases.map((c) => c.magnitude)).not.toContain(1e12)
    })

    it('leaves what the last digit of the inputs decides', async () => {
      const sine = (factor: number): Uint8Array =>
        onnx({
          nodes: [
            { op: 'Mul', inputs: ['x', 'c'], outputs: ['z'] },
            { op: 'Sin', inputs: ['z'], outputs: ['y'] },
          ],
          inputs: [input],
          outputs: [output],
          constants: [{ name: 'c', shape: [1], data: [factor] }],
        })
      const result = await difference(sine(1), sine(1 + 2 ** -23), { magnitudes: [1e12] })
      expect(result).toMatchObject({
        equal: true,
        worst: { output: { rounding: { when: 'inputs are rounded otherwise' } } },
      })
      expect((await difference(sine(1), sine(1.01), { magnitudes: [1e12] })).equal).toBe(false)
    })
  })

  it('says that it has seen nothing of outputs that are empty, constant or saturated', async () => {
    const output: Value = { name: 'y', shape: ['N', 6] }
    const plus = (op: string, bias: number): Uint8Array =>
      onnx({
        nodes: [
          { op: 'Mul', inputs: ['x', 'zero'], outputs: ['z'] },
          { op: 'Add', inputs: [bias === 0 ? 'x' : 'z', 'b'], outputs: ['s'] },
          { op, inputs: ['s'], outputs: ['y'] },
        ],
        inputs: [x],
        outputs: [output],
        constants: [
          { name: 'zero', shape: [1], data: [0] },
          { name: 'b', shape: [1], data: [bias] },
        ],
      })
    const constant = plus('Tanh', 0.25)
    expect(await difference(constant, constant)).toMatchObject({
      equal: true,
      vacuous: true,
      unseen: [{ output: 'y', why: 'constant' }],
    })
    const signs = plus('Sign', 0)
    expect(await difference(signs, signs)).toMatchObject({
      equal: true,
      vacuous: false,
      unseen: [{ output: 'y', why: 'saturated' }],
    })
    const lively = plus('Tanh', 0)
    expect(await difference(lively, lively)).toMatchObject({ vacuous: false, unseen: [] })
    const nothing = unary('Relu', [0, 6])
    expect(await difference(nothing, nothing)).toMatchObject({ vacuous: true, unseen: [{ output: 'y', why: 'empty' }] })
  })
})
