/**
 * Decides the masks of a training loop that runs elsewhere, by way of files; `pytorch.py` is such a loop.
 *
 *     npx tsx examples/drive-masks.ts FOLDER STEPS_PER_EPOCH         starts: masks to begin with
 *     npx tsx examples/drive-masks.ts FOLDER STEPS_PER_EPOCH STEP    updates the masks after STEP optimiser steps
 *
 * FOLDER holds model.onnx (the dense model, from which layers and channels that go together are derived) and recipe.json
 * (`method`, `epochs` and `seed` count). Before an update it also holds weights.safetensors as the step left them and, where
 * asked for, gradients.safetensors: of the loss by every weight, masked ones included.
 *
 * Written are masks.safetensors, which `chasec compile` takes; carry.safetensors, 0 where weight and momentum become 0 because
 * the weight is masked or starts anew; and state.safetensors, to be kept with the loop's own checkpoints. The answer on stdout
 * is a line of JSON; `next` in it says before which step gradients are kept, and after which step to call again.
 */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  decodeRecipe,
  decodeSafetensors,
  denseTensor,
  elementMask,
  encodeMasks,
  encodeSafetensors,
  float32View,
  networkOf,
  policyOf,
  readModel,
  sparse,
} from 'chasec/promise'

const [folder = '', perEpoch, at] = process.argv.slice(2)
const step = Number(at ?? 0)

const readTensors = async (name: string) =>
  (await decodeSafetensors(new Uint8Array(await readFile(join(folder, name))))).tensors

/** Replaces a file as a whole, so that nobody reads half of one. */
const write = async (name: string, chunks: ReadonlyArray<Uint8Array>): Promise<void> => {
  await writeFile(join(folder, `${name}.new`), Buffer.concat(chunks))
  await rename(join(folder, `${name}.new`), join(folder, name))
}

const graph = await readModel(join(folder, 'model.onnx'))
const network = networkOf(graph, new Set(graph.constants.keys()))
const recipe = await decodeRecipe(JSON.parse(await readFile(join(folder, 'recipe.json'), 'utf8')))
const stepsPerEpoch = Number(perEpoch)
const steps = recipe.epochs * stepsPerEpoch
if (!Number.isSafeInteger(steps) || !Number.isSafeInteger(step))
  throw new Error('expected FOLDER STEPS_PER_EPOCH [STEP]')
const policy = policyOf(recipe.method, { steps, stepsPerEpoch })
if (policy.masked !== 'zeroed') throw new Error(`${policy.name} trains masked weights on, which takes another loop`)

const readLayers = async (name: string): Promise<ReadonlyArray<Float32Array>> => {
  const tensors = await readTensors(name)
  return network.layers.map((layer) => {
    const tensor = tensors.get(layer.name)
    if (tensor?.dtype !== 'float32') throw new Error(`${name}: expected a float32 tensor ${layer.name}`)
    return float32View(tensor)
  })
}

const readState = async (): Promise<sparse.State> => {
  const arrays = Array.from(await readTensors('state.safetensors'), ([name, { dtype, bytes }]) => {
    return [name, dtype === 'uint32' ? new Uint32Array(bytes.slice().buffer) : bytes] as const
  })
  return sparse.fromArrays(network, policy, new Map(arrays))
}

const writeState = async (state: sparse.State): Promise<void> => {
  const tensors = Array.from(sparse.toArrays(state), ([name, array]) => {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
    return [name, denseTensor(array instanceof Uint32Array ? 'uint32' : 'uint8', [array.length], bytes)] as const
  })
  await write('state.safetensors', encodeSafetensors(new Map(tensors)))
}

const writeMasks = (name: string, masks: ReadonlyArray<Uint8Array>): Promise<void> => {
  const named = network.layers.map(
    (layer, l) => [layer.name, elementMask(layer.shape, masks[l] ?? new Uint8Array())] as const,
  )
  return write(name, encodeMasks(new Map(named)))
}

/** The masks without the weights that an update lets start anew. */
const carried = (state: sparse.State, event: sparse.Event | undefined): ReadonlyArray<Uint8Array> =>
  state.masks.map((mask, l) => {
    const out = mask.slice()
    for (const positions of [event?.layers[l]?.grown, event?.layers[l]?.restarted]) {
      for (const position of positions ?? []) out[position] = 0
    }
    return out
  })

const update = async (): Promise<sparse.Updated> => {
  const weights = await readLayers('weights.safetensors')
  const gradients =
    sparse.needs(policy, step) === 'weights and gradients' && (await readLayers('gradients.safetensors'))
  return sparse.update(await readState(), gradients ? { weights, gradients } : { weights }, step)
}

const { state, event } =
  step === 0 ? { state: await sparse.init(network, policy, recipe.seed), event: undefined } : await update()
await writeMasks('masks.safetensors', state.masks)
await writeMasks('carry.safetensors', carried(state, event))
await writeState(state)

let next = step + 1
while (next <= steps && sparse.needs(policy, next) === 'nothing') next++
const removed = event?.channels.reduce((n, { channels }) => n + channels.length, 0) ?? 0
console.log(
  JSON.stringify({
    density: event?.density ?? policy.density,
    removedChannels: removed,
    next: next > steps ? null : { step: next, gradients: sparse.needs(policy, next) === 'weights and gradients' },
  }),
)
