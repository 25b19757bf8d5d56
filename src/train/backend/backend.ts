/** What training needs of a TensorFlow.js backend. */
import { type Failure, failure } from '../../ir/failure.ts'
import type { DeviceOps } from './ops/types.ts'
import type { Core } from './tensor.ts'

/** The backends in the order in which `auto` tries them. */
export const backendNames = ['tfjs-node-gpu', 'tfjs-node', 'webgpu', 'wasm', 'cpu'] as const

export type BackendName = (typeof backendNames)[number]

export type BackendError = Failure<'BackendError'>

export interface Backend {
  readonly name: BackendName
  /** What computes: versions and the device, for people. */
  readonly description: string
  /** Whether a program stands in for the GPU that it is meant for: right, but slow. */
  readonly software: boolean
  readonly core: Core
  readonly ops: DeviceOps
  /** Makes this backend the one that TensorFlow.js computes with: it has one for the whole process. */
  readonly activate: () => void
  /** Why `auto` did not take the backends before this one. */
  readonly passedOver: ReadonlyArray<BackendError>
  /** Why one thread computes where several were to, and what would change that, as full sentences. WebAssembly only. */
  readonly whyOneThread?: string | undefined
}

/** A backend that is not installed or does not work here. */
export const backendError = (name: BackendName, expected: string, found: string, help: string): BackendError =>
  failure('BackendError', `backend ${name}`, expected, found, help)
