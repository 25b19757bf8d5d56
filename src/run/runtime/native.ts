/** ONNX Runtime as an addon for Node: the fastest, with providers for GPUs. Rejects where it is not installed or does not load. */
import type { Runtime } from './runtime.ts'

export const openNative = async (): Promise<Runtime> => {
  const { InferenceSession, Tensor, env, listSupportedBackends } = await import('onnxruntime-node')
  return {
    name: 'onnxruntime-node',
    version: env.versions.node ?? env.versions.common,
    backends: listSupportedBackends().map(({ name }) => name),
    Tensor,
    create: (model, provider, options) => {
      const all = { ...options, executionProviders: [provider] }
      return typeof model === 'string' ? InferenceSession.create(model, all) : InferenceSession.create(model, all)
    },
  }
}
