/** What is read and written unchanged computes the same, on every model of Debian's test data and on exporters' models. */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { afterAll, describe, expect, it } from 'vitest'
import { compile } from '../../src/package/compile.ts'
import { lower } from '../../src/export/lower.ts'
import { renderError } from '../../src/ir/failure.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { writeFiles } from '../../src/export/package.ts'
import { Opaque } from '../../src/ir/ops/opaque.ts'
import { isOp } from '../../src/ir/registry.ts'
import { materialize } from '../../src/ir/tensor.ts'
import { type Shape, sizeOf } from '../../src/ir/type.ts'
import { decode } from '../../src/onnx/codec.ts'
import { TensorProtoSchema } from '../../src/onnx/onnx_pb.ts'
import { readModel } from '../../src/read/file.ts'
import { readTensor } from '../../src/read/tensor.ts'
import { inflate, uniforms } from '../inflate.ts'
import { debianModels, missingDebian, type TestModel } from '../read/debian.ts'
import { fileBytes, read } from '../read/make.ts'

interface Verdict {
  readonly name: string
  readonly verdict: string
  readonly why?: string
}

const scratch = mkdtempSync(join(tmpdir(), 'chasec-corpus-'))

afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const modelOf = (graph: Graph): Uint8Array => {
  const written = lower(graph)
  if (E.isLeft(written)) throw new Error(written.left.found)
  return written.right.model
}

/** A float32 input of seeded numbers as the child process takes it; symbols are 1. */
const seeded = (dims: Shape): unknown => {
  const shape = dims.map((dim) => (typeof dim === 'number' ? dim : 1))
  const values = Float32Array.from({ length: sizeOf(shape) }, uniforms(3))
  return { dtype: 'float32', shape, base64: Buffer.from(values.buffer).toString('base64') }
}

const write = (model: TestModel, graph: Graph): string => {
  const written = lower(graph)
  if (E.isLeft(written)) throw new Error(`${model.name}: ${written.left.found}`)
  const path = join(scratch, `${model.name.replaceAll('/', '__')}`)
  writeFileSync(path, written.right.model)
  return path
}

const rewritten = (model: TestModel): string => write(model, read(fileBytes(model.path)))

const recompiled = (model: TestModel): string => {
  const result = compile(read(fileBytes(model.path)), noMasks)
  if (E.isLeft(result)) throw new Error(`${model.name}: ${renderError(result.left)}`)
  return write(model, result.right.graph)
}

/** The first data set of a model as the child process takes it; what is no tensor is left out. */
const inputsOf = (model: TestModel): ReadonlyArray<unknown> => {
  const folder = readdirSync(model.folder).find((name) => name === 'test_data_set_0')
  if (folder === undefined) return []
  const names = readdirSync(join(model.folder, folder)).filter((name) => /^input_\d+\.pb$/.test(name))
  return Array.from({ length: names.length }, (_, index) => {
    const proto = decode(TensorProtoSchema, fileBytes(join(model.folder, folder, `input_${index}.pb`)))
    if (E.isLeft(proto)) return undefined
    const tensor = readTensor(proto.right, model.name, undefined)
    if (E.isLeft(tensor)) return undefined
    const { dtype, shape, bytes, strings } = materialize(tensor.right)
    const decoder = new TextDecoder()
    return {
      dtype,
      shape,
      base64: Buffer.from(bytes).toString('base64'),
      strings: strings?.map((s) => decoder.decode(s)),
    }
  })
}

