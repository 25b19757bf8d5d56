/** Computing and training IR graphs on TensorFlow.js. */
export {
  type Arrays,
  type Batch,
  buildExecutor,
  type DeviceTensors,
  type Executor,
  type Feeds,
  type Gradients,
  type HostTensor,
  type LossOptions,
  type Parameter,
  type TrainingState,
} from './executor.ts'
export { graphWithParameters } from './graph-with-parameters.ts'
export type { Mode } from './lowering.ts'
export { trainable } from './ops/index.ts'
export type { UnsupportedTraining } from './plan.ts'
export { type LayerTimes, type ProfileOptions, profileSteps, type StepProfile } from './profile.ts'
export { applyMasks, initialMoments, type SgdOptions, sgdStep } from './sgd.ts'
