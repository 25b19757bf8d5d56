/** Opening a backend in a page of a browser, or in a worker of one. */
import * as E from 'fp-ts/lib/Either.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { type Choice, wrongOption } from '../../ir/options.ts'
import { type Backend, backendError, type BackendError } from './backend.ts'
import type { OpenOptions } from './loaders/loader.ts'
import { wasmOn } from './loaders/wasm.ts'
import { browserHost, type Build } from './wasm/browser-host.ts'

export interface BrowserOpenOptions extends OpenOptions {
  /**
   * Where `tfjs-backend-wasm-simd.wasm` of the package @tensorflow/tfjs-backend-wasm lies, or its bytes: what a bundler gives for
   * the file.
   */
  readonly build: Build
}

const optionChoices: Readonly<Record<keyof BrowserOpenOptions, Choice>> = { build: 'any', threads: 'any' }

/**
 * TensorFlow.js in WebAssembly, on as many threads as `threads` says: one for each core, at most 4, unless told otherwise. Threads
 * share a memory, which browsers give to pages that are cross-origin isolated only; elsewhere one thread computes, to the same
 * bits, and `whyOneThread` says so.
 */
export const openBackend =
  (name: 'wasm', options: BrowserOpenOptions): TE.TaskEither<BackendError, Backend> =>
  async () => {
    // Whoever writes JavaScript may give what they give in Node.
    const given: Partial<BrowserOpenOptions> = options ?? {}
    const loader = wasmOn(browserHost(given.build))
    if (name !== 'wasm') return E.left(backendError(name, 'wasm', String(name), 'Browsers train in WebAssembly only.'))
    const wrong = wrongOption('BackendError', given, optionChoices)
    return wrong === undefined ? loader.open(given)() : E.left(wrong)
  }
