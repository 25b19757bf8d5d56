/** Exchange of weights under constant fan-in: every neuron of a layer that has any weights has as many as the others. */
import { code, grownCode, isKept } from './codes.ts'
import { densitiesOf } from './distribution.ts'
import { fanInOf, rowsOf } from './fan-in.ts'
import { sizeOfLayer } from './network.ts'
import type { ExchangeFanIn } from './phase.ts'
import { valueAt } from './schedule.ts'
import { selectByMagnitude } from './select.ts'
import { liveOf, type Work, type WorkLayer } from './workspace.ts'

const magnitude = (x: number | undefined): number => Math.abs(x ?? 0) || 0

/** Carries out an exchange in every layer that the distribution does not make dense. */
export const exchangeFanIn = (work: Work, move: ExchangeFanIn): void => {
  const { distribution, density } = work.state.policy
  const densities = densitiesOf(
    distribution,
    work.layers.map(({ layer }) => layer),
    density,
  )
  const fraction = valueAt(move.fraction, work.step)
  for (const [l, layer] of work.layers.entries()) {
    const dense = densities[l] ?? 1
    if (dense < 1) exchange(layer, dense, fraction, l < work.layers.length - 1 ? move.salient : 0)
  }
  work.target = liveOf(work.layers)
}

const exchange = (layer: WorkLayer, density: number, fraction: number, salient: number): void => {
  const { codes, weights, gradients } = layer
  const size = sizeOfLayer(layer.layer)
  const rows = rowsOf(layer.layer)
  const dropped = Math.floor(layer.live * fraction)
  const nonZero = weights.reduce((n, w, i) => n + (codes[i] === code.active && magnitude(w) > 0 ? 1 : 0), 0)
  const keep = Math.min(layer.live - dropped, nonZero)
  const largest = topOf(weights, codes, code.active, keep)
  const wanted = topOf(gradients, codes, code.active | code.inactive, layer.live - keep)
  const counts = rows.map((row) => row.reduce((n, i) => n + ((largest[i] ?? 0) | (wanted[i] ?? 0)), 0))
  const ablated = ablatedRows(counts, size, density, salient)
  const fanIn = fanInOf(layer.layer, density, rows.length - ablated.filter((gone) => gone).length)
  for (const [r, row] of rows.entries()) refill(layer, row, largest, ablated[r] === true ? 0 : fanIn)
  layer.live = codes.reduce((n, one) => n + isKept(one), 0)
}

/** One byte for each element: 1 for the `count` largest magnitudes among those whose code has one of the bits `eligible`. */
const topOf = (scores: Float32Array, codes: Uint8Array, eligible: number, count: number): Uint8Array => {
  const trial = codes.slice()
  selectByMagnitude([{ scores, codes: trial }], eligible, count, 'highest', () => code.grown)
  return trial.map((one) => (one === code.grown ? 1 : 0))
}

/**
 * Which neurons lose all of their weights: those with fewer salient weights than the part `salient` of the fan-in that all
 * neurons together would have, but never so many that the rest could not hold the layer's weights.
 */
const ablatedRows = (
  counts: ReadonlyArray<number>,
  size: number,
  density: number,
  salient: number,
): ReadonlyArray<boolean> => {
  if (salient === 0) return counts.map(() => false)
  const dense = size / counts.length
  const kept = Math.floor(size * density)
  const fewest = Math.floor(kept / dense)
  const least = Math.max(1, Math.floor(salient * Math.floor(kept / counts.length)))
  const held = counts.toSorted((a, b) => b - a)[fewest] ?? 0
  const threshold = Math.min(least, held)
  return counts.map((count) => count < threshold)
}

/** Leaves a neuron `fanIn` weights: its largest ones of the layer's largest, then those with the largest gradients. */
const refill = (
  { codes, weights, gradients }: WorkLayer,
  row: Int32Array,
  largest: Uint8Array,
  fanIn: number,
): void => {
  const by = (scores: Float32Array) => (a: number, b: number) => magnitude(scores[b]) - magnitude(scores[a]) || a - b
  const grow = grownCode('continues')
  const stay = [...row.filter((i) => largest[i] === 1)].sort(by(weights)).slice(0, fanIn)
  const staying = new Set(stay)
  for (const i of row) if (!staying.has(i) && codes[i] === code.active) codes[i] = code.pruned
  if (stay.length === fanIn) return
  const free = [...row.filter((i) => !staying.has(i) && codes[i] !== code.gone)].sort(by(gradients))
  for (const i of free.slice(0, fanIn - stay.length)) codes[i] = grow(codes[i] ?? 0)
}
