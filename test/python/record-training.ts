/**
 * Trains an ONNX model as `chasec train` does, and writes down what another program needs to do the same: every batch, the
 * learning rate of every step, and the masks after every update.
 *
 *     node --import tsx test/python/record-training.ts MODEL.onnx RECIPE.json FOLDER
 *
 * FOLDER gets batches.safetensors (`images/STEP`, `labels/STEP`), masks.safetensors (`STEP/WEIGHT`; step 0 is before the first)
 * and run.json. The images are 50 of 2x6x6 in three classes.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Graph } from '../../src/ir/graph.ts'
import { dense, type Tensor, tensorOf } from '../../src/ir/tensor.ts'
import { encodeSafetensors } from '../../src/masks/safetensors.ts'
import { readModel } from '../../src/read/file.ts'
import { openBackend } from '../../src/train/backend/open.ts'
import { drawTrainingBatch, loadBatch, stepsPerEpoch } from '../../src/train/data/index.ts'
import { beginRun } from '../../src/train/loop/begin.ts'
import { disposeRun, type Run, trainableOf } from '../../src/train/loop/run.ts'
import { trainStep } from '../../src/train/loop/step.ts'
import { decodeRecipe, learningRateAt } from '../../src/train/recipe/index.ts'
import { backendName, right, tinyData } from '../train/loop/fixtures.ts'

const [model = '', recipePath = '', folder = ''] = process.argv.slice(2)

const graph: Graph = right(await readModel(model)())
const recipe = { ...right(decodeRecipe(JSON.parse(readFileSync(recipePath, 'utf8')))), slim: false }
const perEpoch = stepsPerEpoch(tinyData.train.size, recipe.batch, recipe.partial)
const length = { steps: recipe.epochs * perEpoch, stepsPerEpoch: perEpoch }
const trainable = right(trainableOf(graph, right(await openBackend(backendName)())))
const identity = { recipe: '', graph: '', data: '' }
const run = right(await beginRun(trainable, { data: tinyData, recipe, length, identity, resumed: undefined }))

const batches = new Map<string, Tensor>()
const masks = new Map<string, Tensor>()
const noteMasks = ({ sparse }: Run, step: number): void => {
  for (const [l, { name, shape }] of sparse.network.layers.entries()) {
    masks.set(`${step}/${name}`, dense('bool', shape, sparse.masks[l] ?? new Uint8Array(0)))
  }
}
noteMasks(run, 0)

const rates: number[] = []
const losses: number[] = []
const updates: number[] = []
for (let step = 1; step <= length.steps; step++) {
  const drawn = drawTrainingBatch(tinyData, run.cursor, recipe)
  const batch = right(await loadBatch(tinyData, tinyData.train, drawn)())
  const { images, labels } = batch
  batches.set(`images/${step}`, tensorOf('float32', [labels.length, ...tinyData.shape], images))
  batches.set(`labels/${step}`, tensorOf('int64', [labels.length], Array.from(labels)))
  rates.push(learningRateAt(recipe.learningRate, step, length))
  const stepped = right(await trainStep(run, tinyData, batch, recipe, length))
  losses.push(stepped.loss)
  run.cursor = drawn.next
  if (stepped.update === undefined) continue
  updates.push(step)
  noteMasks(run, step)
}
disposeRun(run)

writeFileSync(join(folder, 'batches.safetensors'), Buffer.concat(encodeSafetensors(batches)))
writeFileSync(join(folder, 'masks.safetensors'), Buffer.concat(encodeSafetensors(masks)))
writeFileSync(join(folder, 'run.json'), JSON.stringify({ ...length, rates, losses, updates }))
