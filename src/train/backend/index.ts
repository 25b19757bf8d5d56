/** TensorFlow.js backends. */
export { type Backend, type BackendError, type BackendName, backendNames } from './backend.ts'
export type { Tensor } from './tensor.ts'
export { type BackendReport, describeBackends, openBackend } from './open.ts'
export { mostThreads } from './wasm/host.ts'
