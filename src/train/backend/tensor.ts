/** TensorFlow.js and its tensors. It is loaded lazily; only its types are imported. */
import type * as core from '@tensorflow/tfjs-core'

export type Core = typeof core

/** A tensor on the device. Whoever holds it disposes it. */
export type Tensor = core.Tensor
