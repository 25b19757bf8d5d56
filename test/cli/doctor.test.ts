import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { attemptAlone } from '../../src/cli/doctor/attempt-alone.ts'
import { examine, isAtLeast, type Probes } from '../../src/cli/doctor/checkup.ts'
import { renderError } from '../../src/ir/failure.ts'
import { isHealthy, renderCheckup } from '../../src/report/terminal/doctor-table.ts'
import { plainStyle } from '../../src/report/terminal/style.ts'
import { runError } from '../../src/run/error.ts'
import { failedAttempt } from '../../src/train/backend/attempt.ts'
import { backendNames } from '../../src/train/backend/backend.ts'
import { findBuildFacts } from '../../src/cli/doctor/build-facts.ts'
import { planBuild } from '../../src/cli/doctor/build-plan.ts'
import { chasec, json } from './chasec.ts'

// Many processes are started; on a busy machine that takes its time.
vi.setConfig({ testTimeout: 180_000 })

const folder = mkdtempSync(join(tmpdir(), 'chasec-doctor-'))
afterAll(() => rmSync(folder, { recursive: true }))

const silent = (): void => undefined

describe('trying a backend in a process of its own', () => {
  const program = (name: string, text: string): URL => {
    const path = join(folder, `${name}.mjs`)
    writeFileSync(path, text)
    return pathToFileURL(path)
  }
  const attempt = (name: string, text: string, seconds = 60) =>
    attemptAlone({ program: program(name, text), seconds })('wasm')()

  it('gives what it answers, whatever else it writes and however it ends', async () => {
    const answer = '{ available: true, software: false, found: process.argv[2] }'
    const works = { available: true, software: false, found: 'wasm' }
    const noise = 'console.log("noise"); console.error("noise");'
    expect(await attempt('answers', `${noise} process.send(${answer})`)).toEqual(works)
    expect(await attempt('stays', `process.send(${answer}); setInterval(() => {}, 1000)`)).toEqual(works)
    expect(await attempt('crashes-later', `process.send(${answer}, () => process.abort())`)).toEqual(works)
  })

  it('reports a crash with the last words', async () => {
    const found = await attempt('crashes', 'console.error("illegal instruction"); process.kill(process.pid, "SIGSEGV")')
    expect(found).toEqual(
      failedAttempt(
        'does not start: the process that ran it crashed (SIGSEGV); the last it wrote: illegal instruction',
      ),
    )
    expect((await attempt('ends', 'process.exit(3)')).found).toMatch('ended with exit code 3')
  })

  it('gives the words of TensorFlow for why there is no GPU', async () => {
    const answer = '{ available: false, software: false, found: "TensorFlow finds no GPU" }'
    const told = 'I0000 cudart_stub.cc:31] Could not find cuda drivers on your machine, GPU will not be used.'
    expect((await attempt('no-gpu', `console.error("${told}"); process.send(${answer})`)).found).toBe(
      'TensorFlow finds no GPU: Could not find cuda drivers on your machine',
    )
    const failed = 'E0000 cuda_platform.cc:52] failed call to cuInit: UNKNOWN ERROR (303)'
    expect((await attempt('no-driver', `console.error("${failed}"); process.send(${answer})`)).found).toBe(
      'TensorFlow finds no GPU: failed call to cuInit: UNKNOWN ERROR (303) (libcuda.so.1, which is part of the NVIDIA driver, is missing)',
    )
    expect((await attempt('no-words', `process.send(${answer})`)).found).toBe('TensorFlow finds no GPU')
  })

  it('reports one that never answers, and ends it', async () => {
    const pidFile = join(folder, 'pid')
    const text = `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify(pidFile)}, String(process.pid)); setInterval(() => {}, 1000)`
    expect(await attempt('hangs', text, 2)).toEqual(failedAttempt('does not start within 2 s'))
    const pid = Number(readFileSync(pidFile, 'utf8'))
    await expect.poll(() => isRunning(pid)).toBe(false)
  })

  it('reports an answer that is none, and a program that is not there', async () => {
    expect((await attempt('nonsense', 'process.send({ available: "yes" })')).found).toMatch('makes no sense')
    const missing = attemptAlone({ program: pathToFileURL(join(folder, 'missing.mjs')) })('cpu')
    expect((await missing()).found).toMatch('run npm run build')
  })

  it('works with the program that is built', async () => {
    expect(await attemptAlone()('cpu')()).toEqual({ available: true, software: false, found: 'plain JavaScript' })
  })
})

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('the report', () => {
  const cpu = { provider: 'cpu', usable: true, milliseconds: 20 } as const
  const cuda = { provider: 'cuda', usable: false, reason: 'no driver', help: 'Install a driver.' } as const
  const probes: Probes = {
    backend: (name) => async () => {
      if (name === 'tfjs-node') return failedAttempt('does not start: the process that ran it crashed (SIGILL)')
      if (name === 'webgpu') return { available: true, software: true, found: 'SwiftShader' }
      return name === 'wasm' ? { available: true, software: false, found: 'WebAssembly' } : failedAttempt('missing')
    },
    providers: async () => E.right([cuda, cpu]),
    runtimes: async () => [
      { runtime: 'onnxruntime-node', usable: false, reason: 'not installed', help: 'For faster runs: install it.' },
      { runtime: 'onnxruntime-web', usable: true, version: '1.2.3', milliseconds: 55 },
    ],
  }

  it('tells what works, what does not and why, how to get it, and what auto takes', async () => {
    const checkup = await examine(silent, probes)
    const text = renderCheckup(checkup, plainStyle)
    for (const line of [
      /^ {2}✓ Node {4}\d+\.\d+\.\d+ \(needed: >=\d+\.\d+\)$/m,
      /^ {2}– tfjs-node {6}TensorFlow on all cores: does not start: the process that ran it crashed \(SIGILL\)$/m,
      /^ +Run npm install --save-dev @tensorflow\/tfjs-node@4; .*chasec doctor --build-tfjs-node/m,
      /^ {2}– webgpu .* works, but is a program in place of a GPU: SwiftShader$/m,
      /^ +To use it all the same, give --backend webgpu\.$/m,
      /^ {2}✓ wasm .*: WebAssembly$/m,
      /^ {2}auto takes wasm\.$/m,
      /^ {2}– onnxruntime-node {2}not installed\n +For faster runs: install it\.$/m,
      /^ {2}✓ onnxruntime-web {3}1\.2\.3 works; a run of a small model takes 55\.0 ms; taken$/m,
      /^ {2}– cuda +no driver$/m,
      /^ +Install a driver\.$/m,
      /^ {2}✓ cpu +works; a run of a small model takes 20\.0 ms$/m,
      /^ {2}auto takes cpu\.$/m,
      /^ {2}[✓–] sharp {5}folders of images/m,
    ]) {
      expect(text).toMatch(line)
    }
    expect(text).not.toMatch('✗')
    expect(isHealthy(checkup)).toBe(true)
  })

  it('does not tell to install what is there and only lacks a GPU', async () => {
    const found = 'TensorFlow finds no GPU: Could not find cuda drivers on your machine'
    const checkup = await examine(silent, { ...probes, backend: () => async () => failedAttempt(found) })
    const text = renderCheckup(checkup, plainStyle)
    expect(text).toMatch(
      /^ {2}– tfjs-node-gpu .*: TensorFlow finds no GPU: Could not .*\n +Its addon works; .*525\.60\.13 or newer/m,
    )
  })

  it('tells why a provider that works is not taken', async () => {
    const webgpu = { provider: 'webgpu', usable: true, milliseconds: 900 } as const
    const checkup = await examine(silent, { ...probes, providers: async () => E.right([cuda, webgpu, cpu]) })
    expect(renderCheckup(checkup, plainStyle)).toMatch(/auto takes cpu: .*webgpu works but is slower than the CPU/)
  })

  it('says that something is missing only when it is needed', async () => {
    const error = runError('onnxruntime-node', 'the package to be installed', 'no package', 'Run `npm install`.')
    const broken = await examine(silent, { ...probes, providers: async () => E.left(error) })
    expect(isHealthy(broken)).toBe(false)
    const text = renderCheckup(broken, plainStyle)
    expect(text).toMatch(/✗ onnxruntime-node {2}no package\n +Run `npm install`\./)
    expect(text).toMatch(/Something that chasec needs is missing\.$/)
    const nothing = { ...probes, backend: () => async () => failedAttempt('missing') }
    const untrained = await examine(silent, nothing)
    expect(isHealthy(untrained)).toBe(true)
    expect(untrained.training.auto).toBe(null)
    expect(renderCheckup(untrained, plainStyle)).toMatch('training needs one of them')
    const old = { ...untrained, node: { version: '18.0.0', needed: '>=20.19', suitable: false } }
    expect(isHealthy(old)).toBe(false)
    expect(renderCheckup(old, plainStyle)).toMatch(/✗ Node {4}18\.0\.0 .*\n +Install Node >=20\.19\./)
  })

  it.each([
    ['20.19.0', true],
    ['20.18.9', false],
    ['18.99.0', false],
    ['22.0.0', true],
    ['100.1.0', true],
  ])('Node %s is at least 20.19: %s', (found, expected) => {
    expect(isAtLeast(found, '>=20.19')).toBe(expected)
  })
})

