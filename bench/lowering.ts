/**
 * Layers with sparse weights, dense and in forms of ONNX operators that leave the zeros out, beside each other in ONNX Runtime: what
 * sparsity of single weights, blocks, diagonals and experts is worth without kernels of its own. What was measured is kept, and a run that
 * finds it there goes on behind it.
 */
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import * as ort from 'onnxruntime-node'
import { lower } from '../src/export/lower.ts'
import { type Failure, renderError } from '../src/ir/failure.ts'
import { drawsFrom, seededRandom } from '../src/ir/random.ts'
import { plainStyle } from '../src/report/terminal/style.ts'
import { renderTable } from '../src/report/terminal/table.ts'
import { formatMilliseconds, formatRatio } from '../src/report/units.ts'
import { type Case, cases, type LayerForms } from './lowering/cases.ts'
import type { BenchResult } from './result.ts'

export interface LoweringOptions {
  /** Threads of one operator, one number after another. */
  readonly threads: ReadonlyArray<number>
  /** Measurements of each form. */
  readonly repeats: number
  /** Least running time of one measurement, in seconds. */
  readonly seconds: number
  /** No layer is begun after this time. */
  readonly minutes: number
  /** Only layers whose title has one of these in it: sizes, rows, what is live. */
  readonly only: ReadonlyArray<string>
  /** Where what is measured is written after each layer; layers that are there are not measured again. */
  readonly progress: string
}

/** A form beside the dense one. */
interface Measured {
  /** Times as fast as dense: the least times of both over all measurements; of forms that are far slower one measurement. */
  readonly speedup: number
  /** Largest difference from sums in float64, over the largest of those. */
  readonly error: number
}

interface Row {
  readonly threads: number
  readonly layer: string
  readonly rows: number
  readonly structure: string
  readonly density: number
  /** Live weights as they are, where that is not the density asked for. */
  readonly live: number
  /** Least milliseconds of the dense form: processor time of one thread, time that goes by of several. */
  readonly dense: number
  /** Times as fast as itself the dense form was, loaded twice. */
  readonly again: number
  readonly forms: Readonly<Record<string, Measured>>
}

/** Elements of the largest tensor that a form may make: a quarter of a gigabyte. */
const mostElements = 2 ** 26

/** A form that takes so many times as long as dense is measured once. */
const hopeless = 3

/** Products of up to 4096 numbers round in this many digits. */
const tolerance = 1e-5

const orThrow = <A>(result: E.Either<Failure, A>): A => {
  if (E.isLeft(result)) throw new Error(renderError(result.left))
  return result.right
}

const keyOf = ({ layer, rows, structure, density }: Case | Row, threads: number): string =>
  [threads, layer, rows, structure, density].join()

const titleOf = ({ layer, rows, structure }: Case | Row): string => `${layer}, ${rows} rows, ${structure}`

export const benchLowering = async (options: LoweringOptions, say: (text: string) => void): Promise<BenchResult> => {
  const { threads, minutes, only, progress } = options
  const rows: Row[] = existsSync(progress) ? JSON.parse(readFileSync(progress, 'utf8')) : []
  const known = new Set(rows.map((row) => keyOf(row, row.threads)))
  const end = performance.now() + 60_000 * minutes
  const wanted = cases().filter((one) => only.length === 0 || only.some((part) => titleOf(one).includes(part)))
  for (const count of threads) {
    const left = wanted.filter((one) => !known.has(keyOf(one, count)))
    for (const [at, one] of left.entries()) {
      if (performance.now() > end) break
      const made = await one.make()
      if (made === undefined) continue
      const row = await measureCase(one, made, count, options)
      say(`${at + 1}/${left.length} ${summaryOf(row)}`)
      rows.push(row)
      await mkdir(dirname(progress), { recursive: true })
      await writeFile(progress, `${JSON.stringify(rows)}\n`)
    }
  }
  const { repeats, seconds } = options
  return { json: { threads, repeats, seconds, rows }, text: tableOf(rows) }
}

/** A form in ONNX Runtime, in this process: what it takes is asked of the system. */
interface Ready {
  readonly name: string
  readonly session: ort.InferenceSession
  readonly error: number
}

/**
 * Milliseconds of a run, one left out and then as many as last `seconds`: of one thread the processor time, which others on the
 * machine do not make longer, of several the time that goes by.
 */
