import type { Task } from 'fp-ts/lib/Task.js'

/** Exit code of a process that ended because of SIGINT, as shells have it. */
const interruptedCode = 130

/** Runs a short task to its end even when the user presses Ctrl-C meanwhile; the process ends after it. */
export const uninterrupted = async <A>(task: Task<A>): Promise<A> => {
  let interrupted = false
  const remember = (): void => {
    interrupted = true
  }
  process.on('SIGINT', remember)
  try {
    return await task()
  } finally {
    process.off('SIGINT', remember)
    if (interrupted) process.exit(interruptedCode)
  }
}
