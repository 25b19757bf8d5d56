/**
 * Dense against compiled on a GPU that is at hand for a short time: widths raw and in multiples, float32 with and without TF32, and
 * float16, for several batches. What was measured is written after each group, and a run that finds it there goes on behind it.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { performance } from 'node:perf_hooks'
import * as E from 'fp-ts/lib/Either.js'
import { type Compiled, type Graph, type Masks, noMasks, renderError } from '../src/api/index.ts'
import {
  compile,
  lowerCompiled,
  measure,
  pruneChannels,
  readModel,
  toFloat16,
  verifyCompiled,
} from '../src/api/promise.ts'
import { isRecord } from '../src/ir/record.ts'
import type { Mask } from '../src/masks/mask.ts'
import { timeShare } from '../src/report/terminal/measure-table.ts'
import { plainStyle } from '../src/report/terminal/style.ts'
import { renderTable } from '../src/report/terminal/table.ts'
import { formatCount, formatError, formatMilliseconds, formatPercent, formatRatio } from '../src/report/units.ts'
import { checkProvider } from '../src/run/providers.ts'
import type { Quartiles } from '../src/run/statistics.ts'
import { chaseMasks, withFolder, writeInflated } from './masked-model.ts'
import type { BenchResult } from './result.ts'

/** `tf32`: float32 whose products the GPU may round to TF32, as ONNX Runtime does unless it is told otherwise. */
export const precisions = ['tf32', 'float16', 'float32'] as const

type Precision = (typeof precisions)[number]

export const scopes = ['all', 'block'] as const

type Scope = (typeof scopes)[number]

export interface GpuOptions {
  readonly model: string
  readonly provider: 'cpu' | 'cuda' | 'webgpu'
  readonly batches: ReadonlyArray<number>
  readonly precisions: ReadonlyArray<Precision>
  readonly scopes: ReadonlyArray<Scope>
  /** How channels are chosen: at random every layer loses as many, by score (`umm`) some lose most. */
  readonly score: 'umm' | 'random'
  /** What widths are rounded up to multiples of; 1 leaves them as they are. */
  readonly multiples: ReadonlyArray<number>
  /** Measurements of each model. */
  readonly repeats: number
  /** Least running time of one measurement, in seconds. */
  readonly seconds: number
  /** No group is begun after this time. */
  readonly minutes: number
  /** Where what is measured is written after each group; groups that are there are not measured again. */
  readonly progress: string
}

interface Row {
  readonly name: string
  /** Multiply-accumulates for one item. */
  readonly macs: number
  readonly milliseconds: Quartiles
  /** How many times as fast as the dense model of the same precision. */
  readonly speedup: Quartiles
  readonly timeShare: number | undefined
  /** Largest relative difference from the masked model in float32, without TF32. */
  readonly error: number
}

interface Group {
  readonly scope: Scope
  readonly precision: Precision
  readonly batch: number
  readonly rows: ReadonlyArray<Row>
  /** Why there are no rows. */
  readonly failed?: string
}

interface Variant {
  readonly name: string
  readonly path: string
  readonly macs: number
  readonly error: number
}

/** The device and its driver as they call themselves. */
const describeDevice = (provider: GpuOptions['provider']): string => {
  if (provider !== 'cuda') return `${provider}: ${cpus()[0]?.model ?? 'unknown'}`
  const asked = ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader']
  const { status, stdout } = spawnSync('nvidia-smi', asked, { encoding: 'utf8' })
  return status === 0 ? stdout.trim().split('\n').join('; ') : 'a GPU that nvidia-smi does not know'
}

/**
 * Masks with as few channels back as make the number of those that stay a multiple, along every axis. What is kept alike is
 * rounded alike, so that channels of one stream stay those of all layers that write it.
 */
export const roundedMasks = (masks: Masks, multiple: number): Masks =>
  new Map([...masks].map(([name, mask]) => [name, roundedMask(mask, multiple)]))

const roundedMask = (mask: Mask, multiple: number): Mask => ({
  ...mask,
  axes: mask.axes.map((kept) => (kept === undefined ? undefined : roundedUp(kept, multiple))),
})

const roundedUp = (kept: Uint8Array, multiple: number): Uint8Array => {
  const count = kept.reduce((sum, one) => sum + one, 0)
  let missing = Math.min(kept.length, Math.ceil(count / multiple) * multiple) - count
  return kept.map((one) => (one === 1 || missing-- > 0 ? 1 : 0))
}

/** Why the benchmark cannot run here: a line for people; undefined where it can. */
export const whyNotGpu = async ({ provider }: Pick<GpuOptions, 'provider'>): Promise<string | undefined> => {
  const checked = await checkProvider(provider)()
  return E.isLeft(checked) ? renderError(checked.left) : undefined
}

/** Measures all groups that are not measured yet, most telling first, until the time is over. */
export const benchGpu = (options: GpuOptions, say: (text: string) => void): Promise<BenchResult> =>
  withFolder(async (folder) => {
    const started = performance.now()
    const { model, provider, score, progress } = options
    const device = describeDevice(provider)
    say(device)
    const dense = await writeInflated(model, folder)
    const graph = await readModel(dense.path)
    const what = JSON.stringify([device, model, provider, score, options.multiples, options.repeats, options.seconds])
    const groups: Group[] = [...measuredBefore(progress, what)]
    const wanted = options.scopes.flatMap((scope) =>
      options.precisions.flatMap((precision) => options.batches.map((batch) => ({ scope, precision, batch }))),
    )
    const variants = new Map<string, ReadonlyArray<Variant>>()
    for (const { scope, precision, batch } of wanted) {
      const same = (one: Group): boolean =>
        one.scope === scope && one.precision === precision && one.batch === batch && one.failed === undefined
      if (groups.some(same)) continue
      if (performance.now() - started > options.minutes * 60_000) break
      const key = `${scope} ${precision === 'float16' ? 'float16' : 'float32'}`
      const made = variants.get(key) ?? (await writeVariants(graph, scope, precision, folder, options))
      variants.set(key, made)
      say(`${scope}, ${precision}, batch ${batch}`)
      groups.push(await measureGroup(made, { scope, precision, batch }, options))
      await mkdir(dirname(progress), { recursive: true })
      await writeFile(progress, `${JSON.stringify({ what, groups })}\n`)
    }
    return {
      json: { ...options, device, masks: { ...chaseMasks, score }, groups },
      text: `${device}\n\n${render(groups)}`,
    }
  })

