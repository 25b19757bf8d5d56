/** Masks that take effect nowhere, and why. */
import type { Graph } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { keptCount, type Masks } from '../masks/mask.ts'
import { resolveWeights } from '../masks/weights.ts'
import { sizeOf } from '../ir/type.ts'
import { type NodeView, viewsOf } from './channel-elimination/views.ts'
import type { LayerReport } from './compile.ts'

export interface IdleMask {
  /** The weight that it masks, as the mask calls it. */
  readonly mask: ValueId
  readonly reason: string
}

/**
 * The masks under which no layer that reads their weight loses a channel or is `split` into parts. `start` is the masked model before
 * anything went.
 */
export const idleMasks = (
  model: Graph,
  masks: Masks,
  start: Graph,
  layers: ReadonlyArray<LayerReport>,
  split: ReadonlySet<string>,
): ReadonlyArray<IdleMask> => {
  if (masks.size === 0) return []
  const { rootOf } = resolveWeights(model)
  const byWeight = new Map<ValueId, LayerReport[]>()
  for (const layer of layers) {
    const known = byWeight.get(layer.weight)
    if (known === undefined) byWeight.set(layer.weight, [layer])
    else known.push(layer)
  }
  let views: ReadonlyMap<string, NodeView> | undefined
  return [...masks].flatMap(([name, mask]) => {
    const root = rootOf.get(name) ?? name
    const readers = [...new Set([root, name])].flatMap((weight) => byWeight.get(weight) ?? [])
    const isUsed = readers.some(
      ({ layer, inputs, outputs, joined }) =>
        joined !== undefined || split.has(layer) || inputs.after < inputs.before || outputs.after < outputs.before,
    )
    const [first] = readers
    if (first === undefined || isUsed) return []
    if (keptCount(mask) === sizeOf(mask.shape)) return [{ mask: name, reason: 'it masks nothing' }]
    // Asked for only where there is something to explain: views of a graph that was left behind are made anew.
    views ??= new Map(viewsOf(start).map((view) => [view.node.name, view]))
    return [{ mask: name, reason: whyIdle(first, views.get(first.layer)) }]
  })
}

const whyIdle = ({ op, layer, stays }: LayerReport, view: NodeView | undefined): string => {
  const whole = `${op} ${layer}`
  if (view?.reads !== undefined && !hasWholeChannel(view.reads))
    return `it leaves no channel of ${whole} out as a whole`
  const [most] = [...stays].sort((a, b) => b.channels.length - a.channels.length)
  if (most === undefined) return `no channel of ${whole} goes with what it leaves out`
  const count = most.channels.length
  return count === 1
    ? `1 ${most.side} of ${whole} stays: it ${most.reason.text}`
    : `${count} ${most.side}s of ${whole} stay: each ${most.reason.text}`
}

/** Whether some output reads nothing, or some input is not read. */
const hasWholeChannel = (r: NonNullable<NodeView['reads']>): boolean => {
  const read = new Uint8Array(r.inputs)
  for (let o = 0; o < r.outputs; o++) {
    const [first, end] = r.inputsOf(o)
    let any = false
    for (let i = first; i < end; i++) {
      if (!r.reads(o, i)) continue
      any = true
      read[i] = 1
    }
    if (!any) return true
  }
  return read.includes(0)
}
