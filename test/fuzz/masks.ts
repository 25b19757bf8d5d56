/** Random masks of the shapes that pruning leaves, for every weight that a layer sums over. */
import { isOpaque } from '../../src/ir/registry.ts'
import { subgraphs } from '../../src/package/subgraphs.ts'
import { type NodeView, viewsOf } from '../../src/passes/channel-elimination/views.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { elementMask, type Mask, type Masks } from '../../src/masks/mask.ts'
import { resolveWeights } from '../../src/masks/weights.ts'
import { sizeOf } from '../../src/ir/type.ts'

export const maskKinds = ['rows', 'columns', 'both', 'dead', 'none', 'elements', 'mixed'] as const
export type MaskKind = (typeof maskKinds)[number]

/**
 * Masks of one kind: 40 % of the output channels (`rows`), of the input channels (`columns`) or `both`, in 70 % of the
 * layers; whole layers `dead` (15 % of them); 60 % of single weights (`elements`); `mixed` draws a kind for each layer.
 */
export const randomMasks = (graph: Graph, kind: MaskKind, uniform: () => number): Masks => {
  const masks = new Map<string, Mask>()
  const { graph: resolved, sourceOf } = resolveWeights(graph)
  for (const { node, contraction: c, reads } of [...viewsOf(resolved), ...viewsWithin(graph)]) {
    const read = node.inputs[c?.weightPort ?? -1]
    const stored = sourceOf.get(read ?? '')
    // A weight that is made of integers can be masked under either name.
    const name = stored !== undefined && uniform() < 0.5 ? stored : read
    if (
      c === undefined ||
      reads === undefined ||
      name === undefined ||
      [read, stored].some((known) => masks.has(known ?? ''))
    )
      continue
    const { shape } = reads.weight
    const chosen = kind === 'mixed' ? (maskKinds[Math.floor(uniform() * 6)] ?? 'none') : kind
    const share = chosen === 'dead' ? 0.15 : 0.7
    if (chosen === 'none' || uniform() >= share) continue
    const drop = (axis: number): Uint8Array =>
      Uint8Array.from({ length: shape[axis] ?? 0 }, () => (uniform() < 0.4 ? 0 : 1))
    const rows = chosen === 'rows' || chosen === 'both' ? drop(c.weightOutputAxis) : undefined
    const columns = chosen === 'columns' || chosen === 'both' ? drop(c.weightInputAxis) : undefined
    const inner = sizeOf(shape.slice(2))
    const second = shape[1] ?? 1
    const kept = new Uint8Array(sizeOf(shape))
    for (let i = 0; i < kept.length; i++) {
      const block = Math.floor(i / inner)
      const at = [Math.floor(block / second), block % second]
      const whole = (rows?.[at[c.weightOutputAxis] ?? 0] ?? 1) & (columns?.[at[c.weightInputAxis] ?? 0] ?? 1)
      kept[i] = chosen === 'dead' ? 0 : chosen === 'elements' ? (uniform() < 0.6 ? 0 : 1) : whole
    }
    masks.set(name, elementMask(shape, kept))
  }
  return masks
}

/** What stands in the bodies of nodes and reads weights that these capture. */
const viewsWithin = (graph: Graph): ReadonlyArray<NodeView> => {
  const graphs = [graph]
  const views: NodeView[] = []
  // The list grows while it is walked: bodies are appended.
  for (const one of graphs) {
    for (const node of one.nodes) {
      if (!isOpaque(node)) continue
      for (const { graph: body } of subgraphs.open(node, one) ?? []) {
        graphs.push(body)
        const isCaptured = ({ node: within, contraction }: NodeView): boolean => {
          const weight = within.inputs[contraction?.weightPort ?? -1] ?? ''
          return graph.constants.has(weight) && graph.constants.get(weight) === body.constants.get(weight)
        }
        views.push(...viewsOf(body).filter(isCaptured))
      }
    }
  }
  return views
}
