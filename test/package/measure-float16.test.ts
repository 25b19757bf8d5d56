/** How far half precision is said to be off, in ONNX Runtime. */
import { expect, test } from 'vitest'
import * as ops from '../../src/ir/ops/index.ts'
import { tensorOf } from '../../src/ir/tensor.ts'
import { compile } from '../../src/package/compile.ts'
import { toFloat16 } from '../../src/package/float16.ts'
import { measureFloat16 } from '../../src/package/measure-float16.ts'
import { buildGraph } from '../builder.ts'
import { orThrow } from '../fuzz/differential.ts'

/** Of x = 1: `(x + 2^-12) · x - 1`, of which half precision rounds the first sum to 1. */
const digits = compile(
  buildGraph({ x: [1, 2] }, (b) => {
    const sum = b.op(ops.Add, ['x', b.floats('tiny', [2 ** -12])])
    return [b.op(ops.Sub, [b.op(ops.Mul, [sum, 'x']), b.floats('one', [1])])]
  }),
)

test('rounding between two nodes counts, which ONNX Runtime leaves out on the CPU', async () => {
  const inputs = [new Map([['x', tensorOf('float32', [1, 2], [1, 1])]])]
  expect(orThrow(await measureFloat16(orThrow(digits), {}, { inputs })())).toMatchObject({
    cases: 1,
    inputs: 'given',
    outputs: [{ absolute: 0.00024, relative: 1, nonFinite: 0 }],
  })
  const kept = { opBlockList: ['Add', 'Mul', 'Sub'] }
  const none = orThrow(await measureFloat16(orThrow(digits), kept, { inputs })())
  expect(none.outputs).toMatchObject([{ absolute: 0, relative: 0 }])
})

test('classes are compared where there are any, and places where nothing is finite any more are counted', async () => {
  const wide = compile(
    buildGraph({ x: [3, 8] }, (b) => [b.op(ops.MatMul, [b.op(ops.Relu, ['x']), b.weight('w', [8, 5])])]),
  )
  const random = orThrow(await measureFloat16(orThrow(wide), { keepIoTypes: false })())
  expect(random).toMatchObject({ cases: 3, inputs: 'random', outputs: [{ nonFinite: 0 }] })
  expect(random.outputs[0]?.sameArgmax).toBeGreaterThan(0.8)
  const inputs = [new Map([['x', tensorOf('float32', [3, 8], new Float32Array(24).fill(1e5))]])]
  const beyond = orThrow(await measureFloat16(orThrow(wide), {}, { inputs })())
  expect(beyond.outputs[0]?.nonFinite).toBe(15)
})

test('names that there are not are an error of both', async () => {
  const options = { nodeBlockList: ['nothing'] }
  const expected = { left: { _tag: 'Float16Error', subject: 'nodeBlockList' } }
  expect(toFloat16(orThrow(digits), options)).toMatchObject(expected)
  expect(await measureFloat16(orThrow(digits), options)()).toMatchObject(expected)
})

test('what a GPU is for is all in half precision, and is measured on a CPU that would not load it', async () => {
  const turned = buildGraph({ x: [3, 4, 8] }, (b) => {
    const turn = b.op(ops.Transpose, [b.op(ops.Relu, ['x'])], { perm: [1, 0, 2] })
    return [b.op(ops.MatMul, [turn, b.weight('w', [8, 5])])]
  })
  const [cuda, cpu] = [orThrow(compile(turned, undefined, { target: 'cuda' })), orThrow(compile(turned))]
  expect(orThrow(toFloat16(cuda)).report.float16?.kept).toEqual([])
  expect(orThrow(toFloat16(cpu)).report.float16?.kept).toMatchObject([{ reason: expect.stringContaining('on a CPU') }])
  expect(orThrow(toFloat16(cuda, { target: 'cpu' })).report.float16).toEqual(orThrow(toFloat16(cpu)).report.float16)
  expect(orThrow(await measureFloat16(cuda)())).toMatchObject({ outputs: [{ nonFinite: 0 }] })
})
