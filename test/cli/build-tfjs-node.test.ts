import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import { failedAttempt } from '../../src/train/backend/attempt.ts'
import { findBuildFacts } from '../../src/cli/doctor/build-facts.ts'
import { type BuildFacts, type BuildPlan, planBuild } from '../../src/cli/doctor/build-plan.ts'
import { compileAddon, installAddon } from '../../src/cli/doctor/build-tfjs-node.ts'

let folder = ''
const at = (...names: ReadonlyArray<string>): string => join(folder, ...names)

const write = (path: string, text = '', mode = 0o644): string => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

/** Every path below the folder. */
const everything = (): ReadonlyArray<string> => readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'chasec-build-test-'))
})

afterEach(() => rmSync(folder, { recursive: true }))

const tensorflow = {
  folder: '/site/tensorflow',
  wheel: 'tensorflow-cpu',
  version: '2.21.0',
  nvidia: undefined,
  lacks: [],
} as const

const complete: BuildFacts = {
  backend: 'tfjs-node',
  platform: 'linux',
  installation: '/project',
  package: { folder: '/project/node_modules/@tensorflow/tfjs-node', sources: true, writable: true },
  pythonName: 'python3',
  python: {
    program: '/bin/python3',
    tensorflow,
  },
  compilerName: 'g++',
  compiler: '/bin/g++',
  make: '/bin/make',
  nodeGyp: '/npm/node-gyp.js',
  headers: '/usr',
}

const refusal = (change: Partial<BuildFacts>): string => {
  const plan = planBuild({ ...complete, ...change })
  if (E.isRight(plan)) throw new Error('it was planned all the same')
  return renderError(plan.left)
}

describe('planning', () => {
  test('a machine that has everything gives a plan, with or without headers', () => {
    const plan = {
      backend: 'tfjs-node',
      packageFolder: '/project/node_modules/@tensorflow/tfjs-node',
      python: '/bin/python3',
      tensorflow,
      nodeGyp: '/npm/node-gyp.js',
      headers: '/usr',
    }
    expect(planBuild(complete)).toEqual(E.right(plan))
    expect(planBuild({ ...complete, headers: undefined })).toEqual(E.right({ ...plan, headers: undefined }))
  })

  test.each<[string, Partial<BuildFacts>, string, string]>([
    [
      'another system',
      { platform: 'darwin' },
      'expected Linux, found darwin',
      'npm install --save-dev @tensorflow/tfjs-node@4',
    ],
    [
      'no package',
      { package: undefined },
      '@tensorflow/tfjs-node is not installed',
      'npm install --save-dev --ignore-scripts @tensorflow/tfjs-node@4 where chasec is installed (/project;',
    ],
    [
      'a package without sources',
      { package: { folder: '/p', sources: false, writable: true } },
      'no sources of its addon in /p',
      'npm install --save-dev --ignore-scripts @tensorflow/tfjs-node@4',
    ],
    [
      'a package of somebody else',
      { package: { folder: '/p', sources: true, writable: false } },
      '/p, which cannot',
      'as the user who installed it',
    ],
    ['no Python', { python: undefined, pythonName: '/x/python' }, 'no /x/python that runs', '--python PATH'],
    [
      'no TensorFlow',
      { python: { program: '/bin/python3', tensorflow: undefined } },
      'no tensorflow in /bin/python3',
      '/bin/python3 -m pip install tensorflow-cpu',
    ],
    [
      'a TensorFlow without libraries',
      {
        python: {
          program: '/bin/python3',
          tensorflow: {
            folder: '/t',
            wheel: undefined,
            version: undefined,
            nvidia: undefined,
            lacks: ['libtensorflow_cc.so.2'],
          },
        },
      },
      'TensorFlow without libtensorflow_cc.so.2 in /t',
      '/bin/python3 -m pip install --upgrade tensorflow-cpu',
    ],
    ['no compiler', { compiler: undefined }, 'no g++ in PATH', 'apt-get install build-essential'],
    ['no make', { make: undefined }, 'no make in PATH', 'apt-get install build-essential'],
    ['no node-gyp', { nodeGyp: undefined }, 'expected node-gyp', 'npm install -g node-gyp'],
  ])('%s is refused, with what to do', (_, change, found, help) => {
    const text = refusal(change)
    expect(text).toContain(found)
    expect(text).toContain(help)
    expect(text).toMatch(/^backend tfjs-node: .* Nothing was changed\.$/)
  })

  test('the addon for GPUs is built of its own package, against a TensorFlow that is not the one for CPUs', () => {
    const backend = 'tfjs-node-gpu'
    const found = { folder: '/site/tensorflow', version: '2.21.0', nvidia: '/site/nvidia', lacks: [] }
    const withWheel = (wheel: string) =>
      planBuild({ ...complete, backend, python: { program: '/bin/python3', tensorflow: { ...found, wheel } } })
    expect(withWheel('tensorflow')).toMatchObject(E.right({ backend, tensorflow: { nvidia: '/site/nvidia' } }))
    const refused = withWheel('tensorflow-cpu')
    if (E.isRight(refused)) return expect.unreachable()
    expect(renderError(refused.left)).toMatch(
      /^backend tfjs-node-gpu: expected a Python TensorFlow with CUDA, found tensorflow-cpu in \/bin\/python3\. .*'tensorflow\[and-cuda\]'/,
    )
    expect(refusal({ backend, package: undefined })).toContain('--ignore-scripts @tensorflow/tfjs-node-gpu@4 where')
    expect(refusal({ backend, platform: 'win32' })).toContain('the backend webgpu uses the GPU')
  })

  test('everything that is missing is told at once', () => {
    const text = refusal({ package: undefined, python: undefined, compiler: undefined, make: undefined })
    for (const part of ['is not installed', 'no python3 that runs', 'no g++, no make in PATH']) {
      expect(text).toContain(part)
    }
  })
})

