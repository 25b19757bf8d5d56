import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { type Tensor, tensorOf } from '../../../src/ir/tensor.ts'
import { encodeSafetensors } from '../../../src/masks/safetensors.ts'
import { decodeCheckpoint } from '../../../src/train/loop/checkpoint.ts'

const identity = { recipe: 'r', graph: 'g', data: 'd' }

const record = {
  version: 2,
  identity,
  step: 3,
  tally: { loss: 1, correct: 2, images: 3, steps: 4, seconds: 5 },
  history: [{ kind: 'test', step: 3, loss: 1, accuracy: 0.5 }],
}

const left = { layerDensities: [0.5], layerChannels: [2] }
const plan = {
  ...{ kind: 'plan', step: 0, epochs: 3, stepsPerEpoch: 2, density: 1, channels: 2 },
  ...{ layers: [{ name: 'w', weights: 2, channels: 2 }], ...left },
}
const epoch = {
  ...{ kind: 'epoch', epoch: 1, step: 2, learningRate: 0.1, loss: 1, accuracy: 0.5, density: 1, channels: 2 },
  ...{ validation: { loss: 1, accuracy: 0.5 }, seconds: 1, stepsPerSecond: 2, ...left },
}

const tensors = new Map<string, Tensor>([['parameters/w', tensorOf('float32', [2], [1, 2])]])

const decoded = (saved: unknown, held: ReadonlyMap<string, Tensor> = tensors) =>
  decodeCheckpoint('c', Buffer.concat(encodeSafetensors(held, new Map([['chasec', JSON.stringify(saved)]]))), identity)

describe('a checkpoint', () => {
  it('is taken as it was written; a number that was not finite is NaN again', () => {
    expect(decoded(record)).toMatchObject(E.right({ saved: record }))
    const full = { ...record, history: [plan, epoch] }
    expect(decoded(full)).toMatchObject(E.right({ saved: full }))
    const entry = { kind: 'test', step: 3, loss: Infinity, accuracy: 0.5 }
    expect(decoded({ ...record, history: [entry] })).toMatchObject({
      right: { saved: { history: [{ loss: NaN, accuracy: 0.5 }] } },
    })
  })

  it.each<[string, object]>([
    ['no identity', { identity: null }],
    ['no step', { step: null }],
    ['half a step', { step: 0.5 }],
    ['no tally', { tally: null }],
    ['a tally without numbers', { tally: { ...record.tally, loss: null } }],
    ['a history that is none', { history: {} }],
    ['an entry that is none', { history: [null] }],
    ['an entry of another kind', { history: [{ kind: 'x' }] }],
    ['an entry without numbers', { history: [{ kind: 'epoch', step: 1 }] }],
    ['a plan without layers', { history: [{ ...plan, layers: null }] }],
    ['a plan with a layer that is none', { history: [{ ...plan, layers: [{ name: 1, weights: 2, channels: 3 }] }] }],
    ['a plan without densities', { history: [{ ...plan, layerDensities: ['x'] }] }],
    ['an epoch without layers', { history: [{ ...epoch, layerChannels: undefined }] }],
    ['an entry without a validation', { history: [{ ...epoch, validation: null }] }],
    ['densities that are none', { densities: 'x' }],
  ])('with %s is refused', (_, change) => {
    expect(decoded({ ...record, ...change })).toMatchObject({ left: { _tag: 'TrainError' } })
  })

  it('that ends early or holds nothing is refused by its name', () => {
    const whole = Buffer.concat(encodeSafetensors(tensors, new Map([['chasec', JSON.stringify(record)]])))
    for (const length of [0, 7, 8, 100, whole.length - 1]) {
      expect(decodeCheckpoint('run/c', whole.subarray(0, length), identity)).toMatchObject({
        left: { _tag: 'TrainError', subject: 'run/c', help: expect.stringContaining('start anew without it') },
      })
    }
  })

  it.each(['parameters/w', 'statistics/w', 'moments/w'])('with integers for %s is refused', (name) => {
    const held = new Map<string, Tensor>([[name, tensorOf('int64', [2], [1, 2])]])
    expect(decoded(record, held)).toMatchObject({ left: { _tag: 'TrainError', found: 'int64' } })
  })

  it('with floats for a mask or the place in the data is refused', () => {
    for (const name of ['sparse/mask/w', 'cursor']) {
      const held = new Map<string, Tensor>([[name, tensorOf('float32', [2], [1, 2])]])
      expect(decoded(record, held)).toMatchObject({ left: { _tag: 'TrainError', found: 'float32' } })
    }
  })
})
