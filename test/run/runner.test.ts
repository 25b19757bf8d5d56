import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import { type Dense, elements, tensorOf } from '../../src/ir/tensor.ts'
import type { RunError } from '../../src/run/error.ts'
import { seededInputs } from '../../src/run/inputs.ts'
import { runtimeNames } from '../../src/run/protocol.ts'
import { pickProvider, providers, runtimes } from '../../src/run/providers.ts'
import {
  type ModelHandle,
  type ModelSource,
  openRunner,
  type Runner,
  type RunnerOptions,
  type Tensors,
  withRunner,
} from '../../src/run/runner.ts'
import { verify } from '../../src/run/verify.ts'
import { builtWorker, describeDeath } from '../../src/run/worker-process.ts'
import { convolution, onnx, raw, types, unary } from './onnx.ts'

// Processes are started; on a busy machine that takes its time.
vi.setConfig({ testTimeout: 120_000 })

const scratch = mkdtempSync(join(tmpdir(), 'chasec-test-run-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const right = <A>(x: E.Either<RunError, A>): A => {
  if (E.isLeft(x)) throw new Error(renderError(x.left))
  return x.right
}
const left = (x: E.Either<RunError, unknown>): RunError => {
  if (E.isRight(x)) throw new Error('expected an error')
  return x.left
}

/** Opens a runner, loads a model, and uses both. */
const using = async <A>(
  source: ModelSource,
  use: (runner: Runner, model: ModelHandle) => Promise<A>,
  options: RunnerOptions = {},
): Promise<A> =>
  right(
    await withRunner(options, async (runner) => {
      const model = await runner.load(source)()
      return E.isLeft(model) ? model : E.right(await use(runner, model.right))
    })(),
  )

const loadError = async (source: ModelSource, options: RunnerOptions = {}): Promise<RunError> =>
  left(await withRunner(options, (runner) => runner.load(source)())())

const hello = "{ protocol: 2, runtime: 'onnxruntime-node', version: 'fake', backends: ['cpu'] }"

/** A worker that greets like the real one and then does `act` when asked to load a model. */
const fakeWorker = (name: string, act: string): URL => {
  const file = join(scratch, `${name}.mjs`)
  writeFileSync(
    file,
    `process.on('message', ({ id, request }) => {
      if (request.kind === 'hello') process.send({ id, ok: true, value: ${hello} })
      else if (request.kind === 'chunk') process.send({ id, ok: true, value: null })
      else { ${act} }
    })
    process.on('disconnect', () => process.exit(0))`,
  )
  return pathToFileURL(file)
}

/** The built worker in a place with fp-ts and only these packages: by name what they run when they are loaded, or the real ones. */
const workerBeside = (packages: Readonly<Record<string, string>>): URL => {
  const place = mkdtempSync(join(scratch, 'place-'))
  const built = join(dirname(fileURLToPath(builtWorker)), '..')
  for (const part of ['run', 'ir']) cpSync(join(built, part), join(place, part), { recursive: true })
  cpSync(fileURLToPath(new URL('../../package.json', import.meta.url)), join(place, 'package.json'))
  for (const [name, content] of Object.entries({ 'fp-ts': 'real', ...packages })) {
    const folder = join(place, 'node_modules', name)
    mkdirSync(dirname(folder), { recursive: true })
    if (content === 'real') {
      symlinkSync(fileURLToPath(new URL(`../../node_modules/${name}`, import.meta.url)), folder, 'dir')
      continue
    }
    mkdirSync(folder)
    writeFileSync(join(folder, 'package.json'), '{ "main": "main.cjs" }')
    writeFileSync(join(folder, 'main.cjs'), content)
  }
  return pathToFileURL(join(place, 'run', 'worker.js'))
}

const gone = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}

describe('the worker of the build', () => {
  it('is as new as its sources', () => {
    for (const file of [
      'worker',
      'protocol',
      'probe-model',
      'runtime/native',
      'runtime/tensors',
      'runtime/web-assembly',
    ]) {
      const built = new URL(`./${file}.js`, builtWorker)
      expect(existsSync(built), 'run `npm run build` before the tests').toBe(true)
      const source = new URL(`../../src/run/${file}.ts`, import.meta.url)
      expect(statSync(built).mtimeMs, `${file}.ts: run \`npm run build\` again`).toBeGreaterThan(
        statSync(source).mtimeMs,
      )
    }
  })
})