describe('looking', () => {
  /** A program that prints what the program that asks Python prints. */
  const python = (name: string, answer: unknown): string =>
    write(at(name), `#!/bin/sh\necho 'a greeting'\necho '${JSON.stringify(answer)}'\n`, 0o755)

  const facts = (extra: { readonly python?: string } = {}) =>
    findBuildFacts({
      variables: { PATH: at('bin') },
      from: pathToFileURL(at('project', 'node_modules', 'chasec', 'dist', 'file.js')).href,
      ...extra,
    })

  test('an empty machine has nothing, and looking changes nothing', () => {
    const before = everything()
    expect(facts()).toMatchObject({
      installation: at('project'),
      package: undefined,
      pythonName: 'python3',
      python: undefined,
      compilerName: 'g++',
      compiler: undefined,
      make: undefined,
    })
    expect(everything()).toEqual(before)
  })

  test('programs are those of PATH that can be run; CXX names another compiler', () => {
    write(at('bin', 'make'), '', 0o755)
    write(at('bin', 'g++'), '', 0o644)
    write(at('bin', 'other'), '', 0o755)
    expect(facts()).toMatchObject({ make: at('bin', 'make'), compiler: undefined })
    const variables = { PATH: at('bin'), CXX: 'other -m64' }
    expect(findBuildFacts({ variables })).toMatchObject({ compilerName: 'other -m64', compiler: at('bin', 'other') })
  })

  test('the package is the one above chasec that Node would import, at its real place', () => {
    const outer = at('node_modules', '@tensorflow', 'tfjs-node')
    for (const name of ['package.json', 'binding.gyp', 'binding/a.cc']) write(join(outer, name))
    expect(facts().package).toEqual({ folder: outer, sources: true, writable: true })
    const inner = at('project', 'node_modules', '@tensorflow', 'tfjs-node')
    write(join(inner, 'package.json'))
    expect(facts().package).toEqual({ folder: inner, sources: false, writable: true })
  })

  test('Python is asked where its TensorFlow is, and the files are looked for there', () => {
    const program = python('bin/python3', { folder: at('tensorflow'), version: '2.21.0', wheel: 'tensorflow' })
    const library = write(at('tensorflow', 'libtensorflow_cc.so.2'))
    expect(facts().python).toEqual({
      program,
      tensorflow: {
        folder: dirname(library),
        wheel: 'tensorflow',
        version: '2.21.0',
        nvidia: undefined,
        lacks: ['libtensorflow_framework.so.2', 'include/tensorflow/c/c_api.h'],
      },
    })
    const other = python('other', { folder: null, version: null })
    expect(facts({ python: other })).toMatchObject({ pythonName: other, python: { program: other } })
    expect(facts({ python: other }).python?.tensorflow).toBe(undefined)
    expect(facts({ python: write(at('broken'), '#!/bin/sh\nexit 1\n', 0o755) }).python).toBe(undefined)
  })
})

