import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runInNewContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'
import { afterAll, describe, expect, it } from 'vitest'
import * as api from '../../src/api/index.ts'
import * as compiler from '../../src/api/compiler.ts'
import { compile, encodeMasks, lowerCompiled, readMasks, readModel, writePackage } from '../../src/api/promise.ts'
import { net, netMasks } from '../cli/nets.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-compiler-'))
afterAll(() => rmSync(folder, { recursive: true }))

const entry = fileURLToPath(new URL('../../src/api/compiler.ts', import.meta.url))

/** What Vite makes of a module with this text, as a script that puts its exports into `chasec`; and what it was made of. */
const bundled = async (text: string): Promise<{ readonly code: string; readonly modules: ReadonlyArray<string> }> => {
  const input = join(folder, 'entry.ts')
  writeFileSync(input, text)
  const modules: string[] = []
  await build({
    root: folder,
    logLevel: 'error',
    configFile: false,
    // As the build has it: the ES modules of fp-ts.
    resolve: { alias: { 'fp-ts/lib': 'fp-ts/es6' } },
    build: {
      outDir: join(folder, 'out'),
      lib: { entry: input, formats: ['iife'], name: 'chasec', fileName: 'out' },
      minify: true,
    },
    plugins: [
      {
        name: 'modules',
        generateBundle(_, bundle) {
          for (const part of Object.values(bundle)) if (part.type === 'chunk') modules.push(...part.moduleIds)
        },
      },
    ],
  })
  const [name = ''] = readdirSync(join(folder, 'out'))
  return { code: readFileSync(join(folder, 'out', name), 'utf8'), modules }
}

describe('chasec/compiler', () => {
  it('has names of chasec', () => {
    const own = Object.keys(compiler).filter((name) => !Object.hasOwn(api, name))
    expect(own).toEqual([])
    const others: Readonly<Record<string, unknown>> = api
    const differing = Object.entries(compiler).filter(([name, value]) => others[name] !== value)
    expect(differing.map(([name]) => name)).toEqual(['readModelBytes'])
  })

  it('is built by Vite without Node and TensorFlow.js, and compiles in a place that has neither', async () => {
    const { code, modules } = await bundled(`export * from ${JSON.stringify(entry)}`)
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
    const masks = await bundled(`export { encodeMasks, noMasks } from ${JSON.stringify(entry)}`)
    expect(masks.modules.filter((id) => /src\/(?!masks|ir\/[^/]*$)/.test(id))).toEqual([])
    const reading = await bundled(`export { readModelBytes } from ${JSON.stringify(entry)}`)
    expect(reading.modules.filter((id) => /src\/(passes|export|report|package|masks\/match)/.test(id))).toEqual([])
  })

  const guide = readFileSync(new URL('../../docs/browser.md', import.meta.url), 'utf8')
  const sizes = [...guide.matchAll(/^\| (`.*`) +\| (\d+) +\|$/gm)].map(
    ([, names = '', limit]): readonly [string, number] => [names.replaceAll('`', ''), Number(limit)],
  )

  it('has its sizes in the guide', () => {
    expect(sizes.map(([names]) => names)).toContain('readModelBytes, compile, lower')
  })

  it.each(sizes)('importing %s costs at most the %d kB that the guide says', async (names, limit) => {
    const { code } = await bundled(`export { ${names} } from ${JSON.stringify(entry)}`)
    const size = gzipSync(code, { level: 9 }).length / 1000
    console.info(`${names}: ${(code.length / 1000).toFixed(1)} kB minified, ${size.toFixed(1)} kB gzipped`)
    expect(size).toBeLessThan(limit)
    // A limit that is far away says nothing.
    expect(size).toBeGreaterThan(limit * 0.9)
  })
})
