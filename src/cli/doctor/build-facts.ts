/** Finding out what a machine has of what building @tensorflow/tfjs-node or tfjs-node-gpu needs; changes nothing. */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, realpathSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BuildableBackend, type BuildFacts, type PythonTensorflow, tensorflowFiles } from './build-plan.ts'
import { property } from '../../train/backend/loaders/optional.ts'

/** Where to look. */
export interface BuildSearch {
  /** What is to be built; tfjs-node unless said otherwise. */
  readonly backend?: BuildableBackend
  /** The environment: PATH, CXX, and what npm sets for the programs it runs. */
  readonly variables: Readonly<Record<string, string | undefined>>
  /** A Python by name or path in place of the first `python3` of PATH. */
  readonly python?: string
  /** The file from which packages are looked for; that of this module, like the backends, unless said otherwise. */
  readonly from?: string
}

/** Python may take this long to start. */
const pythonMilliseconds = 30_000

export const findBuildFacts = ({
  backend = 'tfjs-node',
  variables,
  python = 'python3',
  from = import.meta.url,
}: BuildSearch): BuildFacts => {
  const path = (variables['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  const compilerName = (variables['CXX'] ?? '').trim() || 'g++'
  return {
    backend,
    platform: process.platform,
    installation: installationOf(fileURLToPath(from)),
    package: findPackage(from, backend),
    pythonName: python,
    python: findPython(findProgram(python, path)),
    compilerName,
    // CXX may be a compiler behind another program, and may have options.
    compiler: findProgram(compilerName.split(' ', 1)[0] ?? '', path),
    make: findProgram('make', path),
    nodeGyp: findNodeGyp(variables, path),
    headers: findHeaders(),
  }
}

/** The folder whose node_modules hold the package of `file`, or that package itself when nobody installed it. */
const installationOf = (file: string): string => {
  const at = file.indexOf('/node_modules/')
  if (at >= 0) return file.slice(0, at)
  let folder = dirname(file)
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder)
  return folder
}

/** The package as Node finds it for an import in the file `from`: in the node_modules of the folders above it. */
const findPackage = (from: string, backend: BuildableBackend): BuildFacts['package'] => {
  let above = dirname(fileURLToPath(from))
  for (;;) {
    const folder = join(above, 'node_modules', '@tensorflow', backend)
    if (existsSync(folder)) {
      const sources = ['package.json', 'binding.gyp', 'binding'].every((name) => existsSync(join(folder, name)))
      return { folder: realpathSync(folder), sources, writable: isAllowed(folder, constants.W_OK) }
    }
    if (dirname(above) === above) return undefined
    above = dirname(above)
  }
}

/** A program by its name in the folders of PATH, or by its path. */
const findProgram = (name: string, path: ReadonlyArray<string>): string | undefined =>
  (name.includes('/') ? [name] : path.map((folder) => join(folder, name))).find(isProgram)

const isProgram = (path: string): boolean => isAllowed(path, constants.X_OK) && statSync(path).isFile()

const isAllowed = (path: string, mode: number): boolean => {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}

/** Prints where TensorFlow is without importing it, which would take seconds. The current folder is not looked at. */
const askPython = `
import importlib.metadata, importlib.util, json, sys
sys.path = [entry for entry in sys.path if entry]
spec = importlib.util.find_spec('tensorflow')
folders = list(spec.submodule_search_locations or []) if spec else []
version = None
wheel = None
for name in ('tensorflow', 'tensorflow-cpu', 'tensorflow-cpu-aws', 'tf-nightly', 'tf-nightly-cpu'):
    try:
        version = importlib.metadata.version(name)
        wheel = name
        break
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps({'folder': folders[0] if folders else None, 'version': version, 'wheel': wheel}))
`

const findPython = (program: string | undefined): BuildFacts['python'] => {
  if (program === undefined) return undefined
  const { status, stdout } = spawnSync(program, ['-c', askPython], { encoding: 'utf8', timeout: pythonMilliseconds })
  if (status !== 0) return undefined
  const answer = parse(stdout.trim().split('\n').at(-1) ?? '')
  const text = (name: string): string | undefined => {
    const found = property(answer, name)
    return typeof found === 'string' ? found : undefined
  }
  const folder = text('folder')
  if (folder === undefined) return { program, tensorflow: undefined }
  const lacks = tensorflowFiles.filter((name) => !existsSync(join(folder, name)))
  const nvidia = join(dirname(folder), 'nvidia')
  const tensorflow: PythonTensorflow = {
    folder,
    wheel: text('wheel'),
    version: text('version'),
    nvidia: existsSync(nvidia) ? nvidia : undefined,
    lacks,
  }
  return { program, tensorflow }
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The prefix that the running Node is installed under. */
const prefix = (): string => dirname(dirname(realpathSync(process.execPath)))

/** The node-gyp that npm runs, that of the npm of PATH or of the running Node, or one that is installed by itself. */
const findNodeGyp = (variables: BuildSearch['variables'], path: ReadonlyArray<string>): string | undefined => {
  const given = variables['npm_config_node_gyp']
  if (given !== undefined && existsSync(given)) return given
  const npm = findProgram('npm', path)
  const holders = [...(npm === undefined ? [] : [realpathSync(npm)]), join(prefix(), 'lib/node_modules/npm/index.js')]
  for (const holder of holders) {
    try {
      return createRequire(holder).resolve('node-gyp/bin/node-gyp.js')
    } catch {
      continue
    }
  }
  const installed = findProgram('node-gyp', path)
  return installed === undefined ? undefined : realpathSync(installed)
}

const findHeaders = (): string | undefined =>
  existsSync(join(prefix(), 'include/node/node_api.h')) ? prefix() : undefined
