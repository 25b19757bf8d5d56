/**
 * Lossy selection of single weights or blocks of them: masks a fraction of the weights of each layer, or all but N in each M, that seem to
 * be worth least, by magnitude, by what is multiplied with them (Wanda, arXiv 2306.11695), or by what the output would change (LPViT,
 * arXiv 2407.02068). It only edits masks. Nothing is trained and no weight changes.
 */
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, failure } from '../ir/failure.ts'
import { type Graph, labelOf } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { type Choice, wrongOption } from '../ir/options.ts'
import { elements, type Tensor } from '../ir/tensor.ts'
import { type Block, gridOf, parseBlock } from '../masks/blocks.ts'
import { kthSmallest, kthSmallestOf } from '../masks/kth-smallest.ts'
import { elementMask, expandMask, intersectMask, type Masks } from '../masks/mask.ts'
import { refineDefaults, refineRow, untouchable } from '../masks/refine.ts'
import {
  type ChannelStatistics,
  rootMeanSquares,
  type Statistics,
  type StatisticsError,
  statisticsOf,
} from '../masks/statistics.ts'
import {
  type Layer,
  layersOf,
  masksByRoot,
  resolveWeights,
  unevenlyRead,
  type WeightRows,
  weightRows,
} from '../masks/weights.ts'
import { sizeOf } from '../ir/type.ts'
import { applyMasks } from './apply-masks.ts'
import { runPipeline } from './pass.ts'
import { cleanUp } from './pipeline.ts'

/**
 * - `magnitude`: |w|.
 * - `wanda`: |w| · √E[x²] of the input channel that the weight is multiplied with, over a calibration set.
 * - `taylor`: |w · g|, g the gradient of the mean square of the output over a calibration set.
 */
export const weightScores = ['magnitude', 'wanda', 'taylor'] as const

export type WeightScore = (typeof weightScores)[number]

/** What weights are compared with: those of the same output channel, the same layer, or all. */
export const comparisons = ['row', 'layer', 'model'] as const

export type Comparison = (typeof comparisons)[number]

export interface PruneWeightsOptions {
  /** Fraction of the weights that shall be masked, those masked already included: 0 to 1, 1 excluded. This or `pattern`. */
  readonly sparsity?: number
  /** `N:M`, such as `2:4`: of M weights in a row along the input channels N stay. */
  readonly pattern?: string
  /** Default `magnitude`. */
  readonly score?: WeightScore
  /** What `sparsity` is a fraction of. Default: `row` for single weights by `wanda`, else `layer`. */
  readonly within?: Comparison
  /**
   * `RxC`, such as `32x32`: blocks of R output channels and C of the weights that make each go together, by the mean of their scores.
   * ⌊(1 - sparsity) · blocks⌋ stay.
   */
  readonly block?: string
  /** What goes of each layer in place of `sparsity`, by weight: fractions from 0 to 1. See `layerRatios`. */
  readonly ratios?: ReadonlyMap<ValueId, number>
  /** `dsnot`: exchanges weights so that output channels keep their expectation (arXiv 2310.08915). */
  readonly refine?: 'dsnot'
  /** What layers read on a calibration set, for `wanda` and `dsnot`. */
  readonly statistics?: Statistics
  /** Gradients of weights, as they lie in their tensors, for `taylor`. See `outputGradients`. */
  readonly gradients?: WeightGradients
  /** Layers, by the name of the node or of the weight, that stay whole. */
  readonly keep?: ReadonlyArray<string>
}

/** Of a number that a network computes, by the names of the weights. */
export type WeightGradients = ReadonlyMap<ValueId, ArrayLike<number>>

const optionChoices: Readonly<Record<keyof PruneWeightsOptions, Choice>> = {
  sparsity: 'any',
  pattern: 'any',
  score: weightScores,
  within: comparisons,
  block: 'any',
  ratios: 'any',
  refine: ['dsnot'],
  statistics: 'any',
  gradients: 'any',
  keep: 'any',
}

