import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { axisMask } from '../src/masks/mask.ts'
import {
  compile,
  isFailureError,
  lowerCompiled,
  readMasks,
  readModel,
  verifyCompiled,
  writePackage,
} from '../src/promise.ts'
import { net, netMasks } from './cli/nets.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-promise-'))
afterAll(() => rmSync(folder, { recursive: true }))

const rejection = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise
  } catch (thrown) {
    return thrown
  }
  return 'nothing'
}

describe('chasec/promise', () => {
  it('resolves to what the calls give', async () => {
    const graph = net()
    const compiled = await compile(graph, netMasks())
    const lowered = await lowerCompiled(compiled)
    const difference = await verifyCompiled(graph, netMasks(), lowered, { seeds: [1], sizeCount: 1 })
    expect(difference).toMatchObject({ equal: true, vacuous: false })
    const written = await writePackage(compiled, join(folder, 'package'), { lowered, verification: difference })
    expect(written.manifest.report.layers[0]?.outputs).toMatchObject({
      before: 16,
      after: 12,
      kept: expect.any(String),
    })
    const read = await readModel(join(folder, 'package', 'model.onnx'))
    expect(read.outputs.map((output) => output.name)).toEqual(graph.outputs.map((output) => output.name))
  })

  it('rejects with an error that says what to do and holds the failure', async () => {
    const missing = await rejection(readModel(join(folder, 'nothing.onnx')))
    expect(isFailureError(missing)).toBe(true)
    expect(missing).toMatchObject({
      message: expect.stringMatching(/nothing\.onnx: expected a file that can be read/),
      failure: { _tag: 'ReadError', code: 'file-unreadable' },
    })
    const broken = await rejection(readMasks(new Uint8Array(3), net()))
    expect(broken).toMatchObject({ failure: { subject: 'mask file' } })
    const misfit = new Map([['a.weight', axisMask([2, 2], 0, new Uint8Array(2))]])
    expect(await rejection(compile(net(), misfit))).toMatchObject({ failure: { _tag: 'MaskError' } })
  })
})
