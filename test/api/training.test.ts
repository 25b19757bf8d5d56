/** The entry for training in browsers: portable, its names those of `chasec`, its weight that of the guide. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import * as api from '../../src/api/index.ts'
import * as training from '../../src/api/training.ts'
import { bundled, entryOf, sizesOf, sizeOf } from './bundle.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-training-'))
afterAll(() => rmSync(folder, { recursive: true }))

const entry = entryOf('training')

describe('chasec/training', () => {
  it('has names of chasec', () => {
    const others: Readonly<Record<string, unknown>> = api
    const names = Object.entries(training)
    expect(names.filter(([name]) => !Object.hasOwn(api, name))).toEqual([])
    expect(names.filter(([name, value]) => others[name] !== value).map(([name]) => name)).toEqual([
      'openBackend',
      'train',
    ])
  })

  it('is built by Vite without Node, but for what TensorFlow.js names of it', async () => {
    const { modules } = await bundled(folder, `export * from ${JSON.stringify(entry)}`)
    expect(modules.filter((id) => /^node:|src\/disk|read\/|onnxruntime|tfjs-(node|backend-webgpu)/.test(id))).toEqual(
      [],
    )
    expect(modules.filter((id) => id.includes('tfjs-backend-wasm'))).not.toEqual([])
    // Vite's stand-in for modules of Node is asked for by others than us.
    expect(modules.filter((id) => /src\/.*(node-host|checkpoint-file|data\/files)/.test(id))).toEqual([])
  })

  it('looks at recipes and makes models without TensorFlow.js', async () => {
    const { modules } = await bundled(folder, `export { decodeRecipe, parseModel } from ${JSON.stringify(entry)}`)
    expect(modules.filter((id) => id.includes('@tensorflow'))).toEqual([])
  })

  const sizes = sizesOf('chasec/training')

  it('has its sizes in the guide', () => {
    expect(sizes.map(([names]) => names)).toContain('dataSetOf, decodeRecipe, openBackend, train')
  })

  it.each(sizes)('importing %s costs at most the %s kB that the guide says', async (names, limit) => {
    const size = await sizeOf(folder, entry, names)
    expect(size).toBeLessThan(limit)
    // A limit that is far away says nothing.
    expect(size).toBeGreaterThan(limit * 0.9)
  })
})
