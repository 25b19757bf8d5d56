/** Node as the place that the backend WebAssembly runs in. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type Host, type Thread, threadsFor } from './host.ts'
import { type Share, threadProgram } from './threads.ts'

/** A script or a module, as the flags of the process have it: neither's way to import. */
const program = `
const { parentPort, workerData } = process.getBuiltinModule('node:worker_threads')
;(${threadProgram})(workerData, (message) => parentPort.postMessage(message))`

/** The thread ends with the process. */
const startThread = (share: Share): Promise<Thread> => {
  const worker = new Worker(program, { eval: true, workerData: share })
  return new Promise((resolve, reject) => {
    worker.once('message', () => {
      worker.unref()
      resolve({ end: () => void worker.terminate() })
    })
    worker.once('error', reject)
  })
}

export const nodeHost: Host = {
  packages: 'the packages @tensorflow/tfjs-core and @tensorflow/tfjs-backend-wasm',
  install: 'Run npm install --save-dev @tensorflow/tfjs-core@4 @tensorflow/tfjs-backend-wasm@4.',
  defaultThreads: () => threadsFor(availableParallelism()),
  build: () => {
    const { resolve } = createRequire(import.meta.url)
    return readFile(resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm'))
  },
  whyUnshared: () => undefined,
  startThread,
}
