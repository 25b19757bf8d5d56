import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import * as api from '../../src/api/index.ts'
import {
  compile,
  decodeRecipe,
  lower,
  lowerCompiled,
  measure,
  noMasks,
  openData,
  pruneChannels,
  pruneToBudget,
  readModelBytes,
  train,
  verify,
  writePackage,
} from '../../src/api/promise.ts'
import { net, netMasks } from '../cli/nets.ts'
import { tinyData } from '../train/loop/fixtures.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-options-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** The arguments as JavaScript gives them, whatever the types say. */
const calling = (call: (...args: never[]) => unknown, ...args: ReadonlyArray<unknown>): Promise<unknown> =>
  Promise.resolve(Reflect.apply(call, undefined, args)).then(
    () => 'nothing',
    (thrown: unknown) => thrown,
  )

describe('options that there are not', () => {
  const compiled = compile(net())
  const recipe = decodeRecipe({ method: { name: 'dense' } })
  const calls: ReadonlyArray<readonly [string, (options: object) => Promise<unknown>]> = [
    ['compile', (options) => calling(compile, net(), noMasks, options)],
    ['pruneChannels', (options) => calling(pruneChannels, net(), noMasks, { channels: 0.5, ...options })],
    ['pruneToBudget', (options) => calling(pruneToBudget, net(), noMasks, { macs: 0.5, ...options })],
    ['lower', (options) => calling(lower, net(), options)],
    ['lowerCompiled', async (options) => calling(lowerCompiled, await compiled, options)],
    ['writePackage', async (options) => calling(writePackage, await compiled, join(folder, 'package'), options)],
    ['verify', (options) => calling(verify, 'a.onnx', 'b.onnx', options)],
    ['readModelBytes', (options) => calling(readModelBytes, new Uint8Array(), options)],
    ['openData', (options) => calling(openData, 'mnist:nowhere', { seed: 1, ...options })],
    ['train', async (options) => calling(train, net(), tinyData, await recipe, options)],
    [
      'train with a checkpoint',
      async (options) => calling(train, net(), tinyData, await recipe, { checkpoint: { path: 'nowhere', ...options } }),
    ],
    ['measure', (options) => calling(measure, ['a.onnx'], options)],
  ]
  it.each(calls)('%s refuses', async (_, call) => {
    expect(await call({ tagret: 'cuda' })).toMatchObject({
      failure: { _tag: expect.stringMatching(/Error$/), subject: 'options', found: 'tagret' },
    })
  })

  const words: ReadonlyArray<readonly [string, object, (options: object) => Promise<unknown>]> = [
    ['target', { target: 'tpu' }, (options) => calling(compile, net(), noMasks, options)],
    ['widths', { widths: 'round' }, (options) => calling(compile, net(), noMasks, options)],
    ['score', { score: 'l3' }, (options) => calling(pruneChannels, net(), noMasks, { channels: 0.5, ...options })],
    ['scope', { scope: 'blocks' }, (options) => calling(pruneChannels, net(), noMasks, { channels: 0.5, ...options })],
    ['provider', { provider: 'gpu' }, (options) => calling(verify, 'a.onnx', 'b.onnx', options)],
    ['runtime', { runtime: 'onnxruntime' }, (options) => calling(measure, ['a.onnx'], options)],
  ]
  it.each(words)('a %s that is none is refused with those that there are', async (name, given, call) => {
    const [found] = Object.values(given).map(String)
    expect(await call(given)).toMatchObject({
      failure: { subject: name, found, expected: expect.stringContaining(', ') },
    })
  })
})

describe('options left out', () => {
  it('channels are chosen as on the command line', () => {
    const short = api.pruneChannels(net(), netMasks(), { channels: 0.6 })
    const long = { channels: 0.6, score: 'umm', scope: 'block', floor: 0.2, seed: 1 } as const
    expect(short).toEqual(api.pruneChannels(net(), netMasks(), long))
    expect(short).toMatchObject({ _tag: 'Right', right: { layers: [{}] } })
  })

  it('a model compiles without masks', () => {
    expect(api.compile(net())).toEqual(api.compile(net(), noMasks))
  })
})