export interface PrunedWeightsLayer {
  readonly layer: string
  readonly weight: ValueId
  readonly weights: number
  /** Masked before, and in the end. */
  readonly before: number
  readonly masked: number
  /** Weights that `refine` exchanged for others. */
  readonly exchanged: number
}

export interface PrunedWeights {
  /** The given masks and the new ones, by the names of the constants. */
  readonly masks: Masks
  /** Layers of which weights were compared, in graph order. */
  readonly layers: ReadonlyArray<PrunedWeightsLayer>
  /** Layers that stay whole, and why. */
  readonly kept: ReadonlyArray<{ readonly layer: string; readonly reason: string }>
  /** Of the layers that were compared. */
  readonly weights: number
  readonly masked: number
}

export type PruneWeightsError = Failure

/** How much goes, checked. */
export type Amount =
  | { readonly tag: 'sparsity'; readonly sparsity: number; readonly within: Comparison }
  | { readonly tag: 'blocks'; readonly sparsity: number; readonly within: Comparison; readonly block: Block }
  | { readonly tag: 'pattern'; readonly kept: number; readonly of: number }

/** A layer whose weights are compared. */
export interface Compared {
  readonly layer: Layer
  readonly rows: WeightRows
  /** What a weight is multiplied with, by input channel; undefined for 1. */
  readonly norms: Float64Array | undefined
  /** The gradient by each weight, where scores take it. */
  readonly gradient: ArrayLike<number> | undefined
  readonly statistics: ChannelStatistics | undefined
  /** One byte for each weight as it lies in the tensor: 1 where the given mask keeps it. */
  readonly given: Uint8Array
}

/**
 * Masks the weights of `graph` that are worth least under `masks`, which stay. Pure and deterministic: of equal scores those go that
 * come first, by output channel, input channel and place in the kernel. Layers of which each output reads one channel stay whole, and so
 * do those that `pattern` does not divide; `kept` tells.
 *
 * Fails where the masks do not fit the graph, an option is out of range or names no layer, statistics are missing or are of another
 * model, or a weight holds no finite number.
 */
export const pruneWeights = (
  graph: Graph,
  masks: Masks,
  options: PruneWeightsOptions,
): E.Either<PruneWeightsError, PrunedWeights> => {
  const comparison = compareWeights(graph, masks, options)
  if (E.isLeft(comparison)) return comparison
  const { amount, compared, kept } = comparison.right
  const { refine, ratios, statistics } = options
  const wrong = ratios === undefined ? undefined : wrongRatio(ratios, compared, amount)
  if (wrong !== undefined) return E.left(wrong)
  const known = masksByRoot(graph, masks)
  const out = new Map(known)
  const layers: PrunedWeightsLayer[] = []
  const limit = limitOf(compared, amount)
  const blocks = blocksThatGo(compared, amount, ratios)
  for (const [at, one] of compared.entries()) {
    const { tensor, weight, node } = one.layer
    const own = amountIn(amount, ratios?.get(weight))
    const bits = own.tag === 'blocks' ? withoutBlocks(one, own.block, blocks[at] ?? []) : selectWeights(one, own, limit)
    const exchanged = refine === undefined ? 0 : refineWeights(one, bits, own, statistics?.samples ?? 1)
    const mask = elementMask(tensor.shape, bits)
    const before = known.get(weight)
    out.set(weight, before === undefined ? mask : intersectMask(before, mask))
    const [zeros, gone] = [one.given, bits].map((list) => list.reduce((n, bit) => n + 1 - bit, 0))
    layers.push({
      layer: labelOf(node),
      weight,
      weights: bits.length,
      before: zeros ?? 0,
      masked: gone ?? 0,
      exchanged,
    })
  }
  return E.right({
    masks: out,
    layers,
    kept,
    weights: layers.reduce((sum, { weights }) => sum + weights, 0),
    masked: layers.reduce((sum, { masked: gone }) => sum + gone, 0),
  })
}