describe.each(runtimeNames)('a runner on %s', (runtime) => {
  const usingIt: typeof using = (source, use, options) => using(source, use, { runtime, ...options })
  const runIt = (source: ModelSource, feeds: Tensors): Promise<Tensors> =>
    usingIt(source, async (runner, model) => right(await runner.run(model, feeds)()))

  it('tells what a model takes and gives, and runs it', async () => {
    const w = [1, 2, 3, 4]
    const model = onnx({
      nodes: [{ op: 'Mul', inputs: ['x', 'w'], outputs: ['y'] }],
      inputs: [{ name: 'x', shape: ['N', null, 2, 2] }],
      outputs: [{ name: 'y', shape: ['N', null, 2, 2] }],
      constants: [{ name: 'w', shape: [2, 2], data: w }],
    })
    await usingIt(model, async (runner, handle) => {
      expect(runner.provider).toBe('cpu')
      expect(runner.runtime).toMatch(new RegExp(`^${runtime} \\d`))
      expect(handle.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: ['N', null, 2, 2] }])
      expect(handle.outputs[0]?.name).toBe('y')
      const feeds = new Map([['x', tensorOf('float32', [1, 1, 2, 2], [1, 10, 100, 1000])]])
      const y = right(await runner.run(handle, feeds)()).get('y')
      expect(y?.shape).toEqual([1, 1, 2, 2])
      expect(y && [...elements(y)]).toEqual([1, 20, 300, 4000])
      const wrong = left(await runner.run(handle, new Map([['z', tensorOf('float32', [1], [1])]]))())
      expect(wrong.found).toContain("'x' is missing")
      const shape = left(await runner.run(handle, new Map([['x', tensorOf('float32', [3], [1, 2, 3])]]))())
      expect(shape.found).toMatch(/rank/i)
      expect(runner.alive()).toBe(true)
    })
  })

  const numbers: ReadonlyArray<readonly [string, number, Dense]> = [
    ['float16', types.float16, tensorOf('float16', [3], [1.5, -2, 65504])],
    ['float64', types.double, tensorOf('float64', [3], [0.1, -2, 1e300])],
    ['int64', types.int64, tensorOf('int64', [3], BigInt64Array.of(2n ** 62n + 1n, -1n, 0n))],
    ['int32', types.int32, tensorOf('int32', [3], [-5, 0, 2147483647])],
    ['uint8', types.uint8, tensorOf('uint8', [3], [0, 128, 255])],
    ['bool', types.bool, tensorOf('bool', [3], [1, 0, 1])],
  ]
  for (const [name, type, x] of numbers) {
    it(`moves ${name} there and back unchanged`, async () => {
      const y = (await runIt(unary('Identity', [3], type), new Map([['x', x]]))).get('y')
      expect(y?.dtype).toBe(name)
      expect(y && Buffer.from(y.bytes).toString('hex')).toBe(Buffer.from(x.bytes).toString('hex'))
    })
  }

  it('moves strings there and back', async () => {
    const strings = ['', 'naïve', '😀'].map((s) => new TextEncoder().encode(s))
    const x: Dense = { tag: 'Dense', dtype: 'string', shape: [3], bytes: new Uint8Array(), strings }
    const y = (await runIt(unary('Identity', [3], types.string), new Map([['x', x]]))).get('y')
    expect(y?.strings?.map((s) => new TextDecoder().decode(s))).toEqual(['', 'naïve', '😀'])
  })

  it('refuses element types that it cannot move', async () => {
    const model = onnx({
      nodes: [{ op: 'Cast', inputs: ['x'], outputs: ['y'], ints: { to: types.bfloat16 } }],
      inputs: [{ name: 'x', shape: [2] }],
      outputs: [{ name: 'y', type: types.bfloat16, shape: [2] }],
    })
    expect((await loadError(model, { runtime })).found).toContain('bfloat16')
  })

  it('reads a file, a folder with a model.onnx in it, and the external data beside it', async () => {
    const folder = join(scratch, `package of ${runtime}`)
    mkdirSync(folder)
    const spec = (file?: string): Uint8Array =>
      onnx({
        nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
        inputs: [{ name: 'x', shape: [600] }],
        outputs: [{ name: 'y', shape: [600] }],
        constants: [
          { name: 'w', shape: [600], data: Array.from({ length: 600 }, (_, i) => i), ...(file ? { file } : {}) },
        ],
      })
    writeFileSync(join(folder, 'model.onnx'), spec('model.onnx_data'))
    const data = Uint8Array.from(
      raw(
        types.float,
        Array.from({ length: 600 }, (_, i) => i),
      ),
    )
    const beside = spec('model.onnx_data')
    const missing = await loadError(folder, { runtime })
    expect(missing.subject).toBe(folder)
    expect(missing.help).toContain('external data')
    writeFileSync(join(folder, 'model.onnx_data'), data)
    const feeds = new Map([['x', tensorOf('float32', [600], new Float32Array(600).fill(0.5))]])
    for (const source of [
      folder,
      join(folder, 'model.onnx'),
      spec(),
      { bytes: beside, externalData: [{ path: 'model.onnx_data', data }] },
    ]) {
      const y = (await runIt(source, feeds)).get('y')
      expect(y && elements(y)[599]).toBe(599.5)
    }
  })

  it('carries large models in pieces', async () => {
    const count = 5_000_000
    const bytes = onnx({
      nodes: [{ op: 'Gather', inputs: ['w', 'x'], outputs: ['y'] }],
      inputs: [{ name: 'x', type: types.int64, shape: [1] }],
      outputs: [{ name: 'y', shape: [1] }],
      constants: [{ name: 'w', shape: [count], data: [], file: 'w' }],
    })
    const data = new Uint8Array(Float32Array.from({ length: count }, (_, i) => i).buffer)
    const source = { bytes, externalData: [{ path: 'w', data }] }
    const y = (await runIt(source, new Map([['x', tensorOf('int64', [1], [4_999_999])]]))).get('y')
    expect(y && elements(y)[0]).toBe(4_999_999)
  })

  it('fixes free dimensions', async () => {
    await usingIt(convolution(), async (_, model) => expect(model.inputs[0]?.shape).toEqual([2, 3, 'H', 'W']), {
      freeDimensions: { N: 2 },
    })
  })

  it('times what it runs', async () => {
    await usingIt(convolution(), async (runner, model) => {
      const feeds = right(seededInputs(model.inputs, 1, { N: 1, H: 16, W: 16 }))
      const prepared = right(await runner.prepare(model, feeds)())
      const none = right(await runner.time(prepared, { warmup: 0, seconds: 0 })())
      expect(none.iterations).toBe(1)
      const some = right(await runner.time(prepared, { warmup: 1, seconds: 0.05 })())
      expect(some.milliseconds).toBeGreaterThanOrEqual(50)
      expect(some.milliseconds).toBeLessThan(5000)
      expect(some.iterations).toBeGreaterThan(5)
      right(await runner.release(model)())
      expect(left(await runner.run(model, feeds)()).found).toContain('released')
    })
  })

  it('ends its process on close and says so afterwards', async () => {
    const runner = right(await openRunner({ runtime })())
    expect(gone(runner.pid)).toBe(false)
    await runner.close()
    expect(gone(runner.pid)).toBe(true)
    expect(left(await runner.load(convolution())()).found).toContain('closed')
  })
})

