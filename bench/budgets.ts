/** Random budgets: whether what is compiled is ever slower than the dense model, or with planned widths than without, and what was predicted. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { noMasks } from '../src/api/index.ts'
import { compile, lowerCompiled, measure, pruneChannels, readModel } from '../src/api/promise.ts'
import { drawsFrom, seededRandom } from '../src/ir/random.ts'
import { plainStyle } from '../src/report/terminal/style.ts'
import { renderTable } from '../src/report/terminal/table.ts'
import { formatPercent, formatRatio } from '../src/report/units.ts'
import { withFolder, writeInflated } from './masked-model.ts'
import type { BenchResult } from './result.ts'

export interface BudgetsOptions {
  readonly models: ReadonlyArray<string>
  /** Budgets of each model. */
  readonly count: number
  readonly seed: number
  readonly repeats: number
}

/** A budget and what came of it; speeds over the dense model, on one thread. */
interface Row {
  readonly model: string
  readonly channels: number
  readonly scope: 'block' | 'all'
  readonly seed: number
  /** Multiply-accumulates left, as a fraction. */
  readonly macs: number
  /** Of the dense model over itself: the noise. */
  readonly noise: number
  readonly raw: number
  readonly planned: number
  readonly plannedOverRaw: number
  readonly predicted: number | undefined
}

export const benchBudgets = (options: BudgetsOptions): Promise<BenchResult> =>
  withFolder(async (folder) => {
    const { models, count, repeats } = options
    const rows: Row[] = []
    for (const model of models) {
      const draws = drawsFrom(seededRandom(options.seed, model))
      const dense = await writeInflated(model, folder)
      const graph = await readModel(dense.path)
      for (let n = 0; n < count; n++) {
        const channels = 0.05 + 0.65 * draws.next()
        const scope = draws.next() < 0.5 ? 'block' : 'all'
        const seed = draws.below(2 ** 20)
        const { masks } = await pruneChannels(graph, noMasks, { channels, scope, seed, score: 'random' })
        const sources = [{ path: dense.path, name: 'dense' }]
        const reports = []
        for (const widths of ['raw', 'planned'] as const) {
          const compiled = await compile(graph, masks, { widths })
          const path = join(folder, `${widths}.onnx`)
          await writeFile(path, (await lowerCompiled(compiled)).model)
          sources.push({ path, name: widths })
          reports.push(compiled.report)
        }
        const [first, raw, planned] = await measure(sources, {
          provider: 'cpu',
          batch: 1,
          repeats,
          seconds: 0.1,
          threads: 1,
        })
        const { before, after, predicted } = reports.at(-1) ?? {}
        if (
          first?.noise === undefined ||
          raw === undefined ||
          planned === undefined ||
          before === undefined ||
          after === undefined
        )
          continue
        rows.push({
          ...{ model, channels, scope, seed, macs: after.macs / before.macs },
          ...{ raw: raw.speedup.median, planned: planned.speedup.median },
          noise: first.noise.median,
          plannedOverRaw: middle(raw.repeats.map((ms, round) => ms / (planned.repeats[round] ?? NaN))),
          predicted: predicted && predicted.before / predicted.after,
        })
        process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`)
      }
    }
    const summaries = [...models, 'all'].map((model) => {
      const of = rows.filter((row) => model === 'all' || row.model === model)
      const errors = of.map(({ planned, predicted = NaN }) => Math.abs(predicted / planned - 1)).sort((a, b) => a - b)
      return {
        model,
        budgets: of.length,
        leastOverDense: Math.min(...of.map(({ planned }) => planned)),
        slowerThanDense: of.filter(({ planned }) => planned < 0.99).length,
        leastOverRaw: Math.min(...of.map(({ plannedOverRaw }) => plannedOverRaw)),
        slowerThanRaw: of.filter(({ plannedOverRaw }) => plannedOverRaw < 0.99).length,
        medianOverRaw: middle(of.map(({ plannedOverRaw }) => plannedOverRaw)),
        noise: middle(of.map(({ noise }) => Math.abs(noise - 1))),
        medianError: middle(errors),
        worstTenth: errors[Math.floor(0.9 * errors.length)] ?? NaN,
      }
    })
    const text = renderTable(
      [
        { title: '' },
        ...[
          'budgets',
          'least over dense',
          'below 0.99',
          'over raw: median',
          'least',
          'below 0.99',
          'noise',
          'speed predicted, off by',
          'a tenth by more than',
        ].map((title) => ({ title, align: 'right' as const })),
      ],
      summaries.map((s) => [
        s.model,
        String(s.budgets),
        formatRatio(s.leastOverDense),
        String(s.slowerThanDense),
        formatRatio(s.medianOverRaw),
        formatRatio(s.leastOverRaw),
        String(s.slowerThanRaw),
        formatPercent(s.noise),
        formatPercent(s.medianError),
        formatPercent(s.worstTenth),
      ]),
      plainStyle,
    )
    return { json: { ...options, summaries, rows }, text }
  })

const middle = (numbers: ReadonlyArray<number>): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN
