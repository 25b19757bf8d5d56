/** chasec's own checkpoints of a training: fields of the record and tensors changed one by one, and byte by byte. */
import * as E from 'fp-ts/lib/Either.js'
import type { DType } from '../../../src/ir/dtype.ts'
import { dense, type Tensor, tensorOf } from '../../../src/ir/tensor.ts'
import { decodeSafetensors, encodeSafetensors } from '../../../src/masks/safetensors.ts'
import { cursorFrom } from '../../../src/train/data/index.ts'
import { decodeCheckpoint, type Identity } from '../../../src/train/loop/checkpoint.ts'
import { historyLines, historyTable } from '../../../src/train/loop/history.ts'
import { chase, fromArrays, init, type Network, toArrays } from '../../../src/train/sparse/index.ts'
import { type Draw, edgeInteger, edgeName, edgeNumbers, mutate } from './draw.ts'
import { type FileKind, refused, verdictOf } from './kind.ts'

const network: Network = {
  layers: [
    { name: 'a', shape: [6, 3, 3, 3], outputAxis: 0, inputAxis: 1 },
    { name: 'b', shape: [4, 6], outputAxis: 0, inputAxis: 1 },
  ],
  streams: [
    {
      name: 'a',
      channels: 6,
      scope: 'block',
      producers: [{ layer: 'a', axis: 0 }],
      consumers: [{ layer: 'b', axis: 1 }],
    },
  ],
}

const policy = chase({
  density: 0.4,
  channels: 0.5,
  steps: 100,
  every: 10,
  channelsEvery: 10,
  softUntil: 80,
  channelsUntil: 80,
})

const state = init(network, policy, 1)

const identity: Identity = { recipe: 'r', graph: 'g', data: 'd' }

const score = { loss: 1.5, accuracy: 0.5 }
const record = {
  version: 2,
  identity,
  step: 12,
  tally: { loss: 1, correct: 2, images: 3, steps: 4, seconds: 5 },
  history: [
    {
      ...{ kind: 'plan', step: 0, epochs: 2, stepsPerEpoch: 10, density: 0.4, channels: 6 },
      ...{ layers: [{ name: 'a', weights: 162, channels: 6 }], layerDensities: [0.4], layerChannels: [6] },
    },
    { kind: 'update', step: 4, density: 0.4, live: 10, pruned: 2, grown: 2, removed: 0, channels: 6 },
    {
      ...score,
      ...{ kind: 'epoch', epoch: 1, step: 10, learningRate: 0.1, validation: score, density: 0.4, channels: 6 },
      ...{ seconds: 1, stepsPerSecond: 10, layerDensities: [0.4], layerChannels: [6] },
    },
    { kind: 'test', step: 12, ...score },
  ],
  densities: [0.4, 0.4],
}

const tensors = new Map<string, Tensor>()
for (const group of ['parameters', 'moments']) {
  tensors.set(`${group}/a`, tensorOf('float32', [6, 3, 3, 3], new Float32Array(162).fill(0.1)))
  tensors.set(`${group}/b`, tensorOf('float32', [4, 6], new Float32Array(24).fill(0.1)))
}
tensors.set('statistics/mean', tensorOf('float32', [6], new Float32Array(6)))
if (E.isRight(state)) {
  for (const [name, array] of toArrays(state.right)) {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
    tensors.set(`sparse/${name}`, dense(array instanceof Uint32Array ? 'uint32' : 'uint8', [array.length], bytes))
  }
}
tensors.set('cursor', tensorOf('uint32', [10], new Float64Array(10).fill(1)))

const good = Uint8Array.from(Buffer.concat(encodeSafetensors(tensors, new Map([['chasec', JSON.stringify(record)]]))))

/** The value with entries anywhere in it changed, lost or added. */
const changed = (x: unknown, draw: Draw): unknown => {
  if (draw.chance(0.012)) {
    return draw.pick<unknown>([null, '', 'x', [], {}, true, draw.pick(edgeNumbers), Number(edgeInteger(draw)), [null]])
  }
  if (Array.isArray(x)) return x.flatMap((item) => (draw.chance(0.005) ? [] : [changed(item, draw)]))
  if (typeof x !== 'object' || x === null) return x
  const entries = Object.entries(x).flatMap(([key, item]) =>
    draw.chance(0.006) ? [] : [[draw.chance(0.01) ? edgeName(draw) : key, changed(item, draw)]],
  )
  return Object.fromEntries(entries)
}

const changedTensors = (draw: Draw): ReadonlyMap<string, Tensor> => {
  const out = new Map<string, Tensor>()
  for (const [name, tensor] of tensors) {
    if (draw.chance(0.005)) continue
    const to = draw.chance(0.005) ? edgeName(draw) : name
    if (draw.chance(0.98)) out.set(to, tensor)
    else {
      const dtype = draw.pick<DType>(['float32', 'uint8', 'uint32', 'float64', 'bool', 'int64'])
      const count = draw.below(200)
      const values = Float64Array.from({ length: count }, () => draw.below(8))
      out.set(to, tensorOf(dtype, [count], values))
    }
  }
  return out
}

export const checkpointFiles: FileKind = {
  share: 10,
  make: (draw) => {
    if (draw.chance(0.3)) return mutate(good, draw)
    const text = JSON.stringify(changed(record, draw))
    return Uint8Array.from(Buffer.concat(encodeSafetensors(changedTensors(draw), new Map([['chasec', text]]))))
  },
  judge: (bytes) => {
    const file = decodeSafetensors(bytes)
    if (E.isLeft(file)) return refused(file.left)
    const checkpoint = decodeCheckpoint('checkpoint', bytes, identity)
    if (E.isLeft(checkpoint)) return refused(checkpoint.left)
    const { saved, tensors: found } = checkpoint.right
    historyLines(saved.history)
    historyTable(saved.history)
    const arrays = new Map<string, Uint8Array | Uint32Array>()
    for (const [name, { dtype, bytes: own }] of found) {
      if (!name.startsWith('sparse/')) continue
      arrays.set(name.slice(7), dtype === 'uint32' ? new Uint32Array(own.slice().buffer) : own)
    }
    const words = found.get('cursor')
    cursorFrom(words?.dtype === 'uint32' ? new Uint32Array(words.bytes.slice().buffer) : new Uint32Array(0))
    const distribution = { kind: 'given', densities: saved.densities ?? [] } as const
    return verdictOf(fromArrays(network, saved.densities === undefined ? policy : { ...policy, distribution }, arrays))
  },
}
