import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { afterAll, describe, expect, it } from 'vitest'
import * as api from '../../src/api/index.ts'
import { axisMask } from '../../src/masks/mask.ts'
import * as promised from '../../src/api/promise.ts'
import {
  compile,
  decodeRecipe,
  isFailureError,
  lowerCompiled,
  openBackend,
  openData,
  parseModel,
  readMasks,
  readModel,
  sparse,
  train,
  verifyCompiled,
  writePackage,
} from '../../src/api/promise.ts'
import { neededNode } from '../../src/package/version.ts'
import { net, netMasks } from '../cli/nets.ts'
import { busyChase, tinyData, tinyResNet } from '../train/loop/fixtures.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-promise-'))
afterAll(() => rmSync(folder, { recursive: true }))

const rejection = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise
  } catch (thrown) {
    return thrown
  }
  return 'nothing'
}

describe('chasec/promise', () => {
  it('resolves to what the calls give', async () => {
    const graph = net()
    const compiled = await compile(graph, netMasks())
    const lowered = await lowerCompiled(compiled)
    const difference = await verifyCompiled(graph, netMasks(), lowered, { seeds: [1], sizeCount: 1 })
    expect(difference).toMatchObject({ equal: true, vacuous: false })
    const written = await writePackage(compiled, join(folder, 'package'), { lowered, verification: difference })
    expect(written.manifest.report.layers[0]?.outputs).toMatchObject({
      before: 16,
      after: 8,
      kept: expect.any(String),
    })
    const read = await readModel(join(folder, 'package', 'model.onnx'))
    expect(read.outputs.map((output) => output.name)).toEqual(graph.outputs.map((output) => output.name))
  })

  it('rejects with an error that says what to do and holds the failure', async () => {
    const missing = await rejection(readModel(join(folder, 'nothing.onnx')))
    expect(isFailureError(missing)).toBe(true)
    expect(missing).toMatchObject({
      message: expect.stringMatching(/nothing\.onnx: expected a file that can be read/),
      failure: { _tag: 'ReadError', code: 'file-unreadable' },
    })
    const broken = await rejection(readMasks(new Uint8Array(3), net()))
    expect(broken).toMatchObject({ failure: { subject: 'file of tensors' } })
    const misfit = new Map([['a.weight', axisMask([2, 2], 0, new Uint8Array(2))]])
    expect(await rejection(compile(net(), misfit))).toMatchObject({ failure: { _tag: 'MaskError' } })
  })

  it('has every name of the other entry', () => {
    const names = Object.keys(promised).filter((name) => name !== 'isFailureError')
    expect(names.toSorted()).toEqual(Object.keys(api).toSorted())
    expect(Object.keys(promised.sparse).toSorted()).toEqual(Object.keys(api.sparse).toSorted())
  })

  it('says what each of its calls does, where an editor shows it', () => {
    for (const name of ['promise', 'promise-sparse']) {
      const path = fileURLToPath(new URL(`../../src/api/${name}.ts`, import.meta.url))
      const file = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true)
      const calls = file.statements.filter(ts.isVariableStatement)
      expect(calls.length).toBeGreaterThan(2)
      const silent = calls.filter((call) => ts.getJSDocCommentsAndTags(call).length === 0)
      expect(silent.map((call) => call.getText())).toEqual([])
    }
  })

  it('trains a model of its own, whose masks compile', async () => {
    const model = await parseModel('mlp:6')
    const graph = await model.build({ classes: 3, shape: tinyData.shape, seed: 1 })
    const recipe = await decodeRecipe({ method: busyChase(), epochs: 2, batch: 8 })
    const backend = await openBackend('wasm')
    const trained = await train(graph, tinyData, recipe, { backend })
    expect(trained.completed).toBe(true)
    expect(promised.historyTable(trained.history).split('\n')).toHaveLength(4)
    const { report } = await compile(trained.graph, trained.masks)
    expect(report.after.macs).toBeLessThan(api.macsOf(graph))
  })

  it('rejects with everything that is wrong with a recipe', async () => {
    const thrown = await rejection(decodeRecipe({ method: { name: 'chase', density: 2 }, epochs: 0 }))
    if (!isFailureError(thrown)) throw new Error('expected a failure')
    expect(thrown.failures.map(({ subject }) => subject)).toEqual([
      'recipe entry method.density',
      'recipe entry epochs',
    ])
    expect(thrown.failure).toBe(thrown.failures[0])
    expect(thrown.message.split('\n')).toEqual(thrown.failures.map(api.renderError))
  })

  it('rejects what training and its parts have as Left', async () => {
    expect(await rejection(openData('mnits:here', { seed: 1 }))).toMatchObject({ failure: { _tag: 'DataError' } })
    expect(await rejection(parseModel('resnet21'))).toMatchObject({ failure: { _tag: 'ModelError' } })
    const { build } = await parseModel('mlp')
    const options = { classes: 0, shape: [1, 4, 4], seed: 1 } as const
    expect(await rejection(build(options))).toMatchObject({ failure: { _tag: 'ModelError' } })
    const recipe = await decodeRecipe({ method: { name: 'dense' } })
    const misfit = train(tinyResNet(), { ...tinyData, classes: ['one'] }, recipe, { backend: 'wasm' })
    expect(await rejection(misfit)).toMatchObject({ failure: { _tag: 'TrainError', subject: 'first graph output' } })
  })

  it('drives sparse training by promises as well', async () => {
    const network = { layers: [{ name: 'w', shape: [4, 5], outputAxis: 0, inputAxis: 1 }], streams: [] }
    const policy = sparse.rigl({ density: 0.5, until: 10, every: 2 })
    const state = await sparse.init(network, policy, 1)
    const weights = [Float32Array.from({ length: 20 }, (_, i) => (state.masks[0]?.[i] ?? 0) * (i + 1))]
    const gradients = [new Float32Array(20).fill(1)]
    const { state: next, event } = await sparse.update(state, { weights, gradients }, 2)
    expect(event).toMatchObject({ step: 2, live: 10, total: 20 })
    expect(await sparse.fromArrays(network, policy, sparse.toArrays(next))).toEqual(next)
    expect(await rejection(sparse.update(next, { weights }, 4))).toMatchObject({ failure: { subject: 'gradients' } })
    expect(await rejection(sparse.init({ layers: [], streams: [] }, policy, 1))).toMatchObject({
      failure: { _tag: 'SparseError' },
    })
  })
})

