import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runInNewContext } from 'node:vm'
import { afterAll, describe, expect, it } from 'vitest'
import * as api from '../../src/api/index.ts'
import * as compiler from '../../src/api/compiler.ts'
import { compile, encodeMasks, lowerCompiled, readMasks, readModel, writePackage } from '../../src/api/promise.ts'
import { net, netMasks } from '../cli/nets.ts'
import { bundled, entryOf, sizesOf, sizeOf } from './bundle.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-compiler-'))
afterAll(() => rmSync(folder, { recursive: true }))

const entry = entryOf('compiler')

describe('chasec/compiler', () => {
  it('has names of chasec', () => {
    const own = Object.keys(compiler).filter((name) => !Object.hasOwn(api, name))
    expect(own).toEqual([])
    const others: Readonly<Record<string, unknown>> = api
    const differing = Object.entries(compiler).filter(([name, value]) => others[name] !== value)
    expect(differing.map(([name]) => name)).toEqual(['readModelBytes'])
  })

  it('is built by Vite without Node and TensorFlow.js, and compiles in a place that has neither', async () => {
    const { code, modules } = await bundled(folder, `export * from ${JSON.stringify(entry)}`)
    expect(modules.filter((id) => /^node:|browser-external|node_modules\/@tensorflow|read\/tfjs/.test(id))).toEqual([])
    // What browsers, workers and edges have besides the language.
    const context = { TextDecoder, TextEncoder, crypto, model: [], masks: [] }

    const graph = net()
    const written = await compile(graph, netMasks(), { advise: 'small' })
    await writePackage(written, join(folder, 'package'), { external: true })
    const dense = join(folder, 'dense.onnx')
    const lowered = await lowerCompiled({ ...written, graph })
    writeFileSync(dense, lowered.model)
    const model = [...readFileSync(dense)]
    const masks = [...Buffer.concat(encodeMasks(netMasks()))]
    const script = `${code}
      const { readModelBytes, decodeMasks, compile, packageBytes, renderError } = chasec
      const right = (either) => {
        if (either._tag === 'Left') throw new Error(renderError(either.left))
        return either.right
      }
      const graph = right(readModelBytes(Uint8Array.from(model)))
      const list = right(decodeMasks(Uint8Array.from(masks), graph))
      const compiled = right(compile(graph, list, { advise: 'small' }))
      packageBytes(compiled, { external: true })().then((made) => right(made).files.map(({ name, bytes }) => [name, ...bytes]))`
    const files: ReadonlyArray<ReadonlyArray<unknown>> = await runInNewContext(script, { ...context, model, masks })
    const again = await compile(await readModel(dense), await readMasks(Uint8Array.from(masks), graph), {
      advise: 'small',
    })
    await writePackage(again, join(folder, 'package'), { external: true })
    expect(files.map(([name]) => name)).toEqual(['model.onnx', 'model.onnx_data', 'report.html', 'chasec.json'])
    for (const [name, ...bytes] of files) {
      expect(
        Buffer.from(readFileSync(join(folder, 'package', String(name)))).equals(Uint8Array.from(bytes, Number)),
      ).toBe(true)
    }
  })

  it('leaves out what is not imported', async () => {
    const masks = await bundled(folder, `export { encodeMasks, noMasks } from ${JSON.stringify(entry)}`)
    expect(masks.modules.filter((id) => /src\/(?!masks|ir\/[^/]*$)/.test(id))).toEqual([])
    const reading = await bundled(folder, `export { readModelBytes } from ${JSON.stringify(entry)}`)
    expect(reading.modules.filter((id) => /src\/(passes|export|report|package|masks\/match)/.test(id))).toEqual([])
  })

  const sizes = sizesOf('chasec/compiler')

  it('has its sizes in the guide', () => {
    expect(sizes.map(([names]) => names)).toContain('readModelBytes, compile, lower')
  })

  it.each(sizes)('importing %s costs at most the %s kB that the guide says', async (names, limit) => {
    const size = await sizeOf(folder, entry, names)
    expect(size).toBeLessThan(limit)
    // A limit that is far away says nothing.
    expect(size).toBeGreaterThan(limit * 0.9)
  })
})
