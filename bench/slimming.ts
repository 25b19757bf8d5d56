/**
 * What it brings that removed channels leave the network while training goes on: two runs of Chase that differ in nothing
 * but that, step by step in turns, each step timed alone.
 */
import type { Graph } from '../src/ir/graph.ts'
import { parseModel } from '../src/models/index.ts'
import { macsOf } from '../src/passes/compile.ts'
import { plainStyle } from '../src/report/terminal/style.ts'
import { renderTable } from '../src/report/terminal/table.ts'
import { formatCount, formatError, formatMilliseconds, formatRatio } from '../src/report/units.ts'
import { type BackendName, openBackend } from '../src/train/backend/index.ts'
import { openData } from '../src/train/data/open.ts'
import { disposeRun, moveRun, readHeld, type Run } from '../src/train/loop/run.ts'
import { slimRun } from '../src/train/loop/topology.ts'
import type { BenchResult } from './result.ts'
import {
  inTurns,
  medianTime,
  orThrow,
  ratios,
  recipeOf,
  startTrainee,
  type StepTime,
  timedStep,
  type TimedStep,
  type Trainee,
} from './timed-training.ts'

export interface SlimmingOptions {
  /** A model of `src/models`. */
  readonly model: string
  /** As `openData` takes it. */
  readonly data: string
  readonly backend: BackendName | 'auto'
  readonly batch: number
  /** Which channels Chase removes. */
  readonly scope: 'block' | 'all'
  /** Fraction of them that is gone in the end. */
  readonly channels: number
  /** Steps between two removals, of which there are four; as many steps follow the last one. */
  readonly every: number
}

/** A step of both runs. */
interface Pair {
  readonly step: number
  readonly slimmed: TimedStep
  readonly masked: TimedStep
}

/** The steps after a removal of channels (the first: from the start) up to the next one. */
interface Stretch {
  readonly channels: number
  /** Of the graph that the slimmed run computes, for one image, forwards. */
  readonly macs: number
  /** Nodes of that graph. */
  readonly nodes: number
  readonly pairs: Pair[]
}

const removals = 4

/** Steps in a row from the start of a stretch whose losses are compared. */
const compared = 5

const channelsIn = ({ run }: Trainee): number =>
  run.sparse.removed.reduce((n, marks) => n + marks.reduce((sum, mark) => sum + 1 - mark, 0), 0)

/** The largest difference of two losses, relative to them. */
const differenceOf = (pairs: ReadonlyArray<Pair>): number =>
  Math.max(
    ...pairs.map(
      ({ slimmed: { loss: a }, masked: { loss: b } }) => Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b)),
    ),
  )

const stretchOf = (slimmed: Trainee): Stretch => {
  const { graph } = slimmed.run.executor
  return { channels: channelsIn(slimmed), macs: macsOf(graph), nodes: graph.nodes.length, pairs: [] }
}

const removes = ({ slimmed, masked }: Pair): boolean =>
  (slimmed.update?.removed ?? 0) > 0 || (masked.update?.removed ?? 0) > 0

/**
 * Puts the slimmed run where the masked one is. Rounding that depends on the shapes grows from step to step; so it grows
 * over one stretch at most.
 */
const follow = async (slimmed: Run, masked: Run): Promise<void> => {
  orThrow(moveRun(slimmed, masked.executor.graph, masked.sparse, await readHeld(masked)))
  orThrow(await slimRun(slimmed))
}

/** Both runs from start to end, the stretches between removals one after the other. */
const trainBoth = async (slimmed: Trainee, masked: Trainee, steps: number): Promise<ReadonlyArray<Stretch>> => {
  let stretch = stretchOf(slimmed)
  const stretches = [stretch]
  for (let step = 1; step <= steps; step++) {
    const taken = new Map<Trainee, TimedStep>()
    for (const trainee of inTurns(step, slimmed, masked)) taken.set(trainee, await timedStep(trainee))
    const [a, b] = [taken.get(slimmed), taken.get(masked)]
    if (a === undefined || b === undefined) continue
    const pair: Pair = { step, slimmed: a, masked: b }
    stretch.pairs.push(pair)
    if (!removes(pair)) continue
    if (differenceOf(stretch.pairs) > 0) await follow(slimmed.run, masked.run)
    stretch = stretchOf(slimmed)
    stretches.push(stretch)
  }
  return stretches
}

type Kind = 'slimmed' | 'masked'

const timesOf = (pairs: ReadonlyArray<Pair>, kind: Kind): ReadonlyArray<StepTime> =>
  pairs.map((pair) => pair[kind].time)

/** Steps that do nothing else: neither the first of a stretch, which allocates and plans, nor updates of the topology. */
const plain = ({ pairs }: Stretch): ReadonlyArray<Pair> =>
  pairs.slice(1).filter(({ slimmed, masked }) => slimmed.update === undefined && masked.update === undefined)

const summary = (stretch: Stretch, first: Stretch) => {
  const steady = plain(stretch)
  const [slimmed, masked] = [timesOf(steady, 'slimmed'), timesOf(steady, 'masked')]
  const [medians, maskedMedians] = [medianTime(slimmed), medianTime(masked)]
  const before = {
    slimmed: medianTime(timesOf(plain(first), 'slimmed')),
    masked: medianTime(timesOf(plain(first), 'masked')),
  }
  const start = stretch.pairs.slice(0, compared)
  return {
    steps: [stretch.pairs[0]?.step ?? 0, stretch.pairs.at(-1)?.step ?? 0],
    timed: steady.length,
    channels: stretch.channels,
    macs: stretch.macs,
    nodes: stretch.nodes,
    slimmed: medians,
    masked: maskedMedians,
    slimmedToFirst: { wall: medians.wall / before.slimmed.wall, cpu: medians.cpu / before.slimmed.cpu },
    maskedToFirst: { wall: maskedMedians.wall / before.masked.wall, cpu: maskedMedians.cpu / before.masked.cpu },
    slimmedToMasked: medianTime(ratios(slimmed, masked)),
    losses: start.map(({ step, slimmed, masked }) => ({ step, slimmed: slimmed.loss, masked: masked.loss })),
    lossDifference: differenceOf(start),
    lossDifferenceInAll: differenceOf(stretch.pairs),
  }
}

