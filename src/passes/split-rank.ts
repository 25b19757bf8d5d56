import * as E from 'fp-ts/lib/Either.js'
import { bitsOf } from '../ir/dtype.ts'
import { type Channels, type Reads, readsOfContraction } from '../ir/families/contraction.ts'
import { isPlain, layoutOf, scaledFromOf } from '../ir/families/weights.ts'
import { contextOf, type Graph } from '../ir/graph.ts'
import { countOf, inputShape, outputShape } from '../ir/links.ts'
import { makeNode } from '../ir/make-node.ts'
import { growthLimit, precisionOf, roundTo } from '../ir/numerics.ts'
import type { Naming, Node, Rewrite, ValueId } from '../ir/op.ts'
import { Conv } from '../ir/ops/conv.ts'
import { opOf } from '../ir/registry.ts'
import { elementReader, gather, sampleReader, type Tensor, tensorOf } from '../ir/tensor.ts'
import { sizeOf } from '../ir/type.ts'
import type { EliminationOptions } from './channel-elimination/index.ts'
import { elementPrice } from './channel-elimination/price.ts'
import type { Pass } from './pass.ts'
import { type Found, type Names, refuse, rewritePass, type Rule } from './rewrite.ts'
import type { Target } from './target.ts'

/** Rows, or columns, of a weight of which each is a multiple of one of the bases: `w[i] = factors[i] · w[bases[of[i]]]`. */
interface Multiples {
  readonly bases: Int32Array
  readonly of: Int32Array
  readonly factors: Float64Array
}

type Side = 'outputs' | 'inputs'

/** Bits of numbers that layers add up in. */
const leastBits = 32

/**
 * A contraction of which the outputs are multiples of fewer, as one that makes these and a pointwise one that makes all of
 * them; and one that reads inputs with multiples of the same weights, as a pointwise one that adds these up, and one that
 * reads the sums:
 *
 *     W x + b = F (B x) + b  where W = F B,  and  W x = B (F x)  where W = B F,  F with one factor in each row or column
 *
 * Guards: one group; the weight is no selection of integers; the bias is constant; a factor is a normal number, at most 1 in
 * magnitude, and times the weights of the base within two units in the last place of the weights that it stands for
 * (`ir/numerics.ts`); a sum of inputs is not larger than what is made of it by more than terms may grow (`growthLimit`); it takes
 * less work, a float more that is written and read counted; and numbers have 32 bits or more, since layers add up in no fewer, so
 * that what a bias or another base cancels would be rounded before.
 */
const splitRank =
  (target: Target | undefined): Rule =>
  (graph, node, names) => {
    const ctx = contextOf(graph, node)
    const c = node.outputs.length === 1 ? opOf(node).contraction?.(ctx) : undefined
    if (c === undefined || c.groups !== 1 || c.makes !== undefined || c.counts !== undefined) return undefined
    if (c.scale !== 1 || c.axis !== c.outputAxis || ctx.constant(c.weightPort)?.tag === 'Held') return undefined
    const reads = readsOfContraction(ctx, c)
    const perElement = target === undefined ? 0 : elementPrice
    const before = opOf(node).macs?.(ctx) ?? 0
    for (const side of ['outputs', 'inputs'] as const) {
      const found = multiplesOf(reads, side)
      if (found === undefined) continue
      const [left, all] = [found.bases.length, reads[side]]
      const shape = side === 'outputs' ? outputShape(ctx) : inputShape(ctx, c.port)
      if (shape === undefined) continue
      // The channels may be of a size that is not known to be theirs.
      const positions = countOf(shape.filter((_, axis) => axis !== c.axis))
      const further = positions * left * (all + perElement)
      if ((before * left) / all + further >= before) continue
      if (bitsOf(reads.weight.dtype) < leastBits)
        return refuse(node, `what is between two layers would be rounded to ${reads.weight.dtype}`)
      return split(graph, node, reads, side, found, names)
    }
    return undefined
  }

