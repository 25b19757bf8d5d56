/**
 * Time and peak memory of compiling without verification against the number of nodes and the bytes of weights. Every model is
 * made in a temporary folder, compiled in a process of its own, and removed.
 */
import { execFile } from 'node:child_process'
import { statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { lineY, text } from '@observablehq/plot'
import * as E from 'fp-ts/lib/Either.js'
import { lowerInPieces } from '../src/export/lower.ts'
import { writeFiles } from '../src/export/package.ts'
import { renderError } from '../src/ir/failure.ts'
import type { Graph } from '../src/ir/graph.ts'
import { plainStyle } from '../src/report/terminal/style.ts'
import { type Column, renderTable } from '../src/report/terminal/table.ts'
import { formatBytes } from '../src/report/units.ts'
import { withFolder } from './masked-model.ts'
import { apart, plotOf } from './plot.ts'
import type { BenchResult } from './result.ts'
import { heavyNetwork, networkOf, shapesOfNetworks } from './scale-models.ts'

export interface ScaleOptions {
  readonly nodes: ReadonlyArray<number>
  /** In GB (10^9 bytes). */
  readonly gigabytes: ReadonlyArray<number>
  /** Where the plot goes, if anywhere. */
  readonly plot?: string
}

interface Run {
  readonly network: string
  readonly nodes: number
  readonly modelBytes: number
  readonly wallMilliseconds: number
  readonly cpuMilliseconds: number
  readonly peakBytes: number
}

const runFile = promisify(execFile)

/** Weights of the heavy networks are matrices of this many rows and columns. */
const width = 4096

const isRecord = (x: unknown): x is Readonly<Record<string, unknown>> => typeof x === 'object' && x !== null

const numberIn = (answer: unknown, key: string): number => {
  const value = isRecord(answer) ? answer[key] : undefined
  if (typeof value !== 'number') throw new Error(`the child gave no ${key}`)
  return value
}

/** Writes the model, compiles it in a fresh process, and removes both. */
const measureOne = (network: string, make: () => Graph, external: boolean): Promise<Run> =>
  withFolder(async (folder) => {
    const lowered = lowerInPieces(make(), { external })
    if (E.isLeft(lowered)) throw new Error(renderError(lowered.left))
    const { model, external: data } = lowered.right
    const modelBytes = model.length + (data?.length ?? 0)
    const { bavail, bsize } = await statfs(folder)
    // The model, what is compiled from it, and something to spare.
    if (bavail * bsize < 2.5 * modelBytes) throw new Error(`${formatBytes(2.5 * modelBytes)} of disk space are needed`)
    const written = await writeFiles(join(folder, 'source'), [
      { name: 'model.onnx', chunks: model.chunks() },
      ...(data === undefined ? [] : [{ name: data.name, chunks: data.chunks() }]),
    ])()
    if (E.isLeft(written)) throw new Error(renderError(written.left))
    const child = fileURLToPath(new URL('children/scale.mjs', import.meta.url))
    const { stdout } = await runFile(process.execPath, [child, join(folder, 'source', 'model.onnx'), folder])
    const answer: unknown = JSON.parse(stdout)
    return {
      network,
      nodes: numberIn(answer, 'nodes'),
      modelBytes,
      wallMilliseconds: numberIn(answer, 'wallMilliseconds'),
      cpuMilliseconds: numberIn(answer, 'cpuMilliseconds'),
      peakBytes: numberIn(answer, 'peakBytes'),
    }
  })

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`

export const benchScale = async ({ nodes, gigabytes, plot }: ScaleOptions): Promise<BenchResult> => {
  const runs: Run[] = []
  const say = (run: Run): void => {
    runs.push(run)
    process.stderr.write(
      `${run.network} ${run.nodes} nodes: ${seconds(run.cpuMilliseconds)}, ${formatBytes(run.peakBytes)}\n`,
    )
  }
  for (const network of shapesOfNetworks) {
    for (const count of nodes) say(await measureOne(network, () => networkOf(network, count), false))
  }
  for (const size of gigabytes) say(await measureOne('matrices', () => heavyNetwork(size * 1e9, width), true))
  if (plot !== undefined) await writeFile(plot, picture(runs))
  const rows = runs.map((run) => [
    run.network,
    String(run.nodes),
    formatBytes(run.modelBytes),
    seconds(run.wallMilliseconds),
    seconds(run.cpuMilliseconds),
    formatBytes(run.peakBytes),
  ])
  const columns = ['network', 'nodes', 'model', 'wall time', 'processor time', 'peak memory'].map(
    (title, at): Column => (at === 0 ? { title } : { title, align: 'right' }),
  )
  return { json: { matrixWidth: width, runs }, text: renderTable(columns, rows, plainStyle) }
}

const picture = (runs: ReadonlyArray<Run>): string => {
  const growth = runs.filter(({ network }) => network !== 'matrices')
  const heavy = runs.filter(({ network }) => network === 'matrices')
  const time = { label: 'processor time, s', of: ({ cpuMilliseconds }: Run) => cpuMilliseconds / 1000 }
  const memory = { label: 'peak memory, GB', of: ({ peakBytes }: Run) => peakBytes / 1e9 }
  const panel = (some: ReadonlyArray<Run>, x: typeof time, y: typeof time) => {
    const last = [...new Map(some.map((run) => [run.network, run])).values()]
    const heights = apart(last.map(y.of), Math.max(...some.map(y.of)) / 17)
    return {
      marginRight: 80,
      x: { label: x.label },
      y: { label: y.label, grid: true, zero: true },
      marks: [
        lineY(some, { x: x.of, y: y.of, stroke: 'network', marker: 'dot' }),
        text(last, { x: x.of, y: heights, text: 'network', fill: 'network', textAnchor: 'start', dx: 6 }),
      ],
    }
  }
  const nodes = { label: 'nodes, thousands', of: (run: Run) => run.nodes / 1000 }
  const weights = { label: 'weights, GB', of: ({ modelBytes }: Run) => modelBytes / 1e9 }
  return plotOf(
    [
      panel(growth, nodes, time),
      panel(growth, nodes, memory),
      panel(heavy, weights, time),
      panel(heavy, weights, memory),
    ],
    [430, 280],
    2,
  )
}
