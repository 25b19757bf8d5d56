/** The memory of TensorFlow.js's WebAssembly backend, and our kernels working on it. */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm'
import type { TensorInfo } from '@tensorflow/tfjs-core'
import { invariant } from '../../../ir/failure.ts'
import type { Host } from './host.ts'
import { chooseKernels, withSharedMemory } from './kernels.ts'
import { type Call, oneThread, severalThreads } from './threads.ts'
import { type Memory, webAssembly } from './webassembly.ts'

/** What the kernels see of the backend. */
export interface Machine {
  readonly backend: BackendWasm
  /** How many threads share the work of a kernel. */
  readonly threads: number
  /** Why it is one thread where several were asked for, as full sentences. */
  readonly whyOneThread?: string
  /** Whether sums of products round once for each product. */
  readonly relaxed: boolean
  /** Calls a kernel of ours for so many units of its work, with addresses and counts. */
  readonly call: (kernel: string, units: number, ...parameters: ReadonlyArray<number>) => void
  /** The same in this thread: for less work than it takes to wake the others. */
  readonly callAlone: (kernel: string, units: number, ...parameters: ReadonlyArray<number>) => void
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

const memoryOf = (backend: BackendWasm): Memory => {
  const memory = property(property(backend.wasm, 'asm'), 'memory')
  invariant(memory instanceof webAssembly.Memory, 'the WebAssembly backend has no memory that can be reached')
  return memory
}

/** The machine of `backend`: that of {@link startMachine}, or else one with a single thread. */
export const machineOf = (backend: BackendWasm): Machine => {
  const known = machines.get(backend)
  if (known !== undefined) return known
  const { machine } = singleMachine(backend)
  machines.set(backend, machine)
  return machine
}

/**
 * Gives `backend` its machine, with so many threads if its memory can be shared and the host starts them; otherwise with one,
 * and the reason. Does nothing where the backend has its machine.
 */
export const startMachine = async (backend: BackendWasm, threads: number, host: Host): Promise<Machine> => {
  const known = machines.get(backend)
  if (known !== undefined) return known
  const machine = threads === 1 ? singleMachine(backend).machine : await sharedMachine(backend, threads, host)
  machines.set(backend, machine)
  return machine
}

const sharedMachine = async (backend: BackendWasm, threads: number, host: Host): Promise<Machine> => {
  const { machine, exports, module } = singleMachine(backend)
  const memory = memoryOf(backend)
  const whyUnshared = host.whyUnshared()
  if (whyUnshared !== undefined) return { ...machine, whyOneThread: whyUnshared }
  if (!isShared(memory)) {
    const whyOneThread =
      'The memory of WebAssembly is not one that threads share: TensorFlow.js had started it before, or there is no room for one.'
    return { ...machine, whyOneThread }
  }
  try {
    const call = await severalThreads(host.startThread, exports, module, memory, threads)
    return { ...machine, threads, call: withRest(call) }
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    return {
      ...machine,
      whyOneThread: `No thread could be started beside the first: ${reason.replace(/[.\s]+$/, '')}.`,
    }
  }
}

/** Pages that may not share memories do not even have the name. */
const isShared = ({ buffer }: Memory): boolean =>
  typeof SharedArrayBuffer !== 'undefined' && buffer instanceof SharedArrayBuffer

const withRest =
  (call: Call): Machine['call'] =>
  (kernel, units, ...parameters) =>
    call(kernel, units, parameters)

const singleMachine = (backend: BackendWasm) => {
  const memory = memoryOf(backend)
  const { bytes, relaxed } = chooseKernels()
  const module = new webAssembly.Module(isShared(memory) ? withSharedMemory(bytes) : bytes)
  const { exports } = new webAssembly.Instance(module, { env: { memory } })
  const call = withRest(oneThread(exports))
  const address = (tensor: TensorInfo): number => backend.getMemoryOffset(tensor.dataId)
  const floats = (tensor: TensorInfo): Float32Array =>
    new Float32Array(memory.buffer, address(tensor), sizeOf(tensor.shape))
  const machine: Machine = {
    backend,
    threads: 1,
    relaxed,
    call,
    callAlone: call,
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
  return { machine, exports, module }
}
