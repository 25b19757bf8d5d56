/** How much of the multiplications saved turns into time, with widths planned for the target and without. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Compiled, noMasks } from '../src/api/index.ts'
import { compile, lowerCompiled, measure, pruneChannels, readModel, verifyCompiled } from '../src/api/promise.ts'
import { renderMeasurements, timeShare } from '../src/report/terminal/measure-table.ts'
import { plainStyle } from '../src/report/terminal/style.ts'
import { renderTable } from '../src/report/terminal/table.ts'
import { formatCount, formatError, formatPercent, formatRatio } from '../src/report/units.ts'
import type { BenchResult } from './result.ts'
import { chaseMasks, withFolder, writeInflated } from './masked-model.ts'

export interface ThroughputOptions {
  readonly model: string
  readonly provider: 'cpu' | 'cuda' | 'webgpu'
  readonly batch: number
  readonly repeats: number
  /** How channels are chosen: see `chasec prune --score`. */
  readonly score: 'umm' | 'random'
}

/** Measures the dense model, the compiled one with raw and the one with planned widths, side by side in one run. */
export const benchThroughput = (options: ThroughputOptions): Promise<BenchResult> =>
  withFolder(async (folder) => {
    const { model, provider, batch, repeats, score } = options
    const dense = await writeInflated(model, folder)
    const graph = await readModel(dense.path)
    const { masks } = await pruneChannels(graph, noMasks, { ...chaseMasks, score })
    const compiled: ReadonlyArray<readonly [name: string, compiled: Compiled]> = [
      ['raw widths', await compile(graph, masks, { target: provider, widths: 'raw' })],
      ['planned widths', await compile(graph, masks, { target: provider })],
    ]
    const sources = [{ path: dense.path, name: 'dense' }]
    const errors: number[] = []
    for (const [name, one] of compiled) {
      const lowered = await lowerCompiled(one)
      const difference = await verifyCompiled(graph, masks, lowered, { seeds: [1], sizeCount: 1 })
      errors.push(difference.worst?.output.relative ?? NaN)
      const path = join(folder, `${name.replace(' ', '-')}.onnx`)
      await writeFile(path, lowered.model)
      sources.push({ path, name })
    }
    const measured = await measure(sources, { provider, batch, repeats, seconds: 0.5 })
    const rows = compiled.map(([name, { report }], i) => {
      const speedup = measured[i + 1]?.speedup.median ?? NaN
      const macs = { before: report.before.macs, after: report.after.macs, alone: report.alone }
      return { name, macs, speedup, timeShare: timeShare(macs.before, macs.after, speedup), error: errors[i] }
    })
    const table = renderTable(
      [
        { title: '' },
        { title: 'MACs', align: 'right' },
        { title: 'fewer', align: 'right' },
        { title: 'as fast', align: 'right' },
        { title: 'saving turned into time', align: 'right' },
        { title: 'relative error', align: 'right' },
      ],
      rows.map(({ name, macs, speedup, timeShare: share, error }) => [
        name,
        formatCount(macs.after),
        formatRatio(macs.before / macs.after),
        formatRatio(speedup),
        share === undefined ? '' : formatPercent(share),
        formatError(error ?? NaN),
      ]),
      plainStyle,
    )
    return {
      json: { ...options, masks: { ...chaseMasks, score }, compiled: rows, measured },
      text: `${renderMeasurements(measured, plainStyle)}\n\n${table}`,
    }
  })
