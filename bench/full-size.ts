/**
 * Speed of models of full size in ONNX Runtime, 40 % of their structure masked and compiled, beside dense ones: BERT-base,
 * ViT-B/16, GPT-2, an LSTM tagger and a quantised ResNet-50. `full-size/export.py` makes them with random weights; they
 * are kept in a folder, hundreds of megabytes that nobody has to download.
 */
import { stat, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join, resolve } from 'node:path'
import { performance } from 'node:perf_hooks'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { type Compiled, type Measurement, type ModelSource, noMasks } from '../src/api/index.ts'
import { compile, lowerCompiled, measure, readModel, verify, verifyCompiled } from '../src/api/promise.ts'
import { timeShare } from '../src/report/terminal/measure-table.ts'
import { plainStyle } from '../src/report/terminal/style.ts'
import { renderTable } from '../src/report/terminal/table.ts'
import {
  formatBytes,
  formatCount,
  formatError,
  formatMilliseconds,
  formatPercent,
  formatRatio,
} from '../src/report/units.ts'
import { quartiles, type Quartiles } from '../src/run/statistics.ts'
import { describedModel, inputsOf, masksOf } from '../test/zoo.ts'
import { withFolder } from './masked-model.ts'
import { type Exporter, exportMissing, whyNotExported } from './python.ts'
import type { BenchResult } from './result.ts'

export const fullSizeNames = ['bert-base', 'vit-b-16', 'gpt2', 'lstm-tagger', 'resnet50-qdq'] as const

export interface FullSizeOptions {
  readonly models: ReadonlyArray<(typeof fullSizeNames)[number]>
  /** Measurements of each model. */
  readonly repeats: number
  /** Least running time of one measurement, in seconds. */
  readonly seconds: number
  /** Where the exported models are kept. */
  readonly folder: string
}

const exporter: Exporter = {
  script: fileURLToPath(new URL('full-size/export.py', import.meta.url)),
  modules: ['torch', 'torchvision', 'timm', 'transformers', 'onnx', 'onnxruntime', 'onnxscript'],
  uses: ['attention', 'onnx_files', 'quantised_models', 'recurrent_models', 'torch_models', 'transformers_models'],
}

/** Why the benchmark cannot run here: a line for people; undefined where it can. */
export const whyNotFullSize = ({ models, folder }: FullSizeOptions): Promise<string | undefined> =>
  whyNotExported(exporter, models, folder)

interface Speed {
  readonly threads: number
  /** Milliseconds of a run. */
  readonly original: Quartiles
  readonly dense: Quartiles
  readonly compiled: Quartiles
  /** How many times as fast as the dense model through chasec, and as the file that was exported. */
  readonly overDense: Quartiles
  readonly overOriginal: Quartiles
  /** The dense model against itself: what is noise. */
  readonly noise: Quartiles
  /** Share of the multiply-accumulates saved that turned into time. */
  readonly timeShare: number | undefined
}

interface Row {
  readonly model: string
  readonly source: string
  readonly masked: string
  /** Multiply-accumulates of the exported model, without the structure by hand, and of what was compiled. */
  readonly macs: { readonly before: number; readonly byHand: number; readonly after: number }
  readonly parameters: { readonly before: number; readonly after: number }
  /** Bytes of the files. */
  readonly bytes: { readonly original: number; readonly dense: number; readonly compiled: number }
  /** Largest relative differences: masked model and compiled one; exported file and dense one. */
  readonly error: { readonly compiled: number; readonly dense: number }
  readonly compileSeconds: number
  readonly speeds: ReadonlyArray<Speed>
}

const write = async (compiled: Compiled, path: string): Promise<void> => {
  const { model, external } = await lowerCompiled(compiled, { external: false })
  if (external !== undefined) throw new Error(`${path} was to be one file`)
  await writeFile(path, model)
}

const ratios = (slow: Measurement, fast: Measurement): Quartiles =>
  quartiles(slow.repeats.map((ms, round) => ms / (fast.repeats[round] ?? NaN)))

const benchModel = (name: string, { folder, repeats, seconds }: FullSizeOptions): Promise<Row> =>
  withFolder(async (scratch) => {
    const path = join(folder, `${name}.onnx`)
    const model = describedModel(name, pathToFileURL(join(resolve(folder), `${name}.json`)), await readModel(path))
    const [[structure, { byHand }] = ['', { byHand: NaN }]] = Object.entries(model.structures)
    const masks = masksOf(model, structure)
    const before = performance.now()
    const compiled = await compile(model.graph, masks, { target: 'cpu' })
    const compileSeconds = (performance.now() - before) / 1000
    const files = { original: path, dense: join(scratch, 'dense.onnx'), compiled: join(scratch, 'compiled.onnx') }
    await write(await compile(model.graph, noMasks, { target: 'cpu' }), files.dense)
    await write(compiled, files.compiled)
    process.stderr.write(`${name}: compiled in ${compileSeconds.toFixed(1)} s, verifying\n`)
    const cases = { inputs: [1, 2, 3].map((seed) => inputsOf(model, seed)) }
    const difference = await verifyCompiled(model.graph, masks, await lowerCompiled(compiled), cases)
    const denseDifference = await verify(path, files.dense, cases)
    for (const [what, { equal }] of [['compiled', difference] as const, ['dense', denseDifference] as const])
      if (!equal) process.stderr.write(`${name}: the ${what} model computes something else\n`)

    const sources: ReadonlyArray<ModelSource> = [
      { path: files.dense, name: 'dense' },
      { path: files.original, name: 'original' },
      { path: files.compiled, name: 'compiled' },
    ]
    const { report } = compiled
    const speeds: Speed[] = []
    for (const threads of new Set([1, cpus().length])) {
      const measured = await measure(sources, {
        provider: 'cpu',
        threads,
        repeats,
        seconds,
        inputs: inputsOf(model, 1),
      })
      const [dense, original, small] = measured
      if (dense?.noise === undefined || original === undefined || small === undefined)
        throw new Error('three models were to be measured')
      const overDense = ratios(dense, small)
      process.stderr.write(`${name}: ${threads} threads, ${formatRatio(overDense.median)}\n`)
      speeds.push({
        threads,
        original: original.latency,
        dense: dense.latency,
        compiled: small.latency,
        overDense,
        overOriginal: ratios(original, small),
        noise: dense.noise,
        timeShare: timeShare(report.before.macs, report.after.macs, overDense.median),
      })
    }
    const size = async (file: string): Promise<number> => (await stat(file)).size
    return {
      model: name,
      source: model.source,
      masked: structure,
      macs: { before: report.before.macs, byHand, after: report.after.macs },
      parameters: { before: report.before.parameters, after: report.after.parameters },
      bytes: {
        original: await size(files.original),
        dense: await size(files.dense),
        compiled: await size(files.compiled),
      },
      error: {
        compiled: difference.worst?.output.relative ?? NaN,
        dense: denseDifference.worst?.output.relative ?? NaN,
      },
      compileSeconds,
      speeds,
    }
  })

const spread = ({ q1, q3 }: Quartiles): string => `${formatRatio(q1)} – ${formatRatio(q3)}`

const renderSizes = (rows: ReadonlyArray<Row>): string =>
  renderTable(
    [
      { title: 'model' },
      { title: 'MACs', align: 'right' },
      { title: 'by hand', align: 'right' },
      { title: 'compiled', align: 'right' },
      { title: 'parameters', align: 'right' },
      { title: 'compiled', align: 'right' },
      { title: 'file', align: 'right' },
      { title: 'compiled', align: 'right' },
      { title: 'relative error', align: 'right' },
      { title: 'masked' },
    ],
    rows.map(({ model, masked, macs, parameters, bytes, error }) => [
      model,
      ...[macs.before, macs.byHand, macs.after, parameters.before, parameters.after].map((n) => formatCount(n)),
      ...[bytes.original, bytes.compiled].map((n) => formatBytes(n)),
      formatError(error.compiled),
      masked,
    ]),
    plainStyle,
  )

const renderSpeeds = (rows: ReadonlyArray<Row>): string =>
  renderTable(
    [
      { title: 'model' },
      { title: 'threads', align: 'right' },
      { title: 'original', align: 'right' },
      { title: 'dense', align: 'right' },
      { title: 'compiled', align: 'right' },
      { title: 'over original', align: 'right' },
      { title: 'over dense', align: 'right' },
      { title: 'quartiles' },
      { title: 'dense again', align: 'right' },
      { title: 'quartiles' },
      { title: 'saving turned into time', align: 'right' },
    ],
    rows.flatMap(({ model, speeds }) =>
      speeds.map((s) => [
        model,
        String(s.threads),
        ...[s.original, s.dense, s.compiled].map(({ median }) => formatMilliseconds(median)),
        formatRatio(s.overOriginal.median),
        formatRatio(s.overDense.median),
        spread(s.overDense),
        formatRatio(s.noise.median),
        spread(s.noise),
        s.timeShare === undefined ? '' : formatPercent(s.timeShare),
      ]),
    ),
    plainStyle,
  )

/**
 * Measures the models: the exported file, the dense model through chasec twice (once to see what is noise) and the
 * compiled one, in turn in one process, on one thread and on all.
 */
export const benchFullSize = async (options: FullSizeOptions): Promise<BenchResult> => {
  await exportMissing(exporter, options.models, options.folder)
  const rows: Row[] = []
  for (const name of options.models) rows.push(await benchModel(name, options))
  const { repeats, seconds } = options
  const how =
    'Weights are random (seeded): sizes and speed are those of trained models, outputs mean nothing. ' +
    `Median of ${repeats} interleaved repeats of at least ${seconds} s, batch 1.`
  return {
    json: { weights: 'random, seeded', repeats, seconds, rows },
    text: [
      ...rows.map(({ model, source }) => `${model}: ${source}`),
      '',
      renderSizes(rows),
      '',
      renderSpeeds(rows),
      '',
      how,
    ].join('\n'),
  }
}
