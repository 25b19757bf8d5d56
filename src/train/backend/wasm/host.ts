/** What the backend WebAssembly asks of the place that it runs in: Node, or a page of a browser. */
import type { Share } from './threads.ts'

/** A thread that waits for work. */
export interface Thread {
  readonly end: () => void
}

export interface Host {
  /** What it takes to load the backend. */
  readonly packages: string
  /** How to get the backend here, as a full sentence. */
  readonly install: string
  /** Threads unless told otherwise. */
  readonly defaultThreads: () => number
  /** The bytes of TensorFlow.js's build with SIMD. Rejects where they cannot be had. */
  readonly build: () => Promise<Uint8Array>
  /** Why threads cannot work on one memory here, as full sentences; undefined where they can. */
  readonly whyUnshared: () => string | undefined
  /** Starts a thread with its share of all work. Rejects where it does not come to wait for any. */
  readonly startThread: (share: Share) => Promise<Thread>
}

/** Kernels take milliseconds: to wake many threads for each would take longer than their shares. */
export const mostThreads = 4

/** One thread for each core, at most 4. */
export const threadsFor = (cores: number): number => Math.max(1, Math.min(mostThreads, Math.floor(cores)))