describe('what goes wrong', () => {
  it('names a file that is missing and a folder without a model', async () => {
    expect(await loadError(join(scratch, 'no.onnx'))).toMatchObject({
      _tag: 'RunError',
      subject: join(scratch, 'no.onnx'),
      found: 'no such file',
    })
    mkdirSync(join(scratch, 'empty'))
    expect((await loadError(join(scratch, 'empty'))).found).toBe('a folder without one')
  })

  it('names a model whose bytes are corrupt', async () => {
    const whole = convolution()
    for (const bytes of [Uint8Array.of(1, 2, 3), whole.subarray(0, 300), new Uint8Array()]) {
      const error = await loadError({ bytes, name: 'torn.onnx' })
      expect(error.subject).toBe('torn.onnx')
      expect(error.expected).toContain('onnxruntime-node')
      expect(error.found.length).toBeGreaterThan(5)
    }
  })

  const testData = '/usr/share/libonnx-testdata/data/node/test_if_opt/model.onnx'
  it('survives a valid model that crashes ONNX Runtime (Optional output)', async (context) => {
    if (!existsSync(testData)) context.skip('libonnx-testdata is not installed: apt-get install libonnx-testdata')
    const error = left(await verify(testData, testData)())
    expect(error.subject).toBe(testData)
    expect(error.found).toContain('not a tensor')
  })

  it('reports a process that is killed in the middle of a run', async () => {
    await using({ bytes: convolution(), name: 'victim' }, async (runner, model) => {
      const feeds = right(seededInputs(model.inputs, 1, { N: 1, H: 8, W: 8 }))
      const prepared = right(await runner.prepare(model, feeds)())
      const running = runner.time(prepared, { warmup: 0, seconds: 60 })()
      setTimeout(() => process.kill(runner.pid, 'SIGKILL'), 100)
      const error = left(await running)
      expect(error.subject).toBe('victim')
      expect(error.found).toContain('SIGKILL')
      expect(error.found).toContain('memory')
      expect(runner.alive()).toBe(false)
      expect(left(await runner.run(model, feeds)()).found).toContain('SIGKILL')
    })
  })

  it('ends a process that does not answer in time', async () => {
    await using(
      { bytes: convolution(), name: 'slow' },
      async (runner, model) => {
        const feeds = right(seededInputs(model.inputs, 1, { N: 1, H: 8, W: 8 }))
        const prepared = right(await runner.prepare(model, feeds)())
        const error = left(await runner.time(prepared, { warmup: 1e9, seconds: 0 })())
        expect(error.subject).toBe('slow')
        expect(error.expected).toContain('1 s')
        expect(error.found).toContain('no answer within 1 s')
        expect(runner.alive()).toBe(false)
      },
      { timeoutSeconds: 1 },
    )
  })

  const deaths: ReadonlyArray<readonly [string, string, RegExp]> = [
    ['segv', `process.kill(process.pid, 'SIGSEGV')`, /crashed \(SIGSEGV\)/],
    ['abort', `process.stderr.write('last words\\n', () => process.abort())`, /crashed \(SIGABRT\).*last words/],
    ['exit', `process.exit(3)`, /exit code 3/],
    ['hang', `for (;;);`, /no answer within 1 s/],
    ['nonsense', `process.send({ id, ok: true, value: 'yes' })`, /makes no sense/],
  ]
  for (const [name, act, found] of deaths) {
    it(`explains a worker that ends by ${name}`, async () => {
      const worker = fakeWorker(name, act)
      const error = await loadError({ bytes: convolution(), name: 'm.onnx' }, { worker, timeoutSeconds: 1 })
      expect(error.subject).toBe('m.onnx')
      expect(error.found).toMatch(found)
    })
  }

  it('explains exit codes and logs', () => {
    expect(describeDeath(0xc0000005, null, '')).toContain('crashed (0xC0000005)')
    expect(describeDeath(null, 'SIGABRT', 'FATAL ERROR: JavaScript heap out of memory')).toContain('out of memory')
    expect(describeDeath(1, null, 'a\n\u001b[31mb\u001b[m\n')).toContain('exit code 1; the last it wrote: a b')
  })

  it('says how to install ONNX Runtime where it is missing', async () => {
    const worker = workerBeside({})
    const error = left(await openRunner({ worker })())
    expect(error).toMatchObject({
      subject: 'onnxruntime-node or onnxruntime-web',
      help: 'Run `npm install onnxruntime-web`.',
    })
    expect(error.found).toBe('onnxruntime-node is not installed; onnxruntime-web is not installed')
    const native = left(await openRunner({ worker, runtime: 'onnxruntime-node' })())
    expect(native).toMatchObject({
      subject: 'onnxruntime-node',
      help: expect.stringContaining('npm install --ignore-scripts onnxruntime-node'),
    })
  })

  it('says to build where the worker is missing or of another version', async () => {
    const missing = left(await openRunner({ worker: pathToFileURL(join(scratch, 'nothing.js')) })())
    expect(missing.help).toContain('npm run build')
    const old = join(scratch, 'old.mjs')
    writeFileSync(
      old,
      `process.on('message', ({ id }) => process.send({ id, ok: true, value: { protocol: 0, runtime: 'onnxruntime-web', version: '', backends: [] } }))
       process.on('disconnect', () => process.exit(0))`,
    )
    expect(left(await openRunner({ worker: pathToFileURL(old) })()).help).toContain('npm run build')
  })

  it('refuses options out of range', async () => {
    expect(left(await openRunner({ threads: 0 })()).subject).toBe('threads')
    expect(left(await openRunner({ timeoutSeconds: -1 })()).subject).toBe('timeoutSeconds')
  })
})