type Summary = ReturnType<typeof summary>

/** Processor time that a removal costs the slimmed run beyond the masked one, and after how many steps it is won back. */
const rebuilding = (before: Stretch, after: Stretch, now: Summary) => {
  const [removal, next] = [before.pairs.at(-1), after.pairs[0]]
  if (removal === undefined || next === undefined) return undefined
  const cost = removal.slimmed.time.cpu - removal.masked.time.cpu + next.slimmed.time.cpu - now.slimmed.cpu
  const saving = now.slimmed.cpu * (1 / now.slimmedToMasked.cpu - 1)
  return {
    step: removal.step,
    removed: removal.slimmed.update?.removed ?? 0,
    removalStep: { slimmed: removal.slimmed.time, masked: removal.masked.time },
    stepAfter: { slimmed: next.slimmed.time, masked: next.masked.time },
    cost,
    ...(saving > 0 ? { wonBackAfter: cost / saving } : {}),
  }
}

export const benchSlimming = async (options: SlimmingOptions): Promise<BenchResult> => {
  const data = orThrow(await openData(options.data, { seed: 1 })())
  const backend = orThrow(await openBackend(options.backend)())
  const build = orThrow(parseModel(options.model)).build
  const graph: Graph = orThrow(build({ classes: data.classes.length, shape: data.shape, seed: 1 }))
  const { every, batch, scope, channels } = options
  const steps = (removals + 1) * every - Math.floor(every / 2)
  const end = (removals * every) / steps
  const recipe = {
    method: { name: 'chase', channels, scope, every, channelsEvery: every, softUntil: end, channelsUntil: end },
    batch,
    learningRate: { schedule: 'constant', peak: 0.01 },
    seed: 1,
  }
  const length = { steps, stepsPerEpoch: steps }
  const [slimmed, masked] = [true, false].map((slim) =>
    startTrainee(graph, backend, data, recipeOf({ ...recipe, slim }), length),
  )
  if (slimmed === undefined || masked === undefined) throw new Error('Two runs are needed.')
  const stretches = await trainBoth(slimmed, masked, steps)
  for (const { run } of [slimmed, masked]) disposeRun(run)
  const [first] = stretches
  if (first === undefined) throw new Error('No steps.')
  const segments = stretches.filter((stretch) => plain(stretch).length > 0).map((stretch) => summary(stretch, first))
  const rebuilds = stretches.slice(1).flatMap((after, i) => {
    const [before, now] = [stretches[i], segments[i + 1]]
    const rebuild = before === undefined || now === undefined ? undefined : rebuilding(before, after, now)
    return rebuild === undefined ? [] : [rebuild]
  })
  const explorations = stretches.flatMap(({ pairs }) =>
    pairs.filter((pair) => pair.slimmed.update !== undefined && !removes(pair)),
  )
  const updates = explorations.map(({ step, slimmed, masked }) => ({
    step,
    slimmed: slimmed.time,
    masked: masked.time,
  }))
  const right = (title: string) => ({ title, align: 'right' as const })
  const table = renderTable(
    [
      { title: 'steps' },
      ...[
        'channels',
        'MACs',
        'slimmed',
        'masked',
        'slimmed/first',
        'masked/first',
        'slimmed/masked',
        'of CPU time',
      ].map(right),
      ...[`loss differs in ${compared} steps`, 'in all'].map(right),
    ],
    segments.map((segment) => [
      segment.steps.join('-'),
      String(segment.channels),
      formatCount(segment.macs),
      formatMilliseconds(segment.slimmed.wall),
      formatMilliseconds(segment.masked.wall),
      formatRatio(segment.slimmedToFirst.wall),
      formatRatio(segment.maskedToFirst.wall),
      formatRatio(segment.slimmedToMasked.wall),
      formatRatio(segment.slimmedToMasked.cpu),
      formatError(segment.lossDifference),
      formatError(segment.lossDifferenceInAll),
    ]),
    plainStyle,
  )
  const rebuildTable = renderTable(
    [{ title: 'removal after step' }, ...['channels gone', 'cost of rebuilding', 'won back after steps'].map(right)],
    rebuilds.map(({ step, removed, cost, wonBackAfter }) => [
      String(step),
      String(removed),
      formatMilliseconds(cost),
      wonBackAfter?.toFixed(1) ?? 'never',
    ]),
    plainStyle,
  )
  const losses = renderTable(
    [{ title: 'step' }, right('loss, slimmed'), right('loss, masked')],
    segments.flatMap((segment) =>
      segment.losses.map(({ step, slimmed, masked }) => [String(step), slimmed.toFixed(7), masked.toFixed(7)]),
    ),
    plainStyle,
  )
  const title = `${options.model} on ${data.name}, batches of ${batch}, ${backend.name}: ${backend.description}`
  return {
    json: { ...options, backend: backend.name, description: backend.description, steps, segments, rebuilds, updates },
    text: [title, table, rebuildTable, losses].join('\n\n'),
  }
}
