import { invariant } from '../../../ir/failure.ts'
import type { Host } from '../wasm/host.ts'
import { hasRoomFor, withSharedMemory } from '../wasm/kernels.ts'
import { startMachine } from '../wasm/machine.ts'
import { registerKernels } from '../wasm/register.ts'
import { importCore, type Imported, type Loader, loaderOf, threadsText } from './loader.ts'
import type { Core } from '../tensor.ts'

/** What stands for the build in TensorFlow.js's table of addresses. */
const address = 'chasec:tfjs-backend-wasm-simd.wasm'

/** What TensorFlow.js calls its builds. Its own one with threads does not start in Node, and ours work in that with SIMD. */
const addresses = {
  'tfjs-backend-wasm.wasm': address,
  'tfjs-backend-wasm-simd.wasm': address,
  'tfjs-backend-wasm-threaded-simd.wasm': address,
}

/** Has TensorFlow.js load `build` while `start` runs: a page's policy need not allow addresses that hold data. */
const givingBuild = async <T>(core: Core, build: Uint8Array, start: () => Promise<T>): Promise<T> => {
  const { platform } = core.env()
  const before = platform.fetch
  platform.fetch = (path, init) =>
    path === address ? Promise.resolve(new Response(Uint8Array.from(build))) : before.call(platform, path, init)
  try {
    return await start()
  } finally {
    platform.fetch = before
  }
}

const openedBefore = 'The backend had been opened with one thread before, and stays as it is.'

/** What is being opened of each TensorFlow.js: it has one backend of the name, and one place to load it from. */
const openings = new WeakMap<Core, Promise<unknown>>()

/** Opens when all that was begun before has come to its end. */
const inTurn = <T>(core: Core, open: () => Promise<T>): Promise<T> => {
  const opening = (openings.get(core) ?? Promise.resolve()).then(open)
  openings.set(
    core,
    opening.catch(() => undefined),
  )
  return opening
}

const loadOn = async (core: Core, host: Host, threads: number): Promise<Imported> => {
  const { BackendWasm, setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm')
  const isWasm = (backend: object): backend is InstanceType<typeof BackendWasm> => backend instanceof BackendWasm
  registerKernels(core, isWasm)
  const start = async () => {
    if (!(await core.setBackend('wasm'))) throw new Error('TensorFlow.js could not initialise it')
  }
  if (core.engine().registry['wasm'] === undefined) {
    const build = await host.build()
    const shared = threads > 1 && host.whyUnshared() === undefined ? withSharedMemory(build) : undefined
    core.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false)
    setWasmPaths(addresses, true)
    await givingBuild(core, shared !== undefined && hasRoomFor(shared) ? shared : build, start)
  } else await start()
  const backend = core.backend()
  invariant(isWasm(backend), 'another backend in the place of WebAssembly')
  const machine = await startMachine(backend, threads, host)
  const parts = [
    `TensorFlow.js ${core.version_core} in WebAssembly`,
    threadsText(machine.threads),
    ...(machine.relaxed ? ['relaxed SIMD'] : []),
  ]
  return {
    core,
    registered: 'wasm',
    describe: () => parts.join(', '),
    whyOneThread: threads === 1 || machine.threads > 1 ? undefined : (machine.whyOneThread ?? openedBefore),
  }
}

/** TensorFlow.js in WebAssembly, with kernels of our own for what it lacks or is slow at: works everywhere. */
export const wasmOn = (host: Host): Loader =>
  loaderOf({
    name: 'wasm',
    about: 'WebAssembly with SIMD and threads',
    install: host.install,
    packages: host.packages,
    load: async ({ threads = host.defaultThreads() }) => {
      const core = await importCore()
      return inTurn(core, () => loadOn(core, host, threads))
    },
  })
