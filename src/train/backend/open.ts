/** Choosing and describing backends, in Node. */
import * as E from 'fp-ts/lib/Either.js'
import type * as T from 'fp-ts/lib/Task.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { type Attempt, attemptOf } from './attempt.ts'
import { type Backend, backendError, type BackendError, type BackendName, backendNames } from './backend.ts'
import type { Loader, OpenOptions } from './loaders/loader.ts'
import { cpu } from './loaders/cpu.ts'
import { tfjsNode, tfjsNodeGpu } from './loaders/tfjs-node.ts'
import { wasmOn } from './loaders/wasm.ts'
import { webgpu } from './loaders/webgpu.ts'
import { nodeHost } from './wasm/node-host.ts'

const wasm = wasmOn(nodeHost)

const loaders: Readonly<Record<BackendName, Loader>> = {
  'tfjs-node-gpu': tfjsNodeGpu,
  'tfjs-node': tfjsNode,
  webgpu,
  wasm,
  cpu,
}

/**
 * The backend `name`, or with `auto` the first that works, which then says why those before it were not taken. A GPU that
 * a program stands in for is only taken when it is named.
 */
export const openBackend =
  (name: BackendName | 'auto', options: OpenOptions = {}): TE.TaskEither<BackendError, Backend> =>
  async () => {
    if (name !== 'auto') return loaders[name].open(options)()
    const passedOver: BackendError[] = []
    for (const candidate of backendNames) {
      const opened = await loaders[candidate].open(options)()
      if (E.isRight(opened) && !opened.right.software) return E.right({ ...opened.right, passedOver })
      passedOver.push(E.isLeft(opened) ? opened.left : notReal(opened.right))
    }
    const found = passedOver.map((error) => `${error.subject}: ${error.found}`).join('; ')
    return E.left(backendError('wasm', 'a backend that works', found, wasm.install))
  }

const notReal = ({ name, description }: Backend): BackendError =>
  backendError(name, 'a GPU', description, `Name the backend ${name} to use it all the same.`)

/** What a machine has of one backend. */
export interface BackendReport extends Attempt {
  readonly name: BackendName
  readonly about: string
  /** How to get it, as a full sentence. */
  readonly install: string
}

/** Opens a backend in this process and multiplies two small matrices on it. */
export const tryBackend = (name: BackendName): T.Task<Attempt> => attemptOf(loaders[name].open({}))

/** All backends in the order of `auto`, one after the other tried by `attempt`. */
export const describeBackendsBy =
  (attempt: (name: BackendName) => T.Task<Attempt>): T.Task<ReadonlyArray<BackendReport>> =>
  async () => {
    const reports: BackendReport[] = []
    for (const name of backendNames) {
      const { about, install } = loaders[name]
      reports.push({ name, about, install, ...(await attempt(name)()) })
    }
    return reports
  }

/** All backends in the order of `auto`, each tried in this process. */
export const describeBackends: T.Task<ReadonlyArray<BackendReport>> = describeBackendsBy(tryBackend)

/** The backend that `auto` takes where the reports hold; undefined where none works. */
export const automaticBackend = (reports: ReadonlyArray<BackendReport>): BackendName | undefined =>
  reports.find(({ available, software }) => available && !software)?.name
