/**
 * The smallest fraction of a network's channels whose removal makes it so many times as fast: found by predicted times, in hundredths,
 * then measured with what is a little less and a little more.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { noMasks, type Measurement } from '../src/api/index.ts'
import { compile, lowerCompiled, measure, pruneChannels, readModel } from '../src/api/promise.ts'
import { plainStyle } from '../src/report/terminal/style.ts'
import { renderTable } from '../src/report/terminal/table.ts'
import { formatCount, formatPercent, formatRatio } from '../src/report/units.ts'
import { chaseMasks, withFolder, writeInflated } from './masked-model.ts'
import type { BenchResult } from './result.ts'

export interface ReachOptions {
  readonly model: string
  /** Times as fast as dense. */
  readonly speedup: number
  readonly threads: number
  readonly repeats: number
  readonly score: 'umm' | 'random'
}

interface Row {
  readonly scope: 'block' | 'all'
  /** Of the channels in scope. */
  readonly channels: number
  /** Multiply-accumulates left, as a fraction. */
  readonly macs: number
  readonly predicted: number
  readonly speedup: Measurement['speedup']
}

/** Hundredths measured below and above the one that is predicted. */
const around = [-3, -2, -1, 0, 1, 2, 3]

export const benchReach = (options: ReachOptions): Promise<BenchResult> =>
  withFolder(async (folder) => {
    const { model, speedup, threads, repeats, score } = options
    const dense = await writeInflated(model, folder)
    const graph = await readModel(dense.path)
    const rows: Row[] = []
    let noise: Measurement['speedup'] | undefined
    for (const scope of ['block', 'all'] as const) {
      const compiledAt = async (hundredths: number) => {
        const { masks } = await pruneChannels(graph, noMasks, {
          ...chaseMasks,
          score,
          scope,
          channels: hundredths / 100,
        })
        const compiled = await compile(graph, masks)
        const { before, after, predicted } = compiled.report
        return {
          compiled,
          macs: after.macs / before.macs,
          predicted: predicted === undefined ? NaN : predicted.before / predicted.after,
        }
      }
      let [low, high] = [0, 80]
      while (high - low > 1) {
        const middle = Math.floor((low + high) / 2)
        if ((await compiledAt(middle)).predicted >= speedup) high = middle
        else low = middle
      }
      const sources = [{ name: 'dense', path: dense.path }]
      const candidates: Array<Omit<Row, 'speedup'>> = []
      for (const hundredths of around.map((n) => high + n).filter((n) => n > 0)) {
        const { compiled, ...figures } = await compiledAt(hundredths)
        const path = join(folder, `${scope}-${hundredths}.onnx`)
        await writeFile(path, (await lowerCompiled(compiled)).model)
        sources.push({ name: `${scope} ${hundredths}`, path })
        candidates.push({ scope, channels: hundredths / 100, ...figures })
      }
      const [first, ...measured] = await measure(sources, { provider: 'cpu', batch: 1, threads, repeats, seconds: 0.3 })
      noise ??= first?.noise
      rows.push(
        ...candidates.flatMap((row, i) => {
          const one = measured[i]
          return one === undefined ? [] : [{ ...row, speedup: one.speedup }]
        }),
      )
    }
    const reached = (['block', 'all'] as const).map((scope) => {
      const own = rows.filter((row) => row.scope === scope)
      // That and everything above it.
      return { scope, channels: own[own.findLastIndex((row) => row.speedup.median < speedup) + 1]?.channels }
    })
    const right = { align: 'right' as const }
    const table = renderTable(
      [
        { title: 'scope' },
        { title: 'channels gone', ...right },
        { title: 'MACs left', ...right },
        { title: 'predicted', ...right },
        { title: 'measured', ...right },
      ],
      rows.map((row) => [
        row.scope,
        formatPercent(row.channels),
        formatPercent(row.macs),
        formatRatio(row.predicted),
        `${formatRatio(row.speedup.median)} (${formatRatio(row.speedup.q1)} to ${formatRatio(row.speedup.q3)})`,
      ]),
      plainStyle,
    )
    const verdicts = reached.map(({ scope, channels }) =>
      channels === undefined
        ? `Scope ${scope}: none of these is ${formatRatio(speedup)} as fast as dense.`
        : `Scope ${scope}: ${formatPercent(channels)} of the channels make it ${formatRatio(speedup)} as fast as dense.`,
    )
    const graphs = `${model}, ${formatCount(threads)} threads, channels by ${score}`
    return {
      json: { ...options, floor: chaseMasks.floor, noise, reached, rows },
      text: [graphs, table, ...verdicts].join('\n\n'),
    }
  })