/** Verdicts on all pairs; a model that ends the process is one too, and the rest goes on in a new process. */
const compareAll = async (
  models: ReadonlyArray<TestModel>,
  candidate: (model: TestModel) => string,
  inputs: (model: TestModel) => ReadonlyArray<unknown> = inputsOf,
  tolerance = 0,
): Promise<ReadonlyArray<Verdict>> => {
  const verdicts: Verdict[] = []
  while (verdicts.length < models.length) {
    const child = spawn(process.execPath, [fileURLToPath(new URL('./compare-in-onnxruntime.mjs', import.meta.url))], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    child.stdin.on('error', () => undefined)
    for (const model of models.slice(verdicts.length)) {
      const files = { original: model.path, candidate: candidate(model) }
      const job = { name: model.name, ...files, inputs: inputs(model), tolerance }
      child.stdin.write(`${JSON.stringify(job)}\n`)
    }
    child.stdin.end()
    for await (const line of createInterface({ input: child.stdout })) verdicts.push(JSON.parse(line))
    const next = models[verdicts.length]
    if (next !== undefined) verdicts.push({ name: next.name, verdict: 'ends the process' })
  }
  return verdicts
}

const python = (script: string, ...args: ReadonlyArray<string>): string =>
  execFileSync('python3', ['-c', script, ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    stdio: ['ignore', 'pipe', 'pipe'],
  })

const missingChecker = ((): string | undefined => {
  try {
    python('import onnx')
    return undefined
  } catch {
    return 'Python with the onnx package is not installed'
  }
})()

const skipped = (why: string | undefined): string => (why === undefined ? '' : ` (skipped: ${why})`)

describe('models that are read and written', () => {
  it.skipIf(missingDebian)(
    `give bit for bit the outputs of the originals in ONNX Runtime: those of Debian${skipped(missingDebian)}`,
    async () => {
      const verdicts = await compareAll(debianModels(), rewritten)
      expect(verdicts.filter(({ verdict }) => verdict !== 'same' && verdict !== 'not runnable')).toEqual([])
      expect(verdicts.filter(({ verdict }) => verdict === 'same').length).toBeGreaterThan(950)
    },
  )

  it.each(['crnn_lstm', 'shufflenet_v2_x1_0', 'squeezenet1_1', 'unet'])(
    'give the same outputs too: %s of an exporter, every node of it known',
    async (name) => {
      const bytes = inflate(name)
      const path = join(scratch, `${name}.onnx`)
      writeFileSync(path, bytes)
      const graph = read(bytes)
      expect(graph.nodes.filter((node) => isOp(node, Opaque))).toEqual([])
      const inputs = graph.inputs.map(({ type }) => seeded(type.kind === 'tensor' ? (type.shape ?? []) : []))
      const verdicts = await compareAll([{ name, path, folder: scratch }], rewritten, () => inputs)
      expect(verdicts).toEqual([{ name, verdict: 'same' }])
    },
  )

  it('give the same outputs as a package with external data, which reads back as it was', async () => {
    const bytes = inflate('unet')
    const path = join(scratch, 'inside.onnx')
    writeFileSync(path, bytes)
    const graph = read(bytes)
    const lowered = lower(graph, { external: true })
    if (E.isLeft(lowered) || lowered.right.external === undefined) throw new Error('no external data')
    const { model, external } = lowered.right
    const folder = join(scratch, 'package')
    const files = [
      { name: external.name, chunks: external.chunks() },
      { name: 'model.onnx', chunks: [model] },
      { name: 'chasec.json', chunks: [new TextEncoder().encode('{}')] },
    ]
    expect(await writeFiles(folder, files)()).toEqual(E.right(undefined))
    const packaged = join(folder, 'model.onnx')
    const verdicts = await compareAll(
      [{ name: 'unet', path, folder: scratch }],
      () => packaged,
      () => graph.inputs.map(({ type }) => seeded(type.kind === 'tensor' ? (type.shape ?? []) : [])),
    )
    expect(verdicts).toEqual([{ name: 'unet', verdict: 'same' }])
    const again = await readModel(packaged)()
    if (E.isLeft(again)) throw new Error(again.left.found)
    expect([...again.right.constants.values()].some(({ tag }) => tag === 'External')).toBe(true)
    expect(Buffer.compare(modelOf(again.right), modelOf(graph))).toBe(0)
  })

  it.skipIf(missingDebian)(`compute the same when compiled: those of Debian${skipped(missingDebian)}`, async () => {
    const verdicts = await compareAll(debianModels(), recompiled, inputsOf, 1e-5)
    expect(verdicts.filter(({ verdict }) => verdict !== 'same' && verdict !== 'not runnable')).toEqual([])
    expect(verdicts.filter(({ verdict }) => verdict === 'same').length).toBeGreaterThan(950)
  })

  it.skipIf(missingDebian)(
    `would be told from models that compute something else${skipped(missingDebian)}`,
    async () => {
      const models = debianModels()
      const [relu, abs, add] = ['relu', 'abs', 'add'].map((op) =>
        models.find(({ name }) => name === `node/test_${op}/model.onnx`),
      )
      if (!relu || !abs || !add) throw new Error('the models are not where they were')
      const verdicts = await compareAll([relu, relu, add], (model) => (model === add ? relu : abs).path)
      expect(verdicts.map(({ verdict }) => verdict)).toEqual([
        'outputs differ',
        'outputs differ',
        expect.stringMatching('fails when rewritten|interface differs'),
      ])
    },
  )

  const why = missingDebian ?? missingChecker
  it.skipIf(why)(`are accepted by onnx.checker wherever the originals are${skipped(why)}`, () => {
    const pairs = debianModels().map((model) => [model.path, rewritten(model)])
    writeFileSync(join(scratch, 'pairs.json'), JSON.stringify(pairs))
    const output = python(
      `
import json, sys, onnx
def verdict(path):
    try:
        onnx.checker.check_model(onnx.load(path))
        return ''
    except Exception as error:
        return str(error).splitlines()[0] or 'refused'
pairs = json.load(open(sys.argv[1]))
print(json.dumps([(a, verdict(a), verdict(b)) for a, b in pairs]))
`,
      join(scratch, 'pairs.json'),
    )
    const verdicts: ReadonlyArray<readonly [string, string, string]> = JSON.parse(output)
    expect(verdicts.filter(([, before, after]) => before === '' && after !== '')).toEqual([])
    expect(verdicts.filter(([, before]) => before === '').length).toBeGreaterThan(1000)
  })
})
