/** Finding out what this machine has of all that chasec can use. */
import { availableParallelism, totalmem } from 'node:os'
import * as E from 'fp-ts/lib/Either.js'
import type { Task } from 'fp-ts/lib/Task.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { Checkup, CheckedPackage } from '../../report/terminal/doctor-table.ts'
import type { RunError } from '../../run/error.ts'
import { pickProvider, type ProviderReport, providers, type RuntimeReport, runtimes } from '../../run/providers.ts'
import type { Attempt } from '../../train/backend/attempt.ts'
import type { BackendName } from '../../train/backend/backend.ts'
import { importOptional } from '../../train/backend/loaders/optional.ts'
import { automaticBackend, describeBackendsBy } from '../../train/backend/open.ts'
import { noGpu } from '../../train/backend/loaders/tfjs-node.ts'
import { neededNode, version } from '../../package/version.ts'
import type { Say } from '../progress.ts'
import { attemptAlone } from './attempt-alone.ts'

/** How the parts are tried. */
export interface Probes {
  readonly backend: (name: BackendName) => () => Promise<Attempt>
  readonly providers: TaskEither<RunError, ReadonlyArray<ProviderReport>>
  readonly runtimes: Task<ReadonlyArray<RuntimeReport>>
}

/** Everything that may crash is tried in a process of its own. */
const aloneProbes: Probes = { backend: attemptAlone(), providers: providers(), runtimes: runtimes() }

export const examine = async (say: Say, probes: Probes = aloneProbes): Promise<Checkup> => {
  const described = await describeBackendsBy((name) => {
    say(`trying the backend ${name}`)
    return probes.backend(name)
  })()
  const backends = described.map((report) =>
    report.found.startsWith(noGpu) ? { ...report, install: gpuAdvice } : report,
  )
  say('trying ONNX Runtime')
  const packagesOfRuntime = await probes.runtimes()
  say('trying the providers of ONNX Runtime')
  const found = await probes.providers()
  const packages = await Promise.all(optionalPackages.map(checkPackage))
  return {
    version,
    node: {
      version: process.versions.node,
      needed: neededNode,
      suitable: isAtLeast(process.versions.node, neededNode),
    },
    machine: {
      platform: process.platform,
      architecture: process.arch,
      cores: availableParallelism(),
      memoryBytes: totalmem(),
    },
    training: { backends, auto: automaticBackend(backends) ?? null },
    running: {
      runtimes: packagesOfRuntime,
      providers: E.isRight(found) ? found.right : [],
      auto: E.isRight(found) ? pickProvider(found.right) : null,
      error: E.isLeft(found) ? found.left : null,
    },
    packages,
  }
}

const gpuAdvice =
  "Its addon works; it takes an NVIDIA GPU with a driver for CUDA 12 (525.60.13 or newer), and NVIDIA's libraries from tensorflow[and-cuda]."

/** Whether a version is in a range like `>=20.19`. */
export const isAtLeast = (found: string, range: string): boolean => {
  const numbers = (text: string): ReadonlyArray<number> => (text.match(/\d+/g) ?? []).map(Number)
  const least = numbers(range)
  const parts = numbers(found)
  const differing = least.findIndex((part, at) => part !== (parts[at] ?? 0))
  return differing < 0 || (parts[differing] ?? 0) > (least[differing] ?? 0)
}

type OptionalPackage = Omit<CheckedPackage, 'available' | 'found'>

const optionalPackages: ReadonlyArray<OptionalPackage> = [
  { name: 'sharp', about: 'folders of images, PNG files fast', install: 'Run npm install --save-dev sharp.' },
  { name: 'fast-png', about: 'PNG files without sharp', install: 'Run npm install --save-dev fast-png.' },
]

const checkPackage = async (wanted: OptionalPackage): Promise<CheckedPackage> => {
  try {
    await importOptional(wanted.name)
    return { ...wanted, available: true, found: 'installed' }
  } catch (thrown) {
    const message = (thrown instanceof Error ? thrown.message : String(thrown)).split('\n', 1)[0] ?? ''
    const found = message.startsWith('Cannot find package') ? 'not installed' : message
    return { ...wanted, available: false, found }
  }
}
