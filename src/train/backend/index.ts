/** TensorFlow.js backends. */
export { type Backend, type BackendError, type BackendName, backendNames, type Tensor } from './backend.ts'
export { type BackendReport, describeBackends, openBackend } from './open.ts'