describe('chasec doctor', () => {
  it('examines this machine as JSON, with nothing else on stdout or stderr', () => {
    const ran = chasec(['doctor', '--json'], { cwd: folder })
    expect(ran.stderr).toBe('')
    expect(ran.code).toBe(0)
    const backend = (name: string) => ({
      name,
      about: expect.stringMatching(/./),
      available: expect.toSatisfy((x) => typeof x === 'boolean'),
      software: expect.toSatisfy((x) => typeof x === 'boolean'),
      found: expect.stringMatching(/./),
      install: expect.stringMatching(/^Run npm install .*\.$/),
    })
    expect(json(ran)).toMatchObject({
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      node: { version: process.versions.node, suitable: true },
      machine: { platform: process.platform, architecture: process.arch },
      training: { backends: backendNames.map(backend), auto: expect.stringMatching(/./) },
      running: {
        providers: [{ provider: 'cuda' }, { provider: 'webgpu' }, { provider: 'cpu', usable: true }],
        auto: { provider: expect.stringMatching(/./) },
        error: null,
      },
      packages: [{ name: 'sharp' }, { name: 'fast-png' }],
    })
    expect(json(ran)).toMatchObject({
      training: { backends: expect.arrayContaining([expect.objectContaining({ name: 'wasm', available: true })]) },
    })
  })

  it('takes what belongs to building only with it', () => {
    for (const stray of [['--python', 'python3'], ['--force']]) {
      const { code, stderr } = chasec(['doctor', ...stray], { cwd: folder })
      expect(code).toBe(2)
      expect(stderr).toMatch('--build-tfjs-node')
    }
  })

  it.each(['tfjs-node', 'tfjs-node-gpu'])(
    'does not build %s where a compiler, make and Python are missing, and says all of it',
    (backend) => {
      const empty = join(folder, 'empty')
      mkdirSync(empty, { recursive: true })
      const args = ['doctor', `--build-${backend}`, '--force', '--json']
      const ran = chasec(args, { cwd: folder, env: { PATH: empty } })
      expect(ran.code).toBe(2)
      expect(json(ran)).toMatchObject({
        error: {
          subject: `backend ${backend}`,
          found: expect.stringMatching(/no python3 that runs; no g\+\+, no make in PATH/),
          help: expect.stringMatching(/Nothing was changed\.$/),
        },
      })
    },
  )
})

