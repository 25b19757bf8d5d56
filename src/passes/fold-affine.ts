import * as E from 'fp-ts/lib/Either.js'
import { onlyReader, soleProducer } from '../ir/analysis.ts'
import { isFloat } from '../ir/dtype.ts'
import { generate, numbersOf } from '../ir/evaluate.ts'
import { readsOfContraction } from '../ir/families/contraction.ts'
import { rowSums, scaleWeight } from '../ir/families/weights.ts'
import { contextOf, type Graph } from '../ir/graph.ts'
import { makeNode } from '../ir/make-node.ts'
import { inputShape } from '../ir/links.ts'
import { cancels, precisionOf, type Refusal } from '../ir/numerics.ts'
import type { ChannelAffine, Contraction, Naming, Node, Rewrite, ValueId } from '../ir/op.ts'
import { Add } from '../ir/ops/add.ts'
import { opOf } from '../ir/registry.ts'
import { type Dense, materialize, type Tensor } from '../ir/tensor.ts'
import { sizeOf } from '../ir/type.ts'
import { type Found, namingOf, type Names, refuse, rewritePass, type Rule } from './rewrite.ts'

/**
 * Folds affine maps of channels (`OpDef.affine`: Add, Sub, Mul, Div by one constant a channel, BatchNormalization) into the
 * contraction before or after them, in double and rounded once:
 *
 *     after:   s · (W x + b) + t = (s W) x + (s b + t)
 *     before:  W (s x + t) + b = (W s) x + (b + W t)
 *
 * Guards: nothing else reads what is between the two and its name is not fixed; the map is along the output channels, or
 * the summed ones; the bias is constant; the numbers are admissible (`ir/numerics.ts`). Before a contraction a shift of a
 * channel that is read needs every output position to sum the same weights (no padding), and a factor: `x + t` alone is
 * exact where the two nearly cancel, and would not be any more. An Add is made only where that saves a node; and what ends
 * a gate or a normalisation is not folded into what comes after it, since runtimes compute these at once.
 */
const foldAfter: Rule = (graph, node, names) => {
  for (const value of node.inputs) {
    const linear = soleProducer(graph, value)
    const c = linear && contractionOf(graph, linear)
    const affine = c && opOf(node).affine?.(contextOf(graph, node), c.outputAxis)
    if (linear === undefined || c === undefined || affine === undefined || node.inputs[affine.port] !== value) continue
    if (onlyReader(graph, value) !== node) return refuse(node, `${value} is read by something else too`)
    const scaled = scaleOutputs(graph, linear, c, affine, namingOf(linear, names), node.outputs)
    if (E.isLeft(scaled)) return refuse(node, scaled.left)
    if (scaled.right !== undefined) return { ...scaled.right, removes: [linear, node] }
  }
  return undefined
}

/**
 * The same where a constant for each position is added in between, as is left where constants meet padding:
 * `s · (W x + b + K) + t = (s W) x + (s b + t) + s K`.
 */
const foldBehindBorder: Rule = (graph, node, names) => {
  for (const value of node.inputs) {
    const sum = soleProducer(graph, value)
    const added = sum?.op === Add.name ? sum.inputs.find((name) => graph.constants.has(name)) : undefined
    const inner = sum?.inputs.find((name) => name !== added)
    const linear = soleProducer(graph, inner ?? '')
    const c = linear && contractionOf(graph, linear)
    const constant = graph.constants.get(added ?? '')
    if (sum === undefined || linear === undefined || c === undefined || constant === undefined) continue
    if (constant.shape.length !== inputShape(contextOf(graph, sum), 0)?.length) continue
    const affine = opOf(node).affine?.(contextOf(graph, node), c.outputAxis)
    if (affine === undefined || node.inputs[affine.port] !== value) continue
    if (onlyReader(graph, value) !== node || onlyReader(graph, inner ?? '') !== sum) continue
    if (constant.shape[c.outputAxis] !== affine.scale.length || !isFloat(constant.dtype)) continue
    const border = scaledAlong(constant, c.outputAxis, affine.scale)
    if (numbersOf(border).some((x) => !Number.isFinite(x))) return refuse(node, `${added} scaled is not finite`)
    const output = names.fresh(`${node.outputs[0] ?? ''}_inner`)
    const others = largestAlong(constant, c.outputAxis)
    const scaled = scaleOutputs(graph, linear, c, affine, namingOf(linear, names), [output], others)
    if (E.isLeft(scaled)) return refuse(node, scaled.left)
    if (scaled.right === undefined) continue
    const name = names.replacing(added ?? '')
    return {
      removes: [linear, sum, node],
      nodes: [...scaled.right.nodes, makeNode(Add, [output, name], node.outputs)],
      constants: new Map([...scaled.right.constants, [name, border]]),
    }
  }
  return undefined
}

/** Every slice along an axis times its factor, in double and rounded once. */
const scaledAlong = (tensor: Tensor, axis: number, factors: Float64Array): Dense => {
  const values = numbersOf(materialize(tensor))
  return generate(
    tensor.dtype,
    tensor.shape,
    (index, flat) => (values[flat] ?? NaN) * (factors[index[axis] ?? 0] ?? NaN),
  )
}

/** Per index along an axis the largest magnitude. */
const largestAlong = (tensor: Tensor, axis: number): Float64Array => {
  const out = new Float64Array(tensor.shape[axis] ?? 0)
  const values = numbersOf(materialize(tensor))
  const inner = sizeOf(tensor.shape.slice(axis + 1))
  values.forEach((x, at) => {
    const index = Math.floor(at / inner) % out.length
    out[index] = Math.max(out[index] ?? 0, Math.abs(x))
  })
  return out
}

