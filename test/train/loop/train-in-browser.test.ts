/** What browsers train with, in Node: the same bits as `train` of Node, checkpoints where the caller keeps them. */
import * as E from 'fp-ts/lib/Either.js'
import { beforeAll, describe, expect, it } from 'vitest'
import { type CheckpointOptions, train, type TrainOptions, type Trained } from '../../../src/api/training.ts'
import type { Backend } from '../../../src/train/backend/backend.ts'
import { openBackend } from '../../../src/train/backend/open.ts'
import { train as trainInNode } from '../../../src/train/index.ts'
import { backendName, busyChase, recipeOf, right, tinyData, tinyResNet, weightsOf } from './fixtures.ts'

let backend: Backend
beforeAll(async () => {
  backend = right(await openBackend(backendName)())
})

const recipe = recipeOf(busyChase(), { epochs: 2 })

const run = (options: Partial<TrainOptions> = {}) => train(tinyResNet(), tinyData, recipe, { backend, ...options })()

const comparable = ({ graph, masks, channels, history }: Trained) => ({
  ...{ weights: weightsOf(graph), masks, channels },
  history: history.map((entry) => (entry.kind === 'epoch' ? { ...entry, seconds: 0, stepsPerSecond: 0 } : entry)),
})

/** Keeps bytes in memory, and the sizes of all that was written. */
const kept = () => {
  const written: Uint8Array[] = []
  const read = async () => written.at(-1)
  const write = async (bytes: Uint8Array) => {
    written.push(bytes)
  }
  return { written, read, write }
}

describe('training in a browser', () => {
  it('gives what training in Node gives', async () => {
    const there = right(await trainInNode(tinyResNet(), tinyData, recipe, { backend })())
    expect(comparable(right(await run()))).toEqual(comparable(there))
  })

  it('stopped and resumed from the bytes of its checkpoint ends like a run that was not', async () => {
    const whole = right(await run())
    const { written, ...store } = kept()
    for (const stop of [3, 9]) {
      const controller = new AbortController()
      const part = right(
        await run({
          checkpoint: { ...store, every: 100, resume: true },
          signal: controller.signal,
          onProgress: ({ step }) => (step === stop ? controller.abort() : undefined),
        }),
      )
      expect(part.completed).toBe(false)
    }
    expect(written).toHaveLength(2)
    expect(comparable(right(await run({ checkpoint: { ...store, resume: true } })))).toEqual(comparable(whole))
  })

  const failures: ReadonlyArray<readonly [string, Partial<CheckpointOptions>, object]> = [
    [
      'a store that cannot be read',
      { read: () => Promise.reject(new Error('locked')), resume: true },
      { subject: 'checkpoint', expected: 'bytes that can be read', found: 'locked' },
    ],
    [
      'a store that is full',
      { write: () => Promise.reject(new Error('quota exceeded')) },
      { subject: 'checkpoint', expected: 'bytes that can be kept', found: 'quota exceeded' },
    ],
    ['other bytes', { read: async () => new Uint8Array(20), resume: true }, { found: expect.stringMatching(/./) }],
    ['an interval of 0 steps', { every: 0 }, { subject: 'steps between checkpoints', found: '0' }],
  ]
  it.each(failures)('%s is an error', async (_, options, expected) => {
    const { written: _written, ...store } = kept()
    const result = await run({ checkpoint: { ...store, ...options } })
    expect(E.isLeft(result) && result.left).toMatchObject(expected)
  })

  it('refuses options that there are not', async () => {
    const { written: _written, ...store } = kept()
    const misspelt: object = { onProgres: () => undefined }
    expect(await run(misspelt)).toMatchObject({ left: { subject: 'options', found: 'onProgres' } })
    const path: object = { ...store, path: 'here' }
    const checkpoint = { ...store, ...path }
    expect(await run({ checkpoint })).toMatchObject({ left: { subject: 'options', found: 'path' } })
  })
})
