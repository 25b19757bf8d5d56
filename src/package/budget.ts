/** Channel selection for a budget: of what compiling leaves of a model, which widths, constants and joined layers have a part in. */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import type { CostTable } from '../cost/table.ts'
import { type Failure, failure } from '../ir/failure.ts'
import type { Graph } from '../ir/graph.ts'
import { type Choice, wrongOption } from '../ir/options.ts'
import type { Masks } from '../masks/mask.ts'
import type { CompileOptions, Predicted, Totals } from '../passes/compile.ts'
import { type Pruned, type PruneOptions, rankChannels, type Ranking, rankingChoices } from '../passes/prune.ts'
import { fastMultiple, type Target, targets } from '../passes/target.ts'
import { compile } from './compile.ts'
import { modelBytes } from './contents.ts'

/** What may be left of a model. Exactly one of them is given. */
export interface Budget {
  /** Fraction of its multiply-accumulates, symbolic sizes as a report takes them: more than 0, at most 1. */
  readonly macs?: number
  /** Fraction of its parameters: more than 0, at most 1. */
  readonly parameters?: number
  /** Bytes of the compiled model, weights in a file of their own included. */
  readonly bytes?: number
  /**
   * Fraction of the time of a run that is predicted for one thread of a CPU: more than 0, at most 1. Open sizes are taken as a report
   * takes them. For the target `cpu` only.
   */
  readonly latency?: number
}

/** A budget, and how channels are selected for it; see {@link PruneOptions}. */
export interface BudgetOptions extends Budget, Omit<PruneOptions, 'channels'> {
  /** What the compiled model will run on, which decides how widths are rounded; default `cpu`. */
  readonly target?: Target
  /** What work takes on the target, measured there by `chasec tune`; for `cpu` only. */
  readonly costs?: CostTable
}

/** A selection, and what compiling with it leaves. */
export interface Budgeted extends Pruned {
  /** Fraction of the channels that can go, those masked before included. */
  readonly channels: number
  readonly before: Totals
  readonly after: Totals
  readonly predicted?: Predicted
  /** Bytes of the compiled model as a file. */
  readonly bytes: number
}

const optionChoices: Readonly<Record<keyof BudgetOptions, Choice>> = {
  macs: 'any',
  parameters: 'any',
  bytes: 'any',
  latency: 'any',
  ...rankingChoices,
  floor: 'any',
  multiple: 'any',
  target: targets,
  costs: 'any',
}

/** How close to a budget is close enough, as a fraction of it. */
const close = 0.005

/**
 * Masks the least valuable channels of `graph` under `masks`, about as few as bring the compiled model within a budget: at most the
 * budget is left, and either 99.5 % of it, or a fraction of one channel less would exceed it. Layers keep a multiple of channels that
 * the target runs fast, unless `multiple` says otherwise. Pure and deterministic; takes some ten compilations.
 *
 * Fails where the masks do not fit the graph, an option is out of range, a weight holds no finite number, the time of the model cannot
 * be predicted, or where every layer is at its floor and more is left.
 */
export const pruneToBudget = (graph: Graph, masks: Masks, given: BudgetOptions): E.Either<Failure, Budgeted> => {
  const goal = goalOf(given)
  if (E.isLeft(goal)) return goal
  const { score = 'umm', scope = 'block', floor = 0.2, seed = 1, target = 'cpu', costs, statistics } = given
  const multiple = given.multiple ?? fastMultiple(target, costs)
  const options = { target, ...(costs === undefined ? {} : { costs }) }
  return pipe(
    rankChannels(graph, masks, { score, scope, seed, ...(statistics && { statistics }) }),
    E.chain((ranking) => search(trial(graph, ranking, { floor, multiple }, options), goal.right)),
  )
}

/** What is counted of a compiled model, and how much of it may be left. */
interface Goal {
  readonly name: keyof Budget
  readonly value: number
  readonly left: (one: Budgeted) => number
  readonly limit: (one: Budgeted) => number
}

