import { importCore, loaderOf } from '../loader.ts'
import { registerKernels } from '../wasm/register.ts'

/** TensorFlow.js in WebAssembly, with kernels of our own for what it lacks or is slow at: works everywhere. */
export const wasm = loaderOf({
  name: 'wasm',
  about: 'WebAssembly with SIMD on one core',
  install: 'Run npm install --save-dev @tensorflow/tfjs-core@4 @tensorflow/tfjs-backend-wasm@4.',
  packages: 'the packages @tensorflow/tfjs-core and @tensorflow/tfjs-backend-wasm',
  load: async () => {
    const core = await importCore()
    const { BackendWasm } = await import('@tensorflow/tfjs-backend-wasm')
    registerKernels(core, (backend) => backend instanceof BackendWasm)
    return { core, registered: 'wasm', describe: () => `TensorFlow.js ${core.version_core} in WebAssembly` }
  },
})
