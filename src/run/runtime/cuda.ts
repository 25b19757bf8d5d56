/**
 * Where `chasec doctor --install-cuda` has put CUDA's libraries, how processes find them, and what is missing where CUDA does
 * not work. ONNX Runtime looks for its provider beside its own library, in node_modules: there lie links to the folder of the
 * libraries, which is all that is remembered of where it is.
 */
import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { isRecord } from '../../ir/record.ts'

/** The libraries of the CUDA provider, of which the first needs CUDA. */
export const providerFiles = ['libonnxruntime_providers_cuda.so', 'libonnxruntime_providers_shared.so'] as const

/** What a folder that chasec has installed CUDA in lists its files in. */
export const cudaManifest = 'chasec-cuda.json'

/** The CUDA that the provider of ONNX Runtime 1.30 is built for, and the first driver for Linux that has it (NVIDIA's release notes). */
export const neededCuda = { cuda: 13, cudnn: 9, driver: '580.65.06' } as const

/** onnxruntime-node, as Node finds it from a file. */
export interface NativePackage {
  readonly version: string
  /** Where its own library lies, and its providers have to. */
  readonly folder: string
}

export const findNativePackage = (from: string = import.meta.url): NativePackage | undefined => {
  try {
    const manifest = createRequire(from).resolve('onnxruntime-node/package.json')
    const described: unknown = JSON.parse(readFileSync(manifest, 'utf8'))
    const version = isRecord(described) ? described['version'] : undefined
    const bin = join(dirname(manifest), 'bin')
    const built = readdirSync(bin).find((name) => name.startsWith('napi-v'))
    if (typeof version !== 'string' || built === undefined) return undefined
    return { version, folder: join(bin, built, process.platform, process.arch) }
  } catch {
    return undefined
  }
}

/** The folder that the links in a folder of onnxruntime-node lead to; undefined where there are none of chasec. */
export const linkedCuda = (native: string): string | undefined => {
  try {
    const folder = dirname(readlinkSync(join(native, providerFiles[0])))
    readFileSync(join(folder, cudaManifest))
    return realpathSync(folder)
  } catch {
    return undefined
  }
}

/** What a process needs in its environment to find CUDA's libraries; nothing where chasec has not installed them. */
export const cudaEnvironment = (
  variables: Readonly<Record<string, string | undefined>>,
  native: NativePackage | undefined = findNativePackage(),
): Readonly<Record<string, string>> => {
  const folder = native === undefined ? undefined : linkedCuda(native.folder)
  if (folder === undefined) return {}
  const before = variables['LD_LIBRARY_PATH'] ?? ''
  return { LD_LIBRARY_PATH: before === '' ? folder : `${folder}:${before}` }
}

/** Whether this machine is one that onnxruntime-node has CUDA for. */
export const hasCudaBuild = (platform: string, architecture: string): boolean =>
  platform === 'linux' && architecture === 'x64'

/** What to do where there is no CUDA in onnxruntime-node at all. */
export const withoutCudaBuild =
  'onnxruntime-node has CUDA for Linux on x64 only. Use the provider webgpu on Windows, on macOS, and on arm64 what there is of it; ' +
  'or run the package with the onnxruntime-gpu of Python, which has wheels for Windows and for arm64.'

const driverVersion = (): string | undefined => {
  try {
    return /Kernel Module\D*([\d.]+)/.exec(readFileSync('/proc/driver/nvidia/version', 'utf8'))?.[1]
  } catch {
    return undefined
  }
}

/** The first library of CUDA that a message says is missing; undefined where it is something else. */
export const missingLibrary = (reason: string): string | undefined =>
  /\b(lib(?:cu|nv)\w*\.so[.\d]*): cannot open/.exec(reason)?.[1]

/** Whether only the driver, which comes with a GPU, is missing. */
export const lacksDriver = (reason: string): boolean => missingLibrary(reason)?.startsWith('libcuda.so') === true

/** What to do where the CUDA provider does not work for a reason that ONNX Runtime gave. */
export const cudaHelp = (
  reason: string,
  platform: string = process.platform,
  architecture: string = process.arch,
): string => {
  const { cuda, cudnn, driver } = neededCuda
  if (!hasCudaBuild(platform, architecture)) return withoutCudaBuild
  if (lacksDriver(reason)) {
    return (
      "What is missing is the NVIDIA driver, of which libcuda.so.1 is a part; CUDA's libraries were found. " +
      `CUDA ${cuda} wants driver ${driver} or newer, installed with the GPU; a container gets it from its host (docker run --gpus all).`
    )
  }
  if (/CUDA failure (35|803|804)\b|driver version is insufficient/.test(reason)) {
    const found = driverVersion()
    return `The NVIDIA driver${found === undefined ? '' : ` (${found})`} is too old: CUDA ${cuda} wants ${driver} or newer.`
  }
  if (/CUDA failure \d/.test(reason)) {
    return 'The NVIDIA driver is there and gives no GPU that works: see what nvidia-smi says, and CUDA_VISIBLE_DEVICES.'
  }
  return (
    `Run chasec doctor --install-cuda, which fetches the provider, CUDA ${cuda} and cuDNN ${cudnn} from Python's package index (1.6 GB) ` +
    'into a folder of yours. Where that was done, npm has installed onnxruntime-node anew since: run it again, and nothing is downloaded.'
  )
}