const timeOf = async (
  { session }: Ready,
  feeds: Record<string, ort.Tensor>,
  threads: number,
  seconds: number,
): Promise<number> => {
  await session.run(feeds)
  const [begin, used] = [performance.now(), process.cpuUsage()]
  let runs = 0
  do {
    await session.run(feeds)
    runs += 1
  } while (performance.now() - begin < 1000 * seconds)
  const wall = performance.now() - begin
  const { user, system } = process.cpuUsage(used)
  return (threads === 1 ? (user + system) / 1000 : wall) / runs
}

const measureCase = async (
  one: Case,
  { density: live, shape, forms, expected }: LayerForms,
  threads: number,
  { repeats, seconds }: LoweringOptions,
): Promise<Row> => {
  const draws = drawsFrom(seededRandom(1))
  const count = shape.reduce((n, size) => n * size, 1)
  const x = Float32Array.from({ length: count }, () => draws.next() - 0.5)
  const feeds = { x: new ort.Tensor('float32', x, shape) }
  const values = expected(x)
  const largest = values.reduce((most, [, value]) => Math.max(most, Math.abs(value)), 0)
  const ready: Ready[] = []
  const { structure, density, layer } = one
  // Dense twice: what lies between the two means nothing.
  for (const form of [...forms.slice(0, 1), ...forms]) {
    if (form.largest > mostElements) continue
    const { model } = orThrow(lower(form.graph()))
    const session = await ort.InferenceSession.create(model, { intraOpNumThreads: threads, logSeverityLevel: 3 })
    const [made] = Object.values(await session.run(feeds))
    const numbers = made?.data instanceof Float32Array ? made.data : new Float32Array()
    const differences = values.map(([at, value]) => Math.abs((numbers[at] ?? NaN) - value))
    const error = Math.max(...differences) / largest
    if (!(error < tolerance)) throw new Error(`${layer} (${structure}, ${density}), ${form.name}: off by ${error}`)
    ready.push({ name: form.name, session, error })
  }
  const time = (form: Ready, least: number): Promise<number> => timeOf(form, feeds, threads, least)
  const first: number[] = []
  for (const form of ready) first.push(await time(form, seconds / 4))
  const dense = Math.min(...first.slice(0, 2))
  const isRun = first.map((ms, i) => i < 2 || ms < hopeless * dense)
  const times = ready.map(() => new Array<number>())
  for (let round = 0; round < repeats; round++) {
    for (const [i, form] of ready.entries()) if (isRun[i] === true) times[i]?.push(await time(form, seconds))
  }
  for (const { session } of ready) await session.release()
  // What others do to a time makes it longer: the least of each form is what it takes.
  const least = times.map((own) => Math.min(...own))
  const fasterBy = (at: number): number => short((least[0] ?? NaN) / (least[at] ?? NaN))
  const measured = ready.slice(2).map(({ name, error }, i): readonly [string, Measured] => {
    const [at, off] = [i + 2, short(error)]
    if (isRun[at] !== true) return [name, { speedup: short(dense / (first[at] ?? NaN)), error: off }]
    return [name, { speedup: fasterBy(at), error: off }]
  })
  return {
    ...{ threads, layer, rows: one.rows, structure, density, live: short(live) },
    dense: short(least[0] ?? NaN),
    again: fasterBy(1),
    forms: Object.fromEntries(measured),
  }
}

/** Three digits: more are not measured. */
const short = (x: number): number => Number(x.toPrecision(3))

const bestOf = ({ forms }: Row): readonly [string, Measured] | undefined =>
  Object.entries(forms).toSorted(([, a], [, b]) => b.speedup - a.speedup)[0]

const summaryOf = (row: Row): string => {
  const forms = Object.entries(row.forms).map(([name, { speedup }]) => `${name} ${formatRatio(speedup)}`)
  const about = `${row.threads} threads, ${titleOf(row)} 1/${1 / row.density}`
  return `${about}: ${formatMilliseconds(row.dense)}, ${forms.join('; ')}`
}

const tableOf = (rows: ReadonlyArray<Row>): string => {
  const right = { align: 'right' as const }
  return renderTable(
    [
      { title: 'threads', ...right },
      { title: 'layer' },
      { title: 'rows', ...right },
      { title: 'live' },
      { title: 'density', ...right },
      { title: 'dense', ...right },
      { title: 'beside itself', ...right },
      { title: 'fastest without zeros' },
      { title: 'as fast', ...right },
    ],
    rows.map((row) => {
      const [name = '', best] = bestOf(row) ?? []
      const { threads, layer, structure, density, dense, again } = row
      return [
        ...[String(threads), layer, String(row.rows), structure, `1/${1 / density}`, formatMilliseconds(dense)],
        ...[formatRatio(again), name, best === undefined ? '' : formatRatio(best.speedup)],
      ]
    }),
    plainStyle,
  )
}
