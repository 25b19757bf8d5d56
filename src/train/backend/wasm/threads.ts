/**
 * Threads that work on one memory together. The thread that asks for work takes a share of it and waits for the others; which
 * share is whose depends on how many there are only, and no share writes what another does.
 */
import { invariant } from '../../../ir/failure.ts'
import type { Host } from './host.ts'
import type { Memory } from './webassembly.ts'

/** Where the threads find what there is to do, in a memory of its own. */
const places = { turn: 0, done: 1, failed: 2, kernel: 3, units: 4, count: 5, parameters: 6 } as const

/** More than any kernel has. */
const mostParameters = 32

/** What a thread is given; goes from thread to thread as it is. */
export interface Share {
  readonly module: object
  readonly memory: Memory
  readonly control: SharedArrayBuffer
  /** Names of the kernels, in the order of their numbers. */
  readonly kernels: ReadonlyArray<string>
  /** Which one of the threads it is; that which asks for work is 0. */
  readonly thread: number
  readonly threads: number
}

/**
 * What a thread runs, as the text of a function of its share and of what tells the thread that started it `ready`: it waits
 * for the turn to change, does its share and says so. A text, because a function would be rewritten by bundlers.
 */
export const threadProgram = `({ module, memory, control, kernels, thread, threads }, tell) => {
  const places = ${JSON.stringify(places)}
  const { exports } = new WebAssembly.Instance(module, { env: { memory } })
  const shared = new Int32Array(control)
  tell('ready')
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
}`

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

/**
 * Whether this thread may sleep until another wakes it. The thread of a page may not: it looks again and again, which takes no
 * longer, since the others have shares as large as its own, and a kernel gives its result when it returns.
 */
const maySleep = (shared: Int32Array): boolean => {
  try {
    // No value is -1, so that this does not sleep.
    Atomics.wait(shared, places.turn, -1)
    return true
  } catch {
    return false
  }
}

/** Starts the threads. Rejects where one of them cannot be started: there are none then. */
export const severalThreads = async (
  startThread: Host['startThread'],
  exports: Exports,
  module: object,
  memory: Memory,
  threads: number,
): Promise<Call> => {
  const control = new SharedArrayBuffer(4 * (places.parameters + mostParameters))
  const kernels = Object.keys(exports)
  const shared = new Int32Array(control)
  const started = await Promise.allSettled(
    Array.from({ length: threads - 1 }, (_, i) =>
      startThread({ module, memory, control, kernels, thread: i + 1, threads }),
    ),
  )
  const failed = started.find(({ status }) => status === 'rejected')
  if (failed?.status === 'rejected') {
    for (const one of started) if (one.status === 'fulfilled') one.value.end()
    throw failed.reason
  }
  const sleeps = maySleep(shared)
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
      if (sleeps) Atomics.wait(shared, places.done, done)
    }
    invariant(Atomics.load(shared, places.failed) === 0, `${kernel} failed in a thread`)
  }
}
