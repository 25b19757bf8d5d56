/**
 * Time and peak memory of compiling without verification against the number of nodes and the bytes of weights. Every model is
 * made in a temporary folder, compiled in a process of its own, and removed.
 */
import { execFile } from 'node:child_process'
import { statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as E from 'fp-ts/lib/Either.js'
import { lowerInPieces } from '../src/export/lower.ts'
import { writeFiles } from '../src/export/package.ts'
import { renderError } from '../src/ir/failure.ts'
import type { Graph } from '../src/ir/graph.ts'
import { plainStyle } from '../src/report/terminal/style.ts'
import { type Column, renderTable } from '../src/report/terminal/table.ts'
import { formatBytes } from '../src/report/units.ts'
import { withFolder } from './masked-model.ts'
import type { BenchResult } from './result.ts'
import { heavyNetwork, networkOf, shapesOfNetworks } from './scale-models.ts'
import { linePlot, type Line } from './line-plot.ts'

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
  if (plot !== undefined) await writeFile(plot, plotOf(runs))
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

const plotOf = (runs: ReadonlyArray<Run>): string => {
  const lines = (y: (run: Run) => number): ReadonlyArray<Line> =>
    shapesOfNetworks.map((name) => ({
      name,
      points: runs.filter(({ network }) => network === name).map((run) => [run.nodes / 1000, y(run)] as const),
    }))
  const heavy = (y: (run: Run) => number): ReadonlyArray<Line> => [
    {
      name: 'matrices',
      points: runs
        .filter(({ network }) => network === 'matrices')
        .map((run) => [run.modelBytes / 1e9, y(run)] as const),
    },
  ]
  const time = ({ cpuMilliseconds }: Run): number => cpuMilliseconds / 1000
  const memory = ({ peakBytes }: Run): number => peakBytes / 1e9
  return linePlot([
    { title: 'processor time (s) against nodes (thousands)', lines: lines(time) },
    { title: 'peak memory (GB) against nodes (thousands)', lines: lines(memory) },
    { title: 'processor time (s) against weights (GB)', lines: heavy(time) },
    { title: 'peak memory (GB) against weights (GB)', lines: heavy(memory) },
  ])
}
