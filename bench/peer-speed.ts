/**
 * How fast networks run of which half of the multiply-accumulates are gone: compiled here, and what peers make of them. The
 * same channels are kept by all; `peers/speed.py` chooses them and runs the peers. One table, `bench/RESULTS.md`.
 */
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { barY, ruleY, text } from '@observablehq/plot'
import { type Measurement, zerosOf } from '../src/api/index.ts'
import { compile, lowerCompiled, measure, readModel, verify } from '../src/api/promise.ts'
import { timeShare } from '../src/report/terminal/measure-table.ts'
import { formatCount, formatError, formatPercent, formatRatio } from '../src/report/units.ts'
import { withFolder } from './masked-model.ts'
import { plotOf } from './plot.ts'
import { type Exporter, exportMissing, whyNotExported } from './python.ts'
import type { BenchResult } from './result.ts'

export const peerSpeedModels = [
  'resnet18',
  'resnet50',
  'vgg19-bn',
  'mobilenet-v2',
  'mobilenet-v3',
  'densenet121',
  'efficientnet-b0',
  'vit-b-16',
] as const

export interface PeerSpeedOptions {
  readonly models: ReadonlyArray<(typeof peerSpeedModels)[number]>
  readonly threads?: ReadonlyArray<number>
  readonly batches?: ReadonlyArray<number>
  readonly repeats: number
  /** Least running time of one measurement, in seconds. */
  readonly seconds: number
  /** Where what the peers made is kept. */
  readonly folder: string
}

const exporter: Exporter = {
  script: fileURLToPath(new URL('peers/speed.py', import.meta.url)),
  modules: ['torch', 'torchvision', 'torch_pruning', 'onnxsim', 'onnxslim', 'onnx', 'onnxscript'],
  uses: ['torch_models'],
}

/** Why the benchmark cannot run here: a line for people; undefined where it can. */
export const whyNotPeerSpeed = ({ models, folder }: PeerSpeedOptions): Promise<string | undefined> =>
  whyNotExported(exporter, models, folder)

const torchPruning = 'torch-pruning'

/** What else can be made of the masked network, and of what Torch-Pruning leaves of it. */
const optimised = ['masked-onnxsim', 'masked-onnxslim', `${torchPruning}-onnxsim`, `${torchPruning}-onnxslim`] as const

interface Description {
  readonly versions: Readonly<Record<string, string>>
}

/** Speeds over the masked network of full size. */
interface Row {
  readonly model: string
  readonly threads: number
  readonly batch: number
  /** Multiply-accumulates: of the network, of what is compiled. */
  readonly macs: { readonly before: number; readonly after: number }
  /** Largest difference of the compiled model from the masked one, in parts of the largest number. */
  readonly error: number
  /** Of the network of full size over itself: the noise. */
  readonly noise: Measurement['speedup']
  readonly chasec: Measurement['speedup']
  readonly predicted?: number
  readonly peers: Readonly<Record<string, Measurement['speedup']>>
}

const rowsOf = (model: string, options: PeerSpeedOptions): Promise<Row[]> =>
  withFolder(async (scratch) => {
    const { threads = [1, cpus().length], batches = [1, 16], repeats, seconds, folder } = options
    const masked = join(folder, `${model}-masked.onnx`)
    const graph = await readModel(masked)
    const { graph: made, report } = await compile(graph, zerosOf(graph))
    const own = join(scratch, 'chasec.onnx')
    await writeFile(own, (await lowerCompiled({ graph: made, report })).model)
    const { worst } = await verify(masked, own, { seeds: [1], sizeCount: 1, magnitudes: [] })
    const peers = [torchPruning, ...optimised]
    const sources = [
      { name: 'dense', path: masked },
      { name: 'chasec', path: own },
      ...peers.map((name) => ({ name, path: join(folder, `${model}-${name}.onnx`) })),
    ]
    const rows: Row[] = []
    for (const count of threads) {
      for (const batch of batches) {
        process.stderr.write(`${model}, ${count} threads, batch ${batch}\n`)
        const measured = await measure(sources, { provider: 'cpu', threads: count, batch, repeats, seconds })
        const noise = measured[0]?.noise
        const [, chasec, ...others] = measured.map(({ speedup }) => speedup)
        if (noise === undefined || chasec === undefined) continue
        rows.push({
          ...{ model, threads: count, batch, macs: { before: report.before.macs, after: report.after.macs } },
          ...{ error: worst?.output.relative ?? NaN, noise, chasec },
          ...(report.predicted === undefined ? {} : { predicted: report.predicted.before / report.predicted.after }),
          peers: Object.fromEntries(others.map((speedup, i) => [peers[i] ?? '', speedup])),
        })
      }
    }
    return rows
  })

