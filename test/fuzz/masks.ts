/** Random masks of the shapes that pruning leaves, for every weight that a layer sums over. */
import { viewsOf } from '../../src/passes/channel-elimination/views.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { elementMask, type Mask, type Masks } from '../../src/masks/mask.ts'
import { sizeOf } from '../../src/ir/type.ts'

export const maskKinds = ['rows', 'columns', 'both', 'dead', 'none', 'elements', 'mixed'] as const
export type MaskKind = (typeof maskKinds)[number]

/**
 * Masks of one kind: 40 % of the output channels (`rows`), of the input channels (`columns`) or `both`, in 70 % of the
 * layers; whole layers `dead` (15 % of them); 60 % of single weights (`elements`); `mixed` draws a kind for each layer.
 */
export const randomMasks = (graph: Graph, kind: MaskKind, uniform: () => number): Masks => {
  const masks = new Map<string, Mask>()
  for (const { node, contraction: c, reads } of viewsOf(graph)) {
    const name = node.inputs[c?.weightPort ?? -1]
    if (c === undefined || reads === undefined || name === undefined || masks.has(name)) continue
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