const split = (graph: Graph, node: Node, reads: Reads, side: Side, found: Multiples, names: Names): Found => {
  const { contraction: c, weight } = reads
  const fresh: Naming = { fresh: names.fresh, rename: (_port, hint) => names.fresh(hint) }
  const [x = '', y = ''] = [node.inputs[c.port], node.outputs[0]]
  const middle = names.fresh(`${side === 'outputs' ? y : x}_bases`)
  const [own, other] =
    side === 'outputs'
      ? [
          [x, middle],
          [middle, y],
        ]
      : [
          [middle, y],
          [x, middle],
        ]
  const less = gather(weight, side === 'outputs' ? c.weightOutputAxis : c.weightInputAxis, found.bases)
  const isUnbiased = side === 'outputs'
  const kept = c.rebuild(
    {
      node: {
        inputs: node.inputs.map((name, port) => (port === c.port ? (own[0] ?? '') : name)),
        outputs: own.slice(1),
      },
      weight: less,
      groups: 1,
      ...(isUnbiased && { outputs: found.bases, factor: new Float64Array(found.bases.length) }),
    },
    fresh,
  )
  if (E.isLeft(kept)) return refuse(node, kept.left)
  const pointwise = pointwiseOf(graph, node, reads, side, found, other, fresh)
  if (E.isLeft(pointwise)) return refuse(node, pointwise.left)
  // Layers have names of their own, by which reports follow them.
  const name = node.name === '' ? '' : `${node.name}_factors`
  const factors = { ...pointwise.right, nodes: pointwise.right.nodes.map((one) => ({ ...one, name })) }
  const parts = side === 'outputs' ? [kept.right, factors] : [factors, kept.right]
  return {
    removes: [node],
    nodes: parts.flatMap(({ nodes }) => nodes),
    constants: new Map(parts.flatMap(({ constants }) => [...constants])),
  }
}

/** The contraction that multiplies with the factors: of the kind that the node is, or, where that reads neighbours, a Conv. */
const pointwiseOf = (
  graph: Graph,
  node: Node,
  reads: Reads,
  side: Side,
  { bases, of, factors }: Multiples,
  [from = '', to = '']: ReadonlyArray<ValueId>,
  naming: Naming,
): E.Either<string, Rewrite> => {
  const { contraction: c, weight } = reads
  const sizes = side === 'outputs' ? [factors.length, bases.length] : [bases.length, factors.length]
  const values = new Float64Array(factors.length * bases.length)
  const isSwapped = c.pointwise && c.weightOutputAxis !== 0
  const columns = (isSwapped ? sizes[0] : sizes[1]) ?? 0
  factors.forEach((factor, i) => {
    const [row, column] = side === 'outputs' ? [i, of[i] ?? 0] : [of[i] ?? 0, i]
    values[isSwapped ? column * columns + row : row * columns + column] = factor
  })
  const shape = [...(isSwapped ? sizes.toReversed() : sizes), ...weight.shape.slice(2).map(() => 1)]
  const matrix = tensorOf(weight.dtype, shape, values)
  if (c.pointwise) {
    const inputs = node.inputs.map((name, port) => (port === c.port ? from : name))
    const change = { node: { inputs, outputs: [to] }, weight: matrix, groups: 1 }
    const some = new Int32Array(bases.length).map((_, at) => at % reads.outputs)
    return side === 'outputs'
      ? c.rebuild(change, naming)
      : c.rebuild({ ...change, outputs: some, factor: new Float64Array(bases.length) }, naming)
  }
  if (weight.shape.length < 3 || c.outputAxis !== 1) return E.left('it is no convolution')
  const name = naming.fresh(
    `${graph.constants.has(node.inputs[c.weightPort] ?? '') ? node.inputs[c.weightPort] : to}_factors`,
  )
  const constants = new Map<ValueId, Tensor>([[name, matrix]])
  const inputs = [from, name]
  const biases = Float64Array.from({ length: reads.outputs }, (_, o) => c.bias(o) ?? NaN)
  if (side === 'outputs' && biases.some((bias) => bias !== 0)) {
    const bias = naming.fresh(`${to}_bias`)
    constants.set(bias, tensorOf(weight.dtype, [biases.length], biases))
    inputs.push(bias)
  }
  return E.right({ nodes: [makeNode(Conv, inputs, [to], { kernel_shape: shape.slice(2) })], constants })
}

const known = new WeakMap<Tensor, Map<string, Multiples | undefined>>()

