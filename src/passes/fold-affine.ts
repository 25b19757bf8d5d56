import { isFloat } from '../ir/dtype.ts'
import { contextOf, type Graph } from '../ir/graph.ts'
import { inputShape } from '../ir/links.ts'
import type { Node, ValueId } from '../ir/op.ts'
import { Add } from '../ir/ops/add.ts'
import { Div } from '../ir/ops/div.ts'
import { Mul } from '../ir/ops/mul.ts'
import { Sub } from '../ir/ops/sub.ts'
import { isOp } from '../ir/registry.ts'
import { elements, type Tensor } from '../ir/tensor.ts'
import { isStatic } from '../ir/type.ts'
import { type AffineOf, type ChannelAffine, foldAfter, foldBefore, soleProducer } from './channel-affine.ts'
import { rewritePass } from './rewrite.ts'

/**
 * The map of an Add, Sub, Mul or Div by a constant that holds one number a channel:
 * `x + c`, `x - c`, `c - x`, `x · c`, `x / c`.
 *
 * Guard: aligned from the right with `x`, the constant has size 1 on every axis but the channel axis. So it does not
 * widen `x`, and a constant along the width of an image is refused even where there are as many columns as channels.
 */
export const elementwiseAffine = (graph: Graph, node: Node, axis: number): ChannelAffine | undefined => {
  if (!isOp(node, Add) && !isOp(node, Sub) && !isOp(node, Mul) && !isOp(node, Div)) return undefined
  const ctx = contextOf(graph, node)
  const port = ctx.constant(1) === undefined ? 1 : 0
  const constant = ctx.constant(1 - port)
  const shape = inputShape(ctx, port)
  const channels = shape?.[axis]
  if (constant === undefined || shape === undefined || !isStatic(channels)) return undefined
  const c = channelValues(constant, shape.length, axis, channels)
  if (c === undefined) return undefined
  const [zeros, ones] = [new Float64Array(channels), new Float64Array(channels).fill(1)]
  if (isOp(node, Add)) return { port, scale: ones, shift: c }
  if (isOp(node, Mul)) return { port, scale: c, shift: zeros }
  if (isOp(node, Sub)) {
    return port === 0 ? { port, scale: ones, shift: c.map((v) => -v) } : { port, scale: ones.map((v) => -v), shift: c }
  }
  return port === 0 ? { port, scale: c.map((v) => 1 / v), shift: zeros } : undefined
}

/** The number for each channel of a constant that is broadcast to rank `rank`, if it depends on nothing else. */
const channelValues = (constant: Tensor, rank: number, axis: number, channels: number): Float64Array | undefined => {
  const missing = rank - constant.shape.length
  if (missing < 0 || !isFloat(constant.dtype)) return undefined
  if (constant.shape.some((size, a) => size !== 1 && (a + missing !== axis || size !== channels))) return undefined
  const values = elements(constant)
  return Float64Array.from({ length: channels }, (_, c) => Number(values[values.length === 1 ? 0 : c]))
}

/**
 * Whether `value` ends a product or quotient of two computed values, constants applied to it aside: a gate (GELU) or a
 * normalisation that several nodes spell out. Runtimes replace these by one kernel, if they find them whole.
 */
const endsPattern = (graph: Graph, value: ValueId): boolean => {
  let node = soleProducer(graph, value)
  while (isOp(node, Add) || isOp(node, Sub) || isOp(node, Mul) || isOp(node, Div)) {
    const computed = node.inputs.filter((name) => !graph.constants.has(name))
    if (computed.length > 1) return isOp(node, Mul) || isOp(node, Div)
    node = soleProducer(graph, computed[0] ?? '')
  }
  return false
}

/** As {@link elementwiseAffine}, but not the last step of what a runtime computes at once. */
const affineBefore: AffineOf = (graph, node, axis) => {
  const affine = elementwiseAffine(graph, node, axis)
  return affine !== undefined && endsPattern(graph, node.inputs[affine.port] ?? '') ? undefined : affine
}

/**
 * Folds Add, Sub, Mul and Div by one constant a channel into the Conv, ConvTranspose, Gemm or MatMul before or after
 * them: `s · (W x + b) + t = (s W) x + (s b + t)` and `W (s x + t) + b = (W s) x + (b + W t)`, computed in double,
 * rounded once. The guards are those of `elementwiseAffine`, `foldAfter` and `foldBefore`; and what ends a gate or a
 * normalisation is not folded into what comes after it.
 */
export const foldAffine = rewritePass('fold-affine', [foldAfter(elementwiseAffine), foldBefore(affineBefore)])
