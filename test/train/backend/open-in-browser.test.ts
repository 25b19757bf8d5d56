/** Opening a backend as a page does, in Node, which has neither its headers nor its workers: what is refused, and that it computes. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import * as E from 'fp-ts/lib/Either.js'
import { expect, test } from 'vitest'
import { openBackend } from '../../../src/train/backend/open-in-browser.ts'
import { plainKernels } from '../../../src/train/backend/wasm/built.ts'
import { right } from '../loop/fixtures.ts'

const { resolve } = createRequire(import.meta.url)

const bytesOf = (name: string): Uint8Array => readFileSync(resolve(`@tensorflow/tfjs-backend-wasm/dist/${name}`))

/** The arguments as JavaScript gives them, whatever the types say. */
const opening = async (...args: ReadonlyArray<unknown>): Promise<unknown> =>
  Reflect.apply(openBackend, undefined, args)()

const build = new Uint8Array(8)

test.each<readonly [string, ReadonlyArray<unknown>, object]>([
  ['no options', ['wasm'], { found: 'no address of tfjs-backend-wasm-simd.wasm' }],
  ['no build', ['wasm', {}], { found: 'no address of tfjs-backend-wasm-simd.wasm' }],
  ['bytes of something else', ['wasm', { build }], { found: 'no WebAssembly that runs here: the bytes given' }],
  [
    'WebAssembly of something else',
    ['wasm', { build: Uint8Array.from(Buffer.from(plainKernels, 'base64')) }],
    { found: 'another program than that build of TensorFlow.js: the bytes given' },
  ],
  ['an option that there is not', ['wasm', { build, thread: 2 }], { subject: 'options', found: 'thread' }],
  ['a backend that browsers have not', ['tfjs-node', { build }], { subject: 'backend tfjs-node', expected: 'wasm' }],
  [
    'the build with threads of its own',
    ['wasm', { build: bytesOf('tfjs-backend-wasm-threaded-simd.wasm') }],
    {
      found: expect.stringMatching(/^another program than that build/),
      help: expect.stringContaining('wasm-simd.wasm'),
    },
  ],
])('%s is refused', async (_, args, expected) => {
  const opened = await opening(...args)
  expect(opened).toMatchObject({ _tag: 'Left', left: { _tag: 'BackendError', ...expected } })
})

test('computes on one thread where nobody knows of headers, and says so', async () => {
  const opened = await openBackend('wasm', { build: bytesOf('tfjs-backend-wasm-simd.wasm'), threads: 2 })()
  expect(E.isRight(opened)).toBe(true)
  const { core, description, whyOneThread } = right(opened)
  expect(description).toMatch(/in WebAssembly, one thread/)
  expect(whyOneThread).toMatch(/Cross-Origin-Opener-Policy/)
  expect([...core.matMul(core.tensor2d([1, 2], [1, 2]), core.tensor2d([3, 4], [2, 1])).dataSync()]).toEqual([11])
})
