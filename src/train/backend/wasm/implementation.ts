/** What an operation of TensorFlow.js on our kernels is. */
import type { NamedAttrMap, NamedTensorInfoMap, TensorInfo } from '@tensorflow/tfjs-core'
import type { Core } from '../tensor.ts'
import type { Machine } from './machine.ts'

/** What an implementation is given. */
export interface Call {
  readonly machine: Machine
  readonly core: Core
  readonly input: (name: string) => TensorInfo
  readonly attributes: NamedAttrMap
  /** The kernel that TensorFlow.js itself has under this name, on inputs and attributes of our choice. */
  readonly stock: (kernel: string, inputs: NamedTensorInfoMap, attributes: NamedAttrMap) => TensorInfo
}

export type Implementation = (call: Call) => TensorInfo | TensorInfo[]

export type Implementations = Readonly<Record<string, Implementation>>