/** The multiples among the outputs, or the inputs, of a weight; undefined where there are none. */
const multiplesOf = (reads: Reads, side: Side): Multiples | undefined => {
  const { contraction: c, weight } = reads
  const ofWeight = known.get(weight) ?? new Map<string, Multiples | undefined>()
  known.set(weight, ofWeight)
  const key = `${side} ${c.weightOutputAxis}`
  if (!ofWeight.has(key)) ofWeight.set(key, findMultiples(reads, side))
  return ofWeight.get(key)
}

/** Elements of a row that are looked at to see whether it may be a multiple of another one; of these one in so many at first. */
const [sampled, glanced] = [64, 8]

/** How many bases a row of about the same ratio is compared with. */
const compared = 64

/** How far the ratios of sums over multiples of the same numbers may be apart. */
const ratioTolerance = 2 ** -7

/**
 * Rows that may be multiples of each other: those of a run have about the same ratios of sums over a few of their elements. Of a
 * weight of which all rows were multiplied by numbers they are those of the weight before.
 */
const candidatesOf = (reads: Channels & Pick<Reads, 'contraction'>, weight: Tensor, side: Side): Runs => {
  const origin = scaledFromOf(weight)
  if (origin?.side === side) return candidatesOf(reads, origin.weight, side)
  const { contraction: c } = reads
  const precision = precisionOf(weight.dtype)
  const count = reads[side]
  const length = sizeOf(weight.shape) / count
  const taps = sizeOf(weight.shape.slice(2))
  const step = Math.max(1, Math.floor(length / sampled))
  const looked = Int32Array.from({ length: Math.ceil(length / step) }, (_, s) => s * step)
  const others = looked.map((k) => Math.floor(k / taps))
  const [ownAxis, otherAxis] =
    side === 'outputs' ? [c.weightOutputAxis, c.weightInputAxis] : [c.weightInputAxis, c.weightOutputAxis]
  const sample = sampleReader(weight)
  // Where whole rows are made, only those that are looked at.
  const distinct = sample === undefined && otherAxis === 0 ? Int32Array.from(new Set(others)) : undefined
  const at = sample ?? elementReader(distinct === undefined ? weight : gather(weight, 0, distinct))
  const stride = taps * (ownAxis === 0 ? (weight.shape[1] ?? 0) : 1)
  const rowOf = new Map(distinct && Array.from(distinct, (other, row) => [other, row]))
  const offsets = looked.map((k, s) => {
    const other = others[s] ?? 0
    return (rowOf.get(other) ?? other) * (otherAxis === 0 ? (weight.shape[1] ?? 0) : 1) * taps + (k % taps)
  })
  /** The sum of a few elements' sizes in row `i`, each weighted by something between 1 and 2: of all looked at, or one in `every`. */
  const sumsOf = (turn: number, every: number): ((i: number) => number) => {
    const shares = Float64Array.from(looked, (k) => 1 + ((k * turn) % 1))
    return (i) => {
      let sum = 0
      for (let s = 0; s < offsets.length; s += every)
        sum += Math.abs(at(i * stride + (offsets[s] ?? 0))) * (shares[s] ?? 0)
      return sum
    }
  }
  const ratioOf = (turn: number, every = 1): ((i: number) => number) => {
    const [above, below] = [sumsOf(0.6180339887498949, every), sumsOf(turn, every)]
    return (i) => above(i) / below(i)
  }
  const [second, third] = [0.7548776662466927, 0.5698402909980532]
  const near = precision.digits < 24 ? ratioTolerance : 2 ** -18
  const rows = Array.from({ length: count }, (_, i) => i)
  const [glance, look, lookAgain] = [ratioOf(second, glanced), ratioOf(second), ratioOf(third)]
  // Of rows that have one ratio in common by chance few have two. Rows of zeros, as far as a glance goes, are not told apart by it.
  return [...runsOf(rows, glance, near), rows.filter((i) => Number.isNaN(glance(i)))]
    .flatMap((run) => runsOf(run, look, near))
    .flatMap((run) => runsOf(run, lookAgain, near))
}