describe('without onnxruntime-node', () => {
  const absences = {
    'is not installed': {},
    'does not load': { 'onnxruntime-node': `throw new Error('libonnxruntime.so.1: cannot open shared object file')` },
    'ends the process': { 'onnxruntime-node': `process.kill(process.pid, 'SIGILL')` },
  }
  for (const [why, packages] of Object.entries(absences)) {
    it(`models run in WebAssembly where it ${why}`, async () => {
      const worker = workerBeside({ ...packages, 'onnxruntime-web': 'real' })
      const found = await verify(convolution(), convolution(), { worker, seeds: [1], sizeCount: 1 })()
      if (E.isLeft(found)) throw new Error(renderError(found.left))
      expect(found.right).toMatchObject({ equal: true, vacuous: false, provider: 'cpu' })
      expect(found.right.runtime).toMatch(/^onnxruntime-web \d+\.\d+\.\d+ \(WebAssembly\)$/)
    })
  }

  it('a named accelerator is refused with what it takes, and so is the package itself', async () => {
    const worker = workerBeside({ 'onnxruntime-web': 'real' })
    const error = left(await openRunner({ worker, provider: 'webgpu' })())
    expect(error.found).toMatch(/^only cpu in onnxruntime-web /)
    expect(error.help).toContain('npm install --ignore-scripts onnxruntime-node')
    const [native, web] = await runtimes({ worker })()
    expect(native).toMatchObject({ runtime: 'onnxruntime-node', usable: false })
    expect(native?.help).toContain('npm install --ignore-scripts onnxruntime-node')
    expect(web).toMatchObject({ runtime: 'onnxruntime-web', usable: true, version: expect.stringMatching(/^\d/) })
  })

  it('a difference is found as well', async () => {
    const relu = (op: string): Uint8Array =>
      onnx({
        nodes: [{ op, inputs: ['x'], outputs: ['y'] }],
        inputs: [{ name: 'x', shape: [4] }],
        outputs: [{ name: 'y', shape: [4] }],
      })
    const found = await verify(relu('Relu'), relu('Abs'), { runtime: 'onnxruntime-web' })()
    expect(found).toMatchObject({ _tag: 'Right', right: { equal: false } })
  })

  it('takes no file of weights from outside the folder of the model', async () => {
    const folder = join(scratch, 'inner')
    mkdirSync(folder)
    writeFileSync(join(scratch, 'secret'), new Uint8Array(16))
    symlinkSync(join(scratch, 'secret'), join(folder, 'link'))
    for (const file of ['../secret', 'link']) {
      const bytes = onnx({
        nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
        inputs: [{ name: 'x', shape: [4] }],
        outputs: [{ name: 'y', shape: [4] }],
        constants: [{ name: 'w', shape: [4], data: [0, 0, 0, 0], file }],
      })
      writeFileSync(join(folder, 'model.onnx'), bytes)
      const error = await loadError(join(folder, 'model.onnx'), { runtime: 'onnxruntime-web' })
      expect(error.help).toContain('another file')
    }
  })
})

