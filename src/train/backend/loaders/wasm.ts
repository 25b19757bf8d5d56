import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { invariant } from '../../../ir/failure.ts'
import { defaultThreads, importCore, loaderOf } from './loader.ts'
import { withSharedMemory } from '../wasm/kernels.ts'
import { startMachine } from '../wasm/machine.ts'
import { registerKernels } from '../wasm/register.ts'
import { webAssembly } from '../wasm/webassembly.ts'

/** What TensorFlow.js calls its builds. */
const builds = [
  'tfjs-backend-wasm.wasm',
  'tfjs-backend-wasm-simd.wasm',
  'tfjs-backend-wasm-threaded-simd.wasm',
] as const

/**
 * Where TensorFlow.js finds its build with SIMD, its memory shared: our threads work in it. Its own build with threads does
 * not start in Node. Undefined where the engine has no such memory.
 */
const sharedBuilds = async (): Promise<Readonly<Record<(typeof builds)[number], string>> | undefined> => {
  const path = createRequire(import.meta.url).resolve(`@tensorflow/tfjs-backend-wasm/dist/${builds[1]}`)
  const shared = withSharedMemory(await readFile(path))
  if (!webAssembly.validate(shared)) return undefined
  const url = `data:application/wasm;base64,${Buffer.from(shared).toString('base64')}`
  return { [builds[0]]: url, [builds[1]]: url, [builds[2]]: url }
}

/** TensorFlow.js in WebAssembly, with kernels of our own for what it lacks or is slow at: works everywhere. */
export const wasm = loaderOf({
  name: 'wasm',
  about: 'WebAssembly with SIMD and threads',
  install: 'Run npm install --save-dev @tensorflow/tfjs-core@4 @tensorflow/tfjs-backend-wasm@4.',
  packages: 'the packages @tensorflow/tfjs-core and @tensorflow/tfjs-backend-wasm',
  load: async ({ threads = defaultThreads() }) => {
    const core = await importCore()
    const { BackendWasm, setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm')
    const isWasm = (backend: object): backend is InstanceType<typeof BackendWasm> => backend instanceof BackendWasm
    registerKernels(core, isWasm)
    if (threads > 1 && core.engine().registry['wasm'] === undefined) {
      const shared = await sharedBuilds()
      if (shared !== undefined) setWasmPaths(shared, true)
    }
    if (!(await core.setBackend('wasm'))) throw new Error('TensorFlow.js could not initialise it')
    const backend = core.backend()
    invariant(isWasm(backend), 'another backend in the place of WebAssembly')
    const machine = await startMachine(backend, threads)
    const parts = [
      `TensorFlow.js ${core.version_core} in WebAssembly`,
      machine.threads === 1 ? 'one thread' : `${machine.threads} threads`,
      ...(machine.relaxed ? ['relaxed SIMD'] : []),
    ]
    return { core, registered: 'wasm', describe: () => parts.join(', ') }
  },
})
