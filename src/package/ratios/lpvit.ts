/** Layers lose as much as has their curves of distortion rise alike: LPViT (arXiv 2407.02068), of blocks or of single weights. */
import * as E from 'fp-ts/lib/Either.js'
import { labelOf } from '../../ir/graph.ts'
import { elements } from '../../ir/tensor.ts'
import { gridOf } from '../../masks/blocks.ts'
import { ranksOf } from '../../masks/ranks.ts'
import { curvePoints, distortionCurve, equalSlopes, powerSlopes, slopesOf, smoothCurve } from '../../masks/slopes.ts'
import {
  type Amount,
  blocksGone,
  type Compared,
  scoreBlocks,
  scoreReader,
  weightsGone,
} from '../../passes/prune-weights.ts'
import type { RatioMethod } from './method.ts'

export const lpvit: RatioMethod = {
  needsGradients: true,
  divide:
    ({ comparison: { amount, compared }, gradients, options }) =>
    () => {
      const { sparsity, power = false, most = 1 - Math.min(0.05, (1 - sparsity) / 2) } = options
      const orders = compared.map((one) => removalOrder(one, amount))
      const curves = compared.map((one, i) => curveOf(one, orders[i], gradients?.values.get(one.layer.weight)))
      const powers = powerSlopes(
        compared.map(({ layer, given }, i) => ({
          curve: curves[i] ?? new Float64Array(curvePoints),
          blocks: given.length / (amount.tag === 'blocks' ? amount.block.rows * amount.block.columns : 1),
          channels: layer.inputs,
        })),
      )
      const slopes = curves.map((curve, i) => slopesOf(curve).map((slope) => slope + (power ? (powers[i] ?? 0) : 0)))
      const all = compared.reduce((n, { given }) => n + given.length, 0)
      const amounts = equalSlopes(slopes, weightsGone(sparsity, all), most, (list) =>
        orders.reduce((sum, order, i) => sum + order.goneAt(list[i] ?? 0), 0),
      )
      const layers = compared.map(({ layer }, i) => ({
        weight: layer.weight,
        layer: labelOf(layer.node),
        ratio: amounts[i] ?? 0,
        importance: curves[i]?.at(-1) ?? 0,
      }))
      return Promise.resolve(
        E.right({
          ratios: new Map(layers.map(({ weight, ratio }) => [weight, ratio])),
          layers,
          loss: 'mean-square',
          samples: gradients?.samples ?? 0,
          runtime: gradients?.runtime ?? '',
        }),
      )
    },
}

/** In which order the weights of a layer go. */
export interface Order {
  /** The point of the curve from which on a weight is gone. */
  readonly pointOf: (row: number, place: number) => number
  /** How many weights are gone at an amount. */
  readonly goneAt: (amount: number) => number
}

/** The same order in which {@link pruneWeights} takes more and more. */
export const removalOrder = (one: Compared, amount: Amount): Order => {
  const { rows, given } = one
  const before = given.reduce((n, bit) => n - bit, given.length)
  if (amount.tag === 'blocks') {
    const grid = gridOf(rows, amount.block)
    const ranks = ranksOf(scoreBlocks(one, amount.block))
    const points = pointsOf(grid.count, blocksGone)
    const alive = new Float64Array(grid.count)
    for (let row = 0; row < rows.rows; row++) {
      for (let place = 0; place < rows.length; place++) {
        const rank = ranks[grid.blockOf(row, place)] ?? 0
        alive[rank] = (alive[rank] ?? 0) + (given[rows.indexOf(row, place)] ?? 0)
      }
    }
    let sum = before
    const totals = [before, ...Array.from(alive, (count) => (sum += count))]
    return {
      pointOf: (row, place) => points[ranks[grid.blockOf(row, place)] ?? 0] ?? 0,
      goneAt: (share) => totals[blocksGone(share, grid.count)] ?? 0,
    }
  }
  const score = scoreReader(one)
  const isByRow = amount.tag === 'sparsity' && amount.within === 'row'
  const scores = Float64Array.from({ length: given.length }, (_, at) => {
    const [row, place] = [Math.floor(at / rows.length), at % rows.length]
    const index = rows.indexOf(row, place)
    return given[index] === 1 ? score(row, place, index) : -1
  })
  const width = isByRow ? rows.length : given.length
  const points = pointsOf(width, weightsGone)
  const lists = Array.from({ length: width === 0 ? 0 : given.length / width }, (_, i) =>
    scores.subarray(i * width, (i + 1) * width),
  )
  const ranks = lists.map(ranksOf)
  const goneBefore = lists.map((list) => list.reduce((n, x) => n + Number(x < 0), 0))
  return {
    pointOf: (row, place) => {
      const at = row * rows.length + place
      return points[ranks[Math.floor(at / width)]?.[at % width] ?? 0] ?? 0
    },
    goneAt: (share) => goneBefore.reduce((sum, gone) => sum + Math.max(gone, weightsGone(share, width)), 0),
  }
}

/** By rank among `count` the first point of the curve at which it is gone. */
const pointsOf = (count: number, goneAt: (share: number, count: number) => number): Uint8Array => {
  const out = new Uint8Array(count)
  let from = 0
  for (let point = 0; point < curvePoints; point++) {
    const to = goneAt(point / (curvePoints - 1), count)
    out.fill(point, from, to)
    from = Math.max(from, to)
  }
  return out
}

/** What is lost, smoothed, by how much of a layer is gone; `gradient` as its weight lies. */
export const curveOf = (
  { layer, rows, given }: Compared,
  order: Order | undefined,
  gradient: ArrayLike<number> | undefined,
): Float64Array => {
  const squares = new Float64Array(curvePoints)
  const products = new Float64Array(curvePoints)
  const norms = new Float64Array(curvePoints)
  const values = elements(layer.tensor)
  for (let row = 0; row < rows.rows; row++) {
    for (let place = 0; place < rows.length; place++) {
      const index = rows.indexOf(row, place)
      if (given[index] !== 1) continue
      const w = Number(values[index])
      const product = w * (gradient?.[index] ?? 0)
      const at = order?.pointOf(row, place) ?? 0
      squares[at] = (squares[at] ?? 0) + product * product
      products[at] = (products[at] ?? 0) + product
      norms[at] = (norms[at] ?? 0) + w * w
    }
  }
  return smoothCurve(distortionCurve({ weights: given.length, squares, products, norms }))
}