describe('providers', () => {
  it('reports every provider, with a reason and a remedy for each that does not work, and refuses those', async () => {
    const reports = right(await providers()())
    expect(reports.map((r) => r.provider)).toEqual(['cuda', 'webgpu', 'cpu'])
    expect(reports.at(-1)).toMatchObject({ usable: true })
    const remedies = { cuda: /--install-cuda|NVIDIA driver|Linux on x64/, webgpu: /Vulkan/, cpu: /onnxruntime-node/ }
    for (const { provider, usable, reason, help } of reports) {
      if (usable) continue
      expect(reason?.length).toBeGreaterThan(10)
      expect(help).toMatch(remedies[provider])
      const error = left(await openRunner({ provider })())
      expect(error).toMatchObject({ subject: `provider ${provider}`, help })
    }
  })

  it('lets a worker that cannot find a provider say so', async () => {
    const worker = fakeWorker('cpu-only', 'process.exit(1)')
    const error = left(await openRunner({ provider: 'cuda', worker })())
    expect(error.found).toContain('only cpu')
    expect(error.help).toMatch(/--install-cuda|Linux on x64/)
  })

  it('takes cuda first, webgpu only when it beats the CPU, and says why', () => {
    const cpu = { provider: 'cpu', usable: true, milliseconds: 10 } as const
    const cuda = { provider: 'cuda', usable: true, milliseconds: 20 } as const
    const noCuda = { provider: 'cuda', usable: false, reason: 'no library' } as const
    const fast = { provider: 'webgpu', usable: true, milliseconds: 2 } as const
    const slow = { provider: 'webgpu', usable: true, milliseconds: 900 } as const
    expect(pickProvider([cuda, fast, cpu]).provider).toBe('cuda')
    expect(pickProvider([noCuda, fast, cpu])).toMatchObject({ provider: 'webgpu' })
    expect(pickProvider([noCuda, fast, cpu]).why).toContain('no library')
    expect(pickProvider([noCuda, slow, cpu])).toMatchObject({ provider: 'cpu' })
    expect(pickProvider([noCuda, slow, cpu]).why).toContain('slower than the CPU')
  })
})
