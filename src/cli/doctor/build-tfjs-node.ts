/**
 * Building the native addon of @tensorflow/tfjs-node or tfjs-node-gpu against the TensorFlow that pip installed: newer than the one that
 * the package's install script downloads. Everything is made in a temporary folder; the package gets the addon and links to
 * TensorFlow's two libraries, and keeps them only when the backend then works.
 */
import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import type * as T from 'fp-ts/lib/Task.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import type { Attempt } from '../../train/backend/attempt.ts'
import { backendError, type BackendError } from '../../train/backend/backend.ts'
import { noGpu } from '../../train/backend/loaders/tfjs-node.ts'
import { type BuildableBackend, type BuildPlan, type PythonTensorflow, tensorflowLibraries } from './build-plan.ts'

/** An addon that was compiled and is not in its place yet. */
export interface CompiledAddon {
  /** A temporary folder that goes when the addon is installed or given up. */
  readonly folder: string
  readonly file: string
}

/** What a build left behind. */
export interface BuiltAddon {
  readonly packageFolder: string
  /** Python's TensorFlow; it has to stay where it is. */
  readonly tensorflow: string
  /** What the backend says of itself now. */
  readonly found: string
  /** The files that were made, in the package's folder. */
  readonly files: ReadonlyArray<string>
  /** The folders of the package that others were put in place of. */
  readonly replaced: ReadonlyArray<string>
}

/** The version of Node-API that the package looks for an addon of on every Node that chasec runs on. */
const nodeApiVersion = 8

const addonFile = join('lib', `napi-v${nodeApiVersion}`, 'tfjs_binding.node')

/** Where the addon looks for TensorFlow's libraries, as its binding.gyp says. */
const libraryFolder = join('deps', 'lib')

/** The names by which the linker is told to look for the libraries, in their order. */
const linkerNames = ['libtensorflow.so', 'libtensorflow_framework.so'] as const

const compileMilliseconds = 600_000

/**
 * Compiles the addon in a temporary folder (about ten seconds).
 *
 * Errors: it does not compile; with the last lines of the compiler's output.
 */
export const compileAddon =
  (
    { backend, packageFolder, python, tensorflow, nodeGyp, headers }: BuildPlan,
    variables: Readonly<Record<string, string | undefined>>,
  ): TE.TaskEither<BackendError, CompiledAddon> =>
  async () => {
    const prepared = prepare(backend, packageFolder, tensorflow)
    if (E.isLeft(prepared)) return prepared
    const folder = prepared.right
    const file = join(folder, addonFile)
    const flags = [
      '--module_name=tfjs_binding',
      `--module_path=${dirname(file)}`,
      `--napi_build_version=${nodeApiVersion}`,
      `--python=${python}`,
      ...(headers === undefined ? [] : [`--nodedir=${headers}`]),
    ]
    const env = { ...variables, CXXFLAGS: `${variables['CXXFLAGS'] ?? ''} -std=c++17`.trim() }
    const { succeeded, output } = await run(process.execPath, [nodeGyp, 'rebuild', ...flags], folder, env)
    if (succeeded && existsSync(file)) return E.right({ folder, file })
    rmSync(folder, { recursive: true })
    const advice = headers === undefined && output.includes('configure error') ? headersAdvice : tensorflowAdvice
    const help = `${advice} Nothing was changed. The end of what was written:\n${lastLines(output)}`
    return E.left(backendError(backend, 'its addon to compile', 'an error', help))
  }

const headersAdvice =
  "Node's headers are not beside node and could not be downloaded: Node from nodejs.org brings them, as does Debian's libnode-dev."

const tensorflowAdvice =
  'This TensorFlow may not fit the package: pip install another one, or give another Python with --python PATH.'

/** A temporary folder with the addon's sources and links to TensorFlow. */
const prepare = (
  backend: BuildableBackend,
  packageFolder: string,
  tensorflow: PythonTensorflow,
): E.Either<BackendError, string> => {
  const folder = join(tmpdir(), `chasec-build-${crypto.randomUUID()}`)
  try {
    mkdirSync(join(folder, libraryFolder), { recursive: true })
    for (const name of ['binding', 'binding.gyp']) {
      cpSync(join(packageFolder, name), join(folder, name), { recursive: true })
    }
    symlinkSync(join(tensorflow.folder, 'include'), join(folder, 'deps', 'include'))
    linkLibraries(tensorflow, folder)
    linkerNames.forEach((name, at) => symlinkSync(tensorflowLibraries[at] ?? '', join(folder, libraryFolder, name)))
    return E.right(folder)
  } catch (thrown) {
    rmSync(folder, { recursive: true, force: true })
    return E.left(unwritable(backend, folder, thrown, 'Nothing was changed.'))
  }
}

