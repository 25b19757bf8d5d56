/** How strongly the scales of channels are drawn to 0. */
import { indicesOf, scalesOf } from './network.ts'
import { valueAt } from './schedule.ts'
import type { State } from './state.ts'

/** λ for each number of every scale that the policy draws at `step`; for each scale the sum of what applies. */
export const pulledScales = ({ policy, network, marked, removed }: State, step: number): Map<string, Float32Array> => {
  const out = new Map<string, Float32Array>()
  const sizes = new Map(network.layers.map(({ name, shape }) => [name, shape[0] ?? 0]))
  for (const { from, until, strength, channels, scope } of policy.pulls ?? []) {
    if (step < from || step >= until) continue
    const force = valueAt(strength, step - 1)
    for (const [s, stream] of network.streams.entries()) {
      if (scope === 'block' && stream.scope !== 'block') continue
      const drawn = channels === 'marked' ? marked[s] : removed[s]?.map((mark) => 1 - mark)
      if (drawn?.includes(1) !== true) continue
      for (const slot of scalesOf(stream, network)) {
        const lambda = out.get(slot.layer) ?? new Float32Array(sizes.get(slot.layer) ?? 0)
        for (const index of indicesOf(slot, drawn)) lambda[index] = (lambda[index] ?? 0) + force
        out.set(slot.layer, lambda)
      }
    }
  }
  return out
}