/** What {@link pruneWeights} compares, and how much is to go. */
export interface WeightComparison {
  readonly amount: Amount
  /** Layers of which weights are compared, in graph order. */
  readonly compared: ReadonlyArray<Compared>
  readonly kept: PrunedWeights['kept']
}

/** What {@link pruneWeights} does before it selects. Fails as it does. */
export const compareWeights = (
  graph: Graph,
  masks: Masks,
  options: PruneWeightsOptions,
): E.Either<PruneWeightsError, WeightComparison> => {
  const { score = 'magnitude', refine, statistics, gradients, keep = [] } = options
  const amount = amountOf(options)
  if (E.isLeft(amount)) return amount
  const byStatistics = score === 'wanda' ? 'score wanda' : refine === 'dsnot' ? 'refine dsnot' : undefined
  if (byStatistics !== undefined && statistics === undefined) {
    const help = 'Calibrate the model on a few of its inputs first.'
    return E.left(failure('PruneError', byStatistics, 'activation statistics', 'none', help))
  }
  if (score === 'taylor' && gradients === undefined) {
    const help = 'Compute those of the output on a few inputs of the model first.'
    return E.left(failure('PruneError', 'score taylor', 'gradients of the weights', 'none', help))
  }
  const masked = applyMasks(graph, masks)
  if (E.isLeft(masked)) return masked
  const chosen = chooseLayers(graph, amount.right, keep, byStatistics === undefined ? undefined : statistics)
  if (E.isLeft(chosen)) return chosen
  const known = masksByRoot(graph, masks)
  const compared: Compared[] = []
  for (const { layer, found } of chosen.right.layers) {
    const { tensor, weight } = layer
    if (!isFinite(tensor)) {
      const help = 'Weights cannot be compared with such ones; check the model that was exported.'
      return E.left(failure('PruneError', `weight ${weight}`, 'finite numbers', 'a NaN or an infinity', help))
    }
    const size = sizeOf(tensor.shape)
    const gradient = score === 'taylor' ? gradients?.get(weight) : undefined
    if (score === 'taylor' && (gradient?.length !== size || !Array.prototype.every.call(gradient, Number.isFinite))) {
      const found =
        gradient === undefined ? 'none' : gradient.length === size ? 'a NaN or an infinity' : gradient.length
      const help = 'They are of another model: compute those of this one, or keep the layer whole.'
      return E.left(failure('PruneError', `weight ${weight}`, `a gradient of ${size} finite numbers`, `${found}`, help))
    }
    const mask = known.get(weight)
    compared.push({
      layer,
      rows: weightRows(layer),
      norms: score === 'wanda' && found !== undefined ? rootMeanSquares(found) : undefined,
      gradient,
      statistics: found,
      given: mask === undefined ? new Uint8Array(size).fill(1) : expandMask(mask),
    })
  }
  return E.right({ amount: amount.right, compared, kept: chosen.right.kept })
}

/** What is wrong with a division among layers. */
const wrongRatio = (
  ratios: ReadonlyMap<ValueId, number>,
  compared: ReadonlyArray<Compared>,
  amount: Amount,
): PruneWeightsError | undefined => {
  if (amount.tag === 'pattern' || amount.within === 'model') {
    const [found, help] =
      amount.tag === 'pattern'
        ? ['a pattern', 'A pattern says what goes of each layer; leave ratios out.']
        : ['within model', 'All weights of a model have no layers to divide among; compare within row or layer.']
    return failure('PruneError', 'ratios', 'sparsity within rows or layers', found, help)
  }
  for (const { layer } of compared) {
    const ratio = ratios.get(layer.weight)
    if (ratio !== undefined && ratio >= 0 && ratio <= 1) continue
    const help = 'Divide the sparsity among all layers of this model, or keep the layer whole.'
    const found = ratio === undefined ? 'none' : `${ratio}`
    return failure('PruneError', `ratio of weight ${layer.weight}`, 'a fraction from 0 to 1', found, help)
  }
  return undefined
}