describe('importing chasec', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const { peerDependencies }: { peerDependencies: Record<string, string> } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  )
  const refused = [...Object.keys(peerDependencies), 'onnxruntime-node', 'onnxruntime-web']
  const hooks = `
    const refused = ${JSON.stringify(refused)}
    export const resolve = (specifier, context, next) => {
      if (refused.includes(specifier)) throw new Error(specifier + ' was refused')
      return next(specifier, context)
    }`
  const asModule = (text: string): string => `data:text/javascript,${encodeURIComponent(text)}`
  const script = `
    const { openBackend, version } = await import('./src/api/promise.ts')
    const opened = await openBackend('wasm').then(() => 'opened', (error) => error.message)
    console.log(JSON.stringify([typeof version, opened]))`

  it('loads no optional package; opening a backend does', () => {
    const register = `import { register } from 'node:module'; register(${JSON.stringify(asModule(hooks))})`
    const args = ['--import', 'tsx', '--import', asModule(register), '--input-type=module', '-e', script]
    const { status, stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' })
    expect(status).toBe(0)
    const [version, opened]: ReadonlyArray<unknown> = JSON.parse(stdout)
    expect(version).toBe('string')
    expect(opened).toMatch(/@tensorflow\/tfjs-\S+ was refused/)
  })
})

describe('the version', () => {
  it('is that of package.json', () => {
    const file: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
    expect(file).toMatchObject({ version: api.version, engines: { node: neededNode } })
  })
})
