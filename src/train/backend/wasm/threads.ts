/**
 * Threads that work on one memory together. The thread that asks for work takes a share of it and waits for the others; which
 * share is whose depends on how many there are only, and no share writes what another does.
 */
import { Worker } from 'node:worker_threads'
import { invariant } from '../../../ir/failure.ts'
import type { Memory } from './webassembly.ts'

/** Where the threads find what there is to do, in a memory of its own. */
const places = { turn: 0, done: 1, failed: 2, kernel: 3, units: 4, count: 5, parameters: 6 } as const

/** More than any kernel has. */
const mostParameters = 32

/** What a thread runs: it waits for the turn to change, does its share and says so. */
const program = `
const { parentPort, workerData } = require('node:worker_threads')
const { module, memory, control, kernels, thread, threads, places } = workerData
const { exports } = new WebAssembly.Instance(module, { env: { memory } })
const shared = new Int32Array(control)
parentPort.postMessage('ready')
for (let turn = 0; ; ) {
  Atomics.wait(shared, places.turn, turn)
  const next = Atomics.load(shared, places.turn)
  if (next === turn) continue
  turn = next
  try {
    const units = shared[places.units]
    const [begin, end] = [thread, thread + 1].map((part) => Math.floor((units * part) / threads))
    const parameters = shared.subarray(places.parameters, places.parameters + shared[places.count])
    exports[kernels[shared[places.kernel]]](thread, begin, end, ...parameters)
  } catch {
    Atomics.store(shared, places.failed, 1)
  }
  Atomics.add(shared, places.done, 1)
  Atomics.notify(shared, places.done)
}
`

/** Calls the kernel of that name for all units of its work. */
export type Call = (kernel: string, units: number, parameters: ReadonlyArray<number>) => void

type Exports = Readonly<Record<string, unknown>>

const runAlone = (exports: Exports, kernel: string, begin: number, end: number, parameters: ReadonlyArray<number>) => {
  const run = exports[kernel]
  invariant(typeof run === 'function', `no WebAssembly kernel ${kernel}`)
  run(0, begin, end, ...parameters)
}

/** All work in the thread that asks for it. */
export const oneThread =
  (exports: Exports): Call =>
  (kernel, units, parameters) =>
    runAlone(exports, kernel, 0, units, parameters)

/** Rejects where no thread can be started. The threads end with the process. */
export const severalThreads = async (
  exports: Exports,
  module: object,
  memory: Memory,
  threads: number,
): Promise<Call> => {
  const control = new SharedArrayBuffer(4 * (places.parameters + mostParameters))
  const kernels = Object.keys(exports)
  const shared = new Int32Array(control)
  const started = Array.from({ length: threads - 1 }, (_, i) => {
    const workerData = { module, memory, control, kernels, thread: i + 1, threads, places }
    const worker = new Worker(program, { eval: true, workerData })
    return new Promise<void>((resolve, reject) => {
      worker.once('message', () => {
        worker.unref()
        resolve()
      })
      worker.once('error', reject)
    })
  })
  await Promise.all(started)
  return (kernel, units, parameters) => {
    if (units < 2) return runAlone(exports, kernel, 0, units, parameters)
    invariant(parameters.length <= mostParameters, `${kernel} with ${parameters.length} parameters`)
    shared[places.kernel] = kernels.indexOf(kernel)
    shared[places.units] = units
    shared[places.count] = parameters.length
    shared.set(parameters, places.parameters)
    Atomics.store(shared, places.done, 0)
    Atomics.add(shared, places.turn, 1)
    Atomics.notify(shared, places.turn)
    runAlone(exports, kernel, 0, Math.floor(units / threads), parameters)
    for (let done = 0; done < threads - 1; done = Atomics.load(shared, places.done)) {
      Atomics.wait(shared, places.done, done)
    }
    invariant(Atomics.load(shared, places.failed) === 0, `${kernel} failed in a thread`)
  }
}
