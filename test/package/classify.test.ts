/** Predictions in ONNX Runtime, beside those of training. */
import * as E from 'fp-ts/lib/Either.js'
import { expect, test } from 'vitest'
import { classify, disagreements } from '../../src/package/classify.ts'
import { lower } from '../../src/export/lower.ts'
import type { Graph } from '../../src/ir/graph.ts'
import * as ops from '../../src/ir/ops/index.ts'
import type { ModelSource } from '../../src/run/runner.ts'
import { train } from '../../src/train/index.ts'
import { runnable } from '../../src/package/runnable.ts'
import { buildGraph } from '../builder.ts'
import { backendName, recipeOf, right, tinyData, tinyResNet } from '../train/loop/fixtures.ts'

const modelOf = (graph: Graph, name: string): ModelSource => runnable(right(lower(graph)), name)

test('accuracy is that of the evaluation after training, and predictions are compared one by one', async () => {
  const recipe = recipeOf({ name: 'dense' }, { epochs: 3 })
  const { graph, history } = right(await train(tinyResNet(), tinyData, recipe, { backend: backendName })())
  const models = [modelOf(graph, 'trained'), modelOf(tinyResNet(), 'fresh')]
  const [trained, fresh] = right(await classify(models, tinyData, tinyData.test)())
  if (trained === undefined || fresh === undefined) throw new Error('a result for each model')
  expect(history.at(-1)).toMatchObject({ kind: 'test', accuracy: trained.accuracy })
  const { labels } = tinyData.test
  const correct = labels.filter((label, i) => trained.predictions[i] === label).length
  expect(trained.accuracy).toBe(correct / labels.length)
  const differing = labels.filter((_, i) => trained.predictions[i] !== fresh.predictions[i]).length
  expect(differing).toBeGreaterThan(0)
  expect(disagreements(trained, fresh)).toBe(differing)
  expect(disagreements(trained, trained)).toBe(0)
})

test('a model whose first output holds no logits is an error that says so', async () => {
  const images = buildGraph({ x: ['N', 2, 6, 6] }, (b) => [b.op(ops.Relu, ['x'])])
  const result = await classify([modelOf(images, 'images')], tinyData, tinyData.test)()
  expect(E.isLeft(result) ? result.left : result).toMatchObject({
    subject: 'first output of images',
    expected: 'logits [30, classes]',
    found: '[30,2,6,6]',
  })
})
