/** What building the native addon of @tensorflow/tfjs-node, or tfjs-node-gpu, against Python's TensorFlow needs, and what of it is missing. */
import * as E from 'fp-ts/lib/Either.js'
import { backendError, type BackendError } from '../../train/backend/backend.ts'

/** The backends whose addon can be built; their packages are called like them. */
export type BuildableBackend = 'tfjs-node' | 'tfjs-node-gpu'

/** TensorFlow as pip installed it. */
export interface PythonTensorflow {
  /** The folder of the Python package. */
  readonly folder: string
  /** What the wheel is called (`tensorflow`, `tensorflow-cpu`), and its version; undefined where no wheel says. */
  readonly wheel: string | undefined
  readonly version: string | undefined
  /** The folder beside it in which NVIDIA's wheels put their libraries; undefined where there is none. */
  readonly nvidia: string | undefined
  /** Files of {@link tensorflowFiles} that the folder lacks. */
  readonly lacks: ReadonlyArray<string>
}

/** What a machine has of what a build needs; undefined stands for what is not there. */
export interface BuildFacts {
  readonly backend: BuildableBackend
  /** As Node names it. */
  readonly platform: string
  /** Where chasec looks for packages from. */
  readonly installation: string
  /** The package that `openBackend` loads. */
  readonly package: { readonly folder: string; readonly sources: boolean; readonly writable: boolean } | undefined
  /** The Python that was looked for. */
  readonly pythonName: string
  readonly python: { readonly program: string; readonly tensorflow: PythonTensorflow | undefined } | undefined
  readonly compilerName: string
  readonly compiler: string | undefined
  readonly make: string | undefined
  /** The script of node-gyp. */
  readonly nodeGyp: string | undefined
  /** The folder above `include/node`; without it node-gyp downloads Node's headers. */
  readonly headers: string | undefined
}

/** A build with everything it needs. */
export interface BuildPlan {
  readonly backend: BuildableBackend
  readonly packageFolder: string
  readonly python: string
  readonly tensorflow: PythonTensorflow
  readonly nodeGyp: string
  readonly headers: string | undefined
}

/** The libraries of TensorFlow that the addon runs on, as they name themselves. */
export const tensorflowLibraries = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'] as const

/** What a build takes from TensorFlow's folder. */
export const tensorflowFiles = [...tensorflowLibraries, 'include/tensorflow/c/c_api.h'] as const

interface Missing {
  readonly expected: string
  readonly found: string
  readonly help: string
}

/** The plan, or one failure that names everything that is missing. */
export const planBuild = (facts: BuildFacts): E.Either<BackendError, BuildPlan> => {
  const { backend, platform, python, nodeGyp, headers } = facts
  const missing = platform === 'linux' ? missingOf(facts) : [otherPlatform(facts)]
  if (missing.length === 0 && facts.package && python?.tensorflow && nodeGyp !== undefined) {
    const { program, tensorflow } = python
    return E.right({ backend, packageFolder: facts.package.folder, python: program, tensorflow, nodeGyp, headers })
  }
  const joined = (key: keyof Missing, separator: string): string => missing.map((one) => one[key]).join(separator)
  const help = `${joined('help', ' ')} Nothing was changed.`
  return E.left(backendError(backend, joined('expected', '; '), joined('found', '; '), help))
}

const otherPlatform = ({ backend, platform }: BuildFacts): Missing => ({
  expected: 'Linux',
  found: platform,
  help:
    backend === 'tfjs-node'
      ? 'On x64 run npm install --save-dev @tensorflow/tfjs-node@4, which downloads TensorFlow and an addon built for it.'
      : 'TensorFlow has no CUDA for it in its wheels; the backend webgpu uses the GPU.',
})

const missingOf = (facts: BuildFacts): ReadonlyArray<Missing> => [
  ...missingPackage(facts),
  ...missingTensorflow(facts),
  ...missingTools(facts),
]

const missingPackage = ({ backend, package: found, installation }: BuildFacts): ReadonlyArray<Missing> => {
  const name = `@tensorflow/${backend}`
  const expected = `the package ${name} where chasec finds it`
  if (found === undefined) {
    const where = `where chasec is installed (${installation}; with -g if chasec is installed so)`
    const help = `Run npm install --save-dev --ignore-scripts ${name}@4 ${where}.`
    return [{ expected, found: `${name} is not installed`, help }]
  }
  if (!found.sources) {
    const help = `Install it anew: npm install --save-dev --ignore-scripts ${name}@4.`
    return [{ expected, found: `no sources of its addon in ${found.folder}`, help }]
  }
  if (found.writable) return []
  const help = 'Run this as the user who installed it.'
  return [{ expected: 'a package that can be written', found: `${found.folder}, which cannot`, help }]
}

const missingTensorflow = ({ backend, python, pythonName }: BuildFacts): ReadonlyArray<Missing> => {
  if (python === undefined) {
    const help = 'Install Python 3 and pip (Debian: python3-venv), or name a Python with --python PATH.'
    return [{ expected: 'Python 3', found: `no ${pythonName} that runs`, help }]
  }
  const expected = backend === 'tfjs-node' ? 'a Python TensorFlow' : 'a Python TensorFlow with CUDA'
  const { program, tensorflow } = python
  const pip = `${program} -m pip install`
  const wanted = backend === 'tfjs-node' ? 'tensorflow-cpu' : "'tensorflow[and-cuda]'"
  if (tensorflow === undefined) {
    const help = `Run ${pip} ${wanted}, or name the Python of another environment with --python PATH.`
    return [{ expected, found: `no tensorflow in ${program}`, help }]
  }
  const { folder, wheel, version, lacks } = tensorflow
  if (backend === 'tfjs-node-gpu' && wheel?.includes('-cpu') === true) {
    const help = `It has no CUDA: run ${pip} ${wanted} in another environment and name its Python with --python PATH.`
    return [{ expected, found: `${wheel} in ${program}`, help }]
  }
  if (lacks.length === 0) return []
  const help = `Run ${pip} --upgrade ${wanted}: its wheels for Linux have them.`
  return [
    {
      expected,
      found: `TensorFlow ${version ?? ''} without ${lacks.join(', ')} in ${folder}`.replace('  ', ' '),
      help,
    },
  ]
}

const missingTools = ({ compiler, compilerName, make, nodeGyp }: BuildFacts): ReadonlyArray<Missing> => {
  const absent = [...(compiler === undefined ? [compilerName] : []), ...(make === undefined ? ['make'] : [])]
  const packages = 'Debian: apt-get install build-essential; Fedora: dnf install gcc-c++ make'
  const tools = `Install a C++ compiler and make (${packages}).`
  return [
    ...(absent.length === 0
      ? []
      : [{ expected: 'a C++ compiler and make', found: `no ${absent.join(', no ')} in PATH`, help: tools }]),
    ...(nodeGyp !== undefined
      ? []
      : [{ expected: 'node-gyp', found: 'no npm that brings it', help: 'Run npm install -g node-gyp.' }]),
  ]
}