const speed = ({ median, q1, q3 }: Measurement['speedup']): string =>
  `${formatRatio(median)} (${formatRatio(q1)} to ${formatRatio(q3)})`

/** The fastest of what is not Torch-Pruning alone. */
const best = ({ peers }: Row): readonly [name: string, speedup: Measurement['speedup']] | undefined =>
  Object.entries(peers)
    .filter(([name]) => name !== torchPruning)
    .toSorted(([, a], [, b]) => b.median - a.median)[0]

const heads = [
  ...['network', 'threads', 'batch', 'MACs', 'chasec', 'of the saving', 'Torch-Pruning', 'best of the others', 'which'],
  ...['noise', 'predicted', 'difference'],
]

const cellsOf = (row: Row): ReadonlyArray<string> => {
  const { before, after } = row.macs
  const share = timeShare(before, after, row.chasec.median)
  const other = best(row)
  const pruned = row.peers[torchPruning]
  const isPredicted = row.threads === 1 && row.batch === 1 && row.predicted !== undefined
  return [
    ...[row.model, String(row.threads), String(row.batch), `${formatCount(before)} → ${formatCount(after)}`],
    ...[speed(row.chasec), share === undefined ? '' : formatPercent(share)],
    ...[pruned === undefined ? 'fails' : speed(pruned), other === undefined ? '' : speed(other[1]), other?.[0] ?? ''],
    `${formatRatio(row.noise.q1)} to ${formatRatio(row.noise.q3)}`,
    isPredicted ? formatRatio(row.predicted ?? NaN) : '',
    formatError(row.error),
  ]
}

const render = (rows: ReadonlyArray<Row>, versions: Description['versions']): string => {
  const lines = [heads, heads.map((_, i) => (i === 0 ? '-' : '-:')), ...rows.map(cellsOf)]
  const used = Object.entries(versions).map(([tool, version]) => `${tool} ${version}`)
  return [
    lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n'),
    'Times as fast as the network of full size in ONNX Runtime, the same channels masked: median (quartiles) of interleaved repeats. ' +
      'Of the saving: which share of the multiply-accumulates that chasec took out turned into time. Noise: the network over itself.',
    `${used.join(', ')}. Weights are random (seeded), channels chosen at random over the whole network.`,
  ].join('\n\n')
}

const tools: ReadonlyArray<readonly [name: string, colour: string]> = [
  ['chasec', '#d62728'],
  [torchPruning, '#1f77b4'],
  ['best of the others', '#999999'],
]

/** A panel for each number of threads and each batch. */
const pictureOf = (rows: ReadonlyArray<Row>): string => {
  const settings = [...new Map(rows.map((row) => [`${row.threads} ${row.batch}`, row])).values()]
  const panels = settings.map(({ threads, batch }) => {
    const bars = rows
      .filter((row) => row.threads === threads && row.batch === batch)
      .flatMap((row) =>
        [row.chasec.median, row.peers[torchPruning]?.median, best(row)?.[1].median].flatMap((speedup, at) =>
          speedup === undefined ? [] : [{ network: row.model, tool: tools[at]?.[0] ?? '', speedup }],
        ),
      )
    return {
      marginTop: 34,
      color: { domain: tools.map(([tool]) => tool), range: tools.map(([, colour]) => colour) },
      fx: { domain: [...new Set(rows.map(({ model }) => model))], label: null, axis: 'bottom' as const },
      x: { domain: tools.map(([tool]) => tool), axis: null },
      y: {
        grid: true,
        label: `${threads} ${threads === 1 ? 'thread' : 'threads'}, batch ${batch}: times as fast as dense`,
      },
      marks: [
        barY(bars, { fx: 'network', x: 'tool', y: 'speedup', fill: 'tool' }),
        ruleY([1]),
        ...tools.map(([tool, fill], at) =>
          text([`■ ${tool}`], {
            fill,
            frameAnchor: 'top-right',
            dx: -130 * (tools.length - 1 - at),
            dy: -24,
            facet: 'super',
          }),
        ),
      ],
    }
  })
  return plotOf(panels, [860, 240])
}

/** With the table as a picture. */
export const benchPeerSpeed = async (options: PeerSpeedOptions): Promise<BenchResult & { readonly plot: string }> => {
  const { models, folder } = options
  await exportMissing(exporter, models, folder)
  const rows: Row[] = []
  let versions: Description['versions'] = {}
  for (const model of models) {
    const description: Description = JSON.parse(readFileSync(join(folder, `${model}.json`), 'utf8'))
    versions = description.versions
    rows.push(...(await rowsOf(model, options)))
  }
  return {
    json: { ...options, weights: 'random, seeded', versions, rows },
    text: render(rows, versions),
    plot: pictureOf(rows),
  }
}
