/**
 * The methods of training: where each is from, on how many numbers it agrees with its authors' code, or with the formulas of its paper
 * where there is none (`test/train/sparse/oracles.test.ts` compares them), and what an update of ResNet-50's weights takes, by the
 * slowest kind of update that its defaults make in 1000 steps, beside sorting all magnitudes once.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { plainStyle } from '../src/report/terminal/style.ts'
import { type Column, renderTable } from '../src/report/terminal/table.ts'
import { formatCount, formatMilliseconds, formatRatio } from '../src/report/units.ts'
import { parseModel } from '../src/models/index.ts'
import { openBackend } from '../src/train/index.ts'
import { trainableOf } from '../src/train/loop/run.ts'
import { describeMethods } from '../src/train/recipe/describe-methods.ts'
import { policyOf } from '../src/train/recipe/index.ts'
import {
  imagesLookedAt,
  init,
  movesAt,
  needs,
  needsBefore,
  type Network,
  type Sample,
  type State,
  update,
} from '../src/train/sparse/index.ts'
import { carryOver, noise } from '../test/train/sparse/simulate.ts'
import type { BenchResult } from './result.ts'
import { orThrow, recipeOf } from './timed-training.ts'

/** Where the records are that tests compare with. */
const oracles = new URL('../test/train/sparse/oracles/', import.meta.url)

/** What records say that comes out, and not what goes in. */
const expected: ReadonlySet<string> = new Set([
  ...['after', 'alphas', 'curvature', 'left', 'maskAfter', 'masks', 'masksAfter', 'momentaAfter', 'trained'],
  'weightsAfter',
])

interface Agreement {
  readonly from: string
  readonly cases: number
  /** Weights, bits of masks and other numbers that have to be those of the record. */
  readonly numbers: number
}

/** Those of the records by the methods of their cases. */
const agreements = (): ReadonlyMap<string, Agreement> => {
  const out = new Map<string, Agreement>()
  for (const name of readdirSync(oracles).filter((file) => file.endsWith('.json'))) {
    const record: {
      readonly from: string
      readonly cases: ReadonlyArray<{ readonly method: { readonly name: string } }>
    } = JSON.parse(readFileSync(new URL(name, oracles), 'utf8'))
    for (const one of record.cases) {
      const { from = record.from, cases = 0, numbers = 0 } = out.get(one.method.name) ?? {}
      out.set(one.method.name, { from, cases: cases + 1, numbers: numbers + countNumbers(one, false) })
    }
  }
  return out
}

const countNumbers = (value: unknown, counts: boolean): number => {
  if (typeof value === 'number') return counts ? 1 : 0
  if (typeof value === 'string') return counts ? value.length : 0
  if (typeof value !== 'object' || value === null) return 0
  return Object.entries(value).reduce((sum, [key, part]) => sum + countNumbers(part, counts || expected.has(key)), 0)
}

const steps = 1000

interface Cost {
  readonly milliseconds: number
  /** What the slowest update does. */
  readonly moves: string
}

const median = (times: ReadonlyArray<number>): number => times.toSorted((a, b) => a - b)[times.length >> 1] ?? NaN

/** What takes longer than this is not repeated, in milliseconds. */
const long = 10_000

/** The median time of a task in milliseconds, and what it gave. */
const timed = <T>(repeats: number, task: () => T): readonly [number, T] => {
  const times: number[] = []
  for (;;) {
    const begin = performance.now()
    const result = task()
    times.push(performance.now() - begin)
    if (times.length >= repeats || (times[0] ?? 0) > long) return [median(times), result]
  }
}

/** The first update of each kind, one after the other, each made `repeats` times; undefined where nothing is ever done. */
const costOf = (name: string, network: Network, repeats: number): Cost | undefined => {
  const policy = policyOf(recipeOf({ method: { name } }).method, { steps, stepsPerEpoch: steps / 10 })
  let state: State = orThrow(init(network, policy, 1))
  const draw = noise(1)
  const drawn = state.network.layers.map(({ shape }) => draw(shape.reduce((n, size) => n * size, 1)))
  let weights: ReadonlyArray<Float32Array> = drawn
  const seen = new Set<string>()
  let slowest: Cost | undefined
  for (let step = 0; step <= steps; step++) {
    const need = needs(policy, step)
    const moves = [...new Set(movesAt(policy, step).map(({ kind }) => kind))].join(', ')
    if (need === 'nothing' || seen.has(moves)) continue
    seen.add(moves)
    const sample: Sample = {
      weights,
      ...(need === 'weights' ? {} : { gradients: drawn, curvature: drawn }),
      ...(policy.scores === undefined && policy.gates === undefined ? {} : { scores: drawn }),
      ...(needsBefore(policy, step) && { before: drawn }),
      ...(imagesLookedAt(policy, step) > 0 && {
        active: state.network.streams.map(({ channels }) => new Uint8Array(channels).map((_, c) => c % 2)),
      }),
      rate: 0.1,
    }
    const before = state
    const [milliseconds, { state: after, event }] = timed(repeats, () => orThrow(update(before, sample, step)))
    if (event !== undefined) weights = carryOver(weights, event)
    state = after
    if (milliseconds > (slowest?.milliseconds ?? 0))
      slowest = { milliseconds, moves: moves === '' ? 'first masks' : moves }
  }
  return slowest
}

const columns: ReadonlyArray<Column> = [
  { title: 'method' },
  { title: 'paper' },
  { title: 'compared with' },
  { title: 'numbers equal', align: 'right' },
  { title: 'slowest update' },
  { title: 'takes', align: 'right' },
  { title: 'of a sort', align: 'right' },
]

const whatRan = (from: string): string => {
  const [, repository] = /github\.com\/([^/]+\/[^/]+)\/tree/.exec(from) ?? []
  return repository ?? 'the paper’s formulas'
}

export const benchMethods = async (repeats: number): Promise<BenchResult> => {
  const graph = orThrow(
    orThrow(parseModel('resnet50-imagenet')).build({ classes: 1000, shape: [3, 224, 224], seed: 1 }),
  )
  const { network } = orThrow(trainableOf(graph, orThrow(await openBackend('wasm', { threads: 1 })())))
  const weights = network.layers.reduce((sum, { shape }) => sum + shape.reduce((n, size) => n * size, 1), 0)
  const all = noise(2)(weights)
  const [sort] = timed(repeats, () => all.map(Math.abs).sort())
  const known = agreements()
  const rows = describeMethods().map(({ name, source }) => {
    process.stderr.write(`${name}\n`)
    const cost = costOf(name, network, repeats)
    return {
      name,
      paper: source?.arxiv ?? null,
      agreement: known.get(name) ?? null,
      cost: cost === undefined ? null : { ...cost, ofSort: cost.milliseconds / sort },
    }
  })
  const text = renderTable(
    columns,
    rows.map(({ name, paper, agreement, cost }) => [
      name,
      paper ?? '',
      agreement === null ? '' : whatRan(agreement.from),
      agreement === null ? '' : formatCount(agreement.numbers),
      cost?.moves ?? '',
      cost === null ? '' : formatMilliseconds(cost.milliseconds),
      cost === null ? '' : formatRatio(cost.ofSort),
    ]),
    plainStyle,
  )
  return { json: { repeats, weights, sortMilliseconds: sort, methods: rows }, text }
}
