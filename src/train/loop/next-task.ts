/** Letting others have their turn between two steps. */

/** Resolves in a task of its own: signals can only be noticed between tasks, and pages answer only then. */
export const nextTask = (): Promise<void> =>
  new Promise((resolve) => {
    if (typeof setImmediate === 'function') {
      setImmediate(resolve)
      return
    }
    // What browsers do soonest: they hold timers back.
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(undefined)
  })
