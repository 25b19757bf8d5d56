/** A page of a browser, or a worker of one, as the place that the backend WebAssembly runs in. */
import { type Host, type Thread, threadsFor } from './host.ts'
import { type Share, threadProgram } from './threads.ts'
import { webAssembly } from './webassembly.ts'

/** TensorFlow.js's build with SIMD: where it lies, or its bytes. */
export type Build = string | URL | Uint8Array

/** The part of a browser's workers that is used here; no type library that we load declares it. */
interface WebWorker {
  onmessage: (event: { readonly data: unknown }) => void
  onerror: (event: { readonly message?: string; readonly preventDefault: () => void }) => void
  readonly postMessage: (message: unknown) => void
  readonly terminate: () => void
}

declare const Worker: new (address: string) => WebWorker

declare const navigator: { readonly hardwareConcurrency?: number } | undefined

declare const crossOriginIsolated: boolean | undefined

/** A browser that holds a worker back says nothing. */
const mostSeconds = 20

const program = `
onmessageerror = () => postMessage('its memory did not arrive')
onmessage = ({ data }) => (${threadProgram})(data, postMessage)`

/**
 * A worker made of the text of its program: bundlers do not agree on how a package names a file of its own, and a policy that
 * lets none be made of texts is a reason that is told. The thread ends with the page, or with the worker that it belongs to.
 */
const startThread = async (share: Share): Promise<Thread> => {
  const address = URL.createObjectURL(new Blob([program], { type: 'text/javascript' }))
  let worker: WebWorker | undefined
  let limit: ReturnType<typeof setTimeout> | undefined
  try {
    const started = new Worker(address)
    worker = started
    await new Promise<void>((resolve, reject) => {
      const seconds = `it did not answer within ${mostSeconds} seconds`
      limit = setTimeout(() => reject(new Error(seconds)), mostSeconds * 1000)
      started.onmessage = ({ data }) => (data === 'ready' ? resolve() : reject(new Error(String(data))))
      started.onerror = (event) => {
        event.preventDefault()
        const held = 'the browser held it back; a Content-Security-Policy has to allow worker-src blob:'
        reject(new Error(event.message === undefined || event.message === '' ? held : event.message))
      }
      started.postMessage(share)
    })
    return { end: () => started.terminate() }
  } catch (thrown) {
    worker?.terminate()
    throw thrown
  } finally {
    clearTimeout(limit)
    URL.revokeObjectURL(address)
  }
}

const bytesOf = async (build: Build | undefined): Promise<Uint8Array> => {
  if (build === undefined) throw new Error('no address of tfjs-backend-wasm-simd.wasm')
  const found = typeof build === 'string' || build instanceof URL ? await loaded(build) : build
  const where = found === build ? 'the bytes given' : String(build)
  if (!webAssembly.validate(found)) throw new Error(`no WebAssembly that runs here: ${where}`)
  const exported = webAssembly.Module.exports(new webAssembly.Module(found)).map(({ name }) => name)
  // TensorFlow.js would wait for ever for what does not fit. Its build with threads of its own has no memory.
  if (!['memory', 'register_tensor'].every((name) => exported.includes(name))) {
    throw new Error(`another program than that build of TensorFlow.js: ${where}`)
  }
  return found
}

const loaded = async (address: string | URL): Promise<Uint8Array> => {
  const response = await fetch(address)
  if (!response.ok) throw new Error(`${String(address)} answers ${response.status}`)
  return new Uint8Array(await response.arrayBuffer())
}

export const browserHost = (build: Build | undefined): Host => ({
  packages:
    'the packages @tensorflow/tfjs-core and @tensorflow/tfjs-backend-wasm, and the build with SIMD of the latter',
  install:
    'Install @tensorflow/tfjs-core@4 and @tensorflow/tfjs-backend-wasm@4, and give openBackend the address of dist/tfjs-backend-wasm-simd.wasm, of the latter, as `build`.',
  defaultThreads: () => threadsFor((typeof navigator === 'undefined' ? undefined : navigator.hardwareConcurrency) ?? 1),
  build: () => bytesOf(build),
  whyUnshared: () =>
    typeof crossOriginIsolated !== 'undefined' && crossOriginIsolated
      ? undefined
      : 'The page is not cross-origin isolated, so that threads cannot share a memory. Serve it with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.',
  startThread,
})