const root = fileURLToPath(new URL('../..', import.meta.url))
const plan = planBuild(findBuildFacts({ variables: process.env }))
if (E.isLeft(plan)) console.warn(`test of building the addon skipped: ${renderError(plan.left)}`)

/** A project with chasec, its packages, and @tensorflow/tfjs-node without an addon; nothing in it is this checkout's own. */
const project = (packageFolder: string): string => {
  const made = join(folder, 'project', 'node_modules')
  const built = /^(build|deps|lib|node_modules)$/
  mkdirSync(join(made, '@tensorflow'), { recursive: true })
  for (const from of [join(root, 'node_modules'), join(packageFolder, '..', '..')]) {
    for (const name of readdirSync(from).filter((entry) => !entry.startsWith('.') && entry !== '@tensorflow')) {
      if (!existsSync(join(made, name))) symlinkSync(join(from, name), join(made, name))
    }
    for (const name of readdirSync(join(from, '@tensorflow')).filter((entry) => entry !== 'tfjs-node')) {
      const to = join(made, '@tensorflow', name)
      if (!existsSync(to)) symlinkSync(join(from, '@tensorflow', name), to)
    }
  }
  const copy = join(made, '@tensorflow', 'tfjs-node')
  mkdirSync(copy)
  for (const name of readdirSync(packageFolder).filter((entry) => !built.test(entry))) {
    cpSync(join(packageFolder, name), join(copy, name), { recursive: true })
  }
  cpSync(join(root, 'dist'), join(made, 'chasec', 'dist'), { recursive: true })
  cpSync(join(root, 'package.json'), join(made, 'chasec', 'package.json'))
  return dirname(made)
}

describe.skipIf(E.isLeft(plan))('chasec doctor --build-tfjs-node', () => {
  it('builds the addon of the package that chasec loads, and the backend works with it', () => {
    if (E.isLeft(plan)) return expect.unreachable()
    const cwd = project(plan.right.packageFolder)
    const run = (args: ReadonlyArray<string>): unknown => {
      const main = join(cwd, 'node_modules', 'chasec', 'dist', 'cli', 'main.js')
      const ran = spawnSync(process.execPath, [main, 'doctor', '--json', ...args], { cwd, encoding: 'utf8' })
      expect(ran.stderr).toBe('')
      expect(ran.status).toBe(0)
      return JSON.parse(ran.stdout)
    }
    const backend = (available: boolean) => ({
      training: { backends: expect.arrayContaining([expect.objectContaining({ name: 'tfjs-node', available })]) },
    })
    expect(run([])).toMatchObject(backend(false))
    const packageFolder = join(realpathSync(cwd), 'node_modules', '@tensorflow', 'tfjs-node')
    const built = run(['--build-tfjs-node'])
    expect(built).toMatchObject({
      built: {
        packageFolder,
        tensorflow: plan.right.tensorflow.folder,
        files: expect.arrayContaining(['lib/napi-v8/tfjs_binding.node']),
        replaced: [],
      },
      found: expect.stringMatching(`on TensorFlow ${plan.right.tensorflow.version ?? ''}`),
    })
    expect(readdirSync(packageFolder).filter((name) => name.startsWith('.chasec'))).toEqual([])
    expect(run([])).toMatchObject(backend(true))
    expect(run(['--build-tfjs-node'])).toMatchObject({ built: null })
  })
})
