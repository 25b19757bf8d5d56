/** What happens when the user presses Ctrl-C (SIGINT), or the machine asks the process to end (SIGTERM). */

type Request = 'SIGINT' | 'SIGTERM'

/** Exit codes of a process that ended because of a signal, as shells have them. */
export const interruptedCodes = { SIGINT: 130, SIGTERM: 143 } as const satisfies Record<Request, number>

export type InterruptedCode = (typeof interruptedCodes)[Request]

interface Listening<A> {
  readonly result: A
  /** The first request, if there was one. */
  readonly request: Request | undefined
}

/** Does `work`, whose signal is aborted by the first request; `again` is called for others. */
const listening = async <A>(
  work: (signal: AbortSignal) => Promise<A>,
  again: (request: Request) => void,
): Promise<Listening<A>> => {
  const controller = new AbortController()
  let request: Request | undefined
  const ask = (signal: Request): void => {
    if (request !== undefined) return again(signal)
    request = signal
    controller.abort()
  }
  process.on('SIGINT', ask).on('SIGTERM', ask)
  try {
    const result = await work(controller.signal)
    return { result, request }
  } finally {
    process.off('SIGINT', ask).off('SIGTERM', ask)
  }
}

/**
 * Does short work that leaves nothing half done when its signal is aborted; then the process ends. Within longer work that
 * listens too it is not aborted, and the longer work ends by itself.
 */
export const uninterrupted = async <A>(work: (signal: AbortSignal) => Promise<A>): Promise<A> => {
  if (process.listenerCount('SIGINT') > 0) return work(new AbortController().signal)
  const { result, request } = await listening(work, () => undefined)
  if (request !== undefined) process.exit(interruptedCodes[request])
  return result
}

/** Does work that may be left at any moment: the first request is told of, and ends the process. */
export const leavable = async <A>(work: () => Promise<A>, leaving: (code: InterruptedCode) => void): Promise<A> => {
  const leave = (request: Request): void => {
    leaving(interruptedCodes[request])
    process.exit(interruptedCodes[request])
  }
  process.on('SIGINT', leave).on('SIGTERM', leave)
  try {
    return await work()
  } finally {
    process.off('SIGINT', leave).off('SIGTERM', leave)
  }
}

/**
 * Does long work that ends early, and in order, once its signal is aborted; tells the exit code if it was. Whoever asks twice
 * ends the process at once.
 */
export const interruptible = async <A>(
  work: (signal: AbortSignal) => Promise<A>,
): Promise<{ readonly result: A; readonly interrupted: InterruptedCode | undefined }> => {
  const { result, request } = await listening(work, (again) => process.exit(interruptedCodes[again]))
  return { result, interrupted: request === undefined ? undefined : interruptedCodes[request] }
}
