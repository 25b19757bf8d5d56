import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it, vi } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import { openRunner, withRunner } from '../../src/run/runner.ts'
import { verify } from '../../src/run/verify.ts'
import { convolution, onnx, types, unary } from './onnx.ts'

// Processes are started; on a busy machine that takes its time.
vi.setConfig({ testTimeout: 120_000 })

/** Runs wherever WebGPU works: with a graphics driver, or with Chromium's software one. */
const howTo =
  'no WebGPU adapter: install a Vulkan driver, or `apt-get install chromium libvulkan1` and set ' +
  'VK_DRIVER_FILES=/usr/lib/chromium/vk_swiftshader_icd.json'

const opened = await openRunner({ provider: 'webgpu' })()
if (E.isRight(opened)) await opened.right.close()
const named = process.env['VK_DRIVER_FILES'] !== undefined
if (E.isLeft(opened) && !named) console.warn(`webgpu tests skipped: ${howTo}`)

describe('webgpu', () => {
  it.runIf(named)('works with the driver that VK_DRIVER_FILES names', () => {
    expect(E.isLeft(opened) ? renderError(opened.left) : 'works').toBe('works')
  })

  it.skipIf(E.isLeft(opened))('runs a whole model, and finds a changed one different', async () => {
    const how = { provider: 'webgpu', bindings: { H: 8, W: 8 }, sizeCount: 2, seeds: [1] } as const
    const same = await verify(convolution(), convolution(), how)()
    if (E.isLeft(same)) throw new Error(renderError(same.left))
    expect(same.right).toMatchObject({
      equal: true,
      vacuous: false,
      provider: 'webgpu',
      placement: { reference: { onCpu: [] }, candidate: { onCpu: [] } },
    })
    const other = await verify(convolution(), convolution(0.1), how)()
    expect(E.isRight(other) && other.right.equal).toBe(false)
  })

  it.skipIf(E.isLeft(opened))('tells which operators run on the CPU after all', async () => {
    const mixed = onnx({
      nodes: [
        { op: 'Relu', inputs: ['x'], outputs: ['a'] },
        { op: 'Det', inputs: ['a'], outputs: ['d'] },
        { op: 'Mul', inputs: ['a', 'd'], outputs: ['y'] },
      ],
      inputs: [{ name: 'x', shape: [3, 3] }],
      outputs: [{ name: 'y', shape: [3, 3] }],
    })
    const loaded = await withRunner({ provider: 'webgpu' }, (runner) => runner.load(mixed)())()
    if (E.isLeft(loaded)) throw new Error(renderError(loaded.left))
    expect(loaded.right.placement).toEqual({ onProvider: 2, onCpu: ['Det'] })
  })

  it.skipIf(E.isLeft(opened))('refuses to run a model on the CPU instead', async () => {
    const strings = { bytes: unary('Identity', [2], types.string), name: 'strings.onnx' }
    const loaded = await withRunner({ provider: 'webgpu' }, (runner) => runner.load(strings)())()
    expect(E.isLeft(loaded) && loaded.left).toMatchObject({
      subject: 'strings.onnx',
      expected: 'nodes that the webgpu provider can run',
    })
  })
})
