/**
 * One topology update of ResNet-50: prune a tenth of the kept weights by one |w| threshold over all layers, then grow as many by
 * one |gradient| threshold, beside the same two thresholds found by sorting.
 *
 *     tsx bench/topology.ts [--full] [--runs N]
 *
 * `--full` takes all 25.5 million weights (about 1 GB of memory); without it the layers are an eighth as wide. Prints JSON: medians
 * in milliseconds and how many times longer sorting takes. Fails if the two ways do not keep the same number of weights.
 */
import * as E from 'fp-ts/lib/Either.js'
import { renderError } from '../src/ir/failure.ts'
import { drawsFrom, seededRandom } from '../src/ir/random.ts'
import { constant, init, type Policy, type State, update } from '../src/train/sparse/index.ts'
import { resnet50 } from '../test/train/sparse/networks.ts'

const density = 0.1
const fraction = 0.1

const policy: Policy = {
  name: 'topology',
  density,
  distribution: { kind: 'erk' },
  start: 'exact',
  phases: [
    {
      from: 0,
      until: 2,
      every: 1,
      offset: 0,
      moves: [
        { kind: 'prune', to: { fraction: constant(fraction) }, scope: 'global', by: { kind: 'magnitude' } },
        { kind: 'grow', density: constant(density), scope: 'global', by: 'gradient', regrown: 'restarts' },
      ],
    },
  ],
  masked: 'zeroed',
}

const orThrow = <A>(result: E.Either<Parameters<typeof renderError>[0], A>): A => {
  if (E.isLeft(result)) throw new Error(renderError(result.left))
  return result.right
}

const median = (times: ReadonlyArray<number>): number => times.toSorted((a, b) => a - b)[times.length >> 1] ?? NaN

const timed = <A>(runs: number, task: () => A): { readonly milliseconds: number; readonly result: A } => {
  let result = task()
  const times = Array.from({ length: runs }, () => {
    const begin = performance.now()
    result = task()
    return performance.now() - begin
  })
  return { milliseconds: median(times), result }
}

/** The magnitudes where the masks have that bit, sorted. */
const sortedMagnitudes = (
  arrays: ReadonlyArray<Float32Array>,
  masks: ReadonlyArray<Uint8Array>,
  bit: number,
): Float32Array => {
  const all = new Float32Array(masks.reduce((n, mask) => n + mask.length, 0))
  let count = 0
  for (const [l, mask] of masks.entries()) {
    const values = arrays[l] ?? new Float32Array(0)
    for (let i = 0; i < mask.length; i++) if (mask[i] === bit) all[count++] = Math.abs(values[i] ?? 0)
  }
  return all.subarray(0, count).sort()
}

/** The new masks by way of two sorts. */
const bySorting = (
  masks: ReadonlyArray<Uint8Array>,
  weights: ReadonlyArray<Float32Array>,
  gradients: ReadonlyArray<Float32Array>,
  live: number,
): ReadonlyArray<Uint8Array> => {
  const kept = sortedMagnitudes(weights, masks, 1)
  const drop = Math.round(fraction * kept.length)
  const least = kept[drop] ?? 0
  const pruned = masks.map((mask, l) =>
    mask.map((bit, i) => (bit === 1 && Math.abs(weights[l]?.[i] ?? 0) >= least ? 1 : 0)),
  )
  const free = sortedMagnitudes(gradients, pruned, 0)
  const most = free[free.length - (live - (kept.length - drop))] ?? Infinity
  return pruned.map((mask, l) => mask.map((bit, i) => (bit === 1 || Math.abs(gradients[l]?.[i] ?? 0) >= most ? 1 : 0)))
}

const liveOf = (masks: ReadonlyArray<Uint8Array>): number => {
  let n = 0
  for (const mask of masks) for (let i = 0; i < mask.length; i++) n += mask[i] ?? 0
  return n
}

const main = (): void => {
  const full = process.argv.includes('--full')
  const runs = Number(process.argv[process.argv.indexOf('--runs') + 1]) || 5
  const network = resnet50(7, 1000, full ? 1 : 8)
  const uniform = drawsFrom(seededRandom(1)).next
  const state: State = orThrow(init(network, policy, 1))
  const draw = (mask: Uint8Array): Float32Array => {
    const out = new Float32Array(mask.length)
    for (let i = 0; i < out.length; i++) out[i] = uniform() + uniform() - 1
    return out
  }
  const weights = state.masks.map(draw)
  const gradients = state.masks.map(draw)
  const live = liveOf(state.masks)
  const selected = timed(runs, () => orThrow(update(state, { weights, gradients }, 1)).state.masks)
  const sorted = timed(Math.max(1, Math.ceil(runs / 2)), () => bySorting(state.masks, weights, gradients, live))
  const [bySelection, byFullSort] = [liveOf(selected.result), liveOf(sorted.result)]
  // Equal magnitudes at a threshold all stay when sorting by thresholds; the selection is exact.
  if (bySelection !== live || byFullSort < live || byFullSort > live * 1.001) {
    throw new Error(`${live} weights became ${bySelection} by selection and ${byFullSort} by sorting`)
  }
  const result = {
    weights: state.masks.reduce((n, mask) => n + mask.length, 0),
    live,
    runs,
    update: Math.round(selected.milliseconds * 10) / 10,
    sort: Math.round(sorted.milliseconds * 10) / 10,
    ratio: Math.round((sorted.milliseconds / selected.milliseconds) * 10) / 10,
  }
  console.log(JSON.stringify(result))
}

main()