/** The failure that an error of the file system is; other errors are ours and are thrown on. */
const unwritable = (backend: BuildableBackend, folder: string, thrown: unknown, state: string): BackendError => {
  if (!(thrown instanceof Error) || !('code' in thrown)) throw thrown
  const help = `Check that there is space and that the folder can be written. ${state}`
  return backendError(backend, `${folder} to be written`, thrown.message, help)
}

/**
 * Puts links to TensorFlow's libraries into a folder. They look for NVIDIA's in `../nvidia` of the folder that they are opened in, which
 * is that of the links, so that one more stands in for that.
 */
const linkLibraries = ({ folder, nvidia }: PythonTensorflow, base: string): void => {
  for (const name of tensorflowLibraries) symlinkSync(join(folder, name), join(base, libraryFolder, name))
  if (nvidia !== undefined) symlinkSync(nvidia, join(dirname(join(base, libraryFolder)), 'nvidia'))
}

interface Ended {
  readonly succeeded: boolean
  readonly output: string
}

const run = (program: string, args: ReadonlyArray<string>, cwd: string, env: NodeJS.ProcessEnv): Promise<Ended> =>
  new Promise((resolve) => {
    const options = { cwd, env, timeout: compileMilliseconds, maxBuffer: Infinity }
    execFile(program, args, options, (error, stdout, stderr) => {
      resolve({ succeeded: error === null, output: `${stdout}\n${stderr}` })
    })
  })

const shownLines = 15

/** The end of what the compiler wrote, from its first error on; without one, the end of what node-gyp wrote. */
const lastLines = (output: string): string => {
  const lines = output.split('\n').filter((line) => line.trim() !== '')
  const compiler = lines.filter((line) => !/^(gyp|make)\b/.test(line))
  const error = compiler.findIndex((line) => /\berror\b|undefined reference/i.test(line))
  return (error < 0 ? lines.slice(-shownLines) : compiler.slice(error, error + shownLines)).join('\n')
}

/**
 * Puts a compiled addon and links to TensorFlow's libraries into the package, and keeps them when `attempt`, which opens
 * the backend in a process of its own, works. Otherwise the package is as it was.
 *
 * Errors: the package cannot be written; the backend does not work.
 */
export const installAddon =
  ({ backend, packageFolder, tensorflow }: BuildPlan, compiled: CompiledAddon, attempt: T.Task<Attempt>) =>
  async (): Promise<E.Either<BackendError, BuiltAddon>> => {
    const id = crypto.randomUUID()
    const fresh = join(packageFolder, `.chasec-new-${id}`)
    const aside = join(packageFolder, `.chasec-old-${id}`)
    const inPackage = (name: string): string => join(packageFolder, name)
    const swapped = ['deps', 'lib']
    const replaced = swapped.filter((name) => existsSync(inPackage(name)))
    const putBack = (): void => {
      for (const name of swapped) {
        const isAside = existsSync(join(aside, name))
        if (isAside || !replaced.includes(name)) rmSync(inPackage(name), { recursive: true, force: true })
        if (isAside) renameSync(join(aside, name), inPackage(name))
      }
    }
    try {
      mkdirSync(join(fresh, libraryFolder), { recursive: true })
      linkLibraries(tensorflow, fresh)
      cpSync(compiled.file, join(fresh, addonFile), { recursive: true })
      mkdirSync(aside)
      for (const name of swapped) {
        if (replaced.includes(name)) renameSync(inPackage(name), join(aside, name))
        renameSync(join(fresh, name), inPackage(name))
      }
      const { available, found } = await attempt()
      // Where there is no GPU, an addon that says so is as good as one that works can show itself.
      if (available || (backend === 'tfjs-node-gpu' && found.startsWith(noGpu))) {
        const files = [...tensorflowLibraries.map((name) => join(libraryFolder, name)), addonFile]
        return E.right({ packageFolder, tensorflow: tensorflow.folder, found, files, replaced })
      }
      putBack()
      const help = `Another TensorFlow may work: give its Python with --python PATH. ${packageFolder} is as it was.`
      return E.left(backendError(backend, 'the built addon to multiply two matrices', found, help))
    } catch (thrown) {
      putBack()
      return E.left(unwritable(backend, packageFolder, thrown, 'It is as it was.'))
    } finally {
      for (const folder of [fresh, aside, compiled.folder]) rmSync(folder, { recursive: true, force: true })
    }
  }
