/** ONNX Runtime in WebAssembly: runs wherever Node does, on the CPU. Rejects where it is not installed. */
import { readFileSync, realpathSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import type { InferenceSession } from 'onnxruntime-web'
import type { Runtime, SessionOptions } from './runtime.ts'

export const openWebAssembly = async (): Promise<Runtime> => {
  const { InferenceSession, Tensor, env } = await import('onnxruntime-web')
  const load = (model: string | Uint8Array, options: SessionOptions): Promise<InferenceSession> => {
    // Threads are those of the module, which the first session starts.
    env.wasm.numThreads ??= options.intraOpNumThreads ?? 1
    const all = { ...options, executionProviders: ['wasm'] }
    return typeof model === 'string' ? InferenceSession.create(model, all) : InferenceSession.create(model, all)
  }
  return {
    name: 'onnxruntime-web',
    version: env.versions.web ?? env.versions.common,
    backends: ['cpu'],
    Tensor,
    create: (model, _provider, options) =>
      typeof model === 'string' ? withFilesBeside(model, options, load) : load(model, options),
  }
}

/** It has no files of its own: which one it lacks it says, and gets it, if it is one below the folder of the model. */
const withFilesBeside = async (
  model: string,
  options: SessionOptions,
  load: (model: string, options: SessionOptions) => Promise<InferenceSession>,
): Promise<InferenceSession> => {
  const folder = realpathSync(dirname(realpathSync(model)))
  const files = new Map<string, Uint8Array>()
  for (;;) {
    try {
      const externalData = [...files].map(([path, data]) => ({ path, data }))
      return await load(model, externalData.length === 0 ? options : { ...options, externalData })
    } catch (thrown) {
      const lacking = /Failed to load external data file "+([^"]+)"/.exec(String(thrown))?.[1]
      const data = lacking === undefined || files.has(lacking) ? undefined : fileBelow(folder, lacking)
      if (lacking === undefined || data === undefined) throw thrown
      files.set(lacking, data)
    }
  }
}

/** What the file is that has this name in a folder; undefined where there is none, or it lies elsewhere. */
const fileBelow = (folder: string, name: string): Uint8Array | undefined => {
  try {
    const path = realpathSync(join(folder, name))
    return path.startsWith(folder + sep) ? readFileSync(path) : undefined
  } catch {
    return undefined
  }
}
