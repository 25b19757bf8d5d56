/**
 * Along which axes values may be moved, backwards: what is added to one, the same along such an axis, changes nothing that the
 * model computes. A softmax does not see it, and a sum passes it on.
 */
import { fixedNames, memoized } from '../ir/analysis.ts'
import { contextOf, readsOf } from '../ir/graph.ts'
import type { FreeAxes, ValueId } from '../ir/op.ts'
import { opOf } from '../ir/registry.ts'

const none: FreeAxes = { axes: new Set(), ends: new Set() }

const common = (a: ReadonlySet<number>, b: ReadonlySet<number>): ReadonlySet<number> =>
  new Set([...a].filter((axis) => b.has(axis)))

/** The axes along which a value may be moved. */
export const freeAxes = memoized((graph): ((value: ValueId) => FreeAxes) => {
  const fixed = fixedNames(graph)
  const free = new Map<ValueId, FreeAxes>()
  const of = (value: ValueId): FreeAxes => (fixed.has(value) ? none : (free.get(value) ?? none))
  const meet = (value: ValueId, own: FreeAxes): void => {
    const known = free.get(value)
    const met = known === undefined ? own : { axes: common(known.axes, own.axes), ends: common(known.ends, own.ends) }
    free.set(value, met)
  }
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i]
    if (node === undefined) continue
    const { shifts } = opOf(node)
    if (shifts === undefined) {
      for (const input of readsOf(node)) meet(input, none)
      continue
    }
    const ctx = contextOf(graph, node)
    const behind = of(node.outputs[0] ?? '')
    node.inputs.forEach((input, port) => {
      if (graph.constants.has(input)) return
      meet(input, { axes: new Set(shifts(ctx, port, behind)), ends: new Set(shifts(ctx, port, none)) })
    })
  }
  return of
})
