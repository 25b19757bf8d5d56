import { numbersOf } from '../ir/evaluate.ts'
import { contextOf, type Graph } from '../ir/graph.ts'
import type { Node } from '../ir/op.ts'
import { BatchNormalization } from '../ir/ops/batch-normalization.ts'
import { isOp } from '../ir/registry.ts'
import { materialize } from '../ir/tensor.ts'
import { type ChannelAffine, foldAfter, foldBefore } from './channel-affine.ts'
import { rewritePass } from './rewrite.ts'

/**
 * Folds BatchNormalization into the Conv, ConvTranspose, Gemm or MatMul before it, else into the one after it:
 *
 *     k = scale / √(var + epsilon)
 *     after:   W'[o] = k[o] · W[o],   b' = k · (b - mean) + B
 *     before:  W'[.., c] = k[c] · W[.., c],   b' = b + Σ_c (B - k · mean)[c] · ΣW[.., c]
 *
 * computed in double, rounded once. Guards, besides those of `foldAfter` and `foldBefore`: the node does not train, and
 * its four parameters are constants. One that fits neither stays as it is.
 */
export const batchNormAffine = (graph: Graph, node: Node, axis: number): ChannelAffine | undefined => {
  if (!isOp(node, BatchNormalization) || axis !== 1) return undefined
  if (node.attrs.training_mode !== 0 || node.outputs.slice(1).some((name) => name !== '')) return undefined
  const ctx = contextOf(graph, node)
  const [scale, b, mean, variance] = [1, 2, 3, 4].map((port) => {
    const tensor = ctx.constant(port)
    return tensor && numbersOf(materialize(tensor))
  })
  if (!scale || !b || !mean || !variance) return undefined
  const k = Float64Array.from(variance, (v, c) => (scale[c] ?? NaN) / Math.sqrt(v + node.attrs.epsilon))
  return { port: 0, scale: k, shift: k.map((s, c) => (b[c] ?? NaN) - (mean[c] ?? NaN) * s) }
}

export const foldBatchNorm = rewritePass('fold-batch-norm', [foldAfter(batchNormAffine), foldBefore(batchNormAffine)])
