/** What opening a backend shares: importing packages that may not be installed, and handing over what was opened. */
import * as E from 'fp-ts/lib/Either.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { type Backend, backendError, type BackendError, type BackendName } from '../backend.ts'
import { deviceOps } from '../ops/index.ts'
import type { Core } from '../tensor.ts'

/** How a backend is to compute. */
export interface OpenOptions {
  /** Threads of WebAssembly (one for each core, at most 4, unless told otherwise) and of TensorFlow on a CPU (one for each core). */
  readonly threads?: number
}

/** How one backend is opened. */
export interface Loader {
  readonly name: BackendName
  /** What it runs on, for people. */
  readonly about: string
  /** How to get it, as a full sentence. */
  readonly install: string
  readonly open: (options: OpenOptions) => TE.TaskEither<BackendError, Backend>
}

/** What importing a backend's packages gives. */
export interface Imported {
  readonly core: Core
  /** The name that TensorFlow.js registered the backend under. */
  readonly registered: string
  /** What computes; asked for when the backend has started. */
  readonly describe: () => string
  /** Whether a program stands in for the device. */
  readonly software?: boolean
  readonly whyOneThread?: string | undefined
}

export interface Recipe extends Omit<Loader, 'open'> {
  /** The packages that are imported. */
  readonly packages: string
  /** Rejects with a message for people where the backend does not work here. */
  readonly load: (options: OpenOptions) => Promise<Imported>
}

/** A message of whatever was thrown, on one line without the stop at its end. */
const messageOf = (thrown: unknown): string => {
  const message = (thrown instanceof Error ? thrown.message : String(thrown)).split('\n', 1)[0] ?? ''
  const missing = /^Cannot find (?:package|module) '([^']+)'/.exec(message)?.[1]
  return missing === undefined ? message.replace(/[.\s]+$/, '') : `${missing} is not installed`
}

/** A loader whose failures, of any kind, say how to get the backend. */
export const loaderOf = (recipe: Recipe): Loader => {
  const { name, about, install, packages, load } = recipe
  const fail = (expected: string, thrown: unknown) => E.left(backendError(name, expected, messageOf(thrown), install))
  return {
    name,
    about,
    install,
    open: (options) => async () => {
      let imported: Imported
      try {
        imported = await load(options)
      } catch (thrown) {
        return fail(packages, thrown)
      }
      try {
        return E.right(await start(name, imported))
      } catch (thrown) {
        return fail('a backend that starts', thrown)
      }
    },
  }
}

const start = async (
  name: BackendName,
  { core, registered, describe, software = false, whyOneThread }: Imported,
): Promise<Backend> => {
  if (!(await core.setBackend(registered))) throw new Error('TensorFlow.js could not initialise it')
  return {
    name,
    description: describe(),
    software,
    core,
    ops: deviceOps(core, registered),
    activate: () => {
      // An initialised backend is set before the promise that `setBackend` gives is made.
      if (core.getBackend() !== registered) void core.setBackend(registered)
    },
    passedOver: [],
    whyOneThread,
  }
}

/** `one thread`, `2 threads`. */
export const threadsText = (threads: number): string => (threads === 1 ? 'one thread' : `${threads} threads`)

/** TensorFlow.js without backends, told to keep its advice to itself. */
export const importCore = async (): Promise<Core> => {
  const core = await import('@tensorflow/tfjs-core')
  core.enableProdMode()
  return core
}