describe('building', () => {
  const plan = (): BuildPlan => {
    for (const name of ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2']) write(at('tensorflow', name), name)
    write(at('tensorflow', 'include', 'tensorflow', 'c', 'c_api.h'))
    write(at('package', 'binding.gyp'), '{}')
    write(at('package', 'binding', 'a.cc'))
    return {
      backend: 'tfjs-node',
      packageFolder: at('package'),
      python: 'python3',
      tensorflow: { folder: at('tensorflow'), wheel: undefined, version: undefined, nvidia: undefined, lacks: [] },
      nodeGyp: at('node-gyp.js'),
      headers: '/usr',
    }
  }

  /** In place of node-gyp, a program that does what `body` says with its options in `options` and then its folder. */
  const nodeGyp = (body: string): void => {
    const options = 'const options = Object.fromEntries(process.argv.slice(3).map((a) => a.slice(2).split("=")));'
    write(at('node-gyp.js'), `const fs = require("node:fs");${options}${body}`)
  }

  const succeed =
    'fs.mkdirSync(options.module_path, { recursive: true });' +
    'fs.writeFileSync(options.module_path + "/tfjs_binding.node", process.env.CXXFLAGS + " " + options.nodedir + " " +' +
    'fs.readdirSync("deps/lib").map((name) => name + "=" + fs.realpathSync("deps/lib/" + name)).join())'

  const compiled = async (what: BuildPlan) => {
    nodeGyp(succeed)
    const result = await compileAddon(what, { CXXFLAGS: '-O1' })()
    if (E.isLeft(result)) throw new Error(renderError(result.left))
    return result.right
  }

  test('compiles outside the package, with links to TensorFlow under the names that the linker looks for', async () => {
    const what = plan()
    nodeGyp('')
    const before = everything()
    const { folder: work, file } = await compiled(what)
    expect(everything()).toEqual(before)
    const [cc, framework] = ['cc', 'framework'].map((name) => at('tensorflow', `libtensorflow_${name}.so.2`))
    expect(readFileSync(file, 'utf8')).toBe(
      `-O1 -std=c++17 /usr libtensorflow.so=${cc},libtensorflow_cc.so.2=${cc},` +
        `libtensorflow_framework.so=${framework},libtensorflow_framework.so.2=${framework}`,
    )
    rmSync(work, { recursive: true })
  })

  test('shows the compiler from its first error on, and leaves nothing behind', async () => {
    const what = plan()
    nodeGyp(
      `fs.writeFileSync(${JSON.stringify(at('seen'))}, process.cwd());` +
        'console.log("make: entering"); console.error("gyp info it\\na.cc:1: error: no such type\\n  int x\\ngyp ERR! end");' +
        'process.exit(1)',
    )
    write(at('seen'))
    const before = everything()
    const result = await compileAddon(what, {})()
    if (E.isRight(result)) return expect.unreachable()
    expect(renderError(result.left)).toMatch(
      /expected its addon to compile, found an error\. .* Nothing was changed\. .*:\na\.cc:1: error: no such type\n {2}int x$/,
    )
    expect(everything()).toEqual(before)
    expect(readFileSync(at('seen'), 'utf8')).toMatch('chasec-build-')
    expect(existsSync(readFileSync(at('seen'), 'utf8'))).toBe(false)
  })

  test('keeps what works, and nothing of what it was made with', async () => {
    const what = plan()
    const addon = await compiled(what)
    write(at('package', 'deps', 'old.so'))
    const works = { available: true, software: false, found: 'TensorFlow 2' }
    const seen: string[] = []
    const result = await installAddon(what, addon, async () => {
      seen.push(...everything())
      return works
    })()
    expect(result).toEqual(
      E.right({
        packageFolder: at('package'),
        tensorflow: at('tensorflow'),
        found: 'TensorFlow 2',
        files: [
          'deps/lib/libtensorflow_cc.so.2',
          'deps/lib/libtensorflow_framework.so.2',
          'lib/napi-v8/tfjs_binding.node',
        ],
        replaced: ['deps'],
      }),
    )
    expect(seen).toContain('package/lib/napi-v8/tfjs_binding.node')
    expect(everything().filter((path) => path.startsWith('package/'))).toEqual([
      'package/binding',
      'package/binding.gyp',
      'package/binding/a.cc',
      'package/deps',
      'package/deps/lib',
      'package/deps/lib/libtensorflow_cc.so.2',
      'package/deps/lib/libtensorflow_framework.so.2',
      'package/lib',
      'package/lib/napi-v8',
      'package/lib/napi-v8/tfjs_binding.node',
    ])
    expect(existsSync(addon.folder)).toBe(false)
  })

  test('for GPUs, links to the libraries of NVIDIA too, and keeps what only finds no GPU', async () => {
    const cpu = plan()
    const tensorflow = { ...cpu.tensorflow, nvidia: at('nvidia') }
    const what: BuildPlan = { ...cpu, backend: 'tfjs-node-gpu', tensorflow }
    mkdirSync(at('nvidia'))
    const noDriver = failedAttempt('TensorFlow finds no GPU: Could not find cuda drivers on your machine')
    const result = await installAddon(what, await compiled(what), async () => noDriver)()
    expect(result).toMatchObject(E.right({ found: noDriver.found }))
    // As the libraries themselves look for them: from the folder in which they are opened.
    expect(realpathSync(at('package', 'deps', 'lib', '..', 'nvidia'))).toBe(realpathSync(at('nvidia')))
    const refused = await installAddon(cpu, await compiled(cpu), async () => noDriver)()
    expect(E.isLeft(refused)).toBe(true)
  })

  test('leaves the package as it was when the backend then does not work', async () => {
    const what = plan()
    const addon = await compiled(what)
    write(at('package', 'deps', 'old.so'))
    const before = everything()
    const result = await installAddon(what, addon, async () => failedAttempt('does not start: it crashed'))()
    if (E.isRight(result)) return expect.unreachable()
    expect(renderError(result.left)).toContain('found does not start: it crashed. ')
    expect(everything()).toEqual(before)
    expect(existsSync(addon.folder)).toBe(false)
  })

  test('leaves the package as it was when writing fails', async () => {
    const what = plan()
    const addon = await compiled(what)
    write(at('package', 'lib', 'old.node'))
    rmSync(addon.file)
    const before = everything()
    const result = await installAddon(what, addon, () => expect.unreachable())()
    if (E.isRight(result)) return expect.unreachable()
    expect(result.left.expected).toBe(`${at('package')} to be written`)
    expect(everything()).toEqual(before)
  })
})