const findMultiples = (reads: Reads, side: Side): Multiples | undefined => {
  const { contraction: c, weight } = reads
  const count = reads[side]
  const precision = precisionOf(weight.dtype)
  const { taps, start } = layoutOf(weight.shape, c, reads)
  const length = count === 0 ? 0 : sizeOf(weight.shape) / count
  if (count < 2 || length === 0 || precision.digits > 24) return undefined
  const runs = candidatesOf(reads, weight, side)
  if (runs.length === 0) return undefined
  const at = elementReader(weight)
  const element = (i: number, k: number): number => {
    const [other, tap] = [Math.floor(k / taps), k % taps]
    return at((side === 'outputs' ? start(i, other) : start(other, i)) + tap)
  }
  const sizeAt = (i: number): number => {
    let largest = 0
    for (let k = 0; k < length; k++) largest = Math.max(largest, Math.abs(element(i, k)))
    return largest
  }
  /** The number that times row `base` is row `i`. */
  const factorOf = (base: number, i: number): number | undefined => {
    const unit = 2 ** -precision.digits
    let [low, high, sign] = [0, Infinity, 0]
    for (let k = 0; k < length; k++) {
      const [b, w] = [element(base, k), element(i, k)]
      if (b === 0 && w === 0) continue
      const quotient = w / b
      if (!Number.isFinite(quotient) || quotient === 0 || (sign !== 0 && Math.sign(quotient) !== sign)) return undefined
      sign = Math.sign(quotient)
      low = Math.max(low, Math.abs(quotient) * (1 - unit))
      high = Math.min(high, Math.abs(quotient) * (1 + unit))
      if (low > high) return undefined
    }
    const factor = sign * roundTo(weight.dtype, (low + high) / 2)
    return sign !== 0 && isPlain(factor, precision) && Math.abs(factor) <= 1 ? factor : undefined
  }
  /** Whether inputs may be added up in front of weights of which `largest` is the largest: the sum grows by as much at most. */
  const mayAdd = (largest: number): boolean => side === 'outputs' || largest * growthLimit(precision) >= 1
  const factors = new Float64Array(count).fill(1)
  const base = new Int32Array(count).map((_, i) => i)
  for (const run of runs) {
    // The largest is the base, so that nothing grows.
    const sizes = new Map(run.map((i) => [i, sizeAt(i)]))
    const left = run.toSorted((i, j) => (sizes.get(j) ?? 0) - (sizes.get(i) ?? 0) || i - j)
    const bases: number[] = []
    for (const i of left) {
      const one = bases.slice(0, compared).find((at) => factorOf(at, i) !== undefined && mayAdd(sizes.get(at) ?? 0))
      if (one === undefined) bases.push(i)
      else [base[i], factors[i]] = [one, factorOf(one, i) ?? NaN]
    }
  }
  const bases = Int32Array.from(base.keys()).filter((i) => base[i] === i)
  if (bases.length === count) return undefined
  const places = new Map(Array.from(bases, (i, place) => [i, place]))
  return { bases, of: base.map((i) => places.get(i) ?? 0), factors }
}

type Runs = ReadonlyArray<ReadonlyArray<number>>

/** Runs of two or more rows of which each has about the ratio of the next; rows whose ratio is no finite number are in none. */
const runsOf = (rows: ReadonlyArray<number>, ratioOf: (row: number) => number, near: number): Runs => {
  const ratios = Float64Array.from(rows, ratioOf)
  const ascending = ratios.toSorted()
  const isNear = (at: number): boolean => (ascending[at] ?? NaN) <= (ascending[at - 1] ?? NaN) * (1 + near)
  // Most have no other near them, and need not be sorted.
  const shared = new Set(ascending.filter((ratio, at) => Number.isFinite(ratio) && (isNear(at) || isNear(at + 1))))
  const order = [...ratios.keys()].filter((at) => shared.has(ratios[at] ?? NaN))
  order.sort((a, b) => (ratios[a] ?? 0) - (ratios[b] ?? 0))
  const runs: Array<ReadonlyArray<number>> = []
  for (let begin = 0; begin < order.length;) {
    let end = begin + 1
    while (end < order.length && (ratios[order[end] ?? 0] ?? 0) <= (ratios[order[end - 1] ?? 0] ?? 0) * (1 + near))
      end++
    if (end - begin > 1) runs.push(order.slice(begin, end).map((at) => rows[at] ?? 0))
    begin = end
  }
  return runs
}

/** Weights of which rows or columns are multiples of each other, as two layers that together take less work. */
export const splitRanks = ({ target, planWidths = true }: EliminationOptions): Pass =>
  rewritePass('split-rank', [splitRank(planWidths ? target : undefined)])
