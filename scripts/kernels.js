// @ts-check
// Compiles the kernels of src/train/backend/wasm/assembly into src/train/backend/wasm/built.ts: once for every processor, once
// with relaxed SIMD. The file is committed, so that nothing has to be built to run from the sources; `--check` only says
// whether it is what the sources give.
import { Buffer } from 'node:buffer'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath, URL } from 'node:url'
import { main } from 'assemblyscript/asc'

const folder = fileURLToPath(new URL('../src/train/backend/wasm/', import.meta.url))
const target = join(folder, 'built.ts')

/** As many pages of 64 KiB as TensorFlow.js's memory may have: it is imported, and its limit has to fit. */
const mostPages = '65536'

/** @param {ReadonlyArray<string>} features */
const compile = async (features) => {
  /** @type {Uint8Array | undefined} */
  let module
  const limits = ['--importMemory', '--noExportMemory', '--maximumMemory', mostPages]
  const enabled = ['simd', ...features].flatMap((feature) => ['--enable', feature])
  const options = ['--runtime', 'stub', '--noAssert', '-O3', '--converge', ...limits, ...enabled]
  const { error, stderr } = await main(['index.ts', '--outFile', 'kernels.wasm', ...options], {
    readFile: (name) => {
      try {
        return readFileSync(join(folder, 'assembly', name), 'utf8')
      } catch {
        return null
      }
    },
    writeFile: (_name, contents) => {
      if (contents instanceof Uint8Array) module = contents
    },
    listFiles: () => [],
  })
  if (error !== null || module === undefined) throw new Error(`${error?.message ?? 'nothing compiled'}\n${stderr}`)
  return Buffer.from(module).toString('base64')
}

const text = `/** The kernels of \`assembly\`, compiled: made by npm run kernels. */

/** For every processor with SIMD; WebAssembly in base64. */
export const plainKernels =
  '${await compile([])}'

/** With multiplication and addition in one instruction (relaxed SIMD). */
export const relaxedKernels =
  '${await compile(['relaxed-simd'])}'
`

if (!process.argv.includes('--check')) writeFileSync(target, text)
else if (readFileSync(target, 'utf8') !== text) {
  process.stderr.write('src/train/backend/wasm/built.ts is not what its sources give: run npm run kernels.\n')
  process.exitCode = 1
}
