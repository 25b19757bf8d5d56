/** Exporter-made graphs and our own models on the wasm backend compute what ONNX Runtime computes. */
import { beforeAll, describe, expect, test } from 'vitest'
import * as E from 'fp-ts/lib/Either.js'
import * as ops from '../../../src/ir/ops/index.ts'
import { parseModel } from '../../../src/models/index.ts'
import { readModelBytes } from '../../../src/read/model.ts'
import type { Backend } from '../../../src/train/backend/backend.ts'
import { buildExecutor, type Executor } from '../../../src/train/executor/executor.ts'
import { buildGraph } from '../../builder.ts'
import { orThrow } from '../../fuzz/differential.ts'
import { inflate } from '../../inflate.ts'
import { executorOf, feedsFor, forwardError, open, randomTensor } from './helpers.ts'

const backends: Backend[] = []
const backend = (): Backend => backends[0] ?? expect.unreachable()

beforeAll(async () => {
  backends.push(await open('wasm'))
})

describe('models that exporters made', () => {
  const names = process.env['MODELS']?.split(',') ?? [
    'resnet18',
    'mobilenet_v2',
    'squeezenet1_1',
    'shufflenet_v2_x1_0',
    'unet',
  ]
  test.each(names)('%s', async (name) => {
    const graph = orThrow(readModelBytes(inflate(name)))
    expect(await forwardError(graph, backend(), feedsFor(graph, new Map([['N', 1]])))).toBeLessThan(1e-4)
  })

  test('what has no rule is named all at once', () => {
    const result = buildExecutor(orThrow(readModelBytes(inflate('crnn_lstm'))), backend())
    expect(E.isLeft(result) && result.left.found).toMatch(/LSTM.*LSTM.*GRU/)
  })
})

describe('models of our own', () => {
  const shape = [3, 32, 32] as const
  test.each(['resnet20', 'resnet50', 'vgg19-bn', 'mobilenet-v2:0.5', 'mlp', 'vit-tiny'])('%s', async (name) => {
    const graph = orThrow(orThrow(parseModel(name)).build({ classes: 10, shape, seed: 3 }))
    const [input] = graph.inputs
    const feeds = new Map([[input?.name ?? '', randomTensor([2, ...shape], 4)]])
    expect(await forwardError(graph, backend(), feeds)).toBeLessThan(1e-4)
  })
})

describe('what does not fit', () => {
  const executor = (): Executor =>
    executorOf(
      buildGraph({ x: ['N', 3, 4, 4] }, (b) => [
        b.op(ops.Flatten, [b.op(ops.Conv, ['x', b.weight('w', [2, 3, 3, 3])])]),
      ]),
      backend(),
    )

  test.each([
    ['another shape', new Map([['x', randomTensor([2, 4, 4, 4], 1)]]), '[N,3,4,4]'],
    ['no tensor', new Map(), '[N,3,4,4]'],
  ])('%s is a failure that names the input', (_label, feeds, expected) => {
    const x = executor()
    const result = x.forward(x.initialState(), feeds, 'eval')
    expect(E.isLeft(result) && result.left.subject).toBe('input x')
    expect(E.isLeft(result) && result.left.expected).toContain(expected)
  })

  test('labels for another batch are a failure', () => {
    const x = executor()
    const inputs = new Map([['x', randomTensor([2, 3, 4, 4], 1)]])
    const result = x.lossAndGradients(x.initialState(), { inputs, labels: [0, 1, 2] })
    expect(E.isLeft(result) && result.left.found).toBe('[2,8]')
  })
})