const amountOf = (options: PruneWeightsOptions): E.Either<PruneWeightsError, Amount> => {
  const wrong = wrongOption('PruneError', options, optionChoices)
  if (wrong !== undefined) return E.left(wrong)
  const { sparsity, pattern, within, block: blocks, refine, score = 'magnitude' } = options
  const block = blocks === undefined ? undefined : parseBlock(blocks)
  if (blocks !== undefined && block === undefined) {
    const help = 'Give output channels and weights of each, for example 32x32.'
    return E.left(failure('PruneError', 'block', 'RxC, counts of at least 1', `${blocks}`, help))
  }
  const beside =
    pattern !== undefined ? `pattern ${pattern}` : within === 'row' ? 'within row' : refine && `refine ${refine}`
  if (block !== undefined && beside !== undefined) {
    const help = 'Blocks are compared within layers or the model, by sparsity, and stay or go whole.'
    return E.left(failure('PruneError', 'block', 'sparsity beside it', beside, help))
  }
  if ((sparsity === undefined) === (pattern === undefined)) {
    const found = sparsity === undefined ? 'none' : 'both'
    return E.left(failure('PruneError', 'amount', 'one of sparsity, pattern', found, 'Give for example sparsity: 0.5.'))
  }
  if (sparsity !== undefined) {
    if (sparsity >= 0 && sparsity < 1 && block !== undefined)
      return E.right({ tag: 'blocks', sparsity, within: within ?? 'layer', block })
    if (sparsity >= 0 && sparsity < 1)
      return E.right({ tag: 'sparsity', sparsity, within: within ?? (score === 'wanda' ? 'row' : 'layer') })
    const help = 'Give the fraction of weights to mask, for example 0.5.'
    return E.left(failure('PruneError', 'sparsity', 'a number from 0 to less than 1', `${sparsity}`, help))
  }
  const [, kept = NaN, of = NaN] = (/^(\d{1,4}):(\d{1,4})$/.exec(pattern ?? '') ?? []).map(Number)
  if (within !== undefined) {
    const help = 'A pattern compares the weights of a group; leave within out.'
    return E.left(failure('PruneError', 'within', 'sparsity beside it', `pattern ${pattern}`, help))
  }
  if (kept >= 1 && kept < of) return E.right({ tag: 'pattern', kept, of })
  const help = 'Give how many stay of how many, for example 2:4.'
  return E.left(failure('PruneError', 'pattern', 'N:M with N from 1 to less than M', `${pattern}`, help))
}

interface Chosen {
  readonly layers: ReadonlyArray<{ readonly layer: Layer; readonly found: ChannelStatistics | undefined }>
  readonly kept: PrunedWeights['kept']
}