/** The contraction of a node that makes the sum itself, not rounded to integers. */
const contractionOf = (graph: Graph, node: Node): Contraction | undefined => {
  const c = opOf(node).contraction?.(contextOf(graph, node))
  return c?.makes === undefined ? c : undefined
}

/** The contraction that computes `scale · y + shift`; `others` are the largest of what else each output is the sum of. */
const scaleOutputs = (
  graph: Graph,
  linear: Node,
  c: Contraction,
  { scale, shift }: ChannelAffine,
  names: Naming,
  outputs: ReadonlyArray<ValueId>,
  others?: Float64Array,
): E.Either<Refusal, Rewrite | undefined> => {
  const reads = readsOfContraction(contextOf(graph, linear), c)
  if (reads.outputs !== scale.length) return E.right(undefined)
  const isScaled = scale.some((s) => s !== 1)
  if (!c.payable) return E.left(`the bias of ${linear.op} is computed`)
  const precision = precisionOf(reads.weight.dtype)
  let terms: Float64Array | undefined
  for (let o = 0; o < scale.length; o++) {
    const bias = c.bias(o)
    const [s, t] = [scale[o] ?? NaN, shift[o] ?? NaN]
    if (bias === undefined) return E.left(`the bias of ${linear.op} is not one number for each channel`)
    const before = Math.max(Math.abs(s * bias), Math.abs(t))
    // A mere addition of something far larger is there to round.
    const after = Math.min(Math.abs(s * bias + t), Math.abs(s) === 1 ? Math.abs(bias) : Infinity)
    if (!cancels(precision, before, after)) continue
    terms ??= rowSums(reads)
    const size = Math.abs(s) * ((terms[o] ?? 0) + (others?.[o] ?? 0))
    // Two constants that cancel each other round what is added to them, however small that is.
    const isUndone = Math.abs(s) === 1 && bias !== 0 && t !== 0 && cancels(precision, before, Math.abs(s * bias + t))
    if (size > 0 && (isUndone || cancels(precision, before, after, size))) {
      return E.left(`its sums with ${t} keep few digits, which a bias of ${s * bias} would not do`)
    }
  }
  const weight = isScaled ? scaleWeight(reads.weight, c, { outputs: scale }) : E.right(reads.weight)
  if (E.isLeft(weight)) return weight
  const node = { inputs: linear.inputs, outputs }
  const factor = isScaled ? scale : undefined
  const rebuilt = c.rebuild({ node, weight: weight.right, groups: c.groups, factor, shift }, names)
  return E.isRight(rebuilt) && !isScaled && rebuilt.right.nodes.length > 1 ? E.right(undefined) : rebuilt
}

const foldBefore: Rule = (graph, node, names) => {
  const [value = ''] = node.outputs
  const linear = node.outputs.length === 1 ? onlyReader(graph, value) : undefined
  const c = linear && contractionOf(graph, linear)
  if (linear === undefined || c === undefined || linear.inputs[c.port] !== value) return undefined
  const affine = opOf(node).affine?.(contextOf(graph, node), c.axis)
  if (affine === undefined || endsPattern(graph, node.inputs[affine.port] ?? '')) return undefined
  return scaleInputs(graph, linear, c, affine, names, node)
}

const scaleInputs = (
  graph: Graph,
  linear: Node,
  c: Contraction,
  { port, scale, shift }: ChannelAffine,
  names: Names,
  node: Node,
): Found => {
  const reads = readsOfContraction(contextOf(graph, linear), c)
  if (reads.inputs !== scale.length) return undefined
  const added = new Float64Array(reads.outputs)
  const sumOf = reads.sums()
  for (let o = 0; o < reads.outputs; o++) {
    const [first, end] = reads.inputsOf(o)
    let sum = 0
    for (let i = first; i < end; i++) {
      const t = shift[i] ?? 0
      if (t === 0 || !reads.reads(o, i)) continue
      if (!c.uniform) return refuse(node, `what it adds meets the padding of ${linear.op}`)
      if (Math.abs(scale[i] ?? 0) === 1) return refuse(node, `its sums are exact where they cancel`)
      sum += t * sumOf(o, i)
    }
    added[o] = c.scale * sum
  }
  const isScaled = scale.some((s) => s !== 1)
  const weight = isScaled ? scaleWeight(reads.weight, c, { inputs: scale }) : E.right(reads.weight)
  if (E.isLeft(weight)) return refuse(node, weight.left)
  const inputs = linear.inputs.map((name, i) => (i === c.port ? (node.inputs[port] ?? '') : name))
  const change = { node: { inputs, outputs: linear.outputs }, weight: weight.right, groups: c.groups, shift: added }
  const rebuilt = c.rebuild(change, namingOf(linear, names))
  if (E.isLeft(rebuilt)) return refuse(node, rebuilt.left)
  if (rebuilt.right.nodes.length > 1) return undefined
  return { ...rebuilt.right, removes: [node, linear] }
}

/**
 * Whether `value` ends a product or quotient of two computed values, constants applied to it aside: a gate (GELU) or a
 * normalisation that several nodes spell out. Runtimes replace these by one kernel, if they find them whole.
 */
const endsPattern = (graph: Graph, value: string): boolean => {
  let node = soleProducer(graph, value)
  while (node !== undefined && opOf(node).affine !== undefined) {
    const computed = node.inputs.filter((name) => !graph.constants.has(name))
    if (computed.length > 1) return opOf(node).multiplies === true
    node = soleProducer(graph, computed[0] ?? '')
  }
  return false
}

export const foldAffine = rewritePass('fold-affine', [foldAfter, foldBehindBorder, foldBefore])
