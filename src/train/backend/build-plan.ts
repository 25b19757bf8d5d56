/** What building the native addon of @tensorflow/tfjs-node against Python's TensorFlow needs, and what of it is missing. */
import * as E from 'fp-ts/lib/Either.js'
import { backendError, type BackendError } from './backend.ts'

/** TensorFlow as pip installed it. */
export interface PythonTensorflow {
  /** The folder of the Python package. */
  readonly folder: string
  /** Undefined where no wheel says. */
  readonly version: string | undefined
  /** Files of {@link tensorflowFiles} that the folder lacks. */
  readonly lacks: ReadonlyArray<string>
}

/** What a machine has of what a build needs; undefined stands for what is not there. */
export interface BuildFacts {
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
  const { platform, python, nodeGyp, headers } = facts
  const missing = platform === 'linux' ? missingOf(facts) : [otherPlatform(platform)]
  if (missing.length === 0 && facts.package && python?.tensorflow && nodeGyp !== undefined) {
    const { program, tensorflow } = python
    return E.right({ packageFolder: facts.package.folder, python: program, tensorflow, nodeGyp, headers })
  }
  const joined = (key: keyof Missing, separator: string): string => missing.map((one) => one[key]).join(separator)
  const help = `${joined('help', ' ')} Nothing was changed.`
  return E.left(backendError('tfjs-node', joined('expected', '; '), joined('found', '; '), help))
}

const otherPlatform = (platform: string): Missing => ({
  expected: 'Linux',
  found: platform,
  help: 'On x64 run npm install --save-dev @tensorflow/tfjs-node@4, which downloads TensorFlow and an addon built for it.',
})

const missingOf = (facts: BuildFacts): ReadonlyArray<Missing> => [
  ...missingPackage(facts),
  ...missingTensorflow(facts),
  ...missingTools(facts),
]

const missingPackage = ({ package: found, installation }: BuildFacts): ReadonlyArray<Missing> => {
  const expected = 'the package @tensorflow/tfjs-node where chasec finds it'
  if (found === undefined) {
    const where = `where chasec is installed (${installation}; with -g if chasec is installed so)`
    const help = `Run npm install --save-dev --ignore-scripts @tensorflow/tfjs-node@4 ${where}.`
    return [{ expected, found: '@tensorflow/tfjs-node is not installed', help }]
  }
  if (!found.sources) {
    const help = 'Install it anew: npm install --save-dev --ignore-scripts @tensorflow/tfjs-node@4.'
    return [{ expected, found: `no sources of its addon in ${found.folder}`, help }]
  }
  if (found.writable) return []
  const help = 'Run this as the user who installed it.'
  return [{ expected: 'a package that can be written', found: `${found.folder}, which cannot`, help }]
}

const missingTensorflow = ({ python, pythonName }: BuildFacts): ReadonlyArray<Missing> => {
  if (python === undefined) {
    const help = 'Install Python 3 and pip (Debian: python3-venv), or name a Python with --python PATH.'
    return [{ expected: 'Python 3', found: `no ${pythonName} that runs`, help }]
  }
  const expected = 'a Python TensorFlow'
  const { program, tensorflow } = python
  const pip = `${program} -m pip install`
  if (tensorflow === undefined) {
    const help = `Run ${pip} tensorflow-cpu, or name the Python of another environment with --python PATH.`
    return [{ expected, found: `no tensorflow in ${program}`, help }]
  }
  const { folder, version, lacks } = tensorflow
  if (lacks.length === 0) return []
  const help = `Run ${pip} --upgrade tensorflow-cpu: its wheels for Linux have them.`
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
