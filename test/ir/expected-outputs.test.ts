/** The reference evaluation against the outputs that Debian's ONNX test data expects. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { expect, it } from 'vitest'
import { type DType, isFloat } from '../../src/ir/dtype.ts'
import { evaluateGraph } from '../../src/ir/interpret.ts'
import { Opaque } from '../../src/ir/ops/opaque.ts'
import { isOp } from '../../src/ir/registry.ts'
import { type Dense, materialize } from '../../src/ir/tensor.ts'
import { decode } from '../../src/onnx/codec.ts'
import { TensorProtoSchema } from '../../src/onnx/onnx_pb.ts'
import { readTensor } from '../../src/read/tensor.ts'
import { debianModels, missingDebian, type TestModel } from '../read/debian.ts'
import { fileBytes, read } from '../read/make.ts'
import { difference } from './helpers.ts'

/** A tensor of the first data set of a model; undefined where it is a sequence or an optional. */
const tensorAt = (model: TestModel, file: string): Dense | undefined => {
  const path = join(model.folder, 'test_data_set_0', file)
  const proto = existsSync(path) ? decode(TensorProtoSchema, fileBytes(path)) : undefined
  const tensor = proto && E.isRight(proto) ? readTensor(proto.right, file, undefined) : undefined
  return tensor && E.isRight(tensor) ? materialize(tensor.right) : undefined
}

/** The data of some models were computed in other steps, or type bfloat16 as uint16. */
const computedOtherwise = /window.*_expanded|BFLOAT16/

const toleranceOf = (dtype: DType): number => (!isFloat(dtype) ? 0 : dtype === 'float16' ? 2 ** -8 : 2e-5)

/** What is wrong with a model's outputs; undefined when it cannot be evaluated. */
const verdict = (model: TestModel): string | undefined => {
  const graph = read(fileBytes(model.path))
  if (graph.nodes.some((node) => isOp(node, Opaque)) || computedOtherwise.test(model.name)) return undefined
  const feeds = new Map<string, Dense>()
  for (const [i, { name }] of graph.inputs.entries()) {
    const tensor = tensorAt(model, `input_${i}.pb`)
    if (tensor !== undefined) feeds.set(name, tensor)
  }
  const values = evaluateGraph(graph, feeds)
  if (E.isLeft(values)) return undefined
  for (const [i, { name }] of graph.outputs.entries()) {
    const [expected, actual] = [tensorAt(model, `output_${i}.pb`), values.right.get(name)]
    if (expected === undefined || actual === undefined) return `no output ${name}`
    const error = difference(expected, actual)
    if (error > toleranceOf(expected.dtype)) return `${name} is off by ${error}`
  }
  return 'right'
}

it.skipIf(missingDebian)(
  `evaluation gives the expected outputs${missingDebian === undefined ? '' : ` (skipped: ${missingDebian})`}`,
  () => {
    const verdicts = debianModels().map((model) => ({ name: model.name, verdict: verdict(model) }))
    expect(verdicts.filter((one) => one.verdict !== undefined && one.verdict !== 'right')).toEqual([])
    expect(verdicts.filter((one) => one.verdict === 'right').length).toBeGreaterThan(750)
  },
)
