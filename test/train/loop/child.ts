/** A training run in a process of its own, to be killed: tells of each step, and writes the weights in the end. */
import { writeFileSync } from 'node:fs'
import { encodeSafetensors } from '../../../src/masks/safetensors.ts'
import { train } from '../../../src/train/index.ts'
import { backendName, busyChase, recipeOf, right, tinyData, tinyResNet } from './fixtures.ts'

const [path = '', result = '', epochs = ''] = process.argv.slice(2)
const { graph } = right(
  await train(tinyResNet(), tinyData, recipeOf(busyChase(), { epochs: Number(epochs) }), {
    backend: backendName,
    checkpoint: { path, every: 2, resume: true },
    onProgress: ({ step }) => process.stdout.write(`${step}\n`),
  })(),
)
writeFileSync(result, Buffer.concat(encodeSafetensors(graph.constants)))
