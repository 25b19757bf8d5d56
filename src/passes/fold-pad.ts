import { onlyReader } from '../ir/analysis.ts'
import { contextOf } from '../ir/graph.ts'
import { opOf } from '../ir/registry.ts'
import { rewritePass } from './rewrite.ts'

/**
 * Folds padding with zeros into the padding of the operator that reads it: `pads' = pads + padding`. Which padding that is,
 * and whether the reader can take it on, the two operators say (`OpDef.zeroPadding`, `OpDef.absorbPadding`).
 *
 * Guards: nothing else reads the padded value and its name is not fixed.
 */
export const foldPad = rewritePass('fold-pad', [
  (graph, node) => {
    const padding = opOf(node).zeroPadding?.(contextOf(graph, node))
    const reader = padding && onlyReader(graph, node.outputs[0] ?? '')
    if (padding === undefined || reader === undefined || reader.inputs[0] !== node.outputs[0]) return undefined
    const folded = opOf(reader).absorbPadding?.(contextOf(graph, reader), padding)
    if (folded === undefined) return undefined
    const inputs = [node.inputs[0] ?? '', ...reader.inputs.slice(1)]
    return { removes: [node, reader], nodes: [{ ...folded, inputs }], constants: new Map() }
  },
])
