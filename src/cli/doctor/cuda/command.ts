/** The parts of `chasec doctor` that put CUDA in place for onnxruntime-node, take it away, and tell where it is. */
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../../../ir/failure.ts'
import { formatBytes, plural } from '../../../report/units.ts'
import { providers, type ProviderReport } from '../../../run/providers.ts'
import {
  cudaEnvironment,
  cudaHelp,
  findNativePackage,
  hasCudaBuild,
  lacksDriver,
  type NativePackage,
  withoutCudaBuild,
} from '../../../run/runtime/cuda.ts'
import { uninterrupted } from '../../interrupt.ts'
import { done, type Outcome } from '../../outcome.ts'
import { progressOn } from '../../progress.ts'
import type { Terminal } from '../../terminal.ts'
import { type CudaError, cudaError } from './error.ts'
import { findIndexUrl } from './index-url.ts'
import {
  completeCuda,
  type CudaPlan,
  installCuda,
  type InstalledCuda,
  planCuda,
  removeCuda,
  usualFolder,
} from './install.ts'

export interface CudaFlags {
  readonly dir?: string
  readonly indexUrl?: string
  readonly dryRun?: true
  readonly progress?: true
}

type Done = Promise<E.Either<Failure, Outcome>>

/** The onnxruntime-node that chasec uses, on a machine that it has CUDA for. */
const nativeHere = (): E.Either<CudaError, NativePackage> => {
  const wrong = (expected: string, found: string, help: string): E.Either<CudaError, never> =>
    E.left(cudaError('CUDA for ONNX Runtime', expected, found, help))
  if (!hasCudaBuild(process.platform, process.arch)) {
    return wrong('Linux on x64', `${process.platform} on ${process.arch}`, withoutCudaBuild)
  }
  const native = findNativePackage()
  const help = 'Run npm install --ignore-scripts onnxruntime-node where chasec is installed, then try again.'
  return native === undefined ? wrong('onnxruntime-node', 'none where chasec looks for it', help) : E.right(native)
}

export const installCudaHere = async (terminal: Terminal, flags: CudaFlags): Done => {
  const say = progressOn(terminal, flags.progress === true)
  const native = nativeHere()
  if (E.isLeft(native)) return native
  const index = findIndexUrl(flags.indexUrl, process.env)
  if (E.isLeft(index)) return index
  const { version } = native.right
  const folder = flags.dir ?? usualFolder(version, process.env)
  const options = { native: native.right, folder, index: index.right, say }
  if (flags.dryRun === true) {
    const present = await completeCuda(folder, version)
    if (present !== undefined) return E.right(done(renderPresent(present), { plan: null, installed: present }))
    const plan = await planCuda(options)
    if (E.isLeft(plan)) return plan
    return E.right(
      done(renderPlan(plan.right, options.index.url.host), { plan: jsonOfPlan(plan.right), installed: null }),
    )
  }
  // Ctrl-C ends the download, and what was fetched is cleared away.
  const installed = await uninterrupted((signal) => installCuda({ ...options, signal }))
  if (E.isLeft(installed)) return installed
  say('trying the provider cuda')
  const cuda = await tryCuda()
  return E.right({
    exitCode: cuda.usable || lacksDriver(cuda.reason ?? '') ? 0 : 1,
    text: [renderInstalled(installed.right), renderTried(cuda)].join('\n'),
    json: { installed: installed.right, provider: cuda },
  })
}

const tryCuda = async (): Promise<ProviderReport> => {
  const reports = await providers({ runtime: 'onnxruntime-node' })()
  const unusable = { provider: 'cuda', usable: false } as const
  if (E.isLeft(reports)) return { ...unusable, reason: reports.left.found, help: reports.left.help }
  return reports.right.find(({ provider }) => provider === 'cuda') ?? unusable
}

const renderPresent = ({ folder, files, bytes }: InstalledCuda): string =>
  `CUDA is there already: ${plural(files, 'library', 'libraries')}, ${formatBytes(bytes)}, in ${folder}. Nothing would be fetched.`

const renderPlan = ({ folder, wheels, bytes, needed }: CudaPlan, host: string): string =>
  [
    `From ${host} would be fetched ${formatBytes(bytes)}:`,
    ...wheels.map((wheel) => `  ${formatBytes(wheel.bytes).padStart(7)}  ${wheel.filename}`),
    `${folder} would take about ${formatBytes(needed)}. Nothing was changed.`,
  ].join('\n')

const jsonOfPlan = ({ folder, wheels, bytes, needed }: CudaPlan) => ({
  folder,
  bytes,
  needed,
  wheels: wheels.map(({ takes: _takes, ...wheel }) => wheel),
})

const renderInstalled = ({ folder, files, bytes, wheels }: InstalledCuda): string =>
  [
    wheels.length === 0
      ? `CUDA was there already: ${plural(files, 'library', 'libraries')}, ${formatBytes(bytes)}, in ${folder}; nothing was fetched.`
      : `${folder} holds the CUDA provider and CUDA's libraries: ${plural(files, 'file')}, ${formatBytes(bytes)}, from ${plural(wheels.length, 'wheel')} whose digests are those of the index.`,
    'onnxruntime-node has links to it, which npm removes when it installs the package anew: run this again then, nothing is fetched.',
  ].join('\n')

const renderTried = ({ usable, reason = 'it was not tried', help = cudaHelp(reason) }: ProviderReport): string =>
  usable ? 'The provider cuda works.' : `The provider cuda does not work here: ${reason}.\n${help}`

export const removeCudaHere = async (_terminal: Terminal, { dir, dryRun }: CudaFlags): Done => {
  const dry = dryRun === true
  const native = findNativePackage()
  const usual = native === undefined ? undefined : usualFolder(native.version, process.env)
  const removed = await uninterrupted(() => removeCuda(dir, usual, native, dry))
  if (E.isLeft(removed)) return removed
  const { folder, files, bytes, left } = removed.right
  const stays = left.length === 0 ? '' : ` ${plural(left.length, 'other file')} there ${dry ? 'would stay' : 'stayed'}.`
  const what = `${plural(files, 'file')} (${formatBytes(bytes)}) of ${folder}`
  return E.right(done(`${dry ? 'Would remove' : 'Removed'} ${what} and the links to it.${stays}`, removed.right))
}

/** For sessions that other programs open: what has to be in their environment before they start. */
export const printEnvironment = async (): Done => {
  const environment = cudaEnvironment({})
  const { LD_LIBRARY_PATH: folder } = environment
  if (folder === undefined) {
    const help = 'Run chasec doctor --install-cuda first.'
    return E.left(cudaError('CUDA for ONNX Runtime', 'CUDA as chasec installs it', 'none', help))
  }
  const quoted = `'${folder.replaceAll("'", "'\\''")}'`
  return E.right(done(`export LD_LIBRARY_PATH=${quoted}"\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"`, environment))
}
