/**
 * The reader of TensorFlow.js models for `chasec/compiler`; it does not need TensorFlow.js.
 *
 * @module chasec/compiler/tensorflowjs
 */
export { readTensorFlowJs } from '../read/tfjs/index.ts'
