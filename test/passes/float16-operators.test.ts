/**
 * A law of half precision over the registry: what becomes of a node is one that ONNX Runtime accepts, and it computes what the node
 * computes, to a few units in the last place of half precision.
 */
import * as E from 'fp-ts/lib/Either.js'
import * as ort from 'onnxruntime-node'
import { expect, test } from 'vitest'
import { lower } from '../../src/export/lower.ts'
import { numbersOf } from '../../src/ir/evaluate.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { type Dense, elements, tensorOf } from '../../src/ir/tensor.ts'
import { toFloat16 } from '../../src/passes/float16/index.ts'
import { toDense, toTensor } from '../../src/run/runtime/tensors.ts'
import { orThrow } from '../fuzz/differential.ts'
import { graphOf, inputName, valuesOf } from '../ir/helpers.ts'
import { cases } from '../ir/problems.ts'

/** Numbers that half precision holds, so that what jumps from one number to the next jumps at the same place. */
const representable = (x: Dense | undefined): Dense | undefined =>
  x?.dtype === 'float32' ? tensorOf('float32', x.shape, numbersOf(tensorOf('float16', x.shape, numbersOf(x)))) : x

const asked = cases.filter(
  ([, { sample }]) =>
    sample.noRuntime === undefined && sample.inputs.some((x) => x?.dtype === 'float32' && !x.constant),
)

type Feeds = Record<string, Parameters<ort.InferenceSession['run']>[0][string]>

const run = async (graph: Graph, feeds: Feeds): Promise<ReadonlyArray<Dense>> => {
  const session = await ort.InferenceSession.create(orThrow(lower(graph)).model, {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  })
  const results = await session.run(feeds)
  await session.release()
  return graph.outputs.map(({ name }) => {
    const tensor = results[name]
    const made = tensor === undefined ? E.left('none') : toDense(name, tensor, tensor.data)
    if (E.isLeft(made)) throw new Error(made.left)
    return made.right
  })
}

test.each(asked)('%s', async (_label, { op, sample }) => {
  const values = valuesOf(sample, 5).map(representable)
  const graph = graphOf(op, sample, values)
  const { graph: half } = orThrow(toFloat16(graph))
  const feeds: Feeds = {}
  values.forEach((x, port) => {
    if (x === undefined || graph.constants.has(inputName(port))) return
    const tensor = toTensor(ort, inputName(port), x)
    if (E.isLeft(tensor)) throw new Error(tensor.left)
    feeds[inputName(port)] = tensor.right
  })
  const [before, after] = [await run(graph, feeds), await run(half, feeds)]
  const typesOf = (list: ReadonlyArray<Dense>) => list.map(({ dtype, shape }) => [dtype, shape])
  expect(typesOf(after)).toEqual(typesOf(before))
  before.forEach((tensor, k) => {
    const [a, b] = [Array.from(elements(tensor), Number), Array.from(elements(after[k] ?? tensor), Number)]
    const largest = a.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0)
    const allowed = tensor.dtype === 'float32' ? largest * 2 ** -8 : 0
    a.forEach((x, i) => {
      if (Number.isFinite(x)) expect(Math.abs(x - (b[i] ?? NaN))).toBeLessThanOrEqual(allowed)
      else expect(b[i]).toBe(x)
    })
  })
})
