/**
 * What Torch-Pruning and onnxsim take out of masked models, beside what the compiler takes out: multiply-accumulates and
 * parameters, counted by our counter, and how far their outputs are from those of the masked model. `peers/peers.py` runs
 * them; each is given the same masked weights.
 */
import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Graph, macsOf, zerosOf } from '../src/api/index.ts'
import { isFailureError } from '../src/api/settle.ts'
import { sizeOf } from '../src/ir/type.ts'
import { runPipeline } from '../src/passes/pass.ts'
import { cleanUp } from '../src/passes/pipeline.ts'
import { compile, lowerCompiled, readModel, verify } from '../src/api/promise.ts'
import { formatCount, formatError, formatRatio } from '../src/report/units.ts'
import { orThrow } from '../test/fuzz/differential.ts'
import { withFolder } from './masked-model.ts'
import { type Exporter, exportMissing, whyNotExported } from './python.ts'
import type { BenchResult } from './result.ts'

export const peerModels = [
  'resnet18',
  'mobilenet-v2',
  'densenet121',
  'shufflenet-v2',
  'vit-s-16',
  'lstm-tagger',
] as const

const tools = ['chasec', 'torch-pruning', 'onnxsim', 'onnxsim-pruning'] as const

/** Masked as a whole, or the weights alone so that biases and shifts leave constants behind. */
const ways = ['whole', 'weights'] as const

export interface PeerOptions {
  readonly models: ReadonlyArray<(typeof peerModels)[number]>
  /** Where what the peers made is kept. */
  readonly folder: string
}

const exporter: Exporter = {
  script: fileURLToPath(new URL('peers/peers.py', import.meta.url)),
  modules: ['torch', 'torchvision', 'torch_pruning', 'onnxsim', 'onnx', 'onnxruntime', 'onnxscript'],
  uses: ['attention', 'onnx_files', 'recurrent_models', 'torch_models'],
}

/** Why the benchmark cannot run here: a line for people; undefined where it can. */
export const whyNotPeers = ({ models, folder }: PeerOptions): Promise<string | undefined> =>
  whyNotExported(exporter, models, folder)

interface Made {
  readonly macs: number
  readonly parameters: number
  /** Largest difference from the masked model in parts of the largest number; absent where it does not run. */
  readonly error?: number
}

interface Row {
  readonly model: string
  readonly masked: (typeof ways)[number]
  readonly dense: { readonly macs: number; readonly parameters: number }
  readonly made: Readonly<Partial<Record<(typeof tools)[number], Made>>>
  /** What a tool could not do, by tool and what it was to do. */
  readonly failed: Readonly<Record<string, Readonly<Record<string, string>>>>
}

interface Description {
  readonly versions: Readonly<Record<string, string>>
  readonly errors: Readonly<Record<(typeof ways)[number], Row['failed']>>
}

/** Some sizes are known only when constants have been folded. */
const sizesOf = (graph: Graph): Row['dense'] => {
  const clean = orThrow(runPipeline(cleanUp, graph))
  let parameters = 0
  for (const { dtype, shape } of graph.constants.values()) if (dtype.startsWith('float')) parameters += sizeOf(shape)
  return { macs: Math.max(macsOf(graph), macsOf(clean)), parameters }
}

/** Differences on two seeded inputs. */
const errorOf = async (masked: string, made: string): Promise<number | string> => {
  try {
    const { worst } = await verify(masked, made, { seeds: [1, 2], sizeCount: 1, magnitudes: [] })
    return worst?.output.relative ?? NaN
  } catch (error) {
    if (isFailureError(error)) return error.message
    throw error
  }
}

const rowOf = (model: string, way: Row['masked'], folder: string, errors: Row['failed']): Promise<Row> =>
  withFolder(async (scratch) => {
    const masked = join(folder, `${model}-${way}.onnx`)
    const graph = await readModel(masked)
    // Widths are cut as far as they go, as the peers cut them.
    const compiled = await compile(graph, zerosOf(graph), { target: 'cpu', widths: 'raw' })
    const own = join(scratch, 'compiled.onnx')
    await writeFile(own, (await lowerCompiled(compiled)).model)
    const made: Partial<Record<(typeof tools)[number], Made>> = {}
    const failed: Record<string, Record<string, string>> = {}
    for (const tool of tools) {
      const path = tool === 'chasec' ? own : join(folder, `${model}-${way}-${tool}.onnx`)
      const told = { ...errors[tool] }
      if (existsSync(path)) {
        const error = await errorOf(masked, path)
        const sizes = sizesOf(await readModel(path))
        if (typeof error === 'string') told['run'] = error
        made[tool] = typeof error === 'string' ? sizes : { ...sizes, error }
      }
      if (Object.keys(told).length > 0) failed[tool] = told
    }
    return { model, masked: way, dense: sizesOf(graph), made, failed }
  })

const cellOf = (made: Made | undefined, { macs }: Row['dense']): ReadonlyArray<string> =>
  made === undefined
    ? ['fails', '']
    : [`${formatRatio(made.macs / macs)}`, made.error === undefined ? 'does not run' : formatError(made.error)]

/** A table for Markdown, and below it what failed. */
const render = (rows: ReadonlyArray<Row>, versions: Description['versions']): string => {
  const head = ['model', 'masked', 'dense', ...tools.flatMap((tool) => [tool, 'difference'])]
  const lines = rows.map(({ model, masked, dense, made }) => [
    model,
    masked === 'whole' ? 'weights, biases, shifts' : 'weights',
    formatCount(dense.macs),
    ...tools.flatMap((tool) => cellOf(made[tool], dense)),
  ])
  const table = [head, head.map((_, i) => (i < 2 ? '-' : '-:')), ...lines].map((cells) => `| ${cells.join(' | ')} |`)
  const failures = rows.flatMap(({ model, masked, failed }) =>
    Object.entries(failed).flatMap(([tool, told]) =>
      Object.entries(told).map(([what, text]) => `- ${tool}, ${model} (${masked}), ${what}: ${text}`),
    ),
  )
  const used = Object.entries(versions).map(([tool, version]) => `${tool} ${version}`)
  const how = `Multiply-accumulates in parts of the dense model's; ${used.join(', ')}. Weights are random (seeded).`
  return [table.join('\n'), failures.join('\n'), how].filter((part) => part !== '').join('\n\n')
}

/** The table for models; all unless told otherwise. */
export const benchPeers = async ({ models, folder }: PeerOptions): Promise<BenchResult> => {
  await exportMissing(exporter, models, folder)
  const rows: Row[] = []
  let versions: Description['versions'] = {}
  for (const model of models) {
    const description: Description = JSON.parse(readFileSync(join(folder, `${model}.json`), 'utf8'))
    versions = description.versions
    for (const way of ways) {
      process.stderr.write(`${model}, ${way}\n`)
      rows.push(await rowOf(model, way, folder, description.errors[way]))
    }
  }
  return { json: { weights: 'random, seeded', versions, rows }, text: render(rows, versions) }
}
