import util from 'node:util'
import { importCore, type Imported, type Loader, loaderOf, threadsText } from './loader.ts'
import { importOptional, property } from './optional.ts'

/** Node 23 removed helpers that TensorFlow.js still calls. */
const restoreHelpers = (): void => {
  if ('isNullOrUndefined' in util) return
  Object.assign(util, { isNullOrUndefined: (value: unknown) => value === null || value === undefined })
}

const importing = async (name: string, threads?: number): Promise<Imported> => {
  restoreHelpers()
  const core = await importCore()
  const isFirst = core.engine().registry['tensorflow'] === undefined
  const module = await withThreads(isFirst ? threads : undefined, () => importOptional(name))
  const version = property(property(module, 'version'), 'tensorflow-core') ?? core.version_core
  const library = (): unknown => property(property(core.backend(), 'binding'), 'TF_Version') ?? ''
  return {
    core,
    registered: 'tensorflow',
    describe: () =>
      [
        `TensorFlow.js ${String(version)} on TensorFlow ${String(library())}`.trimEnd(),
        ...(threads === undefined || !isFirst ? [] : [threadsText(threads)]),
      ].join(', '),
  }
}

/** From here alone TensorFlow takes how many threads compute an operator, when its addon starts. */
const threadsVariable = 'TF_NUM_INTRAOP_THREADS'

/** What it starts with so many threads. */
const withThreads = async <A>(threads: number | undefined, start: () => Promise<A>): Promise<A> => {
  if (threads === undefined) return start()
  const before = process.env[threadsVariable]
  process.env[threadsVariable] = String(threads)
  try {
    return await start()
  } finally {
    if (before === undefined) delete process.env[threadsVariable]
    else process.env[threadsVariable] = before
  }
}

/** TensorFlow's own kernels, on all cores unless told otherwise. */
export const tfjsNode: Loader = loaderOf({
  name: 'tfjs-node',
  about: 'TensorFlow on all cores',
  install:
    'Run npm install --save-dev @tensorflow/tfjs-node@4; or, on Linux, npm install --save-dev --ignore-scripts @tensorflow/tfjs-node@4 and ' +
    'chasec doctor --build-tfjs-node, which builds it against the newer TensorFlow of Python.',
  packages: 'the package @tensorflow/tfjs-node',
  load: ({ threads }) => importing('@tensorflow/tfjs-node', threads),
})

/** How the message begins where TensorFlow and its addon work, and only the GPU, or what it takes to use it, is missing. */
export const noGpu = 'TensorFlow finds no GPU'

/** The same with CUDA. */
export const tfjsNodeGpu: Loader = loaderOf({
  name: 'tfjs-node-gpu',
  about: 'TensorFlow on an NVIDIA GPU',
  install:
    "Run npm install --save-dev --ignore-scripts @tensorflow/tfjs-node-gpu@4 and, with Python's tensorflow[and-cuda], chasec doctor " +
    '--build-tfjs-node-gpu (Linux on x64, an NVIDIA driver for CUDA 12: 525 or newer). The addon that npm install downloads wants CUDA 11.2.',
  packages: 'the package @tensorflow/tfjs-node-gpu on a machine with CUDA',
  load: async () => {
    const imported = await importing('@tensorflow/tfjs-node-gpu')
    await imported.core.setBackend(imported.registered)
    if (property(imported.core.backend(), 'isUsingGpuDevice') !== true) throw new Error(noGpu)
    return imported
  },
})
