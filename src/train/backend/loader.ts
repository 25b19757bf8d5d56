/** What opening a backend shares: importing packages that may not be installed, and handing over what was opened. */
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { type Backend, backendError, type BackendError, type BackendName, type Core } from './backend.ts'
import { type DeviceOps, deviceOps } from './device-ops.ts'

/** How one backend is opened. */
export interface Loader {
  readonly name: BackendName
  /** What it runs on, for people. */
  readonly about: string
  /** How to get it, as a full sentence. */
  readonly install: string
  readonly open: TE.TaskEither<BackendError, Backend>
}

/** A message of whatever was thrown, on one line. */
export const messageOf = (thrown: unknown): string =>
  (thrown instanceof Error ? thrown.message : String(thrown)).split('\n', 1)[0] ?? ''

/** Imports what a backend is made of. A package that is missing or does not load is a failure that says how to get it. */
export const importing = <T>(
  name: BackendName,
  packages: string,
  install: string,
  load: () => Promise<T>,
): TE.TaskEither<BackendError, T> =>
  TE.tryCatch(load, (thrown) => backendError(name, `the package ${packages}`, messageOf(thrown), install))

export interface Registered {
  readonly loader: Pick<Loader, 'name' | 'install'>
  readonly core: Core
  /** The name that TensorFlow.js registered the backend under. */
  readonly registered: string
  readonly description: () => string
  /** Operations that this backend has better ones of. */
  readonly special?: (ops: DeviceOps) => Partial<DeviceOps>
}

/** Starts a backend that is registered with TensorFlow.js. */
export const starting = ({ loader, core, registered, description, special }: Registered) =>
  async (): Promise<E.Either<BackendError, Backend>> => {
    const { name, install } = loader
    const fail = (found: string) => E.left(backendError(name, 'a backend that starts', found, install))
    try {
      if (!(await core.setBackend(registered))) return fail('TensorFlow.js could not initialise it')
    } catch (thrown) {
      return fail(messageOf(thrown))
    }
    const ops = deviceOps(core, registered)
    return E.right({
      name,
      description: description(),
      core,
      ops: { ...ops, ...special?.(ops) },
      activate: () => {
        // An initialised backend is set before the promise that `setBackend` gives is made.
        if (core.getBackend() !== registered) void core.setBackend(registered)
      },
      passedOver: [],
    })
  }
