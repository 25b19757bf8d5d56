/**
 * How long reading, compiling and writing ResNet-50 takes and how much memory, beside npm onnxsim on the same file. Every
 * run is a fresh process; the contenders take turns.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { quartiles, type Quartiles } from '../src/run/statistics.ts'
import { plainStyle } from '../src/report/terminal/style.ts'
import { renderTable } from '../src/report/terminal/table.ts'
import { formatBytes, formatMilliseconds, formatRatio } from '../src/report/units.ts'
import type { BenchResult } from './result.ts'
import { chaseMasks, withFolder, writeInflated, writeMasks } from './masked-model.ts'

interface Run {
  /** Reading, compiling and writing, in the process. */
  readonly total: number
  /** The whole process, Node's start and loading included. */
  readonly wall: number
  readonly steps: Readonly<Record<string, number>>
  readonly peakBytes: number
  readonly outputBytes: number
}

interface Contender {
  readonly name: string
  readonly script: string
  readonly masks: string
}

interface Figures {
  readonly name: string
  readonly total: Quartiles
  readonly wall: Quartiles
  readonly steps: Readonly<Record<string, number>>
  readonly peakBytes: Quartiles
  readonly outputBytes: number
}

const runFile = promisify(execFile)

const isRecord = (x: unknown): x is Readonly<Record<string, unknown>> => typeof x === 'object' && x !== null

const numbersIn = (x: unknown): Readonly<Record<string, number>> => {
  const out: Record<string, number> = {}
  if (isRecord(x)) for (const [key, value] of Object.entries(x)) if (typeof value === 'number') out[key] = value
  return out
}

const runOnce = async ({ script, masks }: Contender, model: string, folder: string): Promise<Run> => {
  const path = fileURLToPath(new URL(`children/${script}`, import.meta.url))
  const start = performance.now()
  const { stdout } = await runFile(process.execPath, [path, model, masks, folder], { maxBuffer: 1 << 24 })
  const wall = performance.now() - start
  const answer: unknown = JSON.parse(stdout)
  const steps = numbersIn(isRecord(answer) ? answer['milliseconds'] : undefined)
  const sizes = numbersIn(answer)
  return {
    total: steps['total'] ?? NaN,
    wall,
    steps,
    peakBytes: sizes['peakBytes'] ?? NaN,
    outputBytes: sizes['outputBytes'] ?? NaN,
  }
}

const summarise = (name: string, runs: ReadonlyArray<Run>): Figures => {
  const steps: Record<string, number> = {}
  for (const key of Object.keys(runs[0]?.steps ?? {})) {
    steps[key] = quartiles(runs.map((run) => run.steps[key] ?? NaN)).median
  }
  return {
    name,
    total: quartiles(runs.map((run) => run.total)),
    wall: quartiles(runs.map((run) => run.wall)),
    steps,
    peakBytes: quartiles(runs.map((run) => run.peakBytes)),
    outputBytes: runs[0]?.outputBytes ?? NaN,
  }
}

/** Compares chasec with and without masks and onnxsim on the graph `name`, `repeats` times each. */
export const benchCompile = (name: string, repeats: number): Promise<BenchResult> =>
  withFolder(async (folder) => {
    const model = await writeInflated(name, folder)
    const masks = await writeMasks(model.path, chaseMasks, folder)
    const contenders: ReadonlyArray<Contender> = [
      { name: 'npm onnxsim 0.7.3', script: 'onnxsim.mjs', masks: 'none' },
      { name: 'chasec, no masks', script: 'chasec.mjs', masks: 'none' },
      { name: 'chasec, 40 % of channels masked', script: 'chasec.mjs', masks },
    ]
    const runs = contenders.map(() => new Array<Run>())
    for (let round = 0; round < repeats; round++) {
      for (const [i, contender] of contenders.entries()) {
        runs[i]?.push(await runOnce(contender, model.path, join(folder, `out-${i}`)))
      }
    }
    const figures = contenders.map((contender, i) => summarise(contender.name, runs[i] ?? []))
    return {
      json: { model: name, modelBytes: model.bytes, repeats, contenders: figures },
      text: renderFigures(figures, model.bytes),
    }
  })

const renderFigures = (figures: ReadonlyArray<Figures>, modelBytes: number): string => {
  const [first] = figures
  const table = renderTable(
    [
      { title: `${formatBytes(modelBytes)} model` },
      { title: 'read + compile + write', align: 'right' },
      { title: 'ratio', align: 'right' },
      { title: 'whole process', align: 'right' },
      { title: 'peak memory', align: 'right' },
      { title: 'times the file', align: 'right' },
      { title: 'written', align: 'right' },
    ],
    figures.map(({ name, total, wall, peakBytes, outputBytes }) => [
      name,
      formatMilliseconds(total.median),
      formatRatio((first?.total.median ?? NaN) / total.median),
      formatMilliseconds(wall.median),
      formatBytes(peakBytes.median),
      formatRatio(peakBytes.median / modelBytes),
      formatBytes(outputBytes),
    ]),
    plainStyle,
  )
  const steps = figures.map(
    ({ name, steps: own }) =>
      `${name}: ${Object.entries(own)
        .map(([step, ms]) => `${step} ${formatMilliseconds(ms)}`)
        .join(', ')}`,
  )
  return `${table}\n\n${steps.join('\n')}`
}