const goalOf = (options: BudgetOptions): E.Either<Failure, Goal> => {
  const wrong = wrongOption('PruneError', options, optionChoices)
  if (wrong !== undefined) return E.left(wrong)
  const { macs, parameters, bytes, latency } = options
  const goals: Goal[] = []
  if (macs !== undefined)
    goals.push({
      name: 'macs',
      value: macs,
      left: ({ after }) => after.macs,
      limit: ({ before }) => macs * before.macs,
    })
  if (parameters !== undefined) {
    const limit = ({ before }: Budgeted): number => parameters * before.parameters
    goals.push({ name: 'parameters', value: parameters, left: ({ after }) => after.parameters, limit })
  }
  if (bytes !== undefined) goals.push({ name: 'bytes', value: bytes, left: (one) => one.bytes, limit: () => bytes })
  if (latency !== undefined) {
    const limit = ({ predicted }: Budgeted): number => latency * (predicted?.before ?? 0)
    goals.push({ name: 'latency', value: latency, left: ({ predicted }) => predicted?.after ?? NaN, limit })
  }
  const [goal] = goals
  if (goal === undefined || goals.length > 1) {
    const found = goals.length === 0 ? 'none' : goals.map(({ name }) => name).join(' and ')
    const help = 'Give the one that matters, for example macs: 0.5.'
    return E.left(failure('PruneError', 'budget', 'one of macs, parameters, bytes, latency', found, help))
  }
  const isFraction = goal.name !== 'bytes'
  if (goal.value > 0 && goal.value <= (isFraction ? 1 : Infinity)) return E.right(goal)
  const expected = isFraction ? 'a number of more than 0 and at most 1' : 'a number of more than 0'
  const help = isFraction ? 'Give the fraction that may be left, for example 0.5.' : 'Give what the file may take.'
  return E.left(failure('PruneError', goal.name, expected, `${goal.value}`, help))
}

/** What compiling leaves with so many channels gone, out of all that can go, those masked before included. */
type Trial = (gone: number, all: number) => E.Either<Failure, Budgeted>

const trial =
  (
    graph: Graph,
    ranking: Ranking,
    widths: Pick<Required<PruneOptions>, 'floor' | 'multiple'>,
    options: CompileOptions,
  ): Trial =>
  (gone, all) => {
    const channels = all === 0 ? 0 : gone / all
    const pruned = ranking.select({ channels, ...widths })
    if (E.isLeft(pruned)) return pruned
    const compiled = compile(graph, pruned.right.masks, options)
    if (E.isLeft(compiled)) return compiled
    const { before, after, predicted } = compiled.right.report
    return pipe(
      modelBytes(compiled.right),
      E.map((bytes) => ({
        ...{ ...pruned.right, channels, before, after, bytes },
        ...(predicted === undefined ? {} : { predicted }),
      })),
    )
  }

/**
 * Between nothing gone and all but one channel the count falls, by and large. Each step looks where a line between the ends meets the
 * limit; after one that did not halve what is between them, it looks in the middle (as Dekker's method does).
 */
const search = (at: Trial, goal: Goal): E.Either<Failure, Budgeted> => {
  const first = at(0, 0)
  if (E.isLeft(first)) return first
  if (goal.name === 'latency' && first.right.predicted === undefined) return E.left(unpredictable)
  const excess = (one: Budgeted): number => goal.left(one) - goal.limit(one)
  if (excess(first.right) <= 0) return first
  const all = first.right.groups.reduce((sum, { channels }) => sum + channels, 0)
  const last = at(Math.max(0, all - 1), all)
  if (E.isLeft(last)) return last
  if (excess(last.right) > 0) return E.left(outOfReach(goal, last.right))
  let above = { gone: 0, one: first.right }
  let below = { gone: all - 1, one: last.right }
  let isHalved = true
  while (below.gone - above.gone > 1 && excess(below.one) < -close * goal.limit(below.one)) {
    const width = below.gone - above.gone
    const share = isHalved ? excess(above.one) / (excess(above.one) - excess(below.one)) : 1 / 2
    const gone = Math.min(below.gone - 1, Math.max(above.gone + 1, Math.round(above.gone + share * width)))
    const next = at(gone, all)
    if (E.isLeft(next)) return next
    if (excess(next.right) > 0) above = { gone, one: next.right }
    else below = { gone, one: next.right }
    isHalved = below.gone - above.gone <= width / 2
  }
  return E.right(below.one)
}

const unpredictable = failure(
  'PruneError',
  'latency',
  'convolutions and products of floats that take a tenth of a millisecond or more, for the target cpu',
  'a model or a target whose time cannot be predicted',
  'Give macs instead.',
)

const outOfReach = (goal: Goal, { before, after, predicted, bytes, note }: Budgeted): Failure => {
  const left = {
    macs: `${(after.macs / before.macs).toFixed(3)} of the multiply-accumulates`,
    parameters: `${(after.parameters / before.parameters).toFixed(3)} of the parameters`,
    bytes: `${bytes} bytes`,
    latency: `${((predicted?.after ?? NaN) / (predicted?.before ?? NaN)).toFixed(3)} of the time`,
  }[goal.name]
  const why = note?.startsWith('No layer') === true ? ` ${note}` : ''
  const help = `Allow more, lower the floor, or let channels go that several layers share (scope all).${why}`
  return failure('PruneError', `${goal.name} ${goal.value}`, 'a budget that can be met', `${left} left at least`, help)
}
