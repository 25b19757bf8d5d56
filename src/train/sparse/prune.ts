/** Masks the weights that are worth least. */
import { apportion } from './apportion.ts'
import { code, forgottenCode, kept, prunedCode } from './codes.ts'
import type { Prune } from './phase.ts'
import { valueAt } from './schedule.ts'
import { selectAtRandom } from './sample.ts'
import { type Chance, pruneScores } from './scores.ts'
import { type Pool, selectByMagnitude } from './select.ts'
import { sharesOf } from './shares.ts'
import { liveOf, type Work, type WorkLayer } from './workspace.ts'

/** Carries out a prune; exact to the weight. Where fewer are kept already than it is to leave, nothing happens. */
export const prune = (work: Work, move: Prune): void => {
  const { layers } = work
  const before = layers.map((layer) => layer.live)
  if (move.scope === 'global' && move.minimum === undefined) drop(work, layers, move, countToDrop(work, move))
  else {
    const counts = layerCounts(work, move)
    for (const [l, layer] of layers.entries()) drop(work, [layer], move, counts[l] ?? 0)
  }
  work.pruned = layers.map((layer, l) => (before[l] ?? 0) - layer.live)
  work.target = liveOf(layers)
}

const countToDrop = (work: Work, { to }: Prune): number => {
  const live = liveOf(work.layers)
  if ('fraction' in to) return Math.round(valueAt(to.fraction, work.step) * live)
  return Math.max(0, live - Math.round(valueAt(to.density, work.step) * work.total))
}

/**
 * How many weights each layer loses: the same fraction of all, or under scope `global` in proportion to what one
 * threshold over all layers would take, none below its minimum.
 */
const layerCounts = (work: Work, move: Prune): ReadonlyArray<number> => {
  const live = work.layers.map((layer) => layer.live)
  const minimum = Math.round((move.minimum ?? 0) * work.total)
  const spare = live.map((n) => Math.max(0, n - minimum))
  if (move.scope === 'layer' && 'fraction' in move.to) {
    const fraction = valueAt(move.to.fraction, work.step)
    return live.map((n, l) => Math.min(Math.round(fraction * n), spare[l] ?? 0))
  }
  const count = countToDrop(work, move)
  if (move.scope === 'distribution') {
    const left = sharesOf(
      work,
      live.reduce((n, one) => n + one, 0) - count,
      live.map((n, l) => n - (spare[l] ?? 0)),
      live,
    )
    return live.map((n, l) => n - (left[l] ?? 0))
  }
  const wish = move.scope === 'layer' ? live : globalCounts(work, move, count)
  return apportion(
    count,
    wish,
    live.map(() => 0),
    spare,
  )
}

/** What a prune over all layers would take from each. */
const globalCounts = (work: Work, move: Prune, count: number): ReadonlyArray<number> => {
  const { layers } = work
  const trial = layers.map((layer) => ({ ...layer, codes: layer.codes.slice() }))
  drop(work, trial, move, count)
  return layers.map((layer, l) => layer.live - (trial[l]?.live ?? 0))
}

/** Masks `count` kept weights of the layers taken together. */
const drop = (chance: Chance, layers: ReadonlyArray<WorkLayer>, { by, forgets }: Prune, count: number): void => {
  if (count <= 0) return
  const to = forgets === true ? forgottenCode : prunedCode
  const gone = (taken: ReadonlyArray<number>): void => {
    for (const [l, layer] of layers.entries()) layer.live -= taken[l] ?? 0
  }
  if (by.kind === 'random') {
    const codes = layers.map((layer) => layer.codes)
    return gone(selectAtRandom(codes, kept, count, to, chance.draws))
  }
  const pools = layers.map((layer) => ({ codes: layer.codes, scores: pruneScores(by, layer, chance) }))
  const take = (eligible: number, n: number, end: 'lowest' | 'highest' = 'lowest'): void =>
    gone(selectByMagnitude(pools, eligible, n, end, to))
  if (by.kind !== 'signed' && by.kind !== 'gradient flow') return take(kept, count)
  const negative = splitBySign(pools)
  if (by.kind === 'gradient flow') {
    const below = Math.min(count, negative)
    take(code.negative, below, 'highest')
    take(kept, count - below)
  } else {
    const positive = liveOf(layers) - negative
    const [fromPositive = 0, fromNegative = 0] = apportion(count, [positive, negative], [0, 0], [positive, negative])
    take(kept, fromPositive)
    take(code.negative, fromNegative)
  }
  for (const { codes } of layers) {
    for (let i = 0; i < codes.length; i++) if (codes[i] === code.negative) codes[i] = code.active
  }
}

/** Sets the kept weights of scores below zero apart, and counts them. Those of weights that this update grew are zero. */
const splitBySign = (pools: ReadonlyArray<Pool>): number => {
  let negative = 0
  for (const { codes, scores } of pools) {
    for (let i = 0; i < codes.length; i++) {
      if (codes[i] !== code.active || !((scores[i] ?? 0) < 0)) continue
      codes[i] = code.negative
      negative += 1
    }
  }
  return negative
}