/** The layers whose weights are compared, each weight once, with the statistics of what they read where these are needed. */
const chooseLayers = (
  graph: Graph,
  amount: Amount,
  keep: ReadonlyArray<string>,
  statistics: Statistics | undefined,
): E.Either<PruneWeightsError, Chosen> => {
  const all = layersOf(graph)
  const names = new Set(all.flatMap(({ node, weight }) => [node.name, weight]))
  const odd = keep.find((name) => name === '' || !names.has(name))
  if (odd !== undefined) {
    const help = 'Name a node or a weight as chasec inspect lists them.'
    return E.left(failure('PruneError', `keep ${odd}`, 'a layer of the model', 'none of this name', help))
  }
  const uneven = unevenlyRead(graph)
  const seen = new Set<ValueId>()
  const layers: Array<Chosen['layers'][number]> = []
  const kept: Array<Chosen['kept'][number]> = []
  let isAnyKnown = statistics === undefined
  for (const layer of all) {
    const { node, weight, contraction: c, inputsPerGroup } = layer
    if (seen.has(weight)) continue
    seen.add(weight)
    const isNamed = all.some((one) => one.weight === weight && (keep.includes(one.node.name) || keep.includes(weight)))
    const isKnown = statistics?.layers.has(weight) ?? true
    isAnyKnown ||= isKnown
    const reason = isNamed
      ? 'it was asked to stay whole'
      : uneven.has(weight)
        ? `nodes read its weight ${weight} in different ways`
        : c.groups > 1 && inputsPerGroup === 1
          ? 'each of its outputs reads one channel'
          : amount.tag === 'pattern' && inputsPerGroup % amount.of !== 0
            ? `${inputsPerGroup} input channels are no multiple of ${amount.of}`
            : isKnown
              ? undefined
              : 'there are no statistics of its input'
    if (reason !== undefined) {
      kept.push({ layer: labelOf(node), reason })
      continue
    }
    const found = statistics === undefined ? undefined : statisticsOf(statistics, layer)
    if (found !== undefined && E.isLeft(found)) return found
    layers.push({ layer, found: found?.right })
  }
  const [first] = all
  if (!isAnyKnown && statistics !== undefined && first !== undefined) {
    const other: E.Either<StatisticsError, unknown> = statisticsOf(statistics, first)
    if (E.isLeft(other)) return other
  }
  const computed = computedLayers(graph)
  if (E.isLeft(computed)) return computed
  return E.right({ layers, kept: [...kept, ...computed.right] })
}

const isFinite = (tensor: Tensor): boolean => {
  for (const x of elements(tensor)) if (!Number.isFinite(Number(x))) return false
  return true
}

/** Layers whose weights only folding makes: no constant of the model is theirs, so no mask can be. */
const computedLayers = (graph: Graph): E.Either<PruneWeightsError, PrunedWeights['kept']> => {
  const clean = runPipeline(cleanUp, graph)
  if (E.isLeft(clean)) return clean
  const storedOf = (tensor: Tensor): Tensor => (tensor.tag === 'Held' ? tensor.stored : tensor)
  const own = new Set([...resolveWeights(graph).graph.constants.values()].map(storedOf))
  return E.right(
    layersOf(clean.right)
      .filter(({ tensor }) => !own.has(storedOf(tensor)))
      .map(({ node, weight }) => ({
        layer: labelOf(node),
        reason: `its weight ${weight} is computed from other constants`,
      })),
  )
}

/** What each place of a row is worth. */
export const scoreReader = ({
  layer,
  rows,
  norms,
  gradient,
}: Compared): ((row: number, place: number, index: number) => number) => {
  const values = elements(layer.tensor)
  if (gradient !== undefined) return (_, __, index) => Math.abs(Number(values[index]) * (gradient[index] ?? 0))
  if (norms === undefined) return (_, __, index) => Math.abs(Number(values[index]))
  return (row, place, index) => {
    const norm = norms[rows.firstInput(row) + Math.floor(place / rows.kernel)] ?? 0
    return Math.abs(Number(values[index])) * norm
  }
}

/** Visits the weights that the given mask keeps, row by row. */
const visitKept = (one: Compared, take: (score: number, index: number) => void): void => {
  const { rows, given } = one
  const score = scoreReader(one)
  for (let row = 0; row < rows.rows; row++) {
    for (let place = 0; place < rows.length; place++) {
      const index = rows.indexOf(row, place)
      if (given[index] === 1) take(score(row, place, index), index)
    }
  }
}

/** Of what is compared together the score up to which weights go, and how many of those that have it. */
interface Limit {
  readonly score: number
  ties: number
}

/** How many of `count` weights go. */
export const weightsGone = (sparsity: number, count: number): number => Math.floor(sparsity * count + slack)

/** How many of `count` weights go, of which `gone` are gone already. */
const wantedOf = (sparsity: number, count: number, gone: number): number =>
  Math.max(0, weightsGone(sparsity, count) - gone)

/** What rounding of a product may take from a whole number. */
const slack = 1e-9

