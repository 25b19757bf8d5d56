import { onlyReader } from '../ir/analysis.ts'
import { contextOf, type Graph } from '../ir/graph.ts'
import { isGiven } from '../ir/infer.ts'
import { inputShape } from '../ir/links.ts'
import type { Node } from '../ir/op.ts'
import { AveragePool } from '../ir/ops/average-pool.ts'
import { Conv } from '../ir/ops/conv.ts'
import { fillOf, Pad, padsOf } from '../ir/ops/pad.ts'
import { isOp } from '../ir/registry.ts'
import { rewritePass } from './rewrite.ts'

/**
 * Folds padding with zeros into the padding of the Conv or AveragePool that reads it: `pads' = pads + padding`.
 *
 * Guards: mode `constant`, value 0, known and nowhere negative, on spatial axes only; nothing else reads the padded
 * value and its name is not fixed; the reader has no automatic padding. An AveragePool counts the padding as elements,
 * so it has to count its own too, or have none; it must not round its output size up, and ONNX Runtime wants its pads
 * smaller than its kernel. MaxPool pads with -∞, never with 0, and is left alone.
 */
export const foldPad = rewritePass('fold-pad', [
  (graph, node) => {
    const spatial = zeroPadding(graph, node)
    const reader = onlyReader(graph, node.outputs[0] ?? '')
    if (spatial === undefined || reader === undefined || reader.inputs[0] !== node.outputs[0]) return undefined
    const folded = withPads(reader, spatial)
    if (folded === undefined) return undefined
    const inputs = [node.inputs[0] ?? '', ...reader.inputs.slice(1)]
    return { removes: [node, reader], nodes: [{ ...folded, inputs }], constants: new Map() }
  },
])

/** What `node` pads the spatial axes with zeros by: begins, then ends. */
const zeroPadding = (graph: Graph, node: Node): ReadonlyArray<number> | undefined => {
  if (!isOp(node, Pad) || node.attrs.mode !== 'constant') return undefined
  const ctx = { ...contextOf(graph, node), attrs: node.attrs, node }
  const pads = padsOf(ctx, inputShape(ctx, 0)?.length ?? 0)
  if (pads === undefined || pads.length < 3 || fillOf(ctx) !== 0 || !isGiven(ctx, 0)) return undefined
  if (pads.some(([begin, end], axis) => begin < 0 || end < 0 || (axis < 2 && begin + end > 0))) return undefined
  return [...pads.slice(2).map(([begin]) => begin), ...pads.slice(2).map(([, end]) => end)]
}

const withPads = (reader: Node, padding: ReadonlyArray<number>): Node | undefined => {
  if (!isOp(reader, Conv) && !isOp(reader, AveragePool)) return undefined
  const { auto_pad, pads } = reader.attrs
  if (auto_pad !== 'NOTSET' && auto_pad !== 'VALID') return undefined
  const own = auto_pad === 'VALID' ? undefined : pads
  const sum = padding.map((p, i) => p + (own?.[i] ?? 0))
  if (isOp(reader, Conv)) return { ...reader, attrs: { ...reader.attrs, auto_pad: 'NOTSET', pads: sum } }
  const { kernel_shape: kernel = [], ceil_mode, count_include_pad } = reader.attrs
  const countsPadding = count_include_pad !== 0 || (own ?? []).every((p) => p === 0)
  if (ceil_mode !== 0 || !countsPadding || sum.some((p, i) => p >= (kernel[i % kernel.length] ?? 0))) return undefined
  return { ...reader, attrs: { ...reader.attrs, auto_pad: 'NOTSET', pads: sum, count_include_pad: 1 } }
}
