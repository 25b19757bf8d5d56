/** The memory of TensorFlow.js's WebAssembly backend, and our kernels working on it. */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm'
import type { TensorInfo } from '@tensorflow/tfjs-core'
import { invariant } from '../../../ir/failure.ts'
import { assemble } from './assembler.ts'
import { columnKernels } from './column-kernels.ts'
import { convolutionKernels } from './convolution-kernels.ts'
import { convolveKernels } from './convolve-kernels.ts'
import { matrixKernels } from './matrix-kernels.ts'

/** The part of WebAssembly's own interface that is used here; no type library that we load declares it. */
declare const WebAssembly: {
  readonly Memory: new (...limits: ReadonlyArray<never>) => { readonly buffer: ArrayBuffer }
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> }
}

/** What the kernels see of the backend. */
export interface Machine {
  readonly backend: BackendWasm
  /** Calls a kernel of ours with addresses and counts. */
  readonly call: (kernel: string, ...parameters: ReadonlyArray<number>) => void
  readonly address: (tensor: TensorInfo) => number
  /** The elements of a tensor, in place; valid until the next allocation. */
  readonly floats: (tensor: TensorInfo) => Float32Array
  /** A new tensor with undefined contents, or with zeros. */
  readonly output: (shape: ReadonlyArray<number>, zero?: boolean) => TensorInfo
  readonly free: (tensor: TensorInfo) => void
}

const property = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Object.entries(value).find(([key]) => key === name)?.[1] : undefined

const machines = new WeakMap<object, Machine>()

const sizeOf = (shape: ReadonlyArray<number>): number => shape.reduce((n, d) => n * d, 1)

/** The machine of `backend`; our kernels are assembled when it is asked for first. */
export const machineOf = (backend: BackendWasm): Machine => {
  const known = machines.get(backend)
  if (known !== undefined) return known
  const memory = property(property(backend.wasm, 'asm'), 'memory')
  invariant(memory instanceof WebAssembly.Memory, 'the WebAssembly backend has no memory that can be reached')
  const module = new WebAssembly.Module(
    assemble([...columnKernels, ...convolutionKernels, ...convolveKernels, ...matrixKernels]),
  )
  const { exports } = new WebAssembly.Instance(module, { env: { memory } })
  const address = (tensor: TensorInfo): number => backend.getMemoryOffset(tensor.dataId)
  const floats = (tensor: TensorInfo): Float32Array =>
    new Float32Array(memory.buffer, address(tensor), sizeOf(tensor.shape))
  const machine: Machine = {
    backend,
    call: (kernel, ...parameters) => {
      const run = exports[kernel]
      invariant(typeof run === 'function', `no WebAssembly kernel ${kernel}`)
      run(...parameters)
    },
    address,
    floats,
    output: (shape, zero = false) => {
      const made = backend.makeOutput([...shape], 'float32')
      if (zero) floats(made).fill(0)
      return made
    },
    free: (tensor) => {
      backend.disposeData(tensor.dataId)
    },
  }
  machines.set(backend, machine)
  return machine
}
