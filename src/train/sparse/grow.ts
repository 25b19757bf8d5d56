/** Unmasks weights in surviving channels. */
import { apportion } from './apportion.ts'
import { growable, grownCode, isKept } from './codes.ts'
import { missingLinkScores } from './epitopology.ts'
import type { Grow, Regrow } from './phase.ts'
import { valueAt } from './schedule.ts'
import { drawnScores, type GrowCriterion } from './scores.ts'
import { selectAtRandom } from './sample.ts'
import { selectByMagnitude } from './select.ts'
import { sharesOf, survivingDensities } from './shares.ts'
import { capacitiesOf, liveOf, type Work, type WorkLayer } from './workspace.ts'

/**
 * Carries out a grow; exact to the weight. Where there is less room than it asks for, everything grows; where more is kept
 * already, nothing happens.
 */
export const grow = (work: Work, move: Grow): void => {
  const { layers } = work
  const target = Math.round(valueAt(move.density, work.step) * work.total)
  work.target = target
  if (move.scope === 'global') return add(work, layers, move, target - liveOf(layers))
  const counts = move.scope === 'proportional' ? proportional(work, target) : shares(work, target)
  for (const [l, layer] of layers.entries()) add(work, [layer], move, (counts[l] ?? 0) - layer.live)
}

/** Carries out a regrow. */
export const regrow = (work: Work, move: Regrow): void => {
  const { layers, pruned } = work
  const count = pruned.reduce((n, lost) => n + lost, 0)
  work.target = liveOf(layers) + count
  if (move.scope === 'global') return add(work, layers, move, count)
  for (const [l, layer] of layers.entries()) add(work, [layer], move, pruned[l] ?? 0)
}

/** Weights per layer: dense layers are filled first, then all others grow by the same fraction as far as they have room. */
const proportional = (work: Work, target: number): ReadonlyArray<number> => {
  const densities = survivingDensities(work)
  const live = work.layers.map((layer) => layer.live)
  const capacity = capacitiesOf(work.layers)
  const gaps = capacity.map((size, l) => (densities[l] === 1 ? size - (live[l] ?? 0) : 0))
  const grown = target - liveOf(work.layers)
  const refill = apportion(
    grown,
    gaps,
    live.map(() => 0),
    gaps,
  )
  const filled = live.map((n, l) => n + (refill[l] ?? 0))
  return apportion(target, filled, filled, capacity)
}

/** Weights per layer: its share by the distribution, but no fewer than it has. */
const shares = (work: Work, target: number): ReadonlyArray<number> =>
  sharesOf(
    work,
    target,
    work.layers.map((layer) => layer.live),
    capacitiesOf(work.layers),
  )

/** Unmasks `count` weights of the layers taken together. */
const add = (work: Work, layers: ReadonlyArray<WorkLayer>, move: Grow | Regrow, count: number): void => {
  if (count <= 0) return
  const to = grownCode(move.regrown)
  const codes = layers.map((layer) => layer.codes)
  const taken =
    move.by === 'random'
      ? selectAtRandom(codes, growable, count, to, work.draws)
      : selectByMagnitude(
          layers.map((layer) => ({ codes: layer.codes, scores: growScores(work, layer, move.by, count) })),
          growable,
          count,
          'highest',
          to,
        )
  for (const [l, layer] of layers.entries()) layer.live += taken[l] ?? 0
}

/** Worth of growing each weight. Where links have too few worths, all that are missing get one next to nothing. */
const growScores = (work: Work, layer: WorkLayer, by: GrowCriterion, count: number): Float32Array => {
  if (by !== 'links' && by !== 'drawn links') return layer.gradients
  const { shape, outputAxis, inputAxis } = layer.layer
  const [rows = 1, columns = 1] = [Math.min(outputAxis, inputAxis), Math.max(outputAxis, inputAxis)].map(
    (a) => shape[a],
  )
  const worths = missingLinkScores(layer.codes.map(isKept), rows, columns)
  const positive = worths.reduce((n, worth) => n + (worth > 0 ? 1 : 0), 0)
  if (positive < count) for (let i = 0; i < worths.length; i++) worths[i] = (worths[i] ?? 0) + leastWorth
  return by === 'links' ? worths : drawnScores(worths, work.draws)
}

const leastWorth = 1e-5
