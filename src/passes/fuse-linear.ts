import * as E from 'fp-ts/lib/Either.js'
import { onlyReader, soleProducer } from '../ir/analysis.ts'
import { isFloat } from '../ir/dtype.ts'
import { type Reads, readsOfContraction } from '../ir/families/contraction.ts'
import { composeWeights } from '../ir/families/weight-sums.ts'
import { contextOf, type Graph } from '../ir/graph.ts'
import { evaluateNode } from '../ir/interpret.ts'
import { cancels, precisionOf, type Refusal } from '../ir/numerics.ts'
import type { Node, ValueId } from '../ir/op.ts'
import { Add } from '../ir/ops/add.ts'
import { Mul } from '../ir/ops/mul.ts'
import { isOp, opOf } from '../ir/registry.ts'
import { elements, type Tensor } from '../ir/tensor.ts'
import { sizeOf, tensorType } from '../ir/type.ts'
import { type Found, namingOf, type Names, refuse, rewritePass, type Rule } from './rewrite.ts'

/** A contraction and the node that computes it. */
interface Linear {
  readonly node: Node
  readonly reads: Reads
}

/**
 * Makes one contraction of two adjacent ones where that takes fewer multiplications:
 * `W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2)`, for convolutions after one another, and for products of matrices.
 *
 * Guards: nothing else reads what is between them and its name is not fixed; one group each; one of the two is pointwise;
 * both biases are constant, and where the first one is not zero, every output position of the second sums the same weights
 * (no padding); the numbers are admissible (`ir/numerics.ts`).
 */
const fuseContractions: Rule = (graph, node, names) => composed(graph, node, names, true)

/** Two adjacent contractions as one, whatever work that takes. */
export const composition: Rule = (graph, node, names) => composed(graph, node, names, false)

const composed = (graph: Graph, node: Node, names: Names, isPaying: boolean): Found => {
  const second = linearOf(graph, node)
  const value = node.inputs[second?.reads.contraction.port ?? -1] ?? ''
  const producer = soleProducer(graph, value)
  const first = producer && linearOf(graph, producer)
  if (first === undefined || second === undefined || onlyReader(graph, value) !== node) return undefined
  const [c1, c2] = [first.reads.contraction, second.reads.contraction]
  if (c2.axis !== c1.outputAxis || c1.groups !== 1 || c2.groups !== 1) return undefined
  if (first.reads.weight.shape.length !== second.reads.weight.shape.length) return undefined
  // The fused node looks like one of the two: it reads what the first reads and makes what the second makes, in its way.
  const fused = [first, second]
    .filter(({ reads: { contraction: c } }, i) => {
      const other = i === 0 ? c2 : c1
      return other.pointwise && c.axis === c1.axis && c.outputAxis === c2.outputAxis
    })
    .map((form) => fuse(graph, first, second, form, names, isPaying))
  const refused = fused.find((found) => found !== undefined && 'refused' in found)
  const [best] = fused
    .flatMap((found) => (found !== undefined && 'nodes' in found ? [found] : []))
    .sort((a, b) => a.nodes.length - b.nodes.length)
  return best ?? refused
}

const linearOf = (graph: Graph, node: Node): Linear | undefined => {
  const ctx = contextOf(graph, node)
  const c = node.outputs.length === 1 ? opOf(node).contraction?.(ctx) : undefined
  return c !== undefined && c.makes === undefined ? { node, reads: readsOfContraction(ctx, c) } : undefined
}

const fuse = (graph: Graph, first: Linear, second: Linear, form: Linear, names: Names, isPaying: boolean): Found => {
  const [c1, c2] = [first.reads.contraction, second.reads.contraction]
  const c = form.reads.contraction
  // Without the weight yet, to see whether it is worth making.
  const shape = form.reads.weight.shape.map((size, axis) => {
    if (axis === c.weightOutputAxis) return second.reads.outputs
    return axis === c.weightInputAxis ? first.reads.inputs : size
  })
  const before = nodeMacs(graph, first.node) + nodeMacs(graph, second.node)
  const x = first.node.inputs[c1.port] ?? ''
  if (isPaying && macsWith(graph, form, shape, x, second.node) >= before) return undefined
  const precision = precisionOf(form.reads.weight.dtype)
  const inner = Float64Array.from({ length: second.reads.inputs }, (_, m) => c1.bias(m) ?? NaN)
  if (inner.some((b) => b !== 0) && !c2.uniform) {
    return refuse(second.node, `the bias of ${first.node.op} meets the padding of ${second.node.op}`)
  }
  const composed = composeWeights(first.reads, second.reads, form.reads)
  if (E.isLeft(composed)) return refuse(second.node, composed.left)
  const { weight, terms } = composed.right
  const bias = new Float64Array(second.reads.outputs)
  const sumOf = second.reads.sums()
  for (let o = 0; o < bias.length; o++) {
    const own = c2.bias(o) ?? NaN
    let sum = 0
    let largest = Math.abs(own)
    for (const [m, b] of inner.entries()) {
      if (b === 0) continue
      const share = c2.scale * b * sumOf(o, m)
      sum += share
      largest = Math.max(largest, Math.abs(share))
    }
    bias[o] = own + sum
    if (Number.isNaN(own + sum)) return refuse(second.node, 'a bias is not one number for each channel')
    // A bias far above the sum that it is added to is there to round it.
    if ((terms[o] ?? 0) > 0 && cancels(precision, largest, 0, terms[o])) {
      return refuse(second.node, 'its sums with a bias keep few digits, which those of one product might not')
    }
  }
  const inputs = form.node.inputs.map((name, i) => (i === c.port ? x : name))
  const zero = new Float64Array(bias.length)
  const change = { node: { inputs, outputs: second.node.outputs }, weight, groups: 1, factor: zero, shift: bias }
  const rebuilt = c.rebuild({ ...change, outputs: undefined }, namingOf(form.node, names))
  if (E.isLeft(rebuilt)) return refuse(second.node, rebuilt.left)
  return { ...rebuilt.right, removes: [first.node, second.node] }
}

