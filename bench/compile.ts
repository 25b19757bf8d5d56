/**
 * How long compiling takes and how much memory, beside tools that simplify the same files: whole processes of the command line, which
 * read, compile, write and force to disk; without verification, which is a run of the models. Contenders take turns, their
 * medians are told; tools that are not installed are left out.
 */
import { execFile } from 'node:child_process'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { quartiles, type Quartiles } from '../src/run/statistics.ts'
import { plainStyle } from '../src/report/terminal/style.ts'
import { renderTable } from '../src/report/terminal/table.ts'
import { formatBytes, formatMilliseconds, formatRatio } from '../src/report/units.ts'
import { chaseMasks, withFolder, writeInflated, writeMasks } from './masked-model.ts'
import { python } from './python.ts'
import type { BenchResult } from './result.ts'

/** Graphs of `test/models` that are compiled unless told otherwise. */
export const compiledModels: ReadonlyArray<string> = ['resnet50', 'densenet121', 'vit_b_16', 'vgg19_bn']

interface Contender {
  readonly name: string
  readonly program: string
  /** With `OUT` for where the result goes: a folder, or a file in it. */
  readonly args: ReadonlyArray<string>
}

interface Run {
  readonly wall: number
  readonly cpu: number
  readonly peakBytes: number
  readonly outputBytes: number
}

interface Figures {
  readonly name: string
  readonly wallMilliseconds: Quartiles
  readonly cpuMilliseconds: Quartiles
  readonly peakBytes: Quartiles
  readonly outputBytes: number
}

const runFile = promisify(execFile)

const pathOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

const nodeArgs = (program: string): ReadonlyArray<string> => ['--import', pathOf('children/usage.mjs'), pathOf(program)]

const isRecord = (x: unknown): x is Readonly<Record<string, unknown>> => typeof x === 'object' && x !== null

const numberIn = (x: unknown, key: string): number => {
  const value = isRecord(x) ? x[key] : undefined
  if (typeof value !== 'number') throw new Error(`a contender gave no ${key}`)
  return value
}

const runOnce = async ({ program, args }: Contender, folder: string): Promise<Run> => {
  const [out, usageFile] = [join(folder, 'out'), join(folder, 'usage.json')]
  await rm(out, { recursive: true, force: true })
  const given = args.map((arg) => (arg === 'OUT' ? out : arg))
  const start = performance.now()
  await runFile(program, given, { maxBuffer: 1 << 26, env: { ...process.env, BENCH_USAGE: usageFile } })
  const wall = performance.now() - start
  const usage: unknown = JSON.parse(await readFile(usageFile, 'utf8'))
  return {
    wall,
    cpu: numberIn(usage, 'cpuMilliseconds'),
    peakBytes: numberIn(usage, 'peakBytes'),
    outputBytes: await modelBytes(out),
  }
}

/** Bytes of the model in a package, or of the file that a tool wrote. */
const modelBytes = async (out: string): Promise<number> => {
  const file = await stat(out)
  if (!file.isDirectory()) return file.size
  const models = (await readdir(out)).filter((name) => name.startsWith('model.onnx'))
  const sizes = await Promise.all(models.map(async (name) => (await stat(join(out, name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

const versionCode = 'import importlib.metadata as m, sys; print(m.version(sys.argv[1]))'

/** The tools in Python that are there, with their versions. */
const pythonTools = async (model: string): Promise<ReadonlyArray<Contender>> => {
  const found: Contender[] = []
  for (const tool of ['onnxslim', 'onnxscript', 'onnxoptimizer']) {
    const version = await runFile(python, ['-c', versionCode, tool]).then(
      ({ stdout }) => stdout.trim(),
      () => undefined,
    )
    if (version === undefined) continue
    const args = [pathOf('children/simplify.py'), tool, model, 'OUT']
    found.push({ name: `${tool} ${version}`, program: python, args })
  }
  return found
}

/** Bytes of a file of no masks. */
const emptyMasks = 16

const contendersFor = async (model: string, masks: string): Promise<ReadonlyArray<Contender>> => {
  const compile = [...nodeArgs('../dist/cli/main.js'), 'compile', model, '-o', 'OUT', '--no-verify']
  const { version } = JSON.parse(await readFile(pathOf('../node_modules/onnxsim/package.json'), 'utf8'))
  return [
    { name: 'chasec, no masks', program: process.execPath, args: compile },
    // Not of every network can channels be chosen without a look at what they compute.
    ...((await stat(masks)).size <= emptyMasks
      ? []
      : [{ name: 'chasec, 40 % of channels masked', program: process.execPath, args: [...compile, '--masks', masks] }]),
    {
      name: `npm onnxsim ${version}`,
      program: process.execPath,
      args: [...nodeArgs('children/onnxsim.mjs'), model, 'OUT'],
    },
    ...(await pythonTools(model)),
  ]
}

const summarise = (name: string, runs: ReadonlyArray<Run>): Figures => ({
  name,
  wallMilliseconds: quartiles(runs.map(({ wall }) => wall)),
  cpuMilliseconds: quartiles(runs.map(({ cpu }) => cpu)),
  peakBytes: quartiles(runs.map(({ peakBytes }) => peakBytes)),
  outputBytes: runs[0]?.outputBytes ?? NaN,
})

/** Compares chasec with and without masks and other tools on graphs of `test/models`, `repeats` times each. */
export const benchCompile = async (names: ReadonlyArray<string>, repeats: number): Promise<BenchResult> => {
  const models: Array<{ readonly model: string; readonly modelBytes: number; contenders: ReadonlyArray<Figures> }> = []
  for (const name of names) models.push(await compareOn(name, repeats))
  const text = models.map(({ contenders, ...one }) =>
    renderFigures(`${one.model}, ${formatBytes(one.modelBytes)}`, one.modelBytes, contenders),
  )
  return { json: { repeats, models }, text: text.join('\n\n') }
}

const compareOn = (name: string, repeats: number) =>
  withFolder(async (folder) => {
    const model = await writeInflated(name, folder)
    const contenders = await contendersFor(model.path, await writeMasks(model.path, chaseMasks, folder))
    const runs = contenders.map(() => new Array<Run>())
    for (let round = 0; round < repeats; round++) {
      for (const [i, contender] of contenders.entries()) runs[i]?.push(await runOnce(contender, folder))
    }
    const figures = contenders.map((contender, i) => summarise(contender.name, runs[i] ?? []))
    return { model: name, modelBytes: model.bytes, contenders: figures }
  })

const renderFigures = (title: string, modelBytes: number, figures: ReadonlyArray<Figures>): string =>
  renderTable(
    [
      { title },
      { title: 'whole process', align: 'right' },
      { title: 'processor time', align: 'right' },
      { title: 'peak memory', align: 'right' },
      { title: 'times the file', align: 'right' },
      { title: 'written', align: 'right' },
    ],
    figures.map(({ name, wallMilliseconds, cpuMilliseconds, peakBytes, outputBytes }) => [
      name,
      formatMilliseconds(wallMilliseconds.median),
      formatMilliseconds(cpuMilliseconds.median),
      formatBytes(peakBytes.median),
      formatRatio(peakBytes.median / modelBytes),
      formatBytes(outputBytes),
    ]),
    plainStyle,
  )