const limitIn = (compared: ReadonlyArray<Compared>, sparsity: number): Limit => {
  let [count, gone] = [0, 0]
  for (const { given } of compared) {
    count += given.length
    for (const bit of given) gone += 1 - bit
  }
  const wanted = wantedOf(sparsity, count, gone)
  if (wanted === 0) return { score: -1, ties: 0 }
  const visit = (take: (score: number) => void): void => compared.forEach((one) => visitKept(one, take))
  const score = kthSmallestOf(visit, wanted - 1)
  let below = 0
  visit((x) => {
    if (x < score) below += 1
  })
  return { score, ties: wanted - below }
}

/** The limit over all layers, where weights of all of them are compared. */
const limitOf = (compared: ReadonlyArray<Compared>, amount: Amount): Limit | undefined =>
  amount.tag === 'sparsity' && amount.within === 'model' ? limitIn(compared, amount.sparsity) : undefined

/** How much goes of one layer. */
const amountIn = (amount: Amount, ratio: number | undefined): Amount =>
  amount.tag === 'pattern' || ratio === undefined ? amount : { ...amount, sparsity: ratio }

/** How many of so many blocks go: all but those that stay. */
export const blocksGone = (sparsity: number, count: number): number =>
  count - Math.floor((1 - sparsity) * count + slack)

/** The mean score of each block of a layer, -1 where nothing of it is left. What is gone of a block counts as 0. */
export const scoreBlocks = (one: Compared, block: Block): Float64Array => {
  const grid = gridOf(one.rows, block)
  const sums = new Float64Array(grid.count)
  const sizes = new Float64Array(grid.count)
  const alive = new Uint8Array(grid.count)
  const score = scoreReader(one)
  for (let row = 0; row < one.rows.rows; row++) {
    for (let place = 0; place < one.rows.length; place++) {
      const at = grid.blockOf(row, place)
      const index = one.rows.indexOf(row, place)
      sizes[at] = (sizes[at] ?? 0) + 1
      if (one.given[index] !== 1) continue
      alive[at] = 1
      sums[at] = (sums[at] ?? 0) + score(row, place, index)
    }
  }
  return sums.map((sum, at) => (alive[at] === 1 ? sum / (sizes[at] ?? 1) : -1))
}

/** By layer the blocks that go, where blocks do. */
const blocksThatGo = (
  compared: ReadonlyArray<Compared>,
  amount: Amount,
  ratios: PruneWeightsOptions['ratios'],
): ReadonlyArray<Iterable<number>> => {
  if (amount.tag !== 'blocks') return []
  const { block, sparsity, within } = amount
  const scores = compared.map((one) => scoreBlocks(one, block))
  if (within !== 'model')
    return scores.map((list, i) =>
      lowest(list, blocksGone(ratios?.get(compared[i]?.layer.weight ?? '') ?? sparsity, list.length)),
    )
  const all = Float64Array.from(scores.flatMap((list) => [...list]))
  const gone = lowest(all, blocksGone(sparsity, all.length))
  let first = 0
  return scores.map(({ length }) => {
    const start = first
    first += length
    return gone.filter((at) => at >= start && at < start + length).map((at) => at - start)
  })
}

/** {@link selectWeights} without whole blocks. */
const withoutBlocks = (one: Compared, block: Block, blocks: Iterable<number>): Uint8Array => {
  const bits = one.given.slice()
  const grid = gridOf(one.rows, block)
  const gone = new Uint8Array(grid.count)
  for (const at of blocks) gone[at] = 1
  for (let row = 0; row < one.rows.rows; row++)
    for (let place = 0; place < one.rows.length; place++)
      if (gone[grid.blockOf(row, place)] === 1) bits[one.rows.indexOf(row, place)] = 0
  return bits
}

