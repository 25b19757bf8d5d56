/** What the worker asks of a package that ONNX Runtime comes in. */
import type { InferenceSession, Tensor } from 'onnxruntime-web'
import type { Provider, RuntimeName } from '../protocol.ts'

export type SessionOptions = Omit<InferenceSession.SessionOptions, 'executionProviders'>

export interface Runtime {
  readonly name: RuntimeName
  readonly version: string
  /** Providers this build knows, whether or not they work here. */
  readonly backends: ReadonlyArray<string>
  readonly Tensor: typeof Tensor
  /** Loads a model: its file, beside which its external data is found, or its bytes. Rejects with what ONNX Runtime says. */
  readonly create: (
    model: string | Uint8Array,
    provider: Provider,
    options: SessionOptions,
  ) => Promise<InferenceSession>
}