const nodeMacs = (graph: Graph, node: Node): number => opOf(node).macs?.(contextOf(graph, node)) ?? 0

/** Multiplications of a contraction with a weight of another shape, which reads `x` and makes what `last` makes. */
const macsWith = (
  graph: Graph,
  { node, reads }: Linear,
  shape: ReadonlyArray<number>,
  x: ValueId,
  last: Node,
): number => {
  const { port, weightPort } = reads.contraction
  const weight = node.inputs[weightPort] ?? ''
  const types = new Map(graph.types).set(weight, tensorType(reads.weight.dtype, shape))
  const inputs = node.inputs.map((name, at) => (at === port ? x : name))
  return nodeMacs({ ...graph, types }, { ...node, inputs, outputs: last.outputs })
}

/**
 * Makes one Add of two, and one Mul of two: `(x + c1) + c2 = x + (c1 + c2)`, `(x · c1) · c2 = x · (c1 · c2)`.
 *
 * Guards: floats; nothing else reads what is between them and its name is not fixed; the new constant has no more elements
 * than the larger one of the two and is finite; two terms do not cancel, and a product loses no digits.
 */
const fuseConstants: Rule = (graph, node, names) => {
  if (!isOp(node, Add) && !isOp(node, Mul)) return undefined
  const outer = constantPort(graph, node)
  const value = node.inputs[1 - (outer ?? 0)] ?? ''
  const before = soleProducer(graph, value)
  if (outer === undefined || before?.op !== node.op || onlyReader(graph, value) !== node) return undefined
  const inner = constantPort(graph, before)
  if (inner === undefined) return undefined
  const name = before.inputs[inner] ?? ''
  const [c1, c2] = [graph.constants.get(name), graph.constants.get(node.inputs[outer] ?? '')]
  if (c1 === undefined || c2 === undefined || !isFloat(c1.dtype)) return undefined
  const sum = evaluateNode(graph, { ...node, inputs: [name, node.inputs[outer] ?? ''] }, [c1, c2])?.[0]
  if (sum === undefined || sizeOf(sum.shape) > Math.max(sizeOf(c1.shape), sizeOf(c2.shape))) return undefined
  const refused = isOp(node, Mul) ? lostBy(sum) : cancelledBy([c1, c2], sum)
  if (refused !== undefined) return refuse(node, refused)
  const constant = names.replacing(name)
  const inputs = before.inputs.map((input, port) => (port === inner ? constant : input))
  return { removes: [before, node], nodes: [{ ...node, inputs }], constants: new Map([[constant, sum]]) }
}

/** The port of the only constant operand. */
const constantPort = (graph: Graph, node: Node): number | undefined => {
  const ports = [0, 1].filter((port) => graph.constants.has(node.inputs[port] ?? ''))
  return ports.length === 1 ? ports[0] : undefined
}

const largestOf = (tensor: Tensor): number => {
  let largest = 0
  for (const x of elements(tensor)) largest = Math.max(largest, Math.abs(Number(x)))
  return largest
}

const cancelledBy = (terms: ReadonlyArray<Tensor>, sum: Tensor): Refusal | undefined => {
  const sizes = terms.map(largestOf)
  const [before, least, after] = [Math.max(...sizes), Math.min(...sizes), largestOf(sum)]
  if (!Number.isFinite(after)) return 'the sum of its two constants is not finite'
  // Where one is far above the other, or above what is left of both, it is there to round what it is added to.
  if (!cancels(precisionOf(sum.dtype), before, Math.min(least, after))) return undefined
  return `constants of ${sizes.join(' and ')}: the sum between them keeps few digits`
}

const lostBy = (product: Tensor): Refusal | undefined => {
  const { normal, largest } = precisionOf(product.dtype)
  const lost = elements(product).find((x) => !(Math.abs(Number(x)) >= normal && Math.abs(Number(x)) <= largest))
  return lost === undefined ? undefined : `the product of its two constants would be ${lost}`
}

/** Adjacent linear operators as one: contractions, and Adds and Muls of constants. */
export const fuseLinear = rewritePass('fuse-linear', [fuseContractions, fuseConstants])