/** One byte for each weight as it lies in the tensor: 1 where it stays. */
const selectWeights = (
  one: Compared,
  amount: Exclude<Amount, { tag: 'blocks' }>,
  shared: Limit | undefined,
): Uint8Array => {
  const bits = one.given.slice()
  const { rows } = one
  if (amount.tag === 'sparsity' && amount.within !== 'row') {
    const limit = shared ?? limitIn([one], amount.sparsity)
    visitKept(one, (score, index) => {
      if (score > limit.score || (score === limit.score && limit.ties-- <= 0)) return
      bits[index] = 0
    })
    return bits
  }
  const score = scoreReader(one)
  const indices = new Uint32Array(rows.length)
  const scores = new Float64Array(rows.length)
  for (let row = 0; row < rows.rows; row++) {
    for (let place = 0; place < rows.length; place++) {
      const index = rows.indexOf(row, place)
      indices[place] = index
      // What is gone already comes first.
      scores[place] = one.given[index] === 1 ? score(row, place, index) : -1
    }
    if (amount.tag === 'sparsity') {
      for (const place of lowest(scores, weightsGone(amount.sparsity, rows.length))) bits[indices[place] ?? 0] = 0
      continue
    }
    for (const group of groupsOf(rows, amount.of)) {
      const own = Float64Array.from(group, (place) => scores[place] ?? 0)
      for (const at of lowest(own, amount.of - amount.kept)) bits[indices[group[at] ?? 0] ?? 0] = 0
    }
  }
  return bits
}

/** The places of the groups of a pattern in a row: `size` input channels that follow each other, for each place of the kernel. */
function* groupsOf({ length, kernel }: WeightRows, size: number): Iterable<ReadonlyArray<number>> {
  for (let start = 0; start < length; start += size * kernel) {
    for (let k = 0; k < kernel; k++) yield Array.from({ length: size }, (_, i) => start + i * kernel + k)
  }
}

/** The places of the `count` lowest scores, the first of equal ones. */
const lowest = (scores: Float64Array, count: number): ReadonlyArray<number> => {
  if (count === 0) return []
  const threshold = kthSmallest(scores, count - 1)
  let ties = count - scores.reduce((n, score) => n + Number(score < threshold), 0)
  const out: number[] = []
  scores.forEach((score, place) => {
    if (score < threshold || (score === threshold && ties-- > 0)) out.push(place)
  })
  return out
}

/** Exchanges weights row by row in `bits`, and says how many. */
const refineWeights = (one: Compared, bits: Uint8Array, amount: Amount, samples: number): number => {
  const { rows, layer, given, statistics } = one
  if (statistics === undefined) return 0
  const values = elements(layer.tensor)
  const norms = rootMeanSquares(statistics)
  const size = amount.tag === 'pattern' ? amount.of : undefined
  const groupOf = (place: number): number =>
    size === undefined ? 0 : Math.floor(place / (size * rows.kernel)) * rows.kernel + (place % rows.kernel)
  const score = scoreReader(one)
  let exchanged = 0
  for (let row = 0; row < rows.rows; row++) {
    const index = Uint32Array.from({ length: rows.length }, (_, place) => rows.indexOf(row, place))
    const inputOf = (place: number): number => rows.firstInput(row) + Math.floor(place / rows.kernel)
    const weights = Float64Array.from(index, (at) => Number(values[at]))
    const kept = Uint8Array.from(index, (at) => (given[at] === 0 ? untouchable : (bits[at] ?? 0)))
    const scores = weights.map((w, place) =>
      // In a row the authors' program compares what goes by Wanda's score, in a group by that of the mask.
      size === undefined ? Math.abs(w) * (norms[inputOf(place)] ?? 0) : score(row, place, index[place] ?? 0),
    )
    const exchange = size === undefined ? {} : { groupOf }
    exchanged += refineRow({ weights, scores, kept, inputOf, ...exchange }, statistics, samples, refineDefaults)
    index.forEach((at, place) => {
      bits[at] = kept[place] ?? 0
    })
  }
  return exchanged
}
