import type { Task } from 'fp-ts/lib/Task.js'

/** Exit code of a process that ended because of SIGINT, as shells have it. */
export const interruptedCode = 130

/**
 * Runs a short task to its end even when the user presses Ctrl-C meanwhile; the process ends after it, unless longer work
 * that the task is part of listens too and ends by itself.
 */
export const uninterrupted = async <A>(task: Task<A>): Promise<A> => {
  const alone = process.listenerCount('SIGINT') === 0
  let interrupted = false
  const remember = (): void => {
    interrupted = true
  }
  process.on('SIGINT', remember)
  try {
    return await task()
  } finally {
    process.off('SIGINT', remember)
    if (interrupted && alone) process.exit(interruptedCode)
  }
}

/**
 * Does long work that ends early, and in order, once its signal is aborted: when the user presses Ctrl-C, or the machine asks
 * the process to end. Whoever asks twice ends the process at once.
 */
export const interruptible = async <A>(work: (signal: AbortSignal) => Promise<A>): Promise<A> => {
  const controller = new AbortController()
  const ask = (): void => {
    if (controller.signal.aborted) process.exit(interruptedCode)
    controller.abort()
  }
  process.on('SIGINT', ask).on('SIGTERM', ask)
  try {
    return await work(controller.signal)
  } finally {
    process.off('SIGINT', ask).off('SIGTERM', ask)
  }
}
