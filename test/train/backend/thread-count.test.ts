/** How many threads compute, and why one does where several were asked for. Each of these has TensorFlow.js for itself. */
import { spawnSync } from 'node:child_process'
import { platform } from 'node:os'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { expect, test } from 'vitest'
import { openBackend } from '../../../src/train/backend/index.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** What a program prints as JSON that has these names. On stderr it may say `said` alone. */
const printed = (program: string, said: RegExp = /^$/): unknown => {
  const script = `
    import { openBackend } from './src/train/backend/open.ts'
    import { wasmOn } from './src/train/backend/loaders/wasm.ts'
    import { nodeHost } from './src/train/backend/wasm/node-host.ts'
    const opened = ({ left, right }) => right ? [right.description.split(', ')[1], right.whyOneThread ?? ''] : left.found
    console.log(JSON.stringify(await (${program})()))`
  const args = ['--import', 'tsx', '--input-type=module', '-e', script]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' })
  expect([status, stderr]).toEqual([0, expect.stringMatching(said)])
  return JSON.parse(stdout)
}

const onHost = (more: string, threads = 2): string =>
  `async () => opened(await wasmOn({ ...nodeHost, ${more} }).open({ threads: ${threads} })())`

test('nothing is said where as many compute as were asked for', () => {
  expect(printed(onHost(''))).toEqual(['2 threads', ''])
  expect(printed(onHost(`whyUnshared: () => 'No.'`, 1))).toEqual(['one thread', ''])
})

test('a place where memories are not shared says so', () => {
  expect(printed(onHost(`whyUnshared: () => 'No headers.'`))).toEqual(['one thread', 'No headers.'])
})

test('a thread that does not start is named, and those that did are ended', () => {
  const program = `async () => {
    const ended = []
    const startThread = async ({ thread }) => {
      if (thread === 2) throw new Error('no room.')
      return { end: () => ended.push(thread) }
    }
    const result = await wasmOn({ ...nodeHost, startThread }).open({ threads: 4 })()
    return [...opened(result), ended]
  }`
  expect(printed(program)).toEqual(['one thread', 'No thread could be started beside the first: no room.', [1, 3]])
})

test('a backend that was opened before stays as it is', () => {
  const program = `async () => {
    const one = await openBackend('wasm', { threads: 1 })()
    const three = await openBackend('wasm', { threads: 3 })()
    return [opened(one), opened(three)]
  }`
  expect(printed(program)).toEqual([
    ['one thread', ''],
    ['one thread', 'The backend had been opened with one thread before, and stays as it is.'],
  ])
})

test('what TensorFlow.js had started by itself has no memory to share', () => {
  const program = `async () => {
    const core = await import('@tensorflow/tfjs-core')
    await import('@tensorflow/tfjs-backend-wasm')
    await core.setBackend('wasm')
    return opened(await openBackend('wasm', { threads: 2 })())
  }`
  expect(printed(program)).toEqual(['one thread', expect.stringMatching(/TensorFlow\.js had started it before/)])
})

test('openings at a time come one after the other, and have threads once', () => {
  const program = `async () => {
    let started = 0
    const startThread = (share) => {
      started += 1
      return nodeHost.startThread(share)
    }
    const { open } = wasmOn({ ...nodeHost, startThread })
    const failing = wasmOn({ ...nodeHost, build: () => Promise.reject(new Error('no build')) })
    const { env } = await import('@tensorflow/tfjs-core')
    const { fetch } = env().platform
    const all = await Promise.all([failing.open({})(), open({ threads: 3 })(), open({ threads: 2 })()])
    return [...all.map(opened), started, fetch === env().platform.fetch]
  }`
  expect(printed(program)).toEqual(['no build', ['3 threads', ''], ['3 threads', ''], 2, true])
})

test('a memory that there is no room for is not shared', () => {
  const program = `async () => {
    const { Memory } = WebAssembly
    WebAssembly.Memory = class extends Memory {
      constructor(limits) {
        if (limits.shared) throw new RangeError('could not allocate memory')
        super(limits)
      }
      static [Symbol.hasInstance](one) { return one instanceof Memory }
    }
    return opened(await openBackend('wasm', { threads: 2 })())
  }`
  expect(printed(program)).toEqual(['one thread', expect.stringMatching(/there is no room for one\.$/)])
})

const tensorflow = await openBackend('tfjs-node')()
const whyNot = E.isLeft(tensorflow) ? `the backend tfjs-node does not work here (${tensorflow.left.found})` : undefined
const counted = whyNot ?? (platform() === 'linux' ? undefined : 'threads are counted on Linux')
if (counted !== undefined) console.log(`skipped: threads of TensorFlow: ${counted}`)

test.skipIf(counted !== undefined)('TensorFlow takes as many as it is told, and the environment stays as it is', () => {
  const started = (before: string, threads: number): string => `async () => {
    const { readdirSync } = await import('node:fs')
    process.env.TF_NUM_INTRAOP_THREADS = '${before}'
    const { right } = await openBackend('tfjs-node', { threads: ${threads} })()
    const again = await openBackend('tfjs-node', { threads: 7 })()
    const { core, description } = right
    await core.matMul(core.ones([64, 64]), core.ones([64, 64])).data()
    const texts = [description, again.right.description].map((text) => text.split(', ')[1] ?? '')
    return [texts, process.env.TF_NUM_INTRAOP_THREADS, readdirSync('/proc/self/task').length]
  }`
  const [one, four] = [printed(started('9', 1), /^/), printed(started('2', 4), /^/)]
  if (!Array.isArray(one) || !Array.isArray(four)) return expect.unreachable()
  expect([one.slice(0, 2), four.slice(0, 2)]).toEqual([
    [['one thread', ''], '9'],
    [['4 threads', ''], '2'],
  ])
  expect(four[2] - one[2]).toBe(3)
})