/** What an earlier run of the same on the same device has left. */
const measuredBefore = (path: string, what: string): ReadonlyArray<Group> => {
  if (!existsSync(path)) return []
  const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'))
  if (!isRecord(parsed) || parsed['what'] !== what || !Array.isArray(parsed['groups'])) return []
  return parsed['groups'].filter(isGroup)
}

const isGroup = (x: unknown): x is Group =>
  isRecord(x) && typeof x['scope'] === 'string' && typeof x['batch'] === 'number' && Array.isArray(x['rows'])

/** The dense model and the compiled ones in one precision, as files, each compared on the provider with what it was made of. */
const writeVariants = async (
  graph: Graph,
  scope: Scope,
  precision: Precision,
  folder: string,
  { provider, multiples, score }: GpuOptions,
): Promise<ReadonlyArray<Variant>> => {
  const { masks } = await pruneChannels(graph, noMasks, { ...chaseMasks, scope, score })
  const compiled: ReadonlyArray<readonly [name: string, masks: Masks, compiled: Compiled]> = await Promise.all(
    [undefined, ...multiples].map(async (multiple) => {
      const own = multiple === undefined ? noMasks : roundedMasks(masks, multiple)
      const name = multiple === undefined ? 'dense' : multiple === 1 ? 'raw widths' : `multiples of ${multiple}`
      return [name, own, await compile(graph, own, { target: provider, widths: 'raw' })] as const
    }),
  )
  const variants: Variant[] = []
  for (const [name, own, one] of compiled) {
    const made = precision === 'float16' ? await toFloat16(one) : one
    const path = join(folder, `${scope}-${precision}-${name.replaceAll(' ', '-')}.onnx`)
    const lowered = await lowerCompiled(made)
    await writeFile(path, lowered.model)
    const how = { provider, seeds: [1], sizeCount: 1, magnitudes: [], tolerance: 0.5 }
    const difference = await withoutTf32(() => verifyCompiled(graph, own, lowered, how))
    variants.push({ name, path, macs: one.report.after.macs, error: difference.worst?.output.relative ?? NaN })
  }
  return variants
}

const measureGroup = async (
  variants: ReadonlyArray<Variant>,
  group: Pick<Group, 'scope' | 'precision' | 'batch'>,
  { provider, repeats, seconds }: GpuOptions,
): Promise<Group> => {
  const [dense] = variants
  if (dense === undefined) return { ...group, rows: [] }
  const all = [dense, { ...dense, name: 'dense again' }, ...variants.slice(1)]
  try {
    const sources = all.map(({ path, name }) => ({ path, name }))
    const how = { provider, batch: group.batch, repeats, seconds, timeoutSeconds: 600 }
    const run = (): ReturnType<typeof measure> => measure(sources, how)
    const measured = await (group.precision === 'float32' ? withoutTf32(run) : run())
    const rows = all.flatMap(({ name, macs, error }, at) => {
      const found = measured[at]
      if (found === undefined) return []
      const { latency: milliseconds, speedup } = found
      return [{ name, macs, milliseconds, speedup, timeShare: timeShare(dense.macs, macs, speedup.median), error }]
    })
    return { ...group, rows }
  } catch (thrown) {
    return { ...group, rows: [], failed: thrown instanceof Error ? thrown.message : String(thrown) }
  }
}

/** Does something in whose processes NVIDIA's libraries, which look for this when they are loaded, compute float32 in float32. */
const withoutTf32 = async <A>(work: () => Promise<A>): Promise<A> => {
  process.env['NVIDIA_TF32_OVERRIDE'] = '0'
  try {
    return await work()
  } finally {
    delete process.env['NVIDIA_TF32_OVERRIDE']
  }
}

const render = (groups: ReadonlyArray<Group>): string =>
  groups
    .map(({ scope, precision, batch, rows, failed }) => {
      const title = `scope ${scope}, ${precision}, batch ${batch}`
      if (failed !== undefined) return `${title}: ${failed}`
      const table = renderTable(
        [
          { title: '' },
          { title: 'MACs', align: 'right' },
          { title: 'a run', align: 'right' },
          { title: 'as fast', align: 'right' },
          { title: 'quartiles', align: 'right' },
          { title: 'saving turned into time', align: 'right' },
          { title: 'relative error', align: 'right' },
        ],
        rows.map((row) => [
          row.name,
          formatCount(row.macs),
          formatMilliseconds(row.milliseconds.median),
          formatRatio(row.speedup.median),
          `${formatRatio(row.speedup.q1)} to ${formatRatio(row.speedup.q3)}`,
          row.timeShare === undefined ? '' : formatPercent(row.timeShare),
          formatError(row.error),
        ]),
        plainStyle,
      )
      return `${title}\n${table}`
    })
    .join('\n\n')
