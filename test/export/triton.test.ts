/** Configurations for Triton, read by its own protobuf schema (Python's tritonclient) where that is installed. */
import { spawnSync } from 'node:child_process'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { tritonFiles, type TritonOptions } from '../../src/export/triton.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { parse } from '../../src/ir/parse.ts'
import { tensorOf } from '../../src/ir/tensor.ts'
import { withParts } from '../../src/ir/graph.ts'
import { orThrow } from '../fuzz/differential.ts'

const python = process.env['PYTHON'] ?? 'python3'

const reader = `
import json, sys
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2
config = text_format.Parse(sys.stdin.read(), model_config_pb2.ModelConfig())
print(json.dumps(json_format.MessageToDict(config, preserving_proto_field_name=True)))`

const hasClient = spawnSync(python, ['-c', 'import tritonclient.grpc.model_config_pb2']).status === 0
const lacking = hasClient ? '' : ` (skipped: ${python} has no tritonclient[grpc]; PYTHON names another)`

const graph = (...lines: ReadonlyArray<string>): Graph =>
  orThrow(parse(['graph "g" (ir 8, opset 21)', ...lines, ''].join('\n')))

const textOf = (of: Graph, options: Partial<TritonOptions> = {}): string =>
  orThrow(tritonFiles(of, { name: 'net', ...options })).config.text

/** As Triton reads it. */
const readByTriton = (text: string): unknown => {
  const { status, stdout, stderr } = spawnSync(python, ['-c', reader], { input: text, encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

const batched = graph(
  'input image: float32[N,3,H,224]',
  'input "weight \\"é\\"": float16[N]',
  'y = Relu(image)',
  'z = Relu("weight \\"é\\"")',
  'output y: float32[N,3,H,224]',
  'output z: float16[N]',
)

const fixed = graph('input x: int64[1,5]', 'input s: bool[]', 'y = Neg(x)', 'output y: int64[1,5]', 'output s: bool[]')

describe.skipIf(!hasClient)(`Triton reads${lacking}`, () => {
  test('a model with a batch axis: sizes without it, requests put together', () => {
    expect(readByTriton(textOf(batched))).toEqual({
      name: 'net',
      backend: 'onnxruntime',
      max_batch_size: 8,
      input: [
        { name: 'image', data_type: 'TYPE_FP32', dims: ['3', '-1', '224'] },
        { name: 'weight "é"', data_type: 'TYPE_FP16', dims: ['1'], reshape: {} },
      ],
      output: [
        { name: 'y', data_type: 'TYPE_FP32', dims: ['3', '-1', '224'] },
        { name: 'z', data_type: 'TYPE_FP16', dims: ['1'], reshape: {} },
      ],
      dynamic_batching: {},
    })
    expect(readByTriton(textOf(batched, { maxBatchSize: 1 }))).toMatchObject({ max_batch_size: 1 })
    expect(readByTriton(textOf(batched, { maxBatchSize: 1 }))).not.toHaveProperty('dynamic_batching')
  })

  test('a model of fixed sizes: whole shapes, no batches', () => {
    expect(readByTriton(textOf(fixed))).toEqual({
      name: 'net',
      backend: 'onnxruntime',
      input: [
        { name: 'x', data_type: 'TYPE_INT64', dims: ['1', '5'] },
        { name: 's', data_type: 'TYPE_BOOL', dims: ['1'], reshape: {} },
      ],
      output: [
        { name: 'y', data_type: 'TYPE_INT64', dims: ['1', '5'] },
        { name: 's', data_type: 'TYPE_BOOL', dims: ['1'], reshape: {} },
      ],
    })
  })

  test('an input that may be left out; without the batch there are no batches', () => {
    const of = graph('input x: float32[N,4]', 'input k: float32[4]', 'y = Mul(x, k)', 'output y: float32[N,4]')
    const optional = withParts(of, { defaults: new Map([['k', tensorOf('float32', [4], [1, 2, 3, 4])]]) })
    expect(readByTriton(textOf(optional))).toMatchObject({
      input: [
        { name: 'x', dims: ['-1', '4'] },
        { name: 'k', optional: true, dims: ['4'] },
      ],
    })
    expect(textOf(optional)).toContain('max_batch_size: 0')
  })
})

describe('refuses', () => {
  const refusal = (of: Graph, options: Partial<TritonOptions> = {}): string => {
    const made = tritonFiles(of, { name: 'net', ...options })
    return E.isLeft(made) ? `${made.left.subject}: expected ${made.left.expected}, found ${made.left.found}` : 'made'
  }

  test('names that are no folder', () => {
    for (const name of ['', '.', '..', 'a/b', '-x', 'a b']) expect(refusal(fixed, { name })).toContain('--triton')
  })

  test('a batch size without a batch', () => {
    expect(refusal(fixed, { maxBatchSize: 4 })).toContain('--max-batch-size')
  })

  test('types that it has not, and tensors of any rank', () => {
    const complex = graph('input x: complex64[2]', 'y = Identity(x)', 'output y: complex64[2]')
    expect(refusal(complex)).toBe('input x: expected a type that Triton has, found complex64')
  })
})
